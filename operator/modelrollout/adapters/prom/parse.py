"""Prometheus' JSON to samples. Pure: absence stays absence, and nothing that is no finite number gets through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelrollout.adapters.prom.render import NAME_LABEL
from modelrollout.core.samples import Series


class BadAnswer(ValueError):
    """The answer is not what the API promises. Carries no part of it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """Series of an answer. `native`: how many series held native histograms, which are left out."""

    series: tuple[Series, ...]
    native: int = 0


def matrix(result: object) -> Parsed:
    """Raw samples: the result of a range selector. Raises BadAnswer."""
    series = []
    native = 0
    for entry in _entries(result):
        labels = _labels(entry)
        values = entry.get("values")
        if entry.get("histograms") is not None:
            native += 1
            if values is None:
                continue
        if not isinstance(values, list):
            raise BadAnswer("a series without values")
        series.append(_series(labels, values))
    return Parsed(tuple(series), native)


def totals(result: object) -> Parsed:
    """One sample per series: the result of `render.increases`, with the metric's name put back. Raises BadAnswer."""
    series = []
    native = 0
    for entry in _entries(result):
        labels = _labels(entry)
        name = labels.pop(NAME_LABEL, None)
        if name is not None:
            labels["__name__"] = name
        if entry.get("histogram") is not None:
            native += 1
        elif "value" in entry:
            series.append(_series(labels, [entry["value"]]))
        else:
            raise BadAnswer("a series without value")
    return Parsed(tuple(series), native)


def is_partial(envelope: Mapping[str, object]) -> bool:
    """Whether the server says that its answer is not the whole one.

    Remarks on the expression (`PromQL info: ...`) say nothing about missing data and are no such sign.
    """
    for key in ("warnings", "infos"):
        remarks = envelope.get(key)
        if remarks is None:
            continue
        if not isinstance(remarks, list):
            return True
        if any(not (isinstance(text, str) and text.startswith("PromQL info:")) for text in remarks):
            return True
    return False


def _entries(result: object) -> list[Mapping[str, object]]:
    if not isinstance(result, list) or not all(isinstance(entry, Mapping) for entry in result):
        raise BadAnswer("the result is no list of series")
    return result


def _labels(entry: Mapping[str, object]) -> dict[str, str]:
    metric = entry.get("metric")
    if not isinstance(metric, Mapping):
        raise BadAnswer("a series without labels")
    labels = dict(metric)
    # Once for each of some ten thousand series a tick: a set of types is much faster than looking at each in turn.
    if labels and set(map(type, labels.values())) != {str}:
        raise BadAnswer("a label that is no string")
    return labels


def _series(labels: Mapping[str, str], values: list[object]) -> Series:
    plain = _plain(values)
    if plain is not None:
        return Series(labels, plain)
    samples: list[tuple[float, float]] = []
    rejected: list[float] = []
    last = -math.inf
    for pair in values:
        at, value = _sample(pair)
        if not at > last:
            raise BadAnswer("samples out of order")
        last = at
        if math.isfinite(value):
            samples.append((at, value))
        else:
            rejected.append(at)
    return Series(labels, tuple(samples), tuple(rejected))


def _plain(values: list[Any]) -> tuple[tuple[float, float], ...] | None:
    """The samples, when all of them are as they nearly always are: in order, finite, times with a fraction or without.

    None says nothing but that each has to be looked at by itself.
    """
    samples = []
    last = -math.inf
    try:
        for at, text in values:
            if type(text) is not str or not (type(at) is float or type(at) is int):
                return None
            time, value = float(at), float(text)
            if not (last < time < math.inf and -math.inf < value < math.inf):
                return None
            last = time
            samples.append((time, value))
    except (TypeError, ValueError, OverflowError):
        return None
    return tuple(samples)


def _sample(pair: object) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadAnswer("a sample that is no pair")
    at, value = pair
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(value, str):
        raise BadAnswer("a sample that is no time and number")
    try:
        time, number = float(at), float(value)
    except (ValueError, OverflowError):
        raise BadAnswer("a sample that is no time and number") from None
    if not math.isfinite(time):
        raise BadAnswer("a sample without time")
    return time, number
