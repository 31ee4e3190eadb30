"""PromQL text from structured queries: every name checked, every value escaped. Pure.

Shape of a read: `{__name__=~"a|b",namespace="n",pod=~"...",le=~"|0\\.3"}[10s]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

from modelrollout.core.model import Selector
from modelrollout.core.plan import Term
from modelrollout.errors import SpecError
from modelrollout.ports import SeriesQuery

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NAME_LABEL = "modelrollout_metric"
"""Carries the metric's name through functions that drop it."""

_NAMED_ESCAPE = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_REGEX_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


def samples(query: SeriesQuery) -> str:
    """The range selector that returns the raw samples of a query.

    Raises SpecError for a name that is none, for no metric at all, and for a window below a millisecond.
    """
    return f"{{{_names(query.metrics)}{_scope(query)}}}[{duration(query.window)}]"


def increases(query: SeriesQuery) -> str:
    """Per series, its increase over the window, with the metric's name in `NAME_LABEL`. Approximate.

    A series that was not there a window ago counts with its present value: `increase` can't see first samples.
    """
    window = duration(query.window)
    parts = []
    for name in _checked(query.metrics):
        selector = f"{name}{{{_scope(query).removeprefix(',')}}}"
        new = f"({selector} unless ({selector} offset {window})) or increase({selector}[{window}])"
        parts.append(f'label_replace({new}, "{NAME_LABEL}", "{name}", "", "")')
    return " or ".join(parts)


def count(terms: Sequence[Term], *, window: float, namespace: str = "", pods: str = "") -> str:
    """One number for dashboards: the signed sum of increases over the window. Approximate; never for decisions.

    A term without series counts as zero, except that the whole answer is empty when the first one has none.
    """
    first, *rest = (_increase(term, window=window, namespace=namespace, pods=pods) for term in terms)
    signs = ["-" if term.sign < 0 else "+" for term in terms]
    return (
        ("-" if signs[0] == "-" else "")
        + first
        + "".join(f" {sign} ({text} or vector(0))" for sign, text in zip(signs[1:], rest, strict=True))
    )


def _increase(term: Term, *, window: float, namespace: str, pods: str) -> str:
    matchers = selector_matchers(term.selector)
    if namespace:
        matchers.append(equals("namespace", namespace))
    if pods:
        matchers.append(matches("pod", pods))
    if term.boundary is not None:
        matchers.append(matches("le", boundary_pattern(term.boundary)))
    selector = f"{metric(term.selector.metric)}{{{','.join(matchers)}}}"
    length = duration(window)
    return f"sum(({selector} unless ({selector} offset {length})) or increase({selector}[{length}]))"


def selector_matchers(selector: Selector) -> list[str]:
    """The matchers of a selector, without its metric name."""
    return [equals(*pair) for pair in selector.equal] + [matches(*pair) for pair in selector.regex]


def _names(metrics: Sequence[str]) -> str:
    names = _checked(metrics)
    return equals("__name__", names[0]) if len(names) == 1 else matches("__name__", "|".join(names))


def _checked(metrics: Sequence[str]) -> list[str]:
    if not metrics:
        raise SpecError("a query needs a metric name", field="metric")
    return [metric(name) for name in dict.fromkeys(metrics)]


def _scope(query: SeriesQuery) -> str:
    """All matchers but the name, each with a comma before it."""
    parts = []
    if len(query.namespaces) == 1:
        parts.append(equals("namespace", query.namespaces[0]))
    elif query.namespaces:
        parts.append(matches("namespace", "|".join(quoted(name) for name in query.namespaces)))
    if query.pods:
        parts.append(matches("pod", query.pods))
    if query.boundaries:
        # The empty alternative keeps the series that are no buckets.
        parts.append(matches("le", "|".join(["", *(boundary_pattern(each) for each in query.boundaries)])))
    return "".join(f",{part}" for part in parts)


def metric(name: str) -> str:
    """The name itself; SpecError when it is no metric name."""
    if not METRIC.fullmatch(name):
        raise SpecError(f"{name!r} is no metric name (letters, digits, _ and :)", field="metric")
    return name


def label(name: str) -> str:
    """The name itself; SpecError when it is no label name."""
    if not LABEL.fullmatch(name):
        raise SpecError(f"{name!r} is no label name (letters, digits and _)", field="match")
    return name


def equals(name: str, value: str) -> str:
    """A matcher for one exact value."""
    return f"{label(name)}={string(value)}"


def matches(name: str, pattern: str) -> str:
    """A matcher for an anchored RE2 pattern."""
    return f"{label(name)}=~{string(pattern)}"


def string(value: str) -> str:
    """A PromQL string literal with exactly this value; SpecError when it is no Unicode text."""
    return f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        raise SpecError("a label value holds half of a surrogate pair", field="match")
    if character in _NAMED_ESCAPE:
        return _NAMED_ESCAPE[character]
    # PromQL's lexer takes a literal U+FFFD for broken UTF-8.
    if code < 0x20 or code == 0x7F or code == 0xFFFD:
        return f"\\u{code:04x}"
    return character


def quoted(value: str) -> str:
    """An RE2 pattern for exactly this text."""
    return "".join(f"\\{character}" if character in _REGEX_SPECIAL else character for character in value)


def boundary_pattern(boundary: float) -> str:
    """An RE2 pattern for every spelling of a bucket's `le`: `1`, `1.0`, `1e+00`, `2.5e-05`, `0.30`, `+Inf`.

    Exposition libraries write what they like; Prometheus 3 stores Go's shortest form with `.0` where it has no dot.
    """
    if math.isnan(boundary) or boundary == -math.inf:
        raise SpecError(f"{boundary} is no bucket boundary", field="threshold")
    if boundary == math.inf:
        return r"\+?[iI]nf"
    exact = Decimal(repr(boundary)).normalize()
    sign = "-" if exact < 0 else ""
    plain, _, fraction = format(exact.copy_abs(), "f").partition(".")
    spellings = [_decimal(plain, fraction)]
    if exact:
        digits = "".join(map(str, exact.as_tuple().digits))
        power = exact.adjusted()
        spellings.append(f"{_decimal(digits[0], digits[1:])}[eE]{'-' if power < 0 else '[+]?'}0*{abs(power)}")
    return f"{sign}({'|'.join(spellings)})"


def _decimal(whole: str, fraction: str) -> str:
    return rf"{whole}\.{fraction}0*" if fraction else rf"{whole}(\.0*)?"


def duration(seconds: float) -> str:
    """A PromQL duration, to the millisecond; SpecError when it is not positive and finite."""
    milliseconds = round(seconds * 1000) if math.isfinite(seconds) else 0
    if milliseconds <= 0:
        raise SpecError(f"a window of {seconds} s holds no samples", field="window")
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
