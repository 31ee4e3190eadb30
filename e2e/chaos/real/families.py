"""Plans by family: what goes wrong, at every write of a run of so many."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from e2e.chaos.faults import Crash, Fail, Failure, Span
from e2e.chaos.real.faults import Deposed, Etcd, Fate, Fault, Hurt, Hurts, Loss, Stale, View

Faults = tuple[Fault, ...]
SECONDS: Mapping[Hurt, float] = {Hurt.PARTIAL: 1.0, Hurt.LATE: 8.0}
USUAL = 20.0
BEHIND = 2
"""Writes from what the second API server heard last to the SIGKILL after which it is asked."""
PAST = 10.0
DEPOSED = 30.0
LOST = 10.0


def crashes(count: int) -> Iterator[Fault]:
    """Every crash point of a run of `count` writes."""
    for k in range(1, count + 1):
        yield from (Crash(k, after=after) for after in (False, True))


def fails(count: int) -> Iterator[Fault]:
    """Every answer that is none."""
    for k in range(1, count + 1):
        yield from (Fail(k, failure, Span.ONCE) for failure in Failure if failure is not Failure.LATE)


def hurts(count: int) -> Iterator[Fault]:
    """Everything that can be wrong with the way."""
    for k in range(1, count + 1):
        yield from (Hurts(k, hurt, SECONDS.get(hurt, USUAL)) for hurt in Hurt)


def deposed(count: int) -> Iterator[Fault]:
    """Everything that can become of a leader."""
    for k in range(1, count + 1):
        yield from (Deposed(k, fate, DEPOSED) for fate in Fate)


def losses(count: int) -> Iterator[Fault]:
    """Everything that can become of etcd."""
    for k in range(1, count + 1):
        yield from (Etcd(k, loss, LOST) for loss in Loss)


def stale(count: int) -> Iterator[Faults]:
    """A server that lags, alone and with a SIGKILL after which only that one is asked."""
    for k in range(1, count + 1):
        yield (Stale(k, View.LAG, USUAL),)
        yield (Stale(k, View.TRAVEL, PAST), Crash(min(k + BEHIND, count), after=True))


def pairs(count: int, rng: random.Random) -> Iterator[Faults]:
    """A SIGKILL and something else, or a second one, at writes drawn by `rng`; as many as there are crash points."""
    alone = list(crashes(count))
    pool = [*alone, *fails(count), *hurts(count)]
    for fault in alone:
        yield tuple(sorted((fault, rng.choice(pool)), key=lambda each: each.at))


def _alone(faults: Callable[[int], Iterator[Fault]]) -> Callable[[int, random.Random], Iterator[Faults]]:
    return lambda count, rng: ((fault,) for fault in faults(count))


FAMILIES: Mapping[str, Callable[[int, random.Random], Iterator[Faults]]] = {
    "crash": _alone(crashes),
    "fail": _alone(fails),
    "hurt": _alone(hurts),
    "pairs": pairs,
    "stale": lambda count, rng: stale(count),
    "standby": _alone(deposed),
    "etcd": _alone(losses),
}
"""By name; for a run of so many writes, with chance where there is any."""


def kind_of(fault: Fault) -> str:
    """The family of a fault, for tables."""
    match fault:
        case Crash(after=after):
            return f"SIGKILL {'after' if after else 'before'} the write"
        case Hurts(hurt=hurt, seconds=seconds):
            return f"{hurt} for {seconds:g} s" if seconds > 1 else str(hurt)
        case Stale(view=view, seconds=seconds):
            return f"second API server, {view} for {seconds:g} s"
        case Deposed(fate=fate, seconds=seconds):
            return f"leader {fate} for {seconds:g} s, with a standby"
        case Etcd(loss=loss, seconds=seconds):
            return f"etcd, {loss} for {seconds:g} s"
        case Fail(failure=failure, span=span):
            return f"{failure} {span}"
