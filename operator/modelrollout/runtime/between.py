"""What may have happened to a route between the decision about it and its write."""

from __future__ import annotations

from modelrollout.core.intents import SetWeight
from modelrollout.core.observation import Route, RouteSeen


def same(decided: Route, fresh: Route) -> bool:
    """Whether a raise that was decided on `decided` may be written to `fresh`: other people's fields don't matter."""
    return (
        isinstance(decided, RouteSeen)
        and isinstance(fresh, RouteSeen)
        and (decided.weight, decided.segments, decided.shape_ok) == (fresh.weight, fresh.segments, fresh.shape_ok)
    )


def lowers(intent: SetWeight, seen: RouteSeen) -> bool:
    """Whether there is still something to lower."""
    return seen.weight > intent.weight or seen.segments > intent.weight
