"""What the supervisor inside the namespaces has to run; plain data that crosses the border as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MACHINE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ProbeKind = Literal["exit", "path", "url", "node", "started"]


@dataclass(frozen=True, slots=True)
class Probe:
    """When a component counts as ready.

    `started`: at once. `exit`: when it has ended with 0 (a task, run once). `path`: when the file exists.
    `url`: when a GET gives 200. `node`: when the GET gives a Node with condition Ready.
    """

    kind: ProbeKind
    target: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One program: command line, what must be ready before it, and how to see that it is ready itself."""

    name: str
    argv: Sequence[str]
    after: Sequence[str] = ()
    probe: Probe = Probe("started")
    timeout_s: float = 60.0

    @property
    def once(self) -> bool:
        """Whether it is a task that ends by itself."""
        return self.probe.kind == "exit"


@dataclass(frozen=True, slots=True)
class Border:
    """What the supervisor inherits from outside: descriptors, and the group its pods live in."""

    cgroup: str
    host_network_fd: int
    owner_fd: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole content of a cluster's namespaces."""

    run_dir: str
    node_tree: str | None
    hostname: str
    path: str
    components: Sequence[Component] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    host_network_fd: int = -1
    owner_fd: int = -1

    def write(self, path: Path) -> None:
        """Save as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    def check(self) -> None:
        """Raise ValueError when a component waits for one that is not there, or names repeat."""
        names = [component.name for component in self.components]
        if len(names) != len(set(names)):
            raise ValueError(f"component names repeat: {names}")
        for component in self.components:
            missing = set(component.after) - set(names)
            if missing:
                raise ValueError(f"{component.name} waits for unknown {sorted(missing)}")


def read_plan(path: Path) -> Plan:
    """Load what `Plan.write` saved."""
    raw = json.loads(path.read_text())
    components = [
        Component(**{**component, "probe": Probe(**component["probe"])}) for component in raw.pop("components")
    ]
    return Plan(**raw, components=components)
