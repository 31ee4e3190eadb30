"""Samples with chosen timestamps as a Prometheus remote-write request (protocol 1.0).

Hand-made protobuf and snappy: the message has four fields, and snappy allows a stream of literals only.
Source: prompb/remote.proto and prompb/types.proto of Prometheus; snappy's format description, section 2.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.openmetrics.parser import text_string_to_metric_families

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
LITERAL = 65536


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series at `timestamp` (seconds since 1970, kept to the millisecond)."""

    name: str
    labels: Mapping[str, str]
    value: float
    timestamp: float


def stale() -> float:
    """The value that ends a series: Prometheus' stale marker, a NaN with its own bits."""
    value: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    return value


def parse_openmetrics(text: str) -> Iterator[Sample]:
    """Samples of an OpenMetrics text; each must have a timestamp (seconds).

    Raises ValueError for malformed text and for a sample without timestamp.
    """
    # The library is typed but for this parser.
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.timestamp is None:
                raise ValueError(f"sample {sample.name}{sample.labels} has no timestamp; add one in seconds")
            yield Sample(sample.name, sample.labels, sample.value, float(sample.timestamp))


def encode(samples: Iterable[Sample]) -> bytes:
    """Body of one write request: the samples grouped by series, each series in order of time."""
    series: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for sample in samples:
        labels = tuple(sorted({"__name__": sample.name, **sample.labels}.items()))
        series.setdefault(labels, []).append((round(sample.timestamp * 1000), sample.value))
    request = b"".join(_field(1, _time_series(labels, points)) for labels, points in series.items())
    return _snappy(request)


def _time_series(labels: tuple[tuple[str, str], ...], points: list[tuple[int, float]]) -> bytes:
    # Proto3 keeps a NaN or -0.0 only when written; a plain 0 is the default either way.
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels
    ) + b"".join(
        _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(at))
        for at, value in sorted(points, key=lambda point: point[0])
    )


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(number: int) -> bytes:
    """Base-128 little endian; negative numbers as 64-bit two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    chunks = [data[at : at + LITERAL] for at in range(0, len(data), LITERAL)]
    return _varint(len(data)) + b"".join(b"\xf4" + struct.pack("<H", len(c) - 1) + c for c in chunks)
