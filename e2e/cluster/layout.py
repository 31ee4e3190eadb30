"""Where a cluster keeps its files, and the records that let another process find it, enter it and clean up."""

from __future__ import annotations

import dataclasses
import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from e2e.cluster.artifacts import cache_root
from e2e.cluster.entry import is_running
from e2e.cluster.provider import Tier

PREFIX = "cluster-"
KIND_PREFIX = "kind-"
"""Of the run directories of provider kind's private engines: one name may be up with either provider."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a cluster's processes: `(pid, start time)` of the init inside and of `unshare` around it.

    `complete` once `up` has done everything; before, an `up` is at work or was killed.
    """

    tier: Tier
    init: tuple[int, int]
    unshare: tuple[int, int]
    complete: bool

    def alive(self) -> bool:
        """Whether the cluster's init still runs."""
        return is_running(*self.init)


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths in one cluster's run directory."""

    name: str
    prefix: str = PREFIX

    @property
    def path(self) -> Path:
        """The run directory."""
        return cache_root() / "run" / f"{self.prefix}{self.name}"

    @property
    def plan(self) -> Path:
        """The supervisor's plan; its path on a command line marks a process of this cluster."""
        return self.path / "plan.json"

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
        """Nobody else brings this cluster up or down during the block; waits for its turn."""
        with self._lock_file().open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextmanager
    def locked_if_free(self) -> Iterator[bool]:
        """As `locked`, but does not wait: the value says whether the lock is ours."""
        with self._lock_file().open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _lock_file(self) -> Path:
        locks = cache_root() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return locks / f"{self.prefix}{self.name}.lock"

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

    def write_record(self, record: Record) -> None:
        """Remember the processes."""
        draft = self.path / "record.new"
        draft.write_text(json.dumps(dataclasses.asdict(record)))
        draft.rename(self.path / "record.json")

    def record(self) -> Record | None:
        """The remembered processes; None when nothing was started."""
        path = self.path / "record.json"
        if not path.is_file():
            return None
        raw = json.loads(path.read_text())
        return Record(raw["tier"], tuple(raw["init"]), tuple(raw["unshare"]), raw["complete"])


def known_clusters() -> list[Layout]:
    """Every cluster with a run directory, up or not."""
    return [
        Layout(path.name.removeprefix(prefix), prefix)
        for prefix in (PREFIX, KIND_PREFIX)
        for path in sorted((cache_root() / "run").glob(f"{prefix}*"))
        if path.is_dir()
    ]
