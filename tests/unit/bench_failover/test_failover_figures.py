"""What is told of a leader's misfortune, from writes and records made by hand."""

from __future__ import annotations

from e2e.audited import Write
from e2e.failover.figures import Figures, Run, figures, rows, wrong
from e2e.models.records import Kind, Record

HOME, LEASE, PLACE = "modelrollout", "modelrollout", "failover"
A, B = "modelrollout-a", "modelrollout-b"


def renewed(at: float, pod: str) -> Write:
    return Write(at, "modelrollout", pod, "leases", HOME, LEASE)


def acted(at: float, pod: str, resource: str = "httproutes") -> Write:
    return Write(at, "modelrollout", pod, resource, PLACE, "tumour")


def record(start: float, kind: Kind = "ok", version: str | None = "v1") -> Record:
    return Record(0, start, start, start + 0.1, kind, None, version, None, None, "u", 0, 0, None, False)


def run(kind: str = "lost", weights: tuple[int, ...] = (25, 0), resumed: float | None = None) -> Run:
    return Run(kind, A, LEASE, PLACE, at=100.0, ended=150.0, weights=weights, resumed=resumed)


def measured(run: Run, *found: Write, records: tuple[Record, ...] = ()) -> Figures:
    return figures(run, found, records, candidate="v2")


TAKEN_OVER = (renewed(99.0, A), renewed(115.0, B), acted(120.0, B), acted(121.0, B, "modelrollouts/status"))


def test_a_standby_that_takes_over_and_acts() -> None:
    found = measured(run(), *TAKEN_OVER)
    assert (found.led, found.standby, found.acted, found.gap, found.handovers) == (15.0, True, 20.0, 16.0, 1)
    assert (found.raises, found.deposed) == (0, 0)
    assert wrong(found) == []


def test_a_process_that_is_started_again_in_its_pod_is_no_standby() -> None:
    found = measured(run("killed"), renewed(99.0, A), renewed(104.0, A), acted(106.0, A))
    assert (found.led, found.standby, found.acted, found.gap, found.handovers) == (4.0, False, 6.0, 0.0, 0)


def test_writes_before_and_after_and_elsewhere_do_not_count() -> None:
    others = (Write(105.0, "other", "other-a", "leases", HOME, "other"), acted(99.0, A), acted(151.0, B))
    elsewhere = Write(105.0, "modelrollout", A, "httproutes", "elsewhere", "tumour")
    found = measured(run(), *sorted((*others, elsewhere), key=lambda write: write.at))
    assert (found.led, found.acted, found.standby) == (None, None, False)
    assert wrong(found) == ["lost: nobody acted for ever; 20 s is the bound"]


def test_requests_that_the_candidate_failed_are_its_own() -> None:
    records = (
        *(record(110.0), record(110.0, "http", "v2"), record(110.0, "connect", None), record(110.0, "http", "v1")),
        *(record(99.0, "reset", None), record(110.0, "shed", None)),
    )
    found = measured(run(), *TAKEN_OVER, records=records)
    assert (found.requests, found.lost) == (4, 2)
    assert wrong(found) == ["lost: 2 requests failed that the candidate did not answer"]


def test_a_weight_that_rises_is_seen() -> None:
    found = measured(run(weights=(25, 50, 0)), *TAKEN_OVER)
    assert wrong(found) == ["lost: the candidate's weight rose 1 times"]


def test_writes_of_a_frozen_leader_count_until_it_leads_again() -> None:
    frozen = run("frozen", resumed=125.0)
    late = (acted(126.0, A), acted(127.0, B), renewed(140.0, A), acted(141.0, A))
    found = measured(frozen, *TAKEN_OVER, *late)
    assert found.deposed == 1
    assert wrong(found) == ["frozen: the deposed leader wrote 1 times"]
    assert measured(frozen, *TAKEN_OVER).deposed == 0


def test_a_takeover_that_lasts_too_long_is_told() -> None:
    late = measured(run(), renewed(115.0, B), acted(121.0, B))
    assert wrong(late) == ["lost: nobody acted for 21.0 s; 20 s is the bound"]
    upgraded = measured(run("upgraded", (25,)), renewed(101.0, A), renewed(126.0, B))
    assert wrong(upgraded) == ["upgraded: nobody led for 25.0 s; 20 s is the bound"]


def test_the_table_has_medians_and_extremes_by_kind() -> None:
    runs = [measured(run(), renewed(at, B), acted(at + 5, B)) for at in (114.0, 115.0, 119.0)]
    upgraded = measured(run("upgraded", (25,)), renewed(101.0, A), renewed(103.5, B))
    lost, second = rows([*runs, upgraded])
    assert lost[:6] == ["lost", "3", "15.0 (14.0 to 19.0)", "3", "20.0 (19.0 to 24.0)", "-"]
    assert second[:7] == ["upgraded", "1", "-", "-", "-", "2.5 (2.5 to 2.5)", "1.0 (1.0 to 1.0)"]
