"""Prometheus' JSON to samples. Pure: absence stays absence, and nothing that is no finite number gets through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modelrollout.adapters.prom.render import NAME_LABEL
from modelrollout.core.samples import Series

Moments = dict[tuple[object, ...], tuple[float, ...]]
"""Times of samples of an answer, by how they came: all counters of a target share theirs."""


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
    moments: Moments = {}
    for entry in _entries(result):
        labels = _labels(entry)
        values = entry.get("values")
        if entry.get("histograms") is not None:
            native += 1
            if values is None:
                continue
        if not isinstance(values, list):
            raise BadAnswer("a series without values")
        series.append(_series(labels, values, moments))
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
            series.append(_series(labels, [entry["value"]], {}))
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


def _entries(result: object) -> list[dict[str, object]]:
    if not isinstance(result, list) or (result and set(map(type, result)) != {dict}):
        raise BadAnswer("the result is no list of series")
    return result


def _labels(entry: Mapping[str, object]) -> dict[str, str]:
    metric = entry.get("metric")
    if not isinstance(metric, dict):
        raise BadAnswer("a series without labels")
    try:
        # Once for each of some ten thousand series a tick: nothing tells faster that all of them are texts.
        "".join(metric.values())
    except TypeError:
        raise BadAnswer("a label that is no string") from None
    return metric


def _series(labels: Mapping[str, str], values: list[object], moments: Moments) -> Series:
    plain = _columns(values, moments)
    if plain is not None:
        return Series(labels, *plain)
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
    return Series.of(labels, samples, tuple(rejected))


def _columns(values: list[Any], moments: Moments) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Times and values, when all samples are as they nearly always are: in order and finite.

    None says nothing but that each has to be looked at by itself.
    """
    try:
        raw, texts = zip(*values, strict=True)
        "".join(texts)  # a TypeError, should one be a number: `float` would take it
        numbers = tuple(map(float, texts))
        times = moments.get(raw)
        if times is None:
            times = moments[raw] = _times(raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return (times, numbers) if math.isfinite(sum(numbers)) else None


def _times(raw: tuple[object, ...]) -> tuple[float, ...]:
    """Times with a fraction or without, as numbers. Raises for what is none, and unless they are finite and ascend."""
    if not set(map(type, raw)) <= {int, float}:
        raise TypeError
    times = tuple(map(float, raw))  # type: ignore[arg-type]  # all of them are numbers
    if not all(earlier < later for earlier, later in pairwise((-math.inf, *times, math.inf))):
        raise ValueError
    return times


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
