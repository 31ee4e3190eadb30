"""What a cluster leaves on the machine, and what it changes there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.artifacts import cache_root
from e2e.cluster.layout import PREFIX, Layout

MACHINE_SETTINGS = (
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/core_pattern",
    "fs/file-max",
    "fs/nr_open",
    "net/ipv4/ip_forward",
)
MACHINE_PATHS = (
    "/run/docker.sock",
    "/run/docker",
    "/var/lib/kubelet",
    "/var/lib/docker",
    "/lib/modules",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/opt/containerd",
)


@dataclass(frozen=True, slots=True)
class Traces:
    """Everything on the machine that a cluster could have changed or left."""

    processes: frozenset[str]
    cgroups: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    settings: tuple[str, ...]
    paths: tuple[bool, ...]
    run_dirs: frozenset[str]


def traces(name: str, prefix: str = PREFIX) -> Traces:
    """What of cluster `name` can be seen on the machine, and the machine's own state."""
    run_dir = str(Layout(name, prefix).path)
    return Traces(
        processes=frozenset(processes_with(run_dir)),
        cgroups=frozenset(str(path) for path in Path("/sys/fs/cgroup").glob(f"**/modelrollout-{name}-*")),
        mounts=frozenset(line for line in Path("/proc/mounts").read_text().splitlines() if run_dir in line),
        interfaces=frozenset(os.listdir("/sys/class/net")),
        settings=tuple((Path("/proc/sys") / each).read_text() for each in MACHINE_SETTINGS),
        paths=tuple(Path(each).exists() for each in MACHINE_PATHS),
        run_dirs=frozenset(each.name for each in (cache_root() / "run").glob(f"{prefix}{name}*")),
    )


def processes_with(run_dir: str) -> Iterator[str]:
    """Processes that name the run directory or live in a mount namespace of its own that mounts from it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
                mounts = (entry / "mounts").read_text()
            except OSError:
                continue
            if any(run_dir in text for text in (command, environment, mounts)):
                yield f"{entry.name} {command}"


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not so after {timeout_s:.0f} s"
        time.sleep(0.05)
