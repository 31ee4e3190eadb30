"""What is replayed, what is known about it, and what must therefore come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.datasets import fetch, streams
from modelrollout.cli.manifest import load
from modelrollout.core.status import DecisionRecord
from modelrollout.sim.counts import Row, recording
from modelrollout.sim.recorded import Replayed, replay

HERE = Path(__file__).parent
Rows = Sequence[Mapping[str, str]]
SPLITS = 20
"""Ways to divide one carrier's planes at random."""
ODD = 1
"""Of so many splits, how many may be reverted: two or more have a chance of 2 % where one has 1 %."""


@dataclass(frozen=True, slots=True)
class Case:
    """One stream. `unit`: what a tick of it is; `reverts`: whether what is known says that the candidate is worse.

    `quiet`: ticks of no requests before it. `chance`: one of many of a kind, of which a few may come out otherwise.
    """

    name: str
    known: str
    manifest: str
    unit: str
    reverts: bool
    quiet: int
    rows: Callable[[], Iterable[Row]]
    chance: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: `ticks` until it was taken back, in units of the data; None when it never was."""

    case: Case
    result: Replayed
    reverted: DecisionRecord | None
    ticks: int | None

    @property
    def right(self) -> bool:
        """Whether it is what the known facts call for."""
        return (self.reverted is not None) is self.case.reverts


def play(case: Case) -> Outcome:
    """Replay one case."""
    spec, source, recorded = recording(load(HERE / case.manifest).spec, case.rows())
    result = replay(spec, recorded, source, lead=3 * streams.TICK)
    begin = recorded.header.start + case.quiet * streams.TICK
    reverted = next((r for m in result.moments for r in m.new if r.action == "Rollback"), None)
    ticks = None if reverted is None else round((reverted.at - begin) / streams.TICK)
    return Outcome(case, result, reverted, ticks)


def cases() -> tuple[Case, ...]:
    """All of them; the flights are read once."""
    flights: Rows = streams.flights(fetch.flights())
    patients: Rows = streams.patients(fetch.trial())

    def air(name: str, known: str, arm_of: streams.ArmOf, *, reverts: bool, chance: bool = False) -> Case:
        rows = lambda: streams.by_hour(flights, arm_of)  # noqa: E731  # bound to this case
        return Case(name, known, "flights.yaml", "hours", reverts, 0, rows, chance)

    def trial(name: str, known: str, candidate: set[str], legacy: set[str], *, reverts: bool) -> Case:
        rows = lambda: streams.by_week(patients, candidate, legacy)  # noqa: E731  # bound to this case
        return Case(name, known, "trial.yaml", "weeks", reverts, streams.QUIET, rows)

    return (
        air(
            "Endeavor against Delta",
            "another operator of the same brand, late twice as often",
            streams.carriers("DL", "9E"),
            reverts=True,
        ),
        air(
            "ExpressJet against United",
            "another operator of the same brand, late twice as often",
            streams.carriers("UA", "EV"),
            reverts=True,
        ),
        *(
            air(
                f"Delta against itself, split {salt + 1}",
                "the same fleet, split at random; storms hit both",
                streams.fleet("DL", str(salt)),
                reverts=False,
                chance=True,
            )
            for salt in range(SPLITS)
        ),
        trial(
            "zidovudine alone against the rest",
            "inferior: hazard about twice that of the others",
            {"0"},
            {"1", "2", "3"},
            reverts=True,
        ),
        trial("zidovudine + didanosine against the rest", "not worse", {"1"}, {"2", "3"}, reverts=False),
        trial("zidovudine + zalcitabine against the rest", "not worse", {"2"}, {"1", "3"}, reverts=False),
        trial("didanosine against zidovudine alone", "better", {"3"}, {"0"}, reverts=False),
    )
