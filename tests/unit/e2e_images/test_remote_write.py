import struct

import pytest

from e2e.cluster.remote_write import Sample, encode, parse_openmetrics, stale

TEXT = """# TYPE requests counter
requests_total{pod="a"} 3 100.25
requests_total{pod="a"} 5 101.25
# EOF
"""


def test_encodes_labels_sorted_and_samples_in_order_of_time() -> None:
    body = encode([Sample("m", {"z": "1"}, 2.0, 2.0), Sample("m", {"z": "1"}, 1.0, 1.0)])
    name = b"\x0a\x0d\x0a\x08__name__\x12\x01m"
    label = b"\x0a\x06\x0a\x01z\x12\x011"
    first = b"\x12\x0c\x09" + struct.pack("<d", 1.0) + b"\x10\xe8\x07"
    second = b"\x12\x0c\x09" + struct.pack("<d", 2.0) + b"\x10\xd0\x0f"
    series = name + label + first + second
    message = b"\x0a" + bytes([len(series)]) + series
    assert body == bytes([len(message)]) + b"\xf4" + struct.pack("<H", len(message) - 1) + message


def test_splits_a_long_message_into_literals_of_64_kib() -> None:
    body = encode(Sample("m", {"pod": f"{n:06}"}, 1.0, 1.0) for n in range(3000))
    size, at = 0, 0
    while body[at] & 0x80:
        size, at = size | (body[at] & 0x7F) << 7 * at, at + 1
    size, at = size | body[at] << 7 * at, at + 1
    lengths = []
    while at < len(body):
        assert body[at] == 0xF4
        lengths.append(struct.unpack_from("<H", body, at + 1)[0] + 1)
        at += 3 + lengths[-1]
    assert sum(lengths) == size
    assert lengths[0] == 65536
    assert len(lengths) > 1


def test_keeps_the_bits_of_the_stale_marker() -> None:
    assert struct.pack("<Q", 0x7FF0000000000002) in encode([Sample("m", {}, stale(), 1.0)])


def test_writes_a_time_before_1970_as_two_s_complement() -> None:
    assert b"\x10" + b"\xff" * 9 + b"\x01" in encode([Sample("m", {}, 1.0, -0.001)])


def test_parses_openmetrics_with_timestamps() -> None:
    assert [(s.name, dict(s.labels), s.value, s.timestamp) for s in parse_openmetrics(TEXT)] == [
        ("requests_total", {"pod": "a"}, 3.0, 100.25),
        ("requests_total", {"pod": "a"}, 5.0, 101.25),
    ]


def test_refuses_a_sample_without_timestamp() -> None:
    with pytest.raises(ValueError, match=r"up.* has no timestamp; add one in seconds"):
        list(parse_openmetrics("# TYPE up gauge\nup 1\n# EOF\n"))
