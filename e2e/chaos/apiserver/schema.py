"""Structural schemas of CRDs, compiled: defaults, pruning and validation in one pass.

Rules in CEL (`x-kubernetes-validations`) are not evaluated. A keyword that is not known here is an error, so that a
schema never asks for more than is checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

from e2e.chaos.apiserver.refusals import cause
from modelrollout.adapters.kube.resources import Body

Way = tuple[Any, ...]
"""Where a value is: (way of its parent, key or index); the root is empty."""
Check = Callable[[Any, Any, Way, list[Body]], Any]
"""(value, the value until now or None, way, findings) -> the value to store. Equal values are taken as they were."""
ASIDE = frozenset(
    {
        "type",
        "description",
        "title",
        "nullable",
        "default",
        "x-kubernetes-validations",
        "x-kubernetes-map-type",
        "example",
    }
)
NUMBERS = frozenset({"minimum", "maximum", "format"})
STRINGS = frozenset({"minLength", "maxLength", "pattern", "enum", "format"})
LISTS = frozenset({"items", "minItems", "maxItems", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"})
OBJECTS = frozenset(
    {"properties", "required", "additionalProperties", "minProperties", "maxProperties"}
    | {"x-kubernetes-preserve-unknown-fields"}
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


class Unsupported(Exception):
    """A schema asks for something that is not implemented here."""


@dataclass(frozen=True, slots=True)
class Node:
    """One compiled schema."""

    check: Check
    nullable: bool = False
    default: Any = None


def compiled(schema: Mapping[str, Any]) -> Node:
    """Raises Unsupported."""
    if schema.get("x-kubernetes-int-or-string"):
        _known(schema, frozenset({"x-kubernetes-int-or-string", "anyOf", "pattern", "maxLength"}))
        check: Check = _int_or_string(schema)
    else:
        match schema.get("type"):
            case "object":
                _known(schema, OBJECTS)
                check = _object(schema)
            case "array":
                _known(schema, LISTS)
                check = _list(schema)
            case "string":
                _known(schema, STRINGS)
                check = _string(schema)
            case "integer" | "number" as kind:
                _known(schema, NUMBERS)
                check = _number(schema, kind)
            case "boolean":
                _known(schema, frozenset())
                check = _boolean
            case other:
                raise Unsupported(f"type {other}")
    return Node(check, bool(schema.get("nullable")), schema.get("default"))


def _known(schema: Mapping[str, Any], words: frozenset[str]) -> None:
    if more := set(schema) - ASIDE - words:
        raise Unsupported(f"{', '.join(sorted(more))} in a schema of type {schema.get('type')}")


def rendered(way: Way) -> str:
    """A way as messages have it, such as `spec.steps[1].weight`."""
    if not way:
        return ""
    parent, key = rendered(way[0]), way[1]
    return f"{parent}[{key}]" if isinstance(key, int) else f"{parent}.{key}" if parent else str(key)


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null" if value is None else "array"


def _mistyped(value: Any, wanted: str, way: Way, causes: list[Body]) -> Any:
    kind = _type_of(value)
    message = f'Invalid value: "{kind}": {rendered(way)} in body must be of type {wanted}: "{kind}"'
    causes.append(cause("TypeInvalid", rendered(way), message))
    return value


def _object(schema: Mapping[str, Any]) -> Check:
    properties = {name: compiled(child) for name, child in schema.get("properties", {}).items()}
    required = tuple(schema.get("required", ()))
    defaults = tuple((name, node.default) for name, node in properties.items() if node.default is not None)
    more = schema.get("additionalProperties")
    rest = None if more is None else compiled(more)
    preserve = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    most, least = schema.get("maxProperties"), schema.get("minProperties", 0)

    def check(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
        if not isinstance(value, dict):
            return _mistyped(value, "object", way, causes)
        before = old if isinstance(old, dict) else {}
        out: Body = {}
        for key, item in value.items():
            node = properties.get(key, rest)
            if node is None:
                if preserve:
                    out[key] = item
                continue
            if item is None and (node.nullable or key in properties):
                # A property that can't be null is pruned like an unknown one; a value of a map is an error.
                if node.nullable:
                    out[key] = None
            elif key in before and before[key] == item:
                out[key] = before[key]
            else:
                out[key] = node.check(item, before.get(key), (way, key), causes)
        for key, default in defaults:
            if key not in out:
                out[key] = properties[key].check(default, None, (way, key), causes)
        for key in required:
            if key not in out:
                causes.append(cause("Required", rendered((way, key)), "Required value"))
        _counted(out, least, most, way, causes)
        return out

    return check


def _counted(value: Sized, least: int, most: int | None, way: Way, causes: list[Body]) -> None:
    if most is not None and len(value) > most:
        causes.append(cause("TooMany", rendered(way), f"Too many: {len(value)}: must have at most {most} items"))
    if len(value) < least:
        message = f"Invalid value: {len(value)}: {rendered(way)} in body should have at least {least} items"
        causes.append(cause("Invalid", rendered(way), message))


def _list(schema: Mapping[str, Any]) -> Check:
    node = compiled(schema["items"])
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
    single = schema.get("x-kubernetes-list-type") == "set"

    def check(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
        if not isinstance(value, list):
            return _mistyped(value, "array", way, causes)
        before = old if isinstance(old, list) else ()
        _counted(value, least, most, way, causes)
        out: list[Any] = []
        for index, item in enumerate(value):
            if item is None and node.nullable:
                out.append(None)
                continue
            was = before[index] if index < len(before) else None
            same = was is not None and was == item
            out.append(was if same else node.check(item, was, (way, index), causes))
        if keys or single:
            _distinct(out, keys, way, causes)
        return out

    return check


def _distinct(items: list[Any], keys: tuple[str, ...], way: Way, causes: list[Body]) -> None:
    seen = set()
    for index, item in enumerate(items):
        mark = tuple(item.get(key) for key in keys) if keys and isinstance(item, dict) else (repr(item),)
        if mark in seen:
            shown = dict(zip(keys, mark, strict=False)) if keys else item
            causes.append(cause("Duplicate", rendered((way, index)), f"Duplicate value: {shown}"))
        seen.add(mark)


def _string(schema: Mapping[str, Any]) -> Check:
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    among = tuple(schema["enum"]) if "enum" in schema else None
    pattern = _pattern(schema["pattern"]) if "pattern" in schema else None
    moment = schema.get("format") == "date-time"
    if schema.get("format", "date-time") != "date-time":
        raise Unsupported(f"format {schema['format']}")

    def check(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
        if not isinstance(value, str):
            return _mistyped(value, "string", way, causes)
        if among is not None and value not in among:
            supported = ", ".join(f'"{one}"' for one in among)
            message = f'Unsupported value: "{value}": supported values: {supported}'
            causes.append(cause("NotSupported", rendered(way), message))
        if most is not None and len(value) > most:
            causes.append(cause("TooLong", rendered(way), f"Too long: may not be more than {most} bytes"))
        if len(value) < least:
            message = f'Invalid value: "{value}": {rendered(way)} in body should be at least {least} chars long'
            causes.append(cause("Invalid", rendered(way), message))
        if pattern is not None and not pattern.search(value):
            message = f"Invalid value: \"{value}\": {rendered(way)} in body should match '{schema['pattern']}'"
            causes.append(cause("Invalid", rendered(way), message))
        if moment and not MOMENT.fullmatch(value):
            message = f'Invalid value: "{value}": {rendered(way)} in body must be of type date-time: "{value}"'
            causes.append(cause("TypeInvalid", rendered(way), message))
        return value

    return check


def _pattern(text: str) -> re.Pattern[str]:
    # RE2's $ is the end of the text, Python's may be before a last newline.
    return re.compile(text.removesuffix("$") + r"\Z" if text.endswith("$") else text, re.ASCII)


def _number(schema: Mapping[str, Any], kind: str) -> Check:
    low, high = LIMITS.get(schema.get("format", ""), (None, None)) if kind == "integer" else (None, None)
    low, high = schema.get("minimum", low), schema.get("maximum", high)

    def check(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
        if kind == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int if kind == "integer" else (int, float)):
            return _mistyped(value, kind, way, causes)
        if low is not None and value < low:
            message = f"Invalid value: {value}: {rendered(way)} in body should be greater than or equal to {low}"
            causes.append(cause("Invalid", rendered(way), message))
        if high is not None and value > high:
            message = f"Invalid value: {value}: {rendered(way)} in body should be less than or equal to {high}"
            causes.append(cause("Invalid", rendered(way), message))
        return value

    return check


def _int_or_string(schema: Mapping[str, Any]) -> Check:
    text = _string({key: value for key, value in schema.items() if key in STRINGS})

    def check(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            return _mistyped(value, "integer,string", way, causes)
        return text(value, old, way, causes) if isinstance(value, str) else value

    return check


def _boolean(value: Any, old: Any, way: Way, causes: list[Body]) -> Any:
    return value if isinstance(value, bool) else _mistyped(value, "boolean", way, causes)
