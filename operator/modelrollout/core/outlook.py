"""What a rollout will take, before it runs: how long, how many requests, what goes unnoticed for how long.

`stats.forecast` computes these values, the command line prints them, preflight tells what can't be proven.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, inf, log10

from modelrollout.core.inconclusive import longest_doubt
from modelrollout.core.model import Key, Margin, RolloutSpec, Sli, Step, Weight
from modelrollout.core.wording import LONG, duration, percent, share


@dataclass(frozen=True, slots=True)
class Load:
    """Traffic of one SLI: requests a second of both arms together, and the bad share of legacy (fraction of 1)."""

    rate: float
    share: float


class Detector(StrEnum):
    """What notices a regression first."""

    COMPARISON = "comparison"
    BURN = "burn tier"
    HARD_GUARD = "hard guard"
    BUDGET = "budget share"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Detection:
    """A regression at one step: `ratio` times legacy's bad share, None: every request of the candidate is bad.

    `share`: the candidate's bad share. `seconds`, `late`: from when it gets worse until legacy has all traffic again,
    on average and for 9 of 10. `harm`, `late_harm`: bad events more than legacy would have had until then. All None
    when nothing notices it.
    """

    ratio: float | None
    share: float
    by: Detector
    seconds: float | None = None
    late: float | None = None
    harm: float | None = None
    late_harm: float | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a PASS of one SLI takes at one step, if the candidate is as good as legacy.

    `margin`: the step's; None at 100 %, where nothing is left to compare with. `needed`: candidate requests; `seconds`:
    until the PASS; both infinite when it never comes; `delay`: how much of that labels may take. `least_ratio`,
    `least_difference`: the smallest that would be provable in time, the other one as it is; None when none would be,
    or when it was not looked for.
    """

    sli: str
    load: Load
    margin: Margin | None
    needed: float
    seconds: float
    provable: bool = True
    least_ratio: float | None = None
    least_difference: float | None = None
    delay: float = 0.0
    detections: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class StepOutlook:
    """One step. `seconds`: expected duration; `limit`: the longest it may be undecided; `requests`: the candidate's in
    that time, of the SLI that takes longest. `proofs`: of critical SLIs with a known load.
    """

    index: int
    weight: Weight
    seconds: float
    shortest: float
    limit: float
    requests: float
    proofs: tuple[Proof, ...]

    @property
    def decider(self) -> str | None:
        """The SLI that takes longest; None when the shortest time of the step does."""
        slowest = max(self.proofs, key=lambda proof: proof.seconds, default=None)
        return slowest.sli if slowest is not None and slowest.seconds > self.shortest else None


@dataclass(frozen=True, slots=True)
class RolloutOutlook:
    """All steps of one rollout. Times that people take to approve are not in it."""

    key: Key
    steps: tuple[StepOutlook, ...]

    @property
    def seconds(self) -> float:
        """Expected duration of the whole."""
        return sum(step.seconds for step in self.steps)

    @property
    def refusals(self) -> tuple[str, ...]:
        """One sentence per SLI whose margin can't be proven in time."""
        return tuple(refusal(proofs) for proofs in self.unprovable.values())

    @property
    def unprovable(self) -> Mapping[str, tuple[tuple[StepOutlook, Proof], ...]]:
        """Steps at which the margin of an SLI can't be proven in time, by SLI."""
        found: dict[str, tuple[tuple[StepOutlook, Proof], ...]] = {}
        for step in self.steps:
            for proof in step.proofs:
                if not proof.provable:
                    found[proof.sli] = (*found.get(proof.sli, ()), (step, proof))
        return found


def objective(sli: Sli) -> float:
    """The bad share that an SLI allows; only for those that have an objective."""
    assert sli.allowed is not None, f"{sli.name} has no objective"
    return sli.allowed


def step_margin(spec: RolloutSpec, sli: Sli, index: int) -> Margin | None:
    """What a PASS at step `index` is proven against: the SLI's margin, but no finer than the next weight needs.

    A difference of `tolerance / next weight` costs all traffic `tolerance` at most. None at the last step, 100 %:
    nothing to compare. `index` is -1 below the first step of an edited ladder.
    """
    if index + 1 >= len(spec.steps):
        return None
    return sli.margin.before(spec.steps[index + 1].weight, spec.analysis.tolerance)


def undecided_limit(spec: RolloutSpec, step: Step) -> float:
    """Seconds after its start at which an undecided step ends up in `analysis.inconclusive`."""
    return step.min_duration + longest_doubt(spec, step)


def refusal(found: Iterable[tuple[StepOutlook, Proof]]) -> str:
    """Why the margin of an SLI can't be proven, with its numbers and the ways out; `found`: the steps it fails at."""
    places = sorted(found, key=lambda place: place[0].index)
    step, worst = max(places, key=lambda place: place[1].seconds)
    assert worst.margin is not None, "without a comparison there is no margin to prove"
    others = [str(other.index + 1) for other, _ in places if other is not step]
    where = f"step {step.index + 1}" + (f", also step {', '.join(others)}" if others else "")
    takes = f"it would take {about(worst.seconds)}" if worst.seconds <= LONG else "it would take more than a year"
    labels = f", with labels up to {duration(worst.delay)} late" if worst.delay else ""
    return (
        f"{worst.sli}: margin {margin_words(worst.margin)} is not provable at {percent(step.weight)} % of "
        f"{worst.load.rate:.3g} requests/s with {share(worst.load.share)} bad within {duration(step.limit)} "
        f"({where}){labels}: {takes}; provable: {', or '.join(ways_out([proof for _, proof in places]))}"
    )


def budget_left(spec: RolloutSpec, sli: Sli, load: Load) -> str | None:
    """Why guard G0 would not let the rollout begin if the SLO window had this load throughout; None when it would."""
    if sli.allowed is None:
        return None
    remaining, least = 1.0 - load.share / sli.allowed, spec.budget.min_remaining
    if remaining >= least:
        return None
    return (
        f"{sli.name}: if legacy has had {share(load.share)} bad for {duration(spec.budget.window)} where "
        f"{share(sli.allowed)} is allowed, {share(max(0.0, remaining))} of the error budget is left; "
        f"errorBudget.minRemaining is {share(least)}, so it would not start without an Approve action"
    )


def ways_out(proofs: Iterable[Proof]) -> list[str]:
    """What would make the margin provable at all these steps, each alone, rounded to the safe side."""
    each = list(proofs)
    ratio = max(inf if proof.least_ratio is None else proof.least_ratio for proof in each)
    difference = max(inf if proof.least_difference is None else proof.least_difference for proof in each)
    seconds = max(proof.seconds for proof in each)
    ways = [
        f"margin.ratio {least(ratio, 3)}" if ratio < inf else "",
        f"margin.difference {least(difference, 2)}" if difference < inf else "",
        f"maxDuration and analysis.inconclusive.hold {whole(seconds)}" if seconds <= LONG else "",
    ]
    return [way for way in ways if way] or ["nothing, with so few requests"]


def margin_words(margin: Margin) -> str:
    """`1.25`, or `1.25 + 0.002` with a difference: the numbers that a spec has, to be held against those it needs."""
    ratio = decimal(margin.ratio, 3)
    return f"{ratio} + {decimal(margin.difference, 3)}" if margin.difference else ratio


def about(seconds: float) -> str:
    """A duration that is an estimate: whole hours from ten hours on, days from a hundred."""
    hours = seconds / 3600
    return f"about {hours:.0f}h" if 10 <= hours < 100 else f"about {duration(seconds)}"


def whole(seconds: float) -> str:
    """A duration that can be written into a spec, rounded up to minutes or hours."""
    unit = 60 if seconds < 7200 else 3600
    count = ceil(seconds / unit)
    return f"{count}m" if unit == 60 else f"{count}h"


def least(value: float, digits: int) -> str:
    """A bound as it is written into a spec, rounded up to so many significant digits: never less than `value`."""
    if value <= 0:
        return "0"
    # The API takes six decimals.
    scale = min(1e6, 10.0 ** (digits - 1 - floor(log10(value))))
    return decimal(ceil(value * scale - 1e-9) / scale, digits)


def decimal(value: float, digits: int) -> str:
    """So many significant digits without an exponent, which the API does not take."""
    places = max(0, digits - 1 - floor(log10(value))) if value > 0 else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
