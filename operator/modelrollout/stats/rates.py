"""The sequential comparison of two rates: events without a total, counted per exposure. One state per SLI.

E-process against "candidate's rate <= ratio * legacy's rate" over the whole rollout, with the conditional binomial of
`conditional` and the restarts of `mixture`. There is no PASS side: where nothing happens in either arm, nothing can be
proven. The dispersion by which evidence is tempered comes from earlier strata only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from modelrollout.core.rates import ArmEvents
from modelrollout.stats.conditional import blend, log_increments
from modelrollout.stats.dispersion import inflation
from modelrollout.stats.linear import Floats
from modelrollout.stats.mixture import START, Purse, restart, value
from modelrollout.stats.sequential import LASTING, LEAST_BAD, LEAST_STRATA, OVERWHELMING

LAYOUT = 1001.0
"""First value of a checkpoint; that of the other family begins with another one."""
FACTORS, LOG_PRIOR = blend(12)
"""Fewer alternatives than the prior of the page has, for the sake of the checkpoint; it costs 0.1 nats at most."""

_WORSE = slice(1, 1 + len(FACTORS))
_AT = _WORSE.stop
_CASH, _RESTARTS, _RESTARTED, _EVENT_STRATA, _LARGEST, _CHI, _DEGREES = range(_AT, _AT + 7)
_E_C, _E_L, _T_C, _T_L, _ABOVE, _BELOW = range(_AT + 7, _AT + 13)
CARRIED = _AT + 13
"""Values that outlive a step; those behind them are the step's own."""
_STRATA, _DUE = CARRIED, CARRIED + 1
SIZE = CARRIED + 2
_PURSE = Purse(_RESTARTS, _RESTARTED, _CASH, _DUE, (_WORSE,))
_RELATIVE = LOG_PRIOR + log(len(FACTORS))
"""Weights of the alternatives against equal ones, in nats."""


@dataclass(frozen=True, slots=True)
class RateStratum:
    """Events of both arms in the same time, with exposures that were known without looking at them.

    `judged` is False where the arms can't be compared. `chi`, `degrees`: Pearson's X2 of events over legacy's pods.
    `end`: epoch seconds.
    """

    candidate: ArmEvents
    legacy: ArmEvents
    end: float
    judged: bool = True
    chi: float = 0.0
    degrees: int = 0


@dataclass(frozen=True, slots=True)
class RateFindings:
    """What a comparison of rates says.

    `worse`: log e-value. `largest`: the most that one stratum has added to it. `event_strata`: strata with events of
    the candidate. `strata`: of this step that were compared. `ratio`: of the rates (Mantel-Haenszel over strata).
    """

    worse: float
    largest: float
    event_strata: float
    strata: int
    candidate: ArmEvents
    legacy: ArmEvents
    ratio: float | None

    def fails(self, limit: float) -> bool:
        """Whether the evidence is beyond `limit` (nats), on enough events and not for one stratum alone."""
        enough = self.candidate.events >= LEAST_BAD and self.event_strata >= LEAST_STRATA
        lasting = self.worse - self.largest >= LASTING * limit
        return self.worse >= limit and lasting and (enough or self.worse >= limit + OVERWHELMING)


def understood(carried: Sequence[float]) -> bool:
    """Whether these are values of a checkpoint of this family that this program can go on from."""
    return len(carried) == CARRIED and carried[0] == LAYOUT


class RateComparison:
    """Evidence of one SLI without a total. `ratio`: of the margin."""

    def __init__(self, ratio: float, carried: Sequence[float] = ()) -> None:
        """A step begins. `carried`: values of a checkpoint; others than this program's layout begin anew."""
        self.ratio = ratio
        self.values = np.zeros(SIZE)
        if understood(carried):
            self.values[:CARRIED] = carried
        else:
            self.values[0] = LAYOUT
            self.values[_WORSE] = log(START)
            self.values[_CASH] = 1.0 - START
        self.values[_DUE] = 1.0

    def carried(self) -> tuple[float, ...]:
        """What a checkpoint holds."""
        return tuple(self.values[:CARRIED].tolist())

    def findings(self) -> RateFindings:
        """What it says now."""
        row = self.values
        return RateFindings(
            worse=float(_value(row[None, :])[0]),
            largest=float(row[_LARGEST]),
            event_strata=float(row[_EVENT_STRATA]),
            strata=int(row[_STRATA]),
            candidate=ArmEvents(round(row[_E_C]), float(row[_T_C])),
            legacy=ArmEvents(round(row[_E_L]), float(row[_T_L])),
            ratio=float(row[_ABOVE] / row[_BELOW]) if row[_BELOW] > 0 else None,
        )


def advance_rates(comparisons: Sequence[RateComparison], strata: Sequence[RateStratum]) -> None:
    """Move each comparison, all of them different ones, on by its stratum; all at once, each as if alone."""
    if not comparisons:
        return
    state = np.stack([one.values for one in comparisons])
    rows = [(s.candidate, s.legacy, s) for s in strata]
    e_c, t_c, e_l, t_l, end, judged, chi, degrees = np.array(
        [(c.events, c.exposure, g.events, g.exposure, s.end, s.judged, s.chi, s.degrees) for c, g, s in rows], float
    ).T
    told = (judged > 0) & (t_c > 0) & (t_l > 0)
    restart(state, told, end, _PURSE)
    both = np.where(told, t_c + t_l, 1.0)
    share = np.where(told, t_c / both, 0.0)
    null = np.array([one.ratio for one in comparisons])
    before = _value(state)
    logs = log_increments(e_c, e_l, share, null=null, ratios=null[:, None] * FACTORS)
    state[:, _WORSE] += logs / inflation(state[:, _CHI], state[:, _DEGREES])[:, None]
    state[:, _LARGEST] = np.maximum(state[:, _LARGEST], _value(state) - before)
    for place, amount in ((_E_C, e_c), (_E_L, e_l), (_T_C, t_c), (_T_L, t_l)):
        state[:, place] += told * amount
    state[:, _ABOVE] += told * e_c * t_l / both
    state[:, _BELOW] += told * e_l * t_c / both
    state[:, _EVENT_STRATA] += told & (e_c > 0)
    state[:, _STRATA] += told
    state[:, _CHI] += chi
    state[:, _DEGREES] += degrees
    for one, row in zip(comparisons, state, strict=True):
        one.values[:] = row


def spread(pods: Sequence[tuple[float, float]]) -> tuple[float, int]:
    """Pearson's X2 and its degrees of freedom of (exposure, events) of pods in one stratum; (0, 0) without events."""
    exposed = [(time, events) for time, events in pods if time > 0]
    time, events = sum(t for t, _ in exposed), sum(e for _, e in exposed)
    if len(exposed) < 2 or events <= 0:
        return 0.0, 0
    due = [events * t / time for t, _ in exposed]
    return sum((e - d) ** 2 / d for (_, e), d in zip(exposed, due, strict=True)), len(exposed) - 1


def _value(state: Floats) -> Floats:
    """ln of the e-value of each row: the mixture over its effects, and the capital not yet at work."""
    return value(state[:, _WORSE] + _RELATIVE, state[:, _CASH])
