"""What is replayed, what is known about it, and what must therefore come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from e2e.datasets import fetch, streams
from modelrollout.cli.data_report import as_text
from modelrollout.cli.manifest import load
from modelrollout.core.status import DecisionRecord
from modelrollout.sim.counts import Row, recording
from modelrollout.sim.recorded import Shares, replay

HERE = Path(__file__).parent
Rows = Sequence[Mapping[str, str]]
ODD = 1
"""Random splits that may be reverted: of 20 with a chance of 1 % each, two or more are in 2 of 100 tries."""


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
    """What came of a case. `ticks` until it was taken back, in units of the data; None when it never was.

    `right`: it is what the known facts call for. `report`: every decision, for reading.
    """

    name: str
    known: str
    unit: str
    right: bool
    chance: bool
    shares: Shares
    reverted: DecisionRecord | None
    ticks: int | None
    report: str


def play(number: int, splits: int) -> Outcome:
    """Replay one of `cases(splits)`."""
    case = cases(splits)[number]
    spec, source, recorded = recording(load(HERE / case.manifest).spec, case.rows())
    result = replay(spec, recorded, source, lead=3 * streams.TICK)
    begin = recorded.header.start + case.quiet * streams.TICK
    reverted = next((r for m in result.moments for r in m.new if r.action == "Rollback"), None)
    ticks = None if reverted is None else round((reverted.at - begin) / streams.TICK)
    shares = result.shares[0]
    right = (reverted is not None) is case.reverts
    return Outcome(case.name, case.known, case.unit, right, case.chance, shares, reverted, ticks, as_text(result))


@cache
def cases(splits: int) -> tuple[Case, ...]:
    """All of them, with so many ways to divide one carrier's planes at random. The data are read once a process."""
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
            for salt in range(splits)
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
