"""Where a cluster keeps its files, and the records that let another process find it, enter it and clean up."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from e2e.cluster.artifacts import cache_root
from e2e.cluster.entry import is_running, process_stat
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import Tier

PREFIX = "cluster-"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a cluster's processes: `(pid, start time)` of the init inside and of `unshare` around it."""

    tier: Tier
    init: tuple[int, int]
    unshare: tuple[int, int]

    def alive(self) -> bool:
        """Whether the cluster's init still runs."""
        return is_running(*self.init)


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths in one cluster's run directory."""

    name: str

    @property
    def path(self) -> Path:
        """The run directory."""
        return cache_root() / "run" / f"{PREFIX}{self.name}"

    @property
    def logs(self) -> Path:
        """Directory of the components' logs."""
        return self.path / "logs"

    @property
    def doors(self) -> Path:
        """Directory of wishes for doors to the machine's network (see `relay`)."""
        return self.path / "doors"

    @property
    def control_plane(self) -> Path:
        """Directory of certificates, kubeconfigs, etcd's data and the audit log."""
        return self.path / "control-plane"

    @property
    def node(self) -> Path:
        """Directory of the node's configuration and data."""
        return self.path / "node"

    @property
    def host_kubeconfig(self) -> Path:
        """Kubeconfig for programs outside."""
        return self.path / "kubeconfig"

    def log(self, component: str) -> Path:
        """Log file of a component."""
        return self.logs / f"{component}.log"

    def hold(self, component: str) -> Path:
        """The file that keeps a component down while it exists."""
        return self.path / "hold" / component

    def make(self) -> None:
        """Create the directories of a new cluster. Raises FileExistsError when there are leftovers."""
        self.path.mkdir(parents=True, mode=0o700)
        for directory in (self.logs, self.doors, self.control_plane, self.node, self.path / "hold"):
            directory.mkdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else brings this cluster up or down during the block."""
        locks = cache_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / f"{PREFIX}{self.name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def ask_door(self, port: int, target: str) -> None:
        """Wish for a door on 127.0.0.1:`port` of the machine to `target` (`host:port`) inside."""
        draft = self.doors / f"{port}.new"
        draft.write_text(target)
        draft.rename(self.doors / str(port))

    def door_to(self, target: str) -> int | None:
        """Port of an open door to `target`, None when there is none."""
        for marker in self.doors.glob("*.open"):
            if marker.with_suffix("").read_text() == target:
                return int(marker.stem)
        return None

    def events(self) -> list[dict[str, Any]]:
        """What the supervisor told so far."""
        path = self.path / "events.jsonl"
        complete = path.read_text().rpartition("\n")[0] if path.is_file() else ""
        return [json.loads(line) for line in complete.splitlines()]

    def state(self) -> dict[str, dict[str, Any]]:
        """State of every component by name, empty before the first one started."""
        path = self.path / "state.json"
        return cast(dict[str, dict[str, Any]], json.loads(path.read_text())) if path.is_file() else {}

    def write_record(self, tier: Tier, *, init_pid: int, unshare_pid: int) -> None:
        """Remember the processes. Raises ClusterError when one is gone already."""
        pids = {}
        for role, pid in (("init", init_pid), ("unshare", unshare_pid)):
            stat = process_stat(pid)
            if stat is None:
                raise ClusterError(f"cluster {self.name}: its {role} process ended at once")
            pids[role] = [pid, stat.start]
        draft = self.path / "record.new"
        draft.write_text(json.dumps({"tier": tier, **pids}))
        draft.rename(self.path / "record.json")

    def record(self) -> Record | None:
        """The remembered processes; None when nothing was started."""
        path = self.path / "record.json"
        if not path.is_file():
            return None
        raw = json.loads(path.read_text())
        return Record(raw["tier"], init=tuple(raw["init"]), unshare=tuple(raw["unshare"]))


def known_clusters() -> list[Layout]:
    """Every cluster with a run directory, up or not."""
    return [
        Layout(path.name.removeprefix(PREFIX))
        for path in sorted((cache_root() / "run").glob(f"{PREFIX}*"))
        if path.is_dir()
    ]
