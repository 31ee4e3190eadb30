"""The sequential comparison of the two arms: one state per SLI, one call that moves all of them on by a stratum.

FAIL side: e-process against "p_candidate <= ratio * p_legacy + difference", over the whole rollout, with restarts.
PASS side: e-process against "p_candidate >= ratio * p_legacy + step difference", over the present step.
The share of legacy that alternatives are laid around comes from earlier strata only, and so does the dispersion by
which evidence is tempered: both must be fixed before the counts they are used on are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from modelrollout.core.model import Margin
from modelrollout.core.observation import ArmCounts
from modelrollout.stats.dispersion import effective, inflation
from modelrollout.stats.linear import Floats, increments
from modelrollout.stats.mixture import FINE, RESTART_EVERY, START, WORSE, alternatives, restart_capital, value

LAYOUT = 1.0
"""First value of a checkpoint. One that begins with another number is not understood and not used."""
MEMORY = 0.97 ** (1 / 15)
"""What a second leaves of legacy's earlier counts: they fade to a third within eight minutes."""
PRIOR_BAD, PRIOR_TOTAL = 0.5, 50.0
LEAST_SHARE, MOST_SHARE = 1e-6, 0.9
LEAST_BAD, LEAST_STRATA = 5.0, 2.0
"""Bad events of the candidate, and strata with any, that a FAIL takes ..."""
OVERWHELMING = 5.0
"""... unless the evidence is beyond its limit by so much (nats)."""
SETTLED = 200.0
"""Events of legacy before a single pod's ups and downs are held against its usual share."""

_WORSE = slice(1, 1 + len(WORSE))
_AT = _WORSE.stop
_CASH, _BAD, _TOTAL, _BEFORE, _RESTARTS, _RESTARTED, _OWN_BAD, _BAD_STRATA, _CHI, _DEGREES, _POD_EVENTS, _PODS = range(
    _AT, _AT + 12
)
CARRIED = _AT + 12
"""Values that outlive a step; those behind them are the step's own."""
_FINE = slice(CARRIED, CARRIED + len(FINE))
_STRATA, _DUE = _FINE.stop, _FINE.stop + 1
SIZE = _DUE + 1


@dataclass(frozen=True, slots=True)
class Stratum:
    """Counts of both arms of the same time. `judged` is False outside the evidence of a step: then they only teach
    what legacy's usual share is.

    `chi`, `degrees`: Pearson's X2 over legacy's pods. `pods`: candidate's and legacy's. `end`: epoch seconds.
    """

    candidate: ArmCounts
    legacy: ArmCounts
    end: float
    seconds: float
    judged: bool = True
    chi: float = 0.0
    degrees: int = 0
    pods: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison says: logs of e-values now and one stratum ago, and the counts behind a FAIL.

    `strata`: of this step with requests of both arms. `usual`: legacy's share as learned.
    """

    worse: float
    before: float
    fine: float
    own_bad: float
    bad_strata: float
    strata: int
    usual: float

    def fails(self, limit: float) -> bool:
        """Whether the evidence is beyond `limit` (nats), on enough events.

        Evidence that came with the newest stratum alone waits for the next one: an outage of both arms begins between
        two scrapes, and a single stratum may show one arm bad while the other's scrape is yet to come.
        """
        enough = self.own_bad >= LEAST_BAD and self.bad_strata >= LEAST_STRATA
        return self.worse >= limit and self.before >= limit / 2 and (enough or self.worse >= limit + OVERWHELMING)


class Comparison:
    """Evidence of one SLI. `margin`: of the SLI, for FAIL."""

    def __init__(self, margin: Margin, carried: Sequence[float] = ()) -> None:
        """`carried`: values of a checkpoint; others than this program's layout begin anew."""
        self.margin = margin
        self.step = margin
        self.values = np.zeros(SIZE)
        if len(carried) == CARRIED and carried[0] == LAYOUT:
            self.values[:CARRIED] = carried
        else:
            self.values[0] = LAYOUT
            self.values[_WORSE] = log(START)
            self.values[_CASH] = 1.0 - START
            self.values[_BAD], self.values[_TOTAL] = PRIOR_BAD, PRIOR_TOTAL

    def begin(self, step: Margin) -> None:
        """A new step, which passes against `step`; evidence of harm goes on and is given fresh capital."""
        self.step = step
        self.values[CARRIED:] = 0.0
        self.values[_DUE] = 1.0

    def carried(self) -> tuple[float, ...]:
        """What a checkpoint holds."""
        return tuple(self.values[:CARRIED].tolist())

    def findings(self) -> Findings:
        """What it says now."""
        v = self.values
        return Findings(
            worse=float(value(v[None, _WORSE], v[None, _CASH])[0]),
            before=float(v[_BEFORE]),
            fine=float(value(v[None, _FINE], np.zeros(1))[0]),
            own_bad=float(v[_OWN_BAD]),
            bad_strata=float(v[_BAD_STRATA]),
            strata=int(v[_STRATA]),
            usual=float(np.clip(v[_BAD] / v[_TOTAL], LEAST_SHARE, MOST_SHARE)),
        )


def advance(comparisons: Sequence[Comparison], strata: Sequence[Stratum]) -> None:
    """Move each comparison on by its stratum; all at once, each as if alone."""
    if not comparisons:
        return
    state = np.stack([one.values for one in comparisons])
    n_c, e_c, n_l, e_l, end, seconds, judged, chi, degrees, pods_c, pods_l = np.array(
        [
            (
                *(s.candidate.total, s.candidate.bad, s.legacy.total, s.legacy.bad),
                *(s.end, s.seconds, s.judged, s.chi, s.degrees, *s.pods),
            )
            for s in strata
        ],
        float,
    ).T
    margins = np.array(
        [(c.margin.ratio, c.margin.difference, c.step.ratio, c.step.difference) for c in comparisons], float
    ).T
    told = (judged > 0) & (n_c > 0) & (n_l > 0)
    _restart(state, told, end)
    usual = np.clip(state[:, _BAD] / state[:, _TOTAL], LEAST_SHARE, MOST_SHARE)
    inflated = inflation(state[:, _CHI], state[:, _DEGREES])
    per_pod = state[:, _POD_EVENTS] / np.maximum(state[:, _PODS], 1.0)
    temper = told / effective(inflated, per_pod, n_c=n_c, n_l=n_l, pods_c=pods_c, pods_l=pods_l)
    before = value(state[:, _WORSE], state[:, _CASH])
    for place, (ratio, difference), worse in ((_WORSE, margins[:2], True), (_FINE, margins[2:], False)):
        logs = increments(
            e_c,
            n_c,
            e_l,
            n_l,
            theta_c=alternatives(ratio * usual + difference, worse=worse),
            theta_l=usual,
            ratio=ratio,
            difference=difference,
            worse=worse,
        )
        state[:, place] += logs * temper[:, None]
    state[:, _BEFORE] = np.where(told, before, state[:, _BEFORE])
    state[:, _STRATA] += told
    state[:, _OWN_BAD] += told * e_c
    state[:, _BAD_STRATA] += told & (e_c > 0)
    _learn(state, judged, n_l=n_l, e_l=e_l, usual=usual, seconds=seconds, chi=chi, degrees=degrees, pods=pods_l)
    for one, row in zip(comparisons, state, strict=True):
        one.values[:] = row


def _restart(state: Floats, told: Floats, end: Floats) -> None:
    """Fresh capital for rows whose time it is: a new step, or `RESTART_EVERY` since the last one."""
    fresh = state[:, _RESTARTED] == 0.0
    due = told & ~fresh & ((state[:, _DUE] > 0) | (end - state[:, _RESTARTED] >= RESTART_EVERY))
    for row in np.flatnonzero(due):
        state[row, _RESTARTS] += 1.0
        capital = restart_capital(int(state[row, _RESTARTS]))
        state[row, _WORSE] = np.logaddexp(state[row, _WORSE], log(capital))
        state[row, _CASH] -= capital
    state[:, _RESTARTED] = np.where(due | (told & fresh), end, state[:, _RESTARTED])
    state[:, _DUE] = np.where(told, 0.0, state[:, _DUE])


def _learn(
    state: Floats,
    judged: Floats,
    *,
    n_l: Floats,
    e_l: Floats,
    usual: Floats,
    seconds: Floats,
    chi: Floats,
    degrees: Floats,
    pods: Floats,
) -> None:
    """Take note of legacy's share and of how its errors cluster, for later strata."""
    # Before the rollout a single pod is held against itself; the estimate's own error is taken out.
    alone = (judged == 0) & (pods == 1) & (n_l > 0) & (state[:, _TOTAL] >= SETTLED)
    noise = usual * (1 - usual) * np.maximum(n_l, 1.0) * (1.0 + n_l / state[:, _TOTAL])
    state[:, _CHI] += np.where(alone, (e_l - n_l * usual) ** 2 / noise, chi)
    state[:, _DEGREES] += np.where(alone, 1.0, degrees)
    state[:, _POD_EVENTS] += np.where(alone | (degrees > 0), n_l, 0.0)
    state[:, _PODS] += np.where(alone | (degrees > 0), pods, 0.0)
    fading = np.where(n_l > 0, MEMORY**seconds, 1.0)
    state[:, _BAD] = state[:, _BAD] * fading + e_l
    state[:, _TOTAL] = state[:, _TOTAL] * fading + n_l
