from collections.abc import Sequence

import pytest

from modelrollout.core.model import Selector
from modelrollout.core.observation import NoDataCause
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.ticks import ArmReader, NoTick, Tick, TickCounts, TickGrid, read_offset
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, REQUESTS, series

COUNT, BUCKET = Selector("lat_count"), Selector("lat_bucket")
LATENCY = SliPlan("latency", total=(Term(COUNT),), bad=(Term(COUNT), Term(BUCKET, -1, 0.3)))


def read(
    *arm: Series,
    plan: SliPlan = ERROR_PLAN,
    t0: float = 10.0,
    t1: float = 20.0,
    others: Sequence[Series] = (),
    young: Sequence[str] = (),
    lazy: bool = False,
    reader: ArmReader | None = None,
) -> Tick:
    """One tick of a reader with scrapes every 5 s."""
    reader = reader or ArmReader(plan, scrape=5.0, slack=15.0)
    known = KnownTargets((*arm, *others))
    return reader.read(
        reader.prepare(arm), t0, t1, known=known, judged=lambda target: target[3] not in young, lazy=lazy
    )


def pod(code: str, *samples: tuple[float, float], name: str = "a", rejected: Sequence[float] = ()) -> Series:
    return series(samples, pod=name, code=code, rejected=rejected)


def up(value: float, *times: float, name: str = "a") -> Series:
    return series([(t, value) for t in times], name="up", pod=name)


def test_a_tick_ends_on_the_grid_and_begins_after_the_one_before() -> None:
    grid = TickGrid(ORIGIN, 5.0)
    assert (grid.start(3), grid.end(3)) == (ORIGIN + 10, ORIGIN + 15)


@pytest.mark.parametrize(("since", "tick"), [(0.0, 1), (0.001, 2), (4.999, 2), (5.0, 2), (12.0, 4), (-5.0, 0)])
def test_evidence_begins_with_the_first_whole_tick(since: float, tick: int) -> None:
    assert TickGrid(ORIGIN, 5.0).first_from(ORIGIN + since) == tick


@pytest.mark.parametrize(("now", "tick"), [(4.999, 0), (5.0, 1), (9.9, 1), (10.0, 2)])
def test_a_tick_is_over_at_its_end(now: float, tick: int) -> None:
    assert TickGrid(ORIGIN, 5.0).last_until(ORIGIN + now) == tick


def test_rounding_of_epoch_seconds_moves_no_tick() -> None:
    grid = TickGrid(1_700_000_000.1, 0.3)
    for tick in range(1, 2000):
        assert grid.last_until(grid.end(tick)) == tick
        assert grid.first_from(grid.end(tick)) == tick + 1


def test_a_window_holds_whole_ticks_and_at_least_one() -> None:
    grid = TickGrid(0.0, 7.0)
    assert [grid.ticks_in(seconds) for seconds in (300.0, 14.0, 13.9, 1.0)] == [42, 2, 1, 1]


def test_a_tick_is_read_a_second_after_its_end_or_sooner_with_fast_scrapes() -> None:
    assert [read_offset(scrape) for scrape in (0.5, 1.0, 15.0)] == [0.5, 1.0, 1.0]


def test_sums_over_pods_after_differencing() -> None:
    restarted = pod("200", (10, 1000), (15, 3), (20, 8), name="b")
    assert read(pod("200", (10, 100), (20, 120)), restarted) == TickCounts(28, 0)


def test_bad_events_are_those_the_expression_matches_in_full() -> None:
    ticks = read(
        pod("200", (10, 0), (20, 10)),
        pod("500", (10, 0), (20, 3)),
        pod("503", (10, 0), (20, 2)),
        pod("5000", (10, 0), (20, 1)),
    )
    assert ticks == TickCounts(16, 5)


def test_labels_match_exactly_and_an_absent_label_is_empty() -> None:
    plan = SliPlan(
        "s",
        total=(Term(Selector("requests_total", equal=(("pod", "a"), ("canary", "")))),),
        bad=(Term(Selector("requests_total", equal=(("code", "500"),), regex=(("zone", "|eu"),))),),
    )
    arm = [
        pod("200", (10, 0), (20, 10)),
        pod("500", (10, 0), (20, 1)),
        pod("200", (10, 0), (20, 7), name="b"),
        series([(10, 0), (20, 5)], pod="a", canary="yes"),
    ]
    assert read(*arm, plan=plan) == TickCounts(11, 1)


def test_another_metric_does_not_count() -> None:
    assert read(pod("200", (10, 0), (20, 4)), series([(10, 0), (20, 9)], name="other", pod="a")) == TickCounts(4, 0)


@pytest.mark.parametrize("le", ["0.3", "0.30", "3e-1"])
def test_a_latency_is_requests_minus_the_bucket_whose_boundary_is_the_same_number(le: str) -> None:
    arm = [
        series([(10, 0), (20, 10)], name="lat_count", pod="a"),
        series([(10, 0), (20, 7)], name="lat_bucket", pod="a", le=le),
        series([(10, 0), (20, 9)], name="lat_bucket", pod="a", le="1"),
        series([(10, 0), (20, 10)], name="lat_bucket", pod="a", le="+Inf"),
        series([(10, 0), (20, 10)], name="lat_bucket", pod="a", le="nonsense"),
    ]
    assert read(*arm, plan=LATENCY) == TickCounts(10, 3)


def test_no_bad_series_is_zero_bad_events() -> None:
    assert read(pod("200", (10, 5), (20, 9))) == TickCounts(4, 0)


def test_the_first_error_of_an_old_pod_counts() -> None:
    assert read(pod("200", (10, 100), (20, 120)), pod("500", (20, 3))) == TickCounts(23, 3)


def test_a_pod_never_seen_before_brings_a_base_only() -> None:
    assert read(pod("200", (15, 1000), (20, 1004)), pod("500", (15, 500), (20, 501))) == TickCounts(5, 1)


def test_a_label_child_is_new_when_the_other_arm_proves_the_scrape() -> None:
    mesh = series([(10, 50), (20, 60)], pod="client", destination="legacy")
    assert read(series([(20, 6)], pod="client", destination="candidate"), others=[mesh]) == TickCounts(6, 0)


def test_a_young_pod_adds_nothing() -> None:
    arm = [pod("200", (10, 0), (20, 10)), pod("200", (10, 0), (20, 90), name="b")]
    assert read(*arm, young=["b"]) == TickCounts(10, 0, partial=True)
    assert read(*arm, young=["a", "b"]) == TickCounts(0, 0, sampled=False, partial=True)


def test_a_tick_between_two_scrapes_is_not_a_tick_without_requests() -> None:
    reader = ArmReader(ERROR_PLAN, scrape=15.0, slack=45.0)
    arm = pod("200", (5, 0), (20, 10))
    assert read(arm, t0=10, t1=15, reader=reader) == TickCounts(0, 0, sampled=False)
    assert read(arm, t0=15, t1=20, reader=reader) == TickCounts(10, 0)


def test_bad_events_beyond_the_total_wait_for_the_next_tick() -> None:
    plan = SliPlan("s", total=(Term(Selector("all")),), bad=(Term(Selector("bad")),))
    reader = ArmReader(plan, scrape=5.0, slack=15.0)
    arm = [
        series([(10, 0), (20, 2), (30, 10), (40, 20)], name="all", pod="a"),
        series([(10, 0), (20, 5), (30, 5), (40, 5)], name="bad", pod="a"),
    ]
    assert read(*arm, reader=reader) == TickCounts(2, 2)
    assert reader.carried == 3
    assert read(*arm, reader=reader, t0=20, t1=30) == TickCounts(8, 3)
    assert read(*arm, reader=reader, t0=30, t1=40) == TickCounts(10, 0)


def test_a_negative_count_waits_too() -> None:
    reader = ArmReader(LATENCY, scrape=5.0, slack=15.0)
    arm = [
        series([(10, 0), (20, 4), (30, 10)], name="lat_count", pod="a"),
        series([(10, 0), (20, 6), (30, 8)], name="lat_bucket", pod="a", le="0.3"),
    ]
    assert read(*arm, reader=reader) == TickCounts(4, 0)
    assert reader.carried == -2
    assert read(*arm, reader=reader, t0=20, t1=30) == TickCounts(6, 2)


def test_parts_of_an_event_wait_until_they_are_one() -> None:
    reader = ArmReader(ERROR_PLAN, scrape=5.0, slack=15.0)
    arm = pod("500", (10, 0.0), (20, 2.5), (30, 5.0))
    assert read(arm, reader=reader) == TickCounts(2, 2)
    assert read(arm, reader=reader, t0=20, t1=30) == TickCounts(3, 3)


def test_a_new_step_carries_nothing_over() -> None:
    reader = ArmReader(ERROR_PLAN, scrape=5.0, slack=15.0)
    arm = pod("500", (10, 0.0), (20, 2.5), (30, 5.0))
    read(arm, reader=reader)
    reader.forget()
    assert read(arm, reader=reader, t0=20, t1=30) == TickCounts(2, 2)


def test_a_merge_of_two_scrapers_is_kept_out() -> None:
    reader = ArmReader(ERROR_PLAN, scrape=5.0, slack=15.0)
    arm = pod("200", (0, 1000), (10, 1010), (20, 1020), (30, 1030), (35, 1025), (40, 1040))
    for t0 in (0, 10, 20):
        assert read(arm, reader=reader, t0=t0, t1=t0 + 10) == TickCounts(10, 0)
    assert read(arm, reader=reader, t0=30, t1=40) == NoTick(NoDataCause.REJECTED)


def test_no_series_at_all_is_missing() -> None:
    assert read() == NoTick(NoDataCause.MISSING)
    assert read(others=[pod("200", (10, 0), (20, 9), name="legacy")]) == NoTick(NoDataCause.MISSING)


def test_series_that_begin_later_are_missing_still() -> None:
    assert read(pod("200", (21, 5))) == NoTick(NoDataCause.MISSING)


def test_only_bad_series_are_no_total() -> None:
    plan = SliPlan("s", total=(Term(Selector("all")),), bad=(Term(Selector("bad")),))
    assert read(series([(10, 1), (20, 5)], name="bad", pod="a"), plan=plan) == NoTick(NoDataCause.MISSING)


def test_a_total_older_than_three_scrapes_is_stale() -> None:
    assert read(pod("200", (4.9, 3))) == NoTick(NoDataCause.STALE)
    assert read(pod("200", (5.0, 3))) == TickCounts(0, 0, sampled=False)


def test_a_total_that_left_the_answer_is_stale() -> None:
    reader = ArmReader(ERROR_PLAN, scrape=5.0, slack=15.0)
    assert read(pod("200", (10, 0), (20, 4)), reader=reader) == TickCounts(4, 0)
    assert read(reader=reader, t0=20, t1=30) == TickCounts(0, 0, sampled=False)
    assert read(reader=reader, t0=30, t1=40) == NoTick(NoDataCause.STALE)
    assert read(up(1, 40, 50), reader=reader, t0=40, t1=50) == NoTick(NoDataCause.STALE)


def test_a_target_that_is_up_but_has_nothing_to_count_had_no_requests() -> None:
    assert read(up(1, 10, 15, 20)) == TickCounts(0, 0)
    assert read(up(0, 10, 15, 20)) == NoTick(NoDataCause.MISSING)
    assert read(up(1, 5), t1=20) == TickCounts(0, 0, sampled=False)


def test_an_arm_that_is_a_label_of_others_may_lack_series_for_want_of_requests() -> None:
    mesh = pod("200", (10, 50), (15, 55), (20, 60), name="client")
    assert read(others=[mesh], lazy=True) == TickCounts(0, 0)
    assert read(lazy=True) == NoTick(NoDataCause.MISSING)
    assert read(pod("200", (-10, 4)), others=[mesh], lazy=True) == TickCounts(0, 0)


def test_values_that_are_no_numbers_are_rejected() -> None:
    assert read(pod("200", rejected=(10, 15, 20))) == NoTick(NoDataCause.REJECTED)
    assert read(pod("200", (0, 4), rejected=(15, 20))) == NoTick(NoDataCause.REJECTED)


def test_a_bad_count_that_is_no_number_is_not_zero() -> None:
    total = pod("200", (10, 0), (20, 9))
    assert read(total, pod("500", rejected=(10, 15, 20))) == NoTick(NoDataCause.REJECTED)
    assert read(total, pod("500", (4, 1), rejected=(10, 15))) == NoTick(NoDataCause.REJECTED)


def test_one_odd_value_between_good_ones_is_passed_over() -> None:
    assert read(pod("200", (10, 0), (20, 9), rejected=(15,))) == TickCounts(9, 0)


def test_an_odd_value_of_long_ago_explains_no_silence_of_today() -> None:
    """A reader that starts late asks far back; it must see in a tick what one that never stopped saw."""
    silent = pod("200", (-40, 4), rejected=(-35,))
    assert read(silent, up(1, 15)) == read(pod("200", (-40, 4)), up(1, 15)) == NoTick(NoDataCause.STALE)


def test_a_pod_that_went_away_with_an_odd_value_does_not_spoil_the_rest() -> None:
    assert read(pod("200", (10, 0), (20, 9)), pod("200", (0, 4), name="gone", rejected=(4,))) == TickCounts(9, 0)


def test_a_histogram_with_other_boundaries_is_a_mismatch() -> None:
    arm = [
        series([(10, 0), (20, 10)], name="lat_count", pod="a"),
        series([(10, 0), (20, 7)], name="lat_bucket", pod="a", le="0.25"),
    ]
    tick = read(*arm, plan=LATENCY)
    assert tick == NoTick(NoDataCause.MISSING, 'lat_bucket has no bucket le="0.3" on a')


def test_a_histogram_that_saw_no_success_yet_has_no_fast_requests() -> None:
    plan = SliPlan("latency", total=(Term(REQUESTS),), bad=(Term(REQUESTS), Term(BUCKET, -1, 0.3)))
    assert read(pod("500", (10, 0), (20, 4)), plan=plan) == TickCounts(4, 4)


def test_a_bucket_of_another_label_value_proves_the_boundaries() -> None:
    good = Selector("lat_bucket", equal=(("code", "200"),))
    plan = SliPlan("latency", total=(Term(COUNT),), bad=(Term(COUNT), Term(good, -1, 0.3)))
    arm = [
        series([(10, 0), (20, 4)], name="lat_count", pod="a", code="500"),
        series([(10, 0), (20, 4)], name="lat_bucket", pod="a", code="500", le="0.3"),
    ]
    assert read(*arm, plan=plan) == TickCounts(4, 4)
