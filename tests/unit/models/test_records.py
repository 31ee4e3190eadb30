"""Questions asked of the records of a load run."""

from pathlib import Path

import pytest

from e2e.models import records
from e2e.models.records import Kind, Record


def record(
    at: float,
    version: str | None = "7",
    *,
    kind: Kind = "ok",
    seconds: float = 0.01,
    user: str = "u1",
    predicted: int | None = 1,
) -> Record:
    statuses: dict[Kind, int] = {"ok": 200, "http": 500, "invalid": 200}
    return Record(
        number=int(at * 10),
        scheduled=at - 0.002,
        start=at,
        end=at + seconds,
        kind=kind,
        status=statuses.get(kind),
        version=version,
        arm=None if version is None else "candidate" if version == "8" else "legacy",
        pod=None if version is None else f"pod-{version}",
        user=user,
        row=3,
        label=1,
        predicted=predicted if kind == "ok" else None,
        marked=False,
    )


def test_lines_round_trip_and_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    all_ = [record(1.25), record(2.5, None, kind="connect"), record(3.0, "8", kind="http")]
    path = tmp_path / "records.jsonl"
    lines = [records.to_line(r) for r in all_]
    path.write_text("\n".join(lines) + "\n" + lines[0][:20])
    assert records.read(path) == all_
    assert len(lines[0]) < 180


def test_first_error_and_answers_by_end_not_by_order() -> None:
    slow_error = record(1.0, "8", kind="http", seconds=5.0)
    fast_error = record(2.0, "8", kind="http")
    run = [record(0.5, "8"), slow_error, fast_error, record(0.1, "7", kind="http"), record(9.0, "7")]
    assert records.first_error(run, "8") == fast_error
    assert records.last_answer(run, "8") == slow_error
    assert records.first_answer(run, "8") == run[0]
    assert records.first_error([record(1.0, "8")], "8") is None
    assert records.last_answer(run, "9") is None


def test_share_counts_answers_of_the_window_only() -> None:
    run = [
        *(record(1 + i / 100, "7") for i in range(9)),
        record(1.5, "8"),
        record(1.6, None, kind="timeout"),
        record(2.0, "8"),
    ]
    assert records.share(run, "8", 1.0, 2.0) == pytest.approx(0.1)
    assert records.share(run, "8", 2.0, 3.0) == 1.0
    assert records.share(run, "8", 5.0, 6.0) is None


def test_failed_is_every_kind_but_ok_and_shed() -> None:
    bad: list[Kind] = ["timeout", "http", "connect", "reset", "invalid"]
    run = [record(2.0 - i / 10, None, kind=kind) for i, kind in enumerate(bad)]
    run += [record(1.1), record(1.2, None, kind="shed"), record(9.0, None, kind="reset")]
    found = records.failed(run, 1.0, 3.0)
    assert [r.kind for r in found] == list(reversed(bad))
    assert records.shed(run, 1.0, 3.0) == 1
    assert records.shed(run, 3.0, 9.0) == 0


def test_harm_counts_a_request_once_by_its_worst() -> None:
    run = [
        record(1, "8", kind="http", user="a", seconds=9.0),
        record(2, "8", seconds=0.5, user="b", predicted=0),
        record(3, "8", user="b", predicted=0),
        record(4, "8", user="c"),
        record(5, "7", kind="http", user="d"),
    ]
    harm = records.harmed(run, "8", slow_over=0.3)
    assert (harm.errors, harm.slow, harm.wrong) == (1, 1, 1)
    assert (harm.requests, harm.users, harm.answers) == (3, 2, 4)
    unlimited = records.harmed(run, "8")
    assert (unlimited.slow, unlimited.wrong) == (0, 2)


def test_users_and_who_went_back() -> None:
    run = [
        record(3, "7", user="b"),
        record(1, "7", user="a"),
        record(2, "8", user="a"),
        record(2.5, "8", user="b"),
        record(4, None, kind="reset", user="a"),
    ]
    assert records.users_of(run, "8", 0, 9) == {"a", "b"}
    assert records.users_of(run, "8", 0, 2.2) == {"a"}
    assert records.returned(run, "8") == {"b"}


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [([], 0.5, None), ([7], 0.95, 7), (range(1, 101), 0.95, 95), (range(1, 101), 0.5, 50), ([3, 1, 2], 1.0, 3)],
)
def test_quantile(values: list[float], q: float, expected: float | None) -> None:
    assert records.quantile(values, q) == expected


def test_late_sending_is_in_waited_not_in_seconds() -> None:
    late = record(1.0, seconds=0.5)
    assert late.seconds == pytest.approx(0.5)
    assert late.waited == pytest.approx(0.502)
