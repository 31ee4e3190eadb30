"""Starting the namespaces of an embedded cluster, watching it come up, and removing every trace of it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from e2e.cluster.artifacts import remove_tree
from e2e.cluster.cgroups import cgroup_name, create_cgroups, machine_hierarchies, remove_cgroups
from e2e.cluster.entry import children_of, identity, inner_environment, kill_and_wait, processes_naming
from e2e.cluster.layout import Layout, Record, known_clusters
from e2e.cluster.plan import Border
from e2e.cluster.processes import ClusterError, tail
from e2e.cluster.provider import Tier

UP_TIMEOUT_S = 180.0
SUPERVISOR = "e2e.cluster.supervisor"
POLL_S = 0.03
REPOSITORY = Path(__file__).parents[2]
UNSHARE = ("--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child=SIGKILL")


class Steps:
    """Prints what has been reached, with the seconds since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def reached(self, what: str) -> None:
        """Print one step."""
        say(f"  {self.seconds():5.1f} s  {what}")


def say(text: str) -> None:
    """Tell the user, on stderr: standard output belongs to results."""
    print(text, file=sys.stderr, flush=True)


def launch(
    layout: Layout, tier: Tier, *, ephemeral: bool, write_plan: Callable[[Border], None]
) -> tuple[subprocess.Popen[bytes], int | None]:
    """Start the namespaces with their supervisor; returns the process around them.

    `write_plan` writes the supervisor's plan to the layout.
    With `ephemeral` the second value is a descriptor whose end (by closing it, or by our death) ends the cluster.
    """
    layout.make()
    group = cgroup_name(layout.name, layout.path)
    if tier == "full":
        create_cgroups(group, machine_hierarchies())
    host_network = os.open("/proc/self/ns/net", os.O_RDONLY)
    reading, writing = os.pipe() if ephemeral else (-1, None)
    inherited = [fd for fd in (host_network, reading) if fd >= 0]
    try:
        write_plan(Border(group, host_network, reading))
        with layout.log("supervisor").open("ab") as output:
            outer = subprocess.Popen(
                ["unshare", *UNSHARE, sys.executable, "-m", SUPERVISOR, str(layout.plan)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env=inner_environment(os.environ["PATH"], layout.control_plane / "admin.kubeconfig", {}),
                pass_fds=inherited,
                start_new_session=True,
            )
    finally:
        for fd in inherited:
            os.close(fd)
    init = identity(_init_of(outer, layout))
    layout.write_record(Record(tier, init, identity(outer.pid), complete=False))
    return outer, writing


def follow(layout: Layout, outer: subprocess.Popen[bytes], steps: Steps) -> None:
    """Print what the supervisor tells until all is ready. Raises ClusterError when it does not get there."""
    seen = 0
    while True:
        ended = outer.poll() is not None  # looked at first: what it told before its end is read below
        events = layout.events()
        for event in events[seen:]:
            if event["event"] == "failed":
                raise ClusterError(f"cluster {layout.name} did not come up: {event['message']}")
            if event["event"] == "up":
                return
            if event["event"] == "ready":
                steps.reached(event["component"])
        seen = len(events)
        if ended:
            raise ClusterError(f"cluster {layout.name}: the supervisor ended: {tail(layout.log('supervisor'))}")
        if steps.seconds() > UP_TIMEOUT_S:
            raise ClusterError(f"cluster {layout.name} is not up after {UP_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)


def clean(layout: Layout) -> None:
    """Remove every process, cgroup and file of a cluster, in whatever state it is. Hold its lock."""
    # Both `unshare` and the init inside; with either the kernel ends everything inside. Looked up in the process
    # table, because an `up` that was killed early left no record.
    for process in processes_naming(SUPERVISOR, str(layout.plan)):
        kill_and_wait(*process)
    if platform.system() == "Linux" and os.geteuid() == 0:
        remove_cgroups(cgroup_name(layout.name, layout.path), machine_hierarchies())
    remove_tree(layout.path)


def sweep() -> None:
    """Clean up after clusters whose processes are gone (killed, or the machine restarted)."""
    for layout in known_clusters():
        with layout.locked_if_free() as ours:
            record = layout.record()
            if ours and not (record and record.alive()):
                clean(layout)


def _init_of(outer: subprocess.Popen[bytes], layout: Layout) -> int:
    while outer.poll() is None:
        children = children_of(outer.pid)
        if children:
            return children[0]
        time.sleep(0.005)
    raise ClusterError(f"unshare failed: {tail(layout.log('supervisor'))}")
