"""Core values from the plain form that `runtime.record.plain` gives them: the inverse, driven by the fields' types.

Total over versions: a field that this version does not know is left out, a field that the text lacks gets its default,
and both are said. What can't be read is said with its path and what was wanted there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

TAG = "type"
SHOWN = 40


class Unreadable(ValueError):
    """The plain form does not fit the type; `path` says where, `problem` what was wanted and found."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(slots=True)
class Gaps:
    """Fields in which the text and this version do not agree, as paths, in order of appearance."""

    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    kind: Any
    optional: bool


def read(kind: Any, value: object, path: str, gaps: Gaps) -> Any:
    """`value` as `kind`: a dataclass, enum, union or tuple of them, or a scalar. Raises Unreadable.

    `path` names the value in messages. Floats may be written as whole numbers; nothing else is converted.
    """
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _union(get_args(kind), value, path, gaps)
    if origin is tuple:
        return _tuple(get_args(kind), value, path, gaps)
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind, value, path, gaps)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind, value, path)
    return _scalar(kind, value, path)


def _object(kind: type, value: object, path: str, gaps: Gaps) -> object:
    if not isinstance(value, Mapping):
        raise Unreadable(path, f"must be a {kind.__name__}, is {shown(value)}")
    known = _fields(kind)
    own_tag = any(one.name == TAG for one in known)
    if not own_tag and value.get(TAG) != kind.__name__:
        raise Unreadable(path, f"must be a {kind.__name__}, says that it is {shown(value.get(TAG))}")
    given: dict[str, object] = {}
    for one in known:
        if one.name in value:
            given[one.name] = read(one.kind, value[one.name], _at(path, one.name), gaps)
        elif one.optional:
            gaps.missing.append(_at(path, one.name))
        else:
            raise Unreadable(_at(path, one.name), "must be there")
    gaps.unknown += [_at(path, name) for name in value if name not in given and (own_tag or name != TAG)]
    return kind(**given)


def _union(kinds: tuple[Any, ...], value: object, path: str, gaps: Gaps) -> object:
    if value is None and NoneType in kinds:
        return None
    some = [kind for kind in kinds if kind is not NoneType]
    if len(some) == 1:
        return read(some[0], value, path, gaps)
    names = {kind.__name__: kind for kind in some}
    tag = value.get(TAG) if isinstance(value, Mapping) else None
    if not isinstance(tag, str) or tag not in names:
        found = shown(tag) if isinstance(value, Mapping) else shown(value)
        raise Unreadable(path, f"must be one of {', '.join(names)}, is {found}")
    return read(names[tag], value, path, gaps)


def _tuple(kinds: tuple[Any, ...], value: object, path: str, gaps: Gaps) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise Unreadable(path, f"must be a list, is {shown(value)}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise Unreadable(path, f"must hold {len(kinds)} values, holds {len(value)}")
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(read(kind, each, f"{path}[{index}]", gaps) for index, (kind, each) in pairs)


def _enum(kind: type[Enum], value: object, path: str) -> Enum:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(each.value) for each in kind)
        raise Unreadable(path, f"must be one of {known}, is {shown(value)}") from None


def _scalar(kind: type, value: object, path: str) -> object:
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise Unreadable(path, "is a number too large") from None
    if type(value) is not kind:
        raise Unreadable(path, f"must be a {kind.__name__}, is {shown(value)}")
    return value


@cache
def _fields(kind: Any) -> tuple[_Field, ...]:
    hints = get_type_hints(kind)
    return tuple(
        _Field(one.name, hints[one.name], one.default is not MISSING or one.default_factory is not MISSING)
        for one in fields(kind)
    )


def shown(value: object) -> str:
    """A value for a message: its kind for what is large, else itself, cut."""
    match value:
        case Mapping():
            return "an object"
        case list():
            return "a list"
        case None:
            return "nothing"
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
