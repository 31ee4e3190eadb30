"""How often something happens that is not a part of anything: restarts, OOM kills, model reloads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Exposure(StrEnum):
    """What such events are counted per: each replica's time, or each version's share of the traffic."""

    REPLICAS = "Replicas"
    WEIGHT = "Weight"


@dataclass(frozen=True, slots=True)
class ArmEvents:
    """Events of one arm in its `exposure`: seconds summed over its replicas, or over its share of the traffic."""

    events: int
    exposure: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Both arms over the whole rollout, as far as they were compared.

    `ratio`: of the rates, compared within strata of time (Mantel-Haenszel); None without an event of legacy. `worse`:
    log of the odds against "not worse than the margin"; FAIL at `worse_limit`.
    """

    per: Exposure
    candidate: ArmEvents
    legacy: ArmEvents
    ratio: float | None
    worse: float
    worse_limit: float
