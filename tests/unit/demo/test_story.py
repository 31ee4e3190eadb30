"""The demo's figures, from records made by hand."""

from __future__ import annotations

import pytest

from e2e.demo.story import ACTS, figures
from e2e.models.records import Kind, Record


def record(start: float, *, version: str | None = "v1", kind: Kind = "ok", status: int | None = 200) -> Record:
    return Record(0, start, start, start + 0.1, kind, status, version, None, None, "u", 0, 0, None, False)


@pytest.mark.parametrize(
    ("failure", "counted"),
    [
        (record(9.0, version=None, kind="http", status=404), 0),
        (record(10.2, version=None, kind="http", status=503), 1),
        (record(10.2, version=None, kind="connect", status=None), 1),
        (record(12.0, version=None, kind="http", status=404), 1),
        (record(12.0, kind="http", status=500), 0),
    ],
)
def test_failures_that_no_model_answered_are_the_switching_s(failure: Record, counted: int) -> None:
    seen = [record(10.0), failure, record(13.0)]
    assert figures(ACTS[0], {}, seen, began=0.0, ended=20.0).switching_failures == counted


def test_bug_a_gateway_that_had_half_taken_the_first_route_counted_as_failed_switching() -> None:
    seen = [record(10.0), record(10.004, version=None, kind="http", status=404), record(10.01)]
    assert figures(ACTS[0], {}, seen, began=0.0, ended=20.0).switching_failures == 0
