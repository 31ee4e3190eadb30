"""The rules that revert, on counts: FAIL of the comparison, burn tiers with attribution (G1, G2), the ledger (G3), and
the hard guard.

Each is the product's own function; here only windows are cut out of streams, as many runs at a time as possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt

from e2e.stats.engine import NEVER, play
from e2e.stats.streams import Floats, Ints, Stream
from modelrollout.core.model import BurnAction, BurnTier, Margin
from modelrollout.core.observation import DOUBT, ArmCounts, Attribution, LedgerState
from modelrollout.stats.guards import (
    HARD_EVENTS,
    attribute,
    attribute_outage,
    burn_limit,
    burning,
    hard_guard,
    least_legacy,
    newest_ticks,
)
from modelrollout.stats.judge import OUTAGE_STRATA
from modelrollout.stats.ledger import book
from modelrollout.stats.ticks import TickCounts

Flags = npt.NDArray[np.bool_]
LAST = 10**9
RECENT = 60.0
"""Seconds of legacy's recent share, for the ledger."""


@dataclass(frozen=True, slots=True)
class Reverted:
    """First tick of each run at which a rule reverts, or `NEVER`; `shared`: runs in which a tier blamed both arms;
    `ends`: [runs, 3] of the ledger at the end: spent, variance, events allowed.
    """

    fail: Ints
    tier: Ints
    ledger: Ints
    hard: Ints
    shared: Flags
    ends: Floats

    @property
    def any(self) -> Flags:
        """Runs that any of them reverts."""
        found: Flags = self.first != NEVER
        return found

    @property
    def first(self) -> Ints:
        """Tick of the earliest of them."""
        rules = np.stack([self.fail, self.tier, self.ledger, self.hard])
        found: Ints = np.where((rules == NEVER).all(axis=0), NEVER, np.where(rules == NEVER, LAST, rules).min(axis=0))
        return found


def windows(counts: Ints, ticks: int, starts: Sequence[int]) -> Ints:
    """Sums over the last `ticks` ticks, never reaching back before the start of a step: [runs, ticks]."""
    grown = np.concatenate([np.zeros((len(counts), 1), dtype=np.int64), counts.cumsum(axis=1)], axis=1)
    ends = np.arange(1, counts.shape[1] + 1)
    begun = np.asarray(starts)[np.searchsorted(starts, ends - 1, side="right") - 1]
    found: Ints = grown[:, ends] - grown[:, np.maximum(ends - ticks, begun)]
    return found


def fired(stream: Stream, tier: BurnTier, allowed: float, *, least: int) -> Flags:
    """Where a tier is true."""
    limit = burn_limit(allowed, tier.factor)
    long, short = (
        [windows(counts, round(seconds / stream.seconds), stream.starts) for counts in (stream.e_c, stream.n_c)]
        for seconds in (tier.long, tier.short)
    )
    # No tier is certain of a limit that the window itself does not exceed: saves most of the posteriors.
    over = (long[0] > limit * long[1]) & (long[0] >= least)
    found = np.zeros(over.shape, dtype=bool)
    found[over] = burning(long[0][over], long[1][over], short[0][over], short[1][over], limit, least=least)
    return found


def tiers_revert(stream: Stream, tiers: Sequence[BurnTier], allowed: float, *, likely: Ints) -> tuple[Ints, Flags]:
    """First tick at which a reverting tier is the candidate's fault, and runs in which a tier was shared.

    `likely`: tick of each run from which on the evidence says "worse", 10 : 1; taken to say so for good.
    """
    first, shared = np.full(stream.runs, NEVER), np.zeros(stream.runs, dtype=bool)
    for tier in tiers:
        least = least_legacy(allowed, tier.factor)
        width = round(tier.long / stream.seconds)
        for row, tick in np.argwhere(fired(stream, tier, allowed, least=3)).tolist():
            begun = max(start for start in stream.starts if start <= tick)
            window = slice(max(begun, tick + 1 - width), tick + 1)
            counts = (each[row, window].tolist() for each in (stream.n_c, stream.e_c, stream.n_l, stream.e_l))
            strata = [(ArmCounts(n_c, e_c), ArmCounts(n_l, e_l)) for n_c, e_c, n_l, e_l in zip(*counts, strict=True)]
            blame = attribute(strata, allowed, least, worse=likely[row] != NEVER and tick >= likely[row])
            shared[row] |= blame is Attribution.SHARED
            ours = blame in (Attribution.CANDIDATE, Attribution.UNAVAILABLE)
            if ours and tier.action is BurnAction.ROLLBACK and (first[row] == NEVER or tick < first[row]):
                first[row] = tick
    return first, shared


def hard_guards(stream: Stream, allowed: float) -> Ints:
    """First tick at which at least half of the candidate's newest requests were bad and legacy is not in it too."""
    first = np.full(stream.runs, NEVER)
    bad = windows(stream.e_c, HARD_EVENTS, stream.starts)
    for row, tick in np.argwhere(2 * bad >= HARD_EVENTS).tolist():
        if first[row] != NEVER:
            continue
        begun = max(start for start in stream.starts if start <= tick)
        n_c, e_c, n_l, e_l = (
            each[row, begun : tick + 1].tolist() for each in (stream.n_c, stream.e_c, stream.n_l, stream.e_l)
        )
        candidate = [TickCounts(n, e) for n, e in zip(n_c, e_c, strict=True)]
        if hard_guard(candidate, allowed) is None:
            continue
        newest = len(newest_ticks(candidate)) + 1
        strata = [(ArmCounts(a, b), ArmCounts(c, d)) for a, b, c, d in zip(n_c, e_c, n_l, e_l, strict=True)]
        legacy = ArmCounts(sum(n_l[-newest:]), sum(e_l[-newest:]))
        if attribute_outage(strata[-max(OUTAGE_STRATA, newest) :], legacy, allowed) is Attribution.CANDIDATE:
            first[row] = tick
    return first


def ledgers(stream: Stream, allowed: float, share: float) -> tuple[Ints, Floats]:
    """First tick at which the ledger reverts; spent, variance and limit at the end. `share` of 30 days' budget."""
    first, ends = np.full(stream.runs, NEVER), np.zeros((stream.runs, 3))
    recent = [windows(counts, round(RECENT / stream.seconds), (0,)) for counts in (stream.n_l, stream.e_l)]
    per_tick = float((stream.n_c + stream.n_l).mean())
    limit = share * allowed * per_tick * 30 * 86400 / stream.seconds
    for row in range(stream.runs):
        state = LedgerState("bench", allowed=limit)
        counts = (each[row].tolist() for each in (stream.n_c, stream.e_c, stream.n_l, stream.e_l, *recent))
        for tick, (n_c, e_c, n_l, e_l, n, e) in enumerate(zip(*counts, strict=True)):
            state = book(state, ArmCounts(n_c, e_c), ArmCounts(n_l, e_l), recent=ArmCounts(n, e), allowed=allowed)
            over = state.gross_over or (state.lower is not None and state.lower > limit)
            if over and first[row] == NEVER:
                first[row] = tick
        ends[row] = state.spent, state.variance, limit
    return first, ends


def whole(stream: Stream, tiers: Sequence[BurnTier], *, allowed: float, share: float = 0.02) -> Reverted:
    """All of it, with the default margin and a risk of 0.01 for FAIL."""
    fail, likely = play(stream, Margin(), alphas=(0.01, exp(-DOUBT)), skip=1, stop=True).failed
    tier, shared = tiers_revert(stream, tiers, allowed, likely=likely)
    ledger, ends = ledgers(stream, allowed, share)
    return Reverted(fail, tier, ledger, hard_guards(stream, allowed), shared, ends)
