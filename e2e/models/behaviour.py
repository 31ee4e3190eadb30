"""What a model server does besides predicting: errors, delays, crashes. Standard library only.

A variant (`VARIANTS`) names trained weights and a start behaviour. The environment variable BEHAVIOUR (JSON)
and `POST /behaviour` on the admin port override single fields.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


class BadBehaviour(ValueError):
    """An override that can't be applied; the message names the field, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Switches of one server. Shares are in [0, 1] of the predictions, times in the unit of the name.

    errors: share answered 500. reset: share whose connection is closed without an answer. hang: share that
    is never answered. wrong: share whose label is flipped. delay_ms: wait, for `delay_share` of the
    predictions. cpu_ms: busy computing per prediction (blocks the server as a heavy model does). crash: exit
    now. crash_after: exit at the start of the prediction after that many (None: never). leak_kb: memory that
    each prediction keeps for ever. not_ready: `/readyz` says 503. cold_load_s: time from start until the model
    is loaded; before it `/readyz` and `/predict` say 503. cold_requests and cold_delay_ms: that many first
    predictions wait that long.
    """

    errors: float = 0.0
    reset: float = 0.0
    hang: float = 0.0
    wrong: float = 0.0
    delay_ms: float = 0.0
    delay_share: float = 1.0
    cpu_ms: float = 0.0
    crash: bool = False
    crash_after: int | None = None
    leak_kb: int = 0
    not_ready: bool = False
    cold_load_s: float = 0.0
    cold_requests: int = 0
    cold_delay_ms: float = 0.0


SHARES = frozenset({"errors", "reset", "hang", "wrong", "delay_share"})
LIMITS: Mapping[str, float] = MappingProxyType(
    {
        "delay_ms": 60_000,
        "cpu_ms": 1_000,
        "crash_after": 1_000_000,
        "leak_kb": 100_000,
        "cold_load_s": 300,
        "cold_requests": 1_000_000,
        "cold_delay_ms": 60_000,
    }
)
FLAGS = frozenset({"crash", "not_ready"})
WHOLE = frozenset({"crash_after", "cold_requests", "leak_kb"})


@dataclass(frozen=True, slots=True)
class Variant:
    """Trained weights by name and the behaviour to start with."""

    model: str
    behaviour: Behaviour = Behaviour()


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "legacy": Variant("legacy"),
        "good": Variant("good"),
        "better": Variant("better"),
        "inaccurate": Variant("inaccurate"),
        "erroring": Variant("erroring"),
        "slow": Variant("better", Behaviour(delay_ms=420.0)),
        "crashing": Variant("better", Behaviour(crash_after=200)),
        "cold": Variant("better", Behaviour(cold_load_s=5.0, cold_requests=20, cold_delay_ms=800.0)),
    }
)


def override(behaviour: Behaviour, changes: object) -> Behaviour:
    """Return the behaviour with the named fields changed. BadBehaviour for an unknown field or value."""
    if not isinstance(changes, dict):
        raise BadBehaviour('behaviour must be a JSON object such as {"errors": 0.5, "delay_ms": 120}')
    known = [field.name for field in dataclasses.fields(Behaviour)]
    for name, value in changes.items():
        if name not in known:
            raise BadBehaviour(f"unknown behaviour {str(name)[:40]!r}; known: {', '.join(known)}")
        _check(name, value)
    return dataclasses.replace(behaviour, **changes)


def _check(name: str, value: Any) -> None:
    if name in FLAGS:
        if not isinstance(value, bool):
            raise BadBehaviour(f"{name} must be true or false, found {value!r}")
        return
    if name == "crash_after" and value is None:
        return
    limit = 1 if name in SHARES else LIMITS[name]
    kinds = int if name in WHOLE else int | float
    # NaN fails both comparisons, so it is refused here too.
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value <= limit:
        unit = "a whole number" if name in WHOLE else "a number"
        raise BadBehaviour(f"{name} must be {unit} from 0 to {limit:g}, found {str(value)[:20]!r}")


def parse(text: str, *, start: Behaviour) -> Behaviour:
    """Apply overrides given as JSON text; empty text changes nothing."""
    if not text.strip():
        return start
    try:
        changes = json.loads(text)
    except ValueError as error:
        raise BadBehaviour(f"BEHAVIOUR is not JSON: {error}") from error
    return override(start, changes)


def as_dict(behaviour: Behaviour) -> dict[str, Any]:
    """Return the fields as a JSON object."""
    return dataclasses.asdict(behaviour)
