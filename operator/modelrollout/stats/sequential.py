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
from modelrollout.core.observation import ArmCounts, Effect
from modelrollout.core.split import Split
from modelrollout.stats.dispersion import effective, inflation, weight
from modelrollout.stats.effect import COLUMNS, effects, sums
from modelrollout.stats.linear import Floats, increments
from modelrollout.stats.mixture import FINE, START, WORSE, Purse, alternatives, restart, value
from modelrollout.stats.planning import MOST, needed_for_pass
from modelrollout.stats.ratio_check import alarm, log_bayes_factor, mismatch

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
LASTING = 0.25
"""Part of a limit that must be left without the stratum that speaks most."""
SETTLED = 200.0
"""Events of legacy before a single pod's ups and downs are held against its usual share."""

_WORSE = slice(1, 1 + len(WORSE))
_AT = _WORSE.stop
_CASH, _BAD, _TOTAL, _RESTARTS, _RESTARTED, _OWN_BAD, _BAD_STRATA, _CHI, _DEGREES, _POD_EVENTS, _PODS = range(
    _AT, _AT + 11
)
_MISMATCH, _SEEN_C, _SEEN_L, _DUE_C = range(_AT + 11, _AT + 15)
CARRIED = _AT + 15
"""Values that outlive a step; those behind them are the step's own."""
_FINE = slice(CARRIED, CARRIED + len(FINE))
_STRATA, _DUE, _N_C, _N_L = range(_FINE.stop, _FINE.stop + 4)
_HELD = slice(_FINE.stop + 4, _FINE.stop + 4 + len(WORSE))
_EFFECT = slice(_HELD.stop, _HELD.stop + COLUMNS)
_SINCE = slice(_EFFECT.stop, _EFFECT.stop + len(WORSE))
_HELD_SINCE = slice(_SINCE.stop, _SINCE.stop + len(WORSE))
"""Evidence of harm, and what is held of it, as they were before the present moment."""
SIZE = _HELD_SINCE.stop
_PURSE = Purse(_RESTARTS, _RESTARTED, _CASH, _DUE, (_WORSE, _HELD, _SINCE, _HELD_SINCE))


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
    whole: bool = True
    """Every request of the time is in it; requests of pods that are too young to be judged are not."""
    first: bool = True
    """False for a further part of the same time (another cohort): a FAIL may not rest on one moment, parts or not."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a comparison says: logs of e-values, and the counts behind a FAIL.

    `held`: what is left of `worse` without the stratum that speaks most for it, earlier steps' evidence left out too.
    `strata`: of this step with requests of both arms. `usual`: legacy's share as learned. `needed`: candidate requests
    that a PASS takes when it is as good as legacy. `split`: not None when chance does not split requests like that.
    """

    worse: float
    held: float
    fine: float
    own_bad: float
    bad_strata: float
    strata: int
    usual: float
    needed: float
    effect: Effect | None = None
    split: Split | None = None

    def fails(self, limit: float) -> bool:
        """Whether the evidence is beyond `limit` (nats), on enough events.

        One stratum alone is not believed: an outage of both arms begins between two scrapes, and the stratum in which
        it does may show one arm bad while the other's scrape is yet to come.
        """
        enough = self.own_bad >= LEAST_BAD and self.bad_strata >= LEAST_STRATA
        return self.worse >= limit and self.held >= LASTING * limit and (enough or self.worse >= limit + OVERWHELMING)


def understood(carried: Sequence[float]) -> bool:
    """Whether these are values of a checkpoint that this program can go on from."""
    return len(carried) == CARRIED and carried[0] == LAYOUT


class Comparison:
    """Evidence of one SLI. `margin`: of the SLI, for FAIL."""

    def __init__(self, margin: Margin, carried: Sequence[float] = ()) -> None:
        """`carried`: values of a checkpoint; others than this program's layout begin anew."""
        self.margin = margin
        self.step = margin
        self.promised: float | None = None
        self.needed = MOST
        self.effect: Effect | None = None
        self.split: Split | None = None
        self.known: Findings | None = None
        self.known_splits: Sequence[float] | None = None
        """What `foresee` found for many at once; None once the values have moved on."""
        self.values = np.zeros(SIZE)
        if understood(carried):
            self.values[:CARRIED] = carried
        else:
            self.values[0] = LAYOUT
            self.values[_WORSE] = log(START)
            self.values[_CASH] = 1.0 - START
            self.values[_BAD], self.values[_TOTAL] = PRIOR_BAD, PRIOR_TOTAL

    def begin(self, step: Margin, *, promised: float | None = None) -> None:
        """A new step, which passes against `step`; evidence of harm goes on and is given fresh capital.

        `promised`: the candidate's share of requests at this step's weight; None when nobody can know.
        """
        self.values[:CARRIED] = self.carried()
        self.known = self.known_splits = None
        self.step, self.promised = step, promised
        self.values[CARRIED:] = 0.0
        self.values[_DUE] = 1.0
        self.values[_HELD] = np.minimum(self.values[_WORSE], log(START))

    def carried(self) -> tuple[float, ...]:
        """What a checkpoint holds: the requests of the step are added to those of earlier ones."""
        values = self.values[:CARRIED].tolist()
        values[_MISMATCH : _DUE_C + 1] = self.known_splits or _splits([self])[0].tolist()
        return tuple(values)

    def findings(self) -> Findings:
        """What it says now."""
        return self.known or _findings([self], self.values[None, :])[0]


def advance(comparisons: Sequence[Comparison], strata: Sequence[Stratum]) -> None:
    """Move each comparison, all of them different ones, on by its stratum; all at once, each as if alone."""
    if not comparisons:
        return
    state = np.stack([one.values for one in comparisons])
    n_c, e_c, n_l, e_l, end, seconds, judged, whole, first, chi, degrees, pods_c, pods_l = np.array(
        [
            (
                *(s.candidate.total, s.candidate.bad, s.legacy.total, s.legacy.bad),
                *(s.end, s.seconds, s.judged, s.whole, s.first, s.chi, s.degrees, *s.pods),
            )
            for s in strata
        ],
        float,
    ).T
    margins = np.array(
        [(c.margin.ratio, c.margin.difference, c.step.ratio, c.step.difference) for c in comparisons], float
    ).T
    told = (judged > 0) & (n_c > 0) & (n_l > 0)
    begins = (first > 0)[:, None]
    state[:, _SINCE] = np.where(begins, state[:, _WORSE], state[:, _SINCE])
    state[:, _HELD_SINCE] = np.where(begins, state[:, _HELD], state[:, _HELD_SINCE])
    restart(state, told, end, _PURSE)
    usual = np.clip(state[:, _BAD] / state[:, _TOTAL], LEAST_SHARE, MOST_SHARE)
    inflated = inflation(state[:, _CHI], state[:, _DEGREES])
    per_pod = state[:, _POD_EVENTS] / np.maximum(state[:, _PODS], 1.0)
    temper = told / effective(inflated, per_pod, n_c=n_c, n_l=n_l, pods_c=pods_c, pods_l=pods_l)
    # A history of many strata, of which none is judged, would take long.
    sides = ((_WORSE, margins[:2], True), (_FINE, margins[2:], False)) if told.any() else ()
    for place, (ratio, difference), worse in sides:
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
    # Either an earlier stratum is the one left out, or it is this one.
    before = state[:, _SINCE]
    state[:, _HELD] = np.minimum(state[:, _HELD_SINCE] + (state[:, _WORSE] - before), before)
    state[:, _STRATA] += told
    counted = (judged > 0) & (whole > 0)
    state[:, _N_C] += counted * n_c
    state[:, _N_L] += counted * n_l
    state[:, _EFFECT] += (judged > 0)[:, None] * sums(n_c, e_c, n_l, e_l, temper=np.where(told, temper, 1.0))
    state[:, _OWN_BAD] += told * e_c
    state[:, _BAD_STRATA] += told & (e_c > 0)
    _learn(state, judged, n_l=n_l, e_l=e_l, usual=usual, seconds=seconds, chi=chi, degrees=degrees, pods=pods_l)
    for one, row in zip(comparisons, state, strict=True):
        one.values[:] = row
        one.known = one.known_splits = None


def foresee(comparisons: Sequence[Comparison], risk: Sequence[float]) -> None:
    """Work out what people read, as the step stands: the effect with its interval, whether requests are split as
    promised, and how many candidate requests a PASS takes at risk `risk` each.
    """
    if not comparisons:
        return
    state = np.stack([one.values for one in comparisons])
    both = state[:, _N_C] + state[:, _N_L]
    needed = needed_for_pass(
        np.clip(state[:, _BAD] / state[:, _TOTAL], LEAST_SHARE, MOST_SHARE),
        np.where(both > 0, state[:, _N_C] / np.maximum(both, 1.0), 0.5),
        np.array([one.step.ratio for one in comparisons]),
        np.array([one.step.difference for one in comparisons]),
        np.array(risk),
    )
    splits = _splits(comparisons)
    seen, due = splits[:, 1:3], np.stack([splits[:, 3], splits[:, 1] + splits[:, 2] - splits[:, 3]], axis=-1)
    odd, wrong = alarm(splits[:, 0]).tolist(), mismatch(splits[:, 0], seen, due).tolist()
    found = zip(comparisons, needed.tolist(), effects(state[:, _EFFECT]), odd, wrong, splits.tolist(), strict=True)
    for one, requests, effect, certain, far, carried in found:
        _, seen_c, seen_l, due_c = carried
        both_seen = seen_c + seen_l
        split = Split(round(seen_c), round(both_seen), due_c / both_seen, slight=not far) if certain else None
        one.needed, one.effect, one.split, one.known_splits = requests, effect, split, carried
    for one, said in zip(comparisons, _findings(comparisons, state), strict=True):
        one.known = said


def _findings(comparisons: Sequence[Comparison], state: Floats) -> list[Findings]:
    """What each says, from the rows of its values."""
    cash = state[:, _CASH]
    each = zip(
        comparisons,
        value(state[:, _WORSE], cash).tolist(),
        value(state[:, _HELD], cash).tolist(),
        value(state[:, _FINE], np.zeros(len(state))).tolist(),
        state[:, [_OWN_BAD, _BAD_STRATA, _STRATA]].tolist(),
        np.clip(state[:, _BAD] / state[:, _TOTAL], LEAST_SHARE, MOST_SHARE).tolist(),
        strict=True,
    )
    return [
        Findings(worse, held, fine, own_bad, bad_strata, int(strata), usual, one.needed, one.effect, one.split)
        for one, worse, held, fine, (own_bad, bad_strata, strata), usual in each
    ]


def _splits(comparisons: Sequence[Comparison]) -> Floats:
    """Per row, over all steps: log Bayes factor against the promised split, requests of the arms, candidate's due."""
    state = np.stack([one.values for one in comparisons])
    promised = np.array([np.nan if one.promised is None else one.promised for one in comparisons])
    known = np.isfinite(promised)
    share = np.where(known, promised, 0.0)
    counts = np.where(known[:, None], state[:, [_N_C, _N_L]], 0.0)
    carried = state[:, [_MISMATCH, _SEEN_C, _SEEN_L, _DUE_C]]
    carried[:, 0] += log_bayes_factor(counts, share)
    carried[:, 1:3] += counts
    carried[:, 3] += counts.sum(axis=1) * share
    return carried


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
    state[:, _CHI] += np.where(alone, (e_l - n_l * usual) ** 2 / noise, weight(n_l, e_l, usual) * chi)
    state[:, _DEGREES] += np.where(alone, 1.0, weight(n_l, e_l, usual) * degrees)
    state[:, _POD_EVENTS] += np.where(alone | (degrees > 0), n_l, 0.0)
    state[:, _PODS] += np.where(alone | (degrees > 0), pods, 0.0)
    fading = np.where(n_l > 0, MEMORY**seconds, 1.0)
    state[:, _BAD] = state[:, _BAD] * fading + e_l
    state[:, _TOTAL] = state[:, _TOTAL] * fading + n_l
