"""From what was seen to figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from e2e.scale.fleet import INTERVAL
from e2e.scale.witness import Weighed
from modelrollout.stats.ticks import read_offset


def read_at(shown: float) -> float:
    """When the tick of a sample of this time may be read: its end, which is inside it, and the read offset."""
    return math.ceil(shown / INTERVAL) * INTERVAL + read_offset(INTERVAL)


def raised_after(seen: Mapping[int, Sequence[Weighed]], since: Mapping[int, float]) -> int:
    """Candidates that got more weight after the moment at which their badness could be read."""
    return sum(any(b.at > at and b.share > a.share for a, b in pairwise(seen[index])) for index, at in since.items())


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share of all is not above."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def told(requests: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Requests with one word for verb and resource."""
    return {f"{verb} {resource}": count for (verb, resource), count in sorted(requests.items())}


def epoch(stamp: str) -> float:
    """Seconds since 1970 of a time as the audit log has it."""
    return datetime.fromisoformat(stamp).timestamp()
