"""Total reading of JSON: a value, or a problem in words with the path of the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from modelrollout.api.rules import ApiModel
from modelrollout.api.scalars import MAX_COUNT
from modelrollout.core.observation import SpecProblem

INVALID_SPEC = "InvalidSpec"

_PROBLEMS_SHOWN = 3
_TYPES = {
    "list_type": "list",
    "string_type": "string (in quotes)",
    "bool_type": "boolean",
    "int_type": "whole number",
}
_M = TypeVar("_M", bound=ApiModel)


def parse(kind: type[_M], obj: Mapping[str, Any], *, strict: bool) -> _M | SpecProblem:
    """`obj["spec"]` as `kind`, or the first problems with their paths. `strict`: unknown fields are problems."""
    try:
        return kind.model_validate(obj.get("spec"), extra="forbid" if strict else None)
    except ValidationError as error:
        found = [
            f"{_path(e['loc'], e.get('ctx', {}).get('path', ''))}: {sentence(e['type'], e['msg'])}"
            for e in error.errors(include_url=False, include_input=False)
        ]
        more = f" (and {len(found) - _PROBLEMS_SHOWN} more)" if len(found) > _PROBLEMS_SHOWN else ""
        return SpecProblem(INVALID_SPEC, "; ".join(found[:_PROBLEMS_SHOWN]) + more)
    except RecursionError:
        return SpecProblem(INVALID_SPEC, "spec: nested too deeply")


def _path(loc: Sequence[int | str], tail: str) -> str:
    # Keys come from the user where a field is a map: cut them, and let none forge a line or steer a terminal.
    parts = (f"[{part}]" if isinstance(part, int) else f".{visible(part[:64])}" for part in loc)
    return "spec" + "".join(parts) + tail


def visible(text: str) -> str:
    """`text` without anything that could forge a line or steer a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def sentence(kind: str, message: str) -> str:
    """A problem of pydantic in the words of ours."""
    match kind:
        case "missing":
            return "must be set"
        case "extra_forbidden":
            return "unknown field"
        case "model_type" | "dict_type":
            return "must be an object"
        case "list_type" | "string_type" | "bool_type" | "int_type":
            return f"must be a {_TYPES[kind]}"
    return message[:1].lower() + message[1:] if message.startswith(("Input ", "String ", "List ")) else message


def mapping(obj: Any, field: str) -> Mapping[str, Any]:
    """The object at `field`, or an empty one."""
    value = obj.get(field) if isinstance(obj, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def text(obj: Mapping[str, Any], field: str) -> str:
    """The string at `field`, or an empty one."""
    value = obj.get(field)
    return value if isinstance(value, str) else ""


def count(obj: Mapping[str, Any], field: str, *, default: int = 0) -> int:
    """The whole number at `field`, or `default`."""
    value = obj.get(field)
    return value if type(value) is int and 0 <= value <= MAX_COUNT else default


def epoch(text: str) -> float | None:
    """Epoch seconds of an RFC 3339 time with its zone; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
