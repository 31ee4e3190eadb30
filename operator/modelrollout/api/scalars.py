"""Text forms of the API's scalars and what they mean: durations, percents, weights, names.

The types carry pattern, length and rules for the schema; the parsers turn accepted text into plain units. No floats
in the API: they do not survive a round trip through other tools.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from modelrollout.api.rules import Rule
from modelrollout.core.model import Weight
from modelrollout.core.status import UNSEEN

MAX_COUNT = 2**53 - 1
"""Bounds are doubles to the API server: 2**63 - 1 overflows there and then refuses every number."""
DURATION = r"^([0-9]{1,5}([.][0-9]{1,3})?(ms|s|m|h)){1,4}$"

_UNITS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WEIGHT = re.compile(r"(?:100(?:\.0{1,2})?|[0-9]{1,2}(?:\.[0-9]{1,2})?)", re.ASCII)
_WEIGHT_HELP = 'must be more than 0 and at most 100, an integer or a string with at most two decimals such as "0.25"'

_GROWTH = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?", re.ASCII)
_GROWTH_HELP = 'must be at least 1.2 and at most 10, an integer or a string such as "2.7"'

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


def parse_duration(text: str) -> float:
    """Seconds of a Go style duration (`90s`, `1h30m`, `30d`); the text must match the type's pattern."""
    return float(sum(Decimal(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def parse_percent(text: str) -> float:
    """Fraction of 1 for `"2%"` or `"99.9"`."""
    return float(Decimal(text.removesuffix("%")) / 100)


def parse_decimal(text: str) -> float:
    """Number of a decimal string."""
    return float(Decimal(text))


def parse_allowed(objective: str) -> float:
    """Bad share that an objective permits: `"99.9"` -> 0.001, without the error of binary subtraction."""
    return float((100 - Decimal(objective)) / 100)


def parse_weight(value: int | str) -> Weight:
    """Hundredths of a percent of `25` or `"0.25"`. Raises ValueError for anything outside 0 < weight <= 100."""
    if type(value) is int and 0 < value <= 100:
        return Weight(value * 100)
    if isinstance(value, str) and _WEIGHT.fullmatch(value) and Decimal(value) > 0:
        return Weight(int(Decimal(value) * 100))
    raise ValueError(_WEIGHT_HELP)


def parse_growth(value: int | str) -> Decimal:
    """Factor of a ramp: `3` or `"2.7"`. Raises ValueError for anything outside 1.2 <= growth <= 10."""
    text = isinstance(value, str) and _GROWTH.fullmatch(value)
    if (text or type(value) is int) and Decimal("1.2") <= Decimal(value) <= 10:
        return Decimal(value)
    raise ValueError(_GROWTH_HELP)


def render_weight(weight: int) -> str:
    """Percent of a weight in hundredths of a percent: 2500 -> "25", 25 -> "0.25"."""
    whole, rest = divmod(weight, 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)


def _valid_weight(value: Any) -> int | str:
    try:
        parse_weight(value)
    except ValueError as error:
        raise PydanticCustomError("weight", "{message}", {"message": str(error)}) from None
    return value  # type: ignore[no-any-return]  # parse_weight has seen to it


def _valid_growth(value: Any) -> int | str:
    try:
        parse_growth(value)
    except ValueError as error:
        raise PydanticCustomError("growth", "{message}", {"message": str(error)}) from None
    return value  # type: ignore[no-any-return]  # parse_growth has seen to it


def when(pattern: str, cel: str, *, field: str = "self") -> str:
    """`cel`, but only for text that fits: a pattern that fails does not keep the server from trying the rules."""
    return f"!{field}.matches('{pattern}') || {cel}"


def _percent(value: str) -> Decimal:
    return Decimal(value.removesuffix("%"))


# Five digits a part keep every value inside what CEL's duration() can hold.
Duration = Annotated[str, Field(strict=True, min_length=1, max_length=32, pattern=DURATION)]
"""Go style, zero allowed."""

PositiveDuration = Annotated[
    Duration,
    Rule(
        when(DURATION, "duration(self) > duration('0s')"),
        "must be longer than 0s",
        lambda text: parse_duration(text) > 0,
    ),
]

Interval = Annotated[
    Duration,
    Rule(
        when(DURATION, "duration(self) >= duration('1s') && duration(self) <= duration('1m')"),
        "must be at least 1s and at most 1m, the shortest burn window",
        lambda text: 1 <= parse_duration(text) <= 60,
    ),
]

QueryTimeout = Annotated[
    Duration,
    Rule(
        when(DURATION, "duration(self) >= duration('100ms') && duration(self) <= duration('5s')"),
        "must be at least 100ms and at most 5s",
        lambda text: 0.1 <= parse_duration(text) <= 5,
    ),
]

Window = Annotated[str, Field(strict=True, max_length=6, pattern=r"^[1-9][0-9]{0,4}(d|h|m)$")]
"""One number with one unit, days allowed: `30d`, `12h`."""

StepWeight = Annotated[
    int | str,
    PlainValidator(_valid_weight),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 6}),
    Rule(
        "type(self) == int ? int(self) > 0 && int(self) <= 100 :"
        r" string(self).matches('^(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)$') && double(string(self)) > 0.0",
        _WEIGHT_HELP,
    ),
]

DECIMAL = r"^[0-9]{1,3}([.][0-9]{1,6})?$"

Objective = Annotated[
    str,
    Field(strict=True, max_length=10, pattern=DECIMAL),
    Rule(
        when(DECIMAL, "double(self) > 0.0 && double(self) < 100.0"),
        'must be a percentage between 0 and 100, both excluded, such as "99.9"',
        lambda text: 0 < Decimal(text) < 100,
    ),
]


def _between(low: str, high: str, example: str) -> Rule:
    """Bounds, both included, of a decimal string."""
    return Rule(
        when(DECIMAL, f"double(self) >= {_cel(low)} && double(self) <= {_cel(high)}"),
        f'must be at least {low} and at most {high}, such as "{example}"',
        lambda text: Decimal(low) <= Decimal(text) <= Decimal(high),
    )


def _cel(number: str) -> str:
    # A literal without a point is an integer to CEL, and those do not compare with doubles.
    return number if "." in number else f"{number}.0"


_DecimalText = Annotated[str, Field(strict=True, max_length=10, pattern=DECIMAL)]

MarginRatio = Annotated[_DecimalText, _between("0.5", "10", "1.25")]
MarginDifference = Annotated[_DecimalText, _between("0", "0.5", "0.0005")]
FalseRollback = Annotated[_DecimalText, _between("0.0001", "0.1", "0.01")]
FalsePromote = Annotated[_DecimalText, _between("0.001", "0.2", "0.05")]

RampStart = Annotated[
    StepWeight,
    Rule(
        "type(self) == int ? int(self) <= 50 :"
        " !string(self).matches('^[0-9]{1,3}([.][0-9]{1,2})?$') || double(string(self)) <= 50.0",
        "must be at most 50",
        lambda weight: parse_weight(weight) <= 5_000,
    ),
]

Growth = Annotated[
    int | str,
    PlainValidator(_valid_growth),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "maxLength": 6}),
    Rule(
        "type(self) == int ? int(self) >= 2 && int(self) <= 10 :"
        " string(self).matches('^[0-9]{1,2}([.][0-9]{1,3})?$')"
        " && double(string(self)) >= 1.2 && double(string(self)) <= 10.0",
        _GROWTH_HELP,
    ),
]

_PERCENT = r"^[0-9]{1,3}([.][0-9]{1,4})?%$"
_NUMBER = "double(self.substring(0, self.size() - 1))"
_PercentText = Annotated[str, Field(strict=True, max_length=9, pattern=_PERCENT)]

Percent = Annotated[
    _PercentText,
    Rule(
        when(_PERCENT, f"{_NUMBER} <= 100.0"), 'must be at most 100, such as "10%"', lambda text: _percent(text) <= 100
    ),
]

PositivePercent = Annotated[
    _PercentText,
    Rule(
        when(_PERCENT, f"{_NUMBER} > 0.0 && {_NUMBER} <= 100.0"),
        'must be more than 0 and at most 100, such as "2%"',
        lambda text: 0 < _percent(text) <= 100,
    ),
]

Tolerance = Annotated[
    _PercentText,
    Rule(
        when(_PERCENT, f"{_NUMBER} >= 0.001 && {_NUMBER} <= 10.0"),
        'must be at least 0.001 and at most 10, such as "0.05%"',
        lambda text: Decimal("0.001") <= _percent(text) <= 10,
    ),
]

Label = Annotated[str, Field(strict=True, min_length=1, max_length=63, pattern=DNS_LABEL)]
Subdomain = Annotated[str, Field(strict=True, min_length=1, max_length=253, pattern=DNS_SUBDOMAIN)]
ShortText = Annotated[str, Field(strict=True, min_length=1, max_length=253)]
LongText = Annotated[str, Field(strict=True, max_length=512)]
MetricName = Annotated[str, Field(strict=True, min_length=1, max_length=255, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
LabelName = Annotated[str, Field(strict=True, min_length=1, max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
LabelValue = Annotated[str, Field(strict=True, max_length=253)]
Flag = Annotated[bool, Field(strict=True)]
INT64 = {"format": "int64"}
Count = Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT, json_schema_extra=INT64)]
ObservedGeneration = Annotated[int, Field(strict=True, ge=UNSEEN, le=MAX_COUNT, json_schema_extra=INT64)]
