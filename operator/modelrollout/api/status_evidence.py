"""Evidence in a status, both ways: effects and odds of the SLIs for people, checkpoints for whoever takes over.

Absent numbers say what a finite decimal can't: no bound is known (`None`), nothing speaks for it (odds of minus
infinity), a limit that is never reached (plus infinity). A checkpoint keeps every bit of its float64 values.
"""

from __future__ import annotations

import binascii
import math
import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from modelrollout.api.reading import count, epoch, mapping, text
from modelrollout.api.status_text import cut, parse_number, render_count, render_number, render_time
from modelrollout.api.v1alpha1.status import NAME
from modelrollout.core.model import Margin
from modelrollout.core.observation import Effect, Interval, Odds, SliCheckpoint
from modelrollout.core.rates import ArmEvents, Exposure, Rates

MAX_VALUES = 60
"""Most float64 values in a checkpoint of one SLI."""

_WIDTH = struct.calcsize("<d")


def encode_effect(effect: Effect | None) -> dict[str, Any]:
    """Members of a `slis[]` entry; none for None. A number that is not finite is left out."""
    if effect is None:
        return {}
    return {
        "ratio": _interval(effect.ratio),
        "difference": _interval(effect.difference),
        **_numbers({"effectSize": effect.size}),
    }


def decode_effect(raw: Mapping[str, Any]) -> Effect | None:
    """The effect in a `slis[]` entry; None when it has neither interval."""
    if not isinstance(raw.get("ratio"), Mapping) and not isinstance(raw.get("difference"), Mapping):
        return None
    return Effect(
        ratio=_read_interval(mapping(raw, "ratio")),
        difference=_read_interval(mapping(raw, "difference")),
        size=parse_number(text(raw, "effectSize")),
    )


def encode_odds(odds: Odds | None) -> dict[str, Any]:
    """Member `evidence` of a `slis[]` entry; none for None."""
    if odds is None:
        return {}
    tests = {
        # Beyond all numbers is told as the greatest one: absent would mean that nothing speaks for it.
        "worse": min(odds.worse, sys.float_info.max),
        "worseLimit": odds.worse_limit,
        "fine": min(odds.fine, sys.float_info.max),
        "fineLimit": odds.fine_limit,
    }
    margin = _numbers({"ratio": odds.margin.ratio, "difference": odds.margin.difference})
    return {"evidence": {**_numbers(tests), "margin": margin}}


def decode_odds(raw: Mapping[str, Any]) -> Odds | None:
    """The odds in a `slis[]` entry; None without the margin that they are about."""
    found = mapping(raw, "evidence")
    margin = mapping(found, "margin")
    ratio, difference = parse_number(text(margin, "ratio")), parse_number(text(margin, "difference"))
    if ratio is None or difference is None:
        return None

    def read(name: str, absent: float) -> float:
        value = parse_number(text(found, name))
        return absent if value is None else value

    return Odds(
        worse=read("worse", -math.inf),
        worse_limit=read("worseLimit", math.inf),
        fine=read("fine", -math.inf),
        fine_limit=read("fineLimit", math.inf),
        margin=Margin(ratio, difference),
    )


def encode_rates(rates: Rates | None) -> dict[str, Any]:
    """Member `rates` of a `slis[]` entry; none for None."""
    if rates is None:
        return {}
    figures = {
        "ratio": rates.ratio,
        "worse": min(rates.worse, sys.float_info.max),
        "worseLimit": rates.worse_limit,
    }
    arms = {"candidate": _arm(rates.candidate), "legacy": _arm(rates.legacy)}
    return {"rates": {"per": rates.per.value, **arms, **_numbers(figures)}}


def decode_rates(raw: Mapping[str, Any]) -> Rates | None:
    """The rates in a `slis[]` entry; None where any of the counts is garbled."""
    found = mapping(raw, "rates")
    per = next((each for each in Exposure if each.value == found.get("per")), None)
    candidate, legacy = _read_arm(mapping(found, "candidate")), _read_arm(mapping(found, "legacy"))
    if per is None or candidate is None or legacy is None:
        return None
    worse, limit = parse_number(text(found, "worse")), parse_number(text(found, "worseLimit"))
    return Rates(
        per,
        candidate,
        legacy,
        ratio=parse_number(text(found, "ratio")),
        worse=-math.inf if worse is None else worse,
        worse_limit=math.inf if limit is None else limit,
    )


def _arm(arm: ArmEvents) -> dict[str, Any]:
    return {"events": render_count(arm.events), **_numbers({"exposure": arm.exposure})}


def _read_arm(raw: Mapping[str, Any]) -> ArmEvents | None:
    exposure = parse_number(text(raw, "exposure"))
    return None if exposure is None else ArmEvents(count(raw, "events"), exposure)


def encode_checkpoint(entry: SliCheckpoint) -> dict[str, Any]:
    """One entry of `checkpoint.evidence`; of 1 to `MAX_VALUES` values."""
    state = b64encode(struct.pack(f"<{len(entry.values)}d", *entry.values)).decode()
    return {"sli": cut(entry.sli, NAME), "tick": render_time(entry.tick), "state": state}


def decode_checkpoint(raw: Mapping[str, Any]) -> SliCheckpoint | None:
    """The entry, or None when any of it is garbled: half of the evidence is none."""
    name, tick, state = text(raw, "sli"), epoch(text(raw, "tick")), text(raw, "state")
    if not name or tick is None:
        return None
    try:
        packed = b64decode(state, validate=True)
        values = struct.unpack(f"<{len(packed) // _WIDTH}d", packed)
    except (binascii.Error, struct.error, ValueError):
        return None
    return SliCheckpoint(name, tick, values) if 0 < len(values) <= MAX_VALUES else None


def _interval(interval: Interval) -> dict[str, str]:
    return _numbers({"value": interval.value, "low": interval.low, "high": interval.high})


def _read_interval(raw: Mapping[str, Any]) -> Interval:
    return Interval(*(parse_number(text(raw, name)) for name in ("value", "low", "high")))


def _numbers(values: Mapping[str, float | None]) -> dict[str, str]:
    rendered = ((name, render_number(value)) for name, value in values.items())
    return {name: value for name, value in rendered if value is not None}
