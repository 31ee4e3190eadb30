"""Rows of the data sets become counts per tick: whose, when, and what counts as bad."""

from __future__ import annotations

from e2e.datasets.cases import HERE
from e2e.datasets.streams import BEGIN, QUIET, TICK, by_hour, by_week, carriers, fleet
from modelrollout.cli.manifest import load
from modelrollout.sim.counts import Row, recording


def flight(hour: int, carrier: str = "DL", late: str = "0", tail: str = "N1") -> dict[str, str]:
    return {"carrier": carrier, "tailnum": tail, "time_hour": f"2013-01-01T{hour:02d}:00:00Z", "arr_delay": late}


def counted(rows: list[Row], arm: str) -> list[tuple[int, int]]:
    return [(row.total, row.bad) for row in rows if row.arm == arm]


def test_flights_are_counted_by_the_hour_and_an_hour_without_one_is_zero() -> None:
    flights = [flight(10), flight(10, late="61"), flight(10, "9E"), flight(12, late="60"), flight(12, "UA", late="99")]
    rows = list(by_hour(flights, carriers("DL", "9E")))
    assert counted(rows, "legacy") == [(2, 1), (0, 0), (1, 1)]
    assert counted(rows, "candidate") == [(1, 0), (0, 0), (0, 0)]
    assert [row.time for row in rows if row.arm == "legacy"] == [BEGIN + TICK * k for k in (1, 2, 3)]


def test_a_flight_that_never_arrived_is_bad() -> None:
    rows = list(by_hour([flight(10, late="NA"), flight(10, late=""), flight(10, late="-5")], carriers("DL", "9E")))
    assert counted(rows, "legacy") == [(3, 2)]


def test_a_plane_stays_in_its_arm_and_a_fifth_of_them_are_the_candidates() -> None:
    planes = [flight(10, tail=f"N{n}") for n in range(2000)]
    arm_of = fleet("DL", "salt")
    arms = [arm_of(plane) for plane in planes]
    assert arms == [arm_of({**plane, "time_hour": "2013-06-01T00:00:00Z"}) for plane in planes]
    assert 350 < arms.count("candidate") < 450
    assert arms != [fleet("DL", "other")(plane) for plane in planes]
    assert arm_of(flight(10, tail="NA")) is None
    assert arm_of(flight(10, "9E")) is None


def patient(arm: str, days: int, event: str) -> dict[str, str]:
    return {"arms": arm, "days": str(days), "cens": event}


def test_patients_are_counted_in_each_week_that_they_are_followed() -> None:
    chosen = [patient("0", 13, "1"), patient("0", 20, "0")]
    others = [patient("1", 6, "1"), patient("2", 30, "0"), patient("3", 1, "1")]
    rows = list(by_week([*chosen, *others], {"0"}, {"1", "2"}))
    assert counted(rows, "candidate") == [(0, 0)] * QUIET + [(2, 0), (2, 1), (1, 0)]
    assert counted(rows, "legacy") == [(0, 0)] * QUIET + [(2, 1), (1, 0), (1, 0)]


def test_the_manifests_take_the_rows() -> None:
    trial = list(by_week([patient("0", 100, "1"), patient("1", 100, "0")], {"0"}, {"1"}))
    flights = list(by_hour([flight(10), flight(12, "9E")], carriers("DL", "9E")))
    for name, rows in (("trial.yaml", trial), ("flights.yaml", flights)):
        manifest = load(HERE / name)
        _, source, made = recording(manifest.spec, rows)
        assert manifest.spec.steps[0].min_duration >= 3600.0
        assert source.scrape_interval == TICK
        assert made.span is not None
