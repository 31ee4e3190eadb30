"""A count of deliveries that can be looked at, and happenings to deliver."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from modelrollout.core.happenings import Happened, Happening, Level
from modelrollout.core.model import Key, Weight
from tests.scene import START


@dataclass
class Counted:
    """`Count` in memory."""

    answers: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    length: int = 0
    forgotten: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, target: str, kind: str, answer: str) -> None:
        self.answers[answer] += 1

    def ended(self, target: str, kind: str, result: str) -> None:
        self.results[result] += 1

    def waiting(self, target: str, kind: str, length: int) -> None:
        self.length = length

    def forget(self, target: str, kind: str) -> None:
        self.forgotten.append((target, kind))


ROLLED_BACK = Happening(
    id="5f1d",
    kind=Happened.ROLLED_BACK,
    level=Level.TICKET,
    key=Key("serving", "fraud"),
    uid="u1",
    revision="6b8f9c",
    reason="SliFailed",
    message="availability: 3.1 % bad where 1 % is allowed (62 of 2000)",
    at=START + 0.25,
    weight=Weight(2500),
)


def happening(number: int = 0, level: Level = Level.TICKET, **changes: object) -> Happening:
    """One of many, told apart by its id and rollout."""
    made = replace(ROLLED_BACK, id=f"id-{number}", key=Key("serving", f"m{number}"), level=level)
    return replace(made, **changes)  # type: ignore[arg-type]  # keyword names are the fields of Happening
