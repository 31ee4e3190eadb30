"""Total reading of YAML: a value of the wanted kind, or a SpecError with the field's path, its value, the bound and
the fix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import Any, TypeVar

from modelrollout.api.scalars import DURATION, parse_duration, parse_weight
from modelrollout.core.model import Weight
from modelrollout.errors import SpecError

SHOWN = 60
_K = TypeVar("_K", bound=StrEnum)


class Fields:
    """The object at `path`. Ask for fields, then `done` refuses those that nobody asked for."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            raise problem(path, value, "must be an object with fields")
        self._value: Mapping[Any, Any] = value
        self._known: list[str] = []
        self.path = path

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        self._known.append(name)
        return self._value.get(name) is not None

    def done(self) -> None:
        """Raises SpecError for a field that was never asked for."""
        for name in self._value:
            if name not in self._known:
                known = ", ".join(dict.fromkeys(self._known))
                raise SpecError(f"{self._at(str(name)[:SHOWN])}: unknown field; there are: {known}", field=self.path)

    @property
    def mapping(self) -> Mapping[Any, Any]:
        """All of it, when any name may be a field."""
        return self._value

    def inner(self, name: str) -> Fields:
        """The object in a field."""
        return Fields(self._get(name), self._at(name))

    def each(self, name: str) -> Iterator[Fields]:
        """The objects of a list; none when the field is absent."""
        for index, value in enumerate(self.items(name)):
            yield Fields(value, f"{self._at(name)}[{index}]")

    def items(self, name: str) -> Sequence[object]:
        """The list in a field; empty when it is absent."""
        if not self.has(name):
            return ()
        value = self._value[name]
        if not isinstance(value, list):
            raise problem(self._at(name), value, "must be a list")
        return value

    def text(self, name: str, default: str) -> str:
        """A string."""
        if not self.has(name):
            return default
        value = self._value[name]
        if not isinstance(value, str) or not value:
            raise problem(self._at(name), value, "must be a text")
        return value

    def choice(self, name: str, kind: type[_K], default: _K | None = None) -> _K:
        """One of the words of `kind`."""
        if default is not None and not self.has(name):
            return default
        value = self._get(name)
        if not isinstance(value, str) or value not in tuple(kind):
            raise problem(self._at(name), value, f"must be one of {', '.join(kind)}")
        return kind(value)

    def number(self, name: str, default: float | None = None, *, low: float = 0.0, high: float = 1e9) -> float:
        """A number between two bounds."""
        if default is not None and not self.has(name):
            return default
        return number(self._get(name), self._at(name), low=low, high=high)

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number between two bounds."""
        if not self.has(name):
            return default
        value = self._value[name]
        if type(value) is not int or not low <= value <= high:
            raise problem(self._at(name), value, f"must be a whole number from {low} to {high}")
        return value

    def seconds(self, name: str, default: float | None = None, *, above_zero: bool = False) -> float:
        """A duration such as 90s or 1h30m, in seconds."""
        if default is not None and not self.has(name):
            return default
        return seconds(self._get(name), self._at(name), above_zero=above_zero)

    def share(self, name: str, default: float | None = None, *, low: float = 0.0) -> float:
        """A share such as "2%", as a fraction of 1."""
        if default is not None and not self.has(name):
            return default
        return share(self._get(name), self._at(name), low=low)

    def weight(self, name: str) -> Weight | None:
        """A weight in percent, as in the steps of a rollout; None when absent."""
        if not self.has(name):
            return None
        value = self._value[name]
        try:
            return parse_weight(value)
        except (ValueError, TypeError):
            raise problem(self._at(name), value, 'must be a weight in percent, such as 25 or "0.5"') from None

    def _get(self, name: str) -> object:
        if not self.has(name):
            raise SpecError(f"{self._at(name)}: must be set", field=self.path)
        return self._value[name]

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def number(value: object, path: str, *, low: float, high: float) -> float:
    """A number between two bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise problem(path, value, f"must be a number from {low:g} to {high:g}")
    return float(value)


def seconds(value: object, path: str, *, above_zero: bool = False) -> float:
    """A duration such as 90s or 1h30m, in seconds."""
    if not isinstance(value, str) or not re.fullmatch(DURATION, value):
        raise problem(path, value, "must be a duration, such as 90s, 10m or 1h30m")
    found = parse_duration(value)
    if above_zero and found <= 0:
        raise problem(path, value, "must be longer than 0s")
    return found


def share(value: object, path: str, *, low: float = 0.0) -> float:
    """A share such as "2%", as a fraction of 1."""
    found = None
    if isinstance(value, str) and value.endswith("%"):
        try:
            found = float(value.removesuffix("%")) / 100
        except ValueError:
            found = None
    if found is None or not low <= found <= 1.0:
        raise problem(path, value, f'must be a share from "{low * 100:g}%" to "100%", in quotes and with its sign')
    return found


def problem(path: str, value: object, wanted: str) -> SpecError:
    """What is wrong with a value."""
    shown = "nothing" if value is None else repr(value)
    shown = shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."
    return SpecError(f"{path or 'scenario'}: {wanted}, is {shown}", field=path)
