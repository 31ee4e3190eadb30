"""The one thing clusters of a machine share: a cgroup of their own in every hierarchy, made and removed here."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.processes import ClusterError

REMOVE_TIMEOUT_S = 10.0
INHERITED = ("cpuset.cpus", "cpuset.mems")  # empty in a new v1 group, and then no process may enter


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup tree."""

    mount: Path
    version: int


def cgroup_name(cluster: str, run_dir: Path) -> str:
    """Name of a cluster's cgroup: readable, and different for clusters of one name in different caches."""
    return f"modelrollout-{cluster}-{hashlib.sha256(str(run_dir).encode()).hexdigest()[:6]}"


def hierarchies(mounts: str) -> list[Hierarchy]:
    """The trees in a `/proc/mounts` text, each once."""
    found: dict[Path, Hierarchy] = {}
    for line in mounts.splitlines():
        _, target, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found[Path(target)] = Hierarchy(Path(target), 2 if kind == "cgroup2" else 1)
    return list(found.values())


def machine_hierarchies() -> list[Hierarchy]:
    """The trees of this machine. Raises ClusterError when none is mounted."""
    found = hierarchies(Path("/proc/mounts").read_text())
    if not found:
        raise ClusterError("no cgroup hierarchy is mounted on this machine; a kubelet can't run here")
    return found


def create_cgroups(name: str, trees: list[Hierarchy]) -> None:
    """Make group `name` at the top of every tree that the kubelet will use."""
    only_v2 = all(tree.version == 2 for tree in trees)
    for tree in trees:
        if tree.version == 2 and not only_v2:
            continue  # beside v1 it has no controllers and nobody uses it
        group = tree.mount / name
        group.mkdir(exist_ok=True)
        for setting in INHERITED:
            inherited = tree.mount / setting
            if tree.version == 1 and inherited.exists():
                (group / setting).write_text(inherited.read_text())
        if only_v2:
            wanted = (tree.mount / "cgroup.controllers").read_text().split()
            control = " ".join(f"+{controller}" for controller in wanted)
            try:
                (tree.mount / "cgroup.subtree_control").write_text(control)
            except OSError as error:
                raise ClusterError(
                    f"cgroup controllers can't be handed down in {tree.mount} ({error.strerror}): "
                    "this looks like a container; run it on a machine or virtual machine, or use provider kind"
                ) from error


def remove_cgroups(name: str, trees: list[Hierarchy]) -> None:
    """Remove group `name` and all below it, deepest first. Raises ClusterError when one stays busy.

    Its processes must be dead or dying; the kernel needs a moment to let the groups go.
    """
    deadline = time.monotonic() + REMOVE_TIMEOUT_S
    while True:
        busy: OSError | None = None
        for tree in trees:
            for group in _deepest_first(tree.mount / name):
                try:
                    group.rmdir()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    busy = error
        if busy is None:
            return
        if time.monotonic() > deadline:
            raise ClusterError(f"cgroup {busy.filename} can't be removed: {busy.strerror}")
        time.sleep(0.05)


def _deepest_first(top: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(top, topdown=False):
        yield Path(folder)
