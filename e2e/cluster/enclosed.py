"""A cluster whose processes live in namespaces of their own: entering it, doors out of it, its components and its end.

The supervisor (`supervisor.py`) is PID 1 in there. Killing it or the `unshare` process around it ends every
process, mount, interface and packet filter rule; cgroups and the run directory are left, and `down` removes them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from e2e.cluster.entry import Runner, entry_argv, inner_environment
from e2e.cluster.layout import KIND_PREFIX, Layout, Record
from e2e.cluster.lifecycle import Steps, clean, follow, launch, say, sweep
from e2e.cluster.plan import Border
from e2e.cluster.processes import ClusterError, free_ports
from e2e.cluster.provider import Tier

WAIT_S = 60.0
POLL_S = 0.03


class Enclosed(Runner):
    """What providers in namespaces share; see `provider.Cluster` for the contract of each method."""

    def __init__(self, layout: Layout, *, ephemeral: bool = False) -> None:
        """With `ephemeral` all ends when this process does, however that ends."""
        self.name = layout.name
        self._layout = layout
        self._ephemeral = ephemeral
        self._outer: subprocess.Popen[bytes] | None = None
        self._owner: int | None = None

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator, for programs inside."""
        return self._layout.control_plane / "admin.kubeconfig"

    @property
    def host_kubeconfig(self) -> Path:
        """The same for programs outside."""
        return self._layout.host_kubeconfig

    def down(self) -> None:
        """Remove every process, mount, cgroup and file of it; also what a killed one left behind."""
        with self._layout.locked():
            self._end()

    def forward(self, url: str) -> str:
        """A URL on 127.0.0.1 of the machine that reaches `url` inside, until the cluster is down."""
        self._record()
        parts = urlsplit(url)
        target = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        if self._layout.door_to(target) is None:
            self._layout.ask_door(free_ports(1)[0], target)
            _wait(f"a door to {target}", lambda: self._layout.door_to(target) is not None)
        return f"{parts.scheme}://127.0.0.1:{self._layout.door_to(target)}"

    def logs(self, component: str) -> str:
        """Log of a component; raises ClusterError that names those there are."""
        path = self._layout.log(component)
        if not path.is_file():
            there = ", ".join(sorted(each.stem for each in self._layout.logs.glob("*.log"))) or "none"
            raise ClusterError(f"cluster {self.name} has no log of {component!r}; there are: {there}")
        return path.read_text(errors="replace")

    def stop(self, component: str) -> None:
        """Take one component away (killed, not restarted) until `start`."""
        self._component(component)
        self._layout.hold(component).touch()
        _wait(f"the end of {component}", lambda: self._component(component).state == "down")

    def start(self, component: str) -> None:
        """Bring a stopped component back and wait until it is ready."""
        self._component(component)
        self._layout.hold(component).unlink(missing_ok=True)
        _wait(f"{component} to be ready", lambda: self._component(component).state == "ready")

    def signal(self, component: str, number: int) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT, to a component."""
        self.exec(["bash", "-c", f"kill -{number} {self._component(component).pid}"])

    def status(self) -> dict[str, Any] | None:
        """Tier, addresses and state of every component; None when it is not up."""
        record = self._layout.record()
        if record is None or not record.alive():
            return None
        return {
            "name": self.name,
            "tier": record.tier,
            "pid": record.init[0],
            "kubeconfig": str(self.host_kubeconfig),
            "components": self._layout.state(),
        }

    def _bring_up(
        self,
        tier: Tier,
        *,
        prepare: Callable[[], None],
        write_plan: Callable[[Border], None],
        finish: Callable[[Steps], None],
    ) -> None:
        """Start the namespaces with the plan and `finish` what needs them running, or find all of it up.

        `prepare` builds what is needed, before anything starts. Raises ClusterError or BuildError, leaving nothing.
        """
        sweep()
        with self._layout.locked():
            record = self._layout.record()
            # Incomplete while the lock is ours: the `up` that was at it is dead.
            if record is not None and record.alive() and record.complete:
                if record.tier != tier:
                    raise ClusterError(
                        f"cluster {self.name} is up with tier {record.tier}; take it down first: "
                        f"python -m e2e.cluster down --name {self.name}"
                    )
                say(f"cluster {self.name} is up already (tier {tier})")
                return
            self._end()
            prepare()
            steps = Steps()
            say(f"cluster {self.name}: starting tier {tier}")
            try:
                self._outer, self._owner = launch(self._layout, tier, ephemeral=self._ephemeral, write_plan=write_plan)
                follow(self._layout, self._outer, steps)
                finish(steps)
                self._layout.write_record(dataclasses.replace(self._record(), complete=True))
            except BaseException:
                self._end()
                raise
            say(f"cluster {self.name}: up after {steps.seconds():.1f} s")

    def _end(self) -> None:
        try:
            clean(self._layout)
        except KeyboardInterrupt:
            # Ctrl-C, or a time limit, that comes while it is being removed: the rest goes too.
            clean(self._layout)
            raise
        if self._outer is not None:
            self._outer.wait()
            self._outer = None
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    def _record(self) -> Record:
        record = self._layout.record()
        if record is None or not record.alive():
            provider = " --provider kind" if self._layout.prefix == KIND_PREFIX else ""
            raise ClusterError(
                f"cluster {self.name} is not up; start it: python -m e2e.cluster up{provider} --name {self.name}"
            )
        return record

    def _entry(self, argv: Sequence[str | Path]) -> list[str]:
        return entry_argv(self._record().init[0], argv, Path.cwd())

    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        plan = json.loads(self._layout.plan.read_text())
        # The cluster's own kubectl comes first, then what the caller's PATH says (its virtual environment).
        programs = cast(str, plan["path"]).split(":")
        path = ":".join([programs[0], os.environ.get("PATH", ""), *programs[1:]])
        return inner_environment(path, self.kubeconfig, extra or {})

    def _component(self, name: str) -> _ComponentState:
        state = self._layout.state()
        if name not in state:
            raise ClusterError(f"cluster {self.name} has no component {name!r}; there are: {', '.join(state)}")
        return _ComponentState(state[name]["state"], state[name]["pid"])


@dataclass(frozen=True, slots=True)
class _ComponentState:
    state: str
    pid: int | None


def _wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {WAIT_S:.0f} s for {what}")
        time.sleep(POLL_S)
