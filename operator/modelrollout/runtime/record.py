"""One journal line per decision that changed something: enough to decide it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from modelrollout import __version__
from modelrollout.core.intents import Decision
from modelrollout.runtime.gather import Gathered

VERSION = 1


def entry(seen: Gathered, decision: Decision, now: float) -> Mapping[str, object]:
    """The line: inputs of `decide` and its answer, as plain values."""
    return {
        "v": VERSION,
        "code": __version__,
        "key": str(seen.obj.key),
        "uid": seen.obj.uid,
        "now": now,
        "spec": plain(seen.spec),
        "status": plain(seen.obj.status),
        "observation": plain(seen.observation),
        "decision": plain(decision),
    }


def plain(value: object) -> object:
    """Dataclasses as objects that name their type, so that unions can be read back; the rest as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **{f.name: plain(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value
