"""What an operator sends: counted, and with the name of the life that sent it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from e2e.chaos.transport import WRITES

UNCOUNTED = ("leases", "events", "selfsubject")
"""What is no write about a rollout: the election, what is told about it, questions about rights."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request. `agent`: which process sent it, such as `operator#1`; `number`: of the counted write, 0 for others."""

    life: int
    agent: str
    method: str
    path: str
    target: str
    number: int


@dataclass(eq=False)
class Ledger:
    """All that the operators of one run sent, whichever way they took."""

    writes: Counter[str] = field(default_factory=Counter)
    log: list[Sent] = field(default_factory=list)
    """All writes but those of the election."""
    authors: dict[tuple[str, int], str] = field(default_factory=dict)
    """By plural and resourceVersion, whose write made it."""
    contenders: set[str] = field(default_factory=set)
    """Who has asked for the Lease."""
    count: int = 0
    past: int = 0
    """Lists and watches that a second API server answered."""

    def enter(self, life: int, agent: str, method: str, path: str) -> Sent:
        """Note a request on its way."""
        target, number = target_of(path), 0
        writes = method in WRITES
        if writes and not target.startswith(UNCOUNTED):
            self.count = number = self.count + 1
            self.writes[target] += 1
        elif target == "leases":
            self.contenders.add(agent)
        sent = Sent(life, agent, method, path, target, number)
        if writes and not target.startswith(("leases", "selfsubject")):
            self.log.append(sent)
        return sent

    def made(self, sent: Sent, body: bytes, answer: bytes) -> None:
        """Note what a write that was carried out has made.

        One that changes nothing is answered with the version that it was decided on, which somebody else has made.
        """
        version = _version(answer)
        if version is not None and f'"{version}"'.encode() not in body:
            self.authors.setdefault((sent.target.partition("/")[0], version), sent.agent)


def target_of(path: str) -> str:
    """Plural of what a path is about, with the subresource: `modelrollouts/status`."""
    rest = _parts(path)
    return "/".join([*rest[:1], *rest[2:3]])


def lists(path: str) -> bool:
    """Whether a path is that of a collection."""
    return len(_parts(path)) == 1


def _parts(path: str) -> list[str]:
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    return rest[2:] if len(rest) > 2 and rest[0] == "namespaces" else rest


def _version(answer: bytes) -> int | None:
    try:
        return int(json.loads(answer)["metadata"]["resourceVersion"])
    except (ValueError, KeyError, TypeError):
        return None
