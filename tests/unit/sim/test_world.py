"""The virtual world: what is counted is what was answered, scrapes keep their phase, outages are what they say."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from modelrollout.core.model import FULL, ZERO, Counts, Labels, RolloutSpec, Selector, Weight
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, ArmsByPod, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.sim.prometheus import VirtualMetrics
from modelrollout.sim.scenario import (
    ArmName,
    Change,
    ColdStart,
    Crashes,
    LateLabels,
    Onset,
    Outage,
    OutageKind,
    Scale,
    Scenario,
)
from modelrollout.sim.world import HISTORY, START, STOCK, World
from tests.scene import make_spec
from tests.unit.sim.test_streams import ACCURACY, ERRORS, LATENCY, asked

SPEC = make_spec(slis=(ERRORS, LATENCY))
OLD, NEW = ArmName.LEGACY, ArmName.CANDIDATE


def world(scenario: Scenario | None = None, spec: RolloutSpec = SPEC, *, seed: int = 7) -> World:
    made = World(spec, scenario or Scenario(), np.random.default_rng(seed))
    made.advance(START)
    return made


def ask(
    w: World, *metrics: str, window: float = 60.0, boundaries: tuple[float, ...] = (), pods: str = ""
) -> QueryResult:
    source = SourceSpec("default", ArmsByPod(), w.scenario.scrape)
    outages = w.scenario.outages
    metrics_of = VirtualMetrics(w.storage, source, outages, lambda: w.now, began=START, history=HISTORY, stock=STOCK)
    query = SeriesQuery(metrics, window, boundaries, (w.spec.key.namespace,), pods)
    (result,) = asyncio.run(metrics_of.read("default", [query], at=w.now))
    return result


def series(
    w: World, *metrics: str, window: float = 60.0, boundaries: tuple[float, ...] = (), pods: str = ""
) -> list[Series]:
    result = ask(w, *metrics, window=window, boundaries=boundaries, pods=pods)
    assert isinstance(result, Answer)
    return list(result.series)


def gained(found: list[Series], **labels: str) -> float:
    wanted = [s for s in found if labels.items() <= s.labels.items()]
    return sum(s.samples[-1][1] - s.samples[0][1] for s in wanted)


def test_counters_add_up_to_what_was_answered() -> None:
    w = world(Scenario(scrape=1.0))
    w.order(Weight(2500), Weight(2500))
    w.advance(START + 600)
    found = series(w, "requests_total", window=10_000.0)
    for arm, deployment in ((OLD, "fraud-v7"), (NEW, "fraud-v8")):
        # Every child from its first sample on: legacy's hold a past, the candidate's begin with the rollout.
        mine = [s for s in found if s.labels["pod"].startswith(deployment)]
        after = [(s.labels["code"], s.samples[-1][1]) for s in mine if arm is NEW]
        truth = w.truth[arm, "errors"]
        if arm is NEW:
            counted = sum(value for _, value in after)
            bad = sum(value for code, value in after if code == "500")
            # At most a second's worth of requests is not scraped yet.
            assert 0 <= truth.total - counted <= 25
            assert 0 <= truth.bad - bad <= 3
        assert truth.total == w.truth[arm, "latency"].total
        assert truth.bad <= w.truth[arm, "latency"].bad, "failures count as slow"


@pytest.mark.parametrize(("weight", "share"), [(ZERO, 0.0), (Weight(500), 0.05), (Weight(5000), 0.5), (FULL, 1.0)])
def test_traffic_follows_the_weight(weight: Weight, share: float) -> None:
    w = world(Scenario(settle=0.0))
    w.order(weight, weight)
    w.advance(START + 3600)
    new, old = w.truth[NEW, "errors"].total, w.truth[OLD, "errors"].total
    assert new + old == pytest.approx(20 * 3600, abs=5 * (20 * 3600) ** 0.5)
    assert new == pytest.approx(share * (new + old), abs=5 * (20 * 3600 * share * (1 - share)) ** 0.5)


def test_bad_shares_are_as_given() -> None:
    w = world(Scenario(base=(("errors", 0.02), ("latency", 0.1))))
    w.advance(START + 7200)
    errors, slow = w.truth[OLD, "errors"], w.truth[OLD, "latency"]
    assert errors.bad / errors.total == pytest.approx(0.02, abs=0.002)
    assert slow.bad / slow.total == pytest.approx(0.02 + 0.98 * 0.1, abs=0.004)


def test_dispersion_widens_bad_counts_and_not_their_mean() -> None:
    def counts(dispersion: float) -> list[int]:
        w = world(Scenario(dispersion=dispersion, base=(("errors", 0.05),), replicas=(1, 1)))
        totals = []
        for k in range(1, 1200):
            w.advance(START + 5 * k)
            totals.append(w.truth[OLD, "errors"].bad)
        return list(np.diff(totals))

    plain, wide = counts(1.0), counts(4.0)
    assert np.mean(wide) == pytest.approx(np.mean(plain), rel=0.1)
    assert 2.8 < np.var(wide) / np.var(plain) < 5.5


def test_each_pod_is_scraped_at_its_own_phase() -> None:
    w = world(Scenario(scrape=5.0, replicas=(3, 2)))
    w.advance(START + 100)
    phases = {s.labels["pod"]: {at % 5.0 for at, _ in s.samples} for s in series(w, "up")}
    assert len(phases) == 5
    assert all(max(p) - min(p) < 1e-6 for p in phases.values())
    assert len({round(min(p), 6) for p in phases.values()}) == 5


def test_series_look_like_those_of_the_adapter() -> None:
    w = world()
    w.order(FULL, FULL)
    w.advance(START + 60)
    found = series(w, "requests_total", "up", "process_start_time_seconds")
    for s in found:
        assert set(s.labels) >= {"__name__", "namespace", "pod", "job", "instance"}
        assert s.labels["namespace"] == "serving"
    assert {s.labels["__name__"] for s in found} == {"requests_total", "up", "process_start_time_seconds"}
    born = {s.labels["pod"]: s.samples[-1][1] for s in found if s.labels["__name__"] == "process_start_time_seconds"}
    assert max(born.values()) < START


def test_a_total_that_is_the_histograms_own_count_is_counted_once() -> None:
    w = world(spec=make_spec(slis=(asked("vllm", "latency"),)))
    w.order(Weight(5000), Weight(5000))
    w.advance(START + 300)
    name = "vllm:e2e_request_latency_seconds"
    found = series(w, f"{name}_count", f"{name}_bucket", window=10_000.0, pods="fraud-v8-.+")
    count = sum(s.samples[-1][1] for s in found if s.labels["__name__"] == f"{name}_count")
    within = sum(s.samples[-1][1] for s in found if s.labels.get("le") == "+Inf")
    assert count == within > 1000


def test_a_sum_of_successes_and_failures_is_what_was_answered() -> None:
    w = world(Scenario(scrape=1.0), make_spec(slis=(asked("nim", "errors"),)))
    w.order(Weight(5000), Weight(5000))
    w.advance(START + 300)
    found = series(w, "request_success_total", "request_failure_total", window=10_000.0, pods="fraud-v8-.+")
    total = sum(s.samples[-1][1] for s in found)
    truth = w.truth[NEW, "errors"].total
    assert truth * 0.95 < total <= truth, "but for what came after the last scrape"


def test_questions_are_narrowed() -> None:
    w = world()
    w.advance(START + 60)
    only = series(w, "latency_seconds_bucket", boundaries=(0.3,), pods="fraud-v7-.+")
    assert {(s.labels["le"], s.labels["pod"][:8]) for s in only} == {("0.3", "fraud-v7")}
    assert all(START < at <= w.now for s in only for at, _ in s.samples)


def test_the_data_plane_follows_after_a_while() -> None:
    w = world(Scenario(settle=3.0))
    w.order(FULL, FULL)
    w.advance(START + 2.9)
    assert w.weight == ZERO
    w.advance(START + 3.1)
    assert w.weight == FULL
    w.advance(START + 60)
    assert w.truth[OLD, "errors"].total < 4 * 20 * 2


def test_segments_go_to_the_candidate_whatever_the_weight() -> None:
    w = world(Scenario(segments=0.1, settle=0.0), make_spec(segments=True, slis=(ERRORS,)))
    w.order(ZERO, FULL)
    w.advance(START + 1800)
    new, old = w.truth[NEW, "errors"].total, w.truth[OLD, "errors"].total
    assert new / (new + old) == pytest.approx(0.1, abs=0.01)


def test_a_regression_begins_with_its_weight() -> None:
    w = world(Scenario(changes=(Change("errors", (NEW,), Onset(weight=Weight(2500)), difference=0.5),), settle=0.0))
    w.order(Weight(1000), Weight(1000))
    w.advance(START + 300)
    before = w.truth[NEW, "errors"].bad
    assert before < 30
    w.order(Weight(2500), Weight(2500))
    w.advance(START + 600)
    assert w.truth[NEW, "errors"].bad - before > 500
    assert w.truth[OLD, "errors"].bad < 150


def test_an_incident_ends() -> None:
    w = world(Scenario(changes=(Change("errors", (OLD, NEW), Onset(60.0, lasts=60.0), ratio=50.0),)))
    bad = []
    for t in (60, 120, 180):
        w.advance(START + t)
        bad.append(w.truth[OLD, "errors"].bad)
    first, second, third = np.diff([0, *bad])
    assert second > 200
    assert first < 40
    assert third < 40


def test_slower_answers_fill_higher_buckets() -> None:
    base = (("latency", 0.05),)
    w = world(Scenario(base=base, changes=(Change("latency", (OLD,), times=1.4),)))
    w.advance(START + 3600)
    slow = w.truth[OLD, "latency"]
    # 95 % below the threshold with sigma 0.5: z = 1.645 falls by ln(1.4)/0.5 to 0.972, of which 16.6 % are above.
    assert slow.bad / slow.total == pytest.approx(0.005 + 0.995 * 0.1656, abs=0.006)


def test_labels_come_late() -> None:
    late = Scenario(late=(LateLabels("accuracy", delay=600.0, share=0.5),), settle=0.0)
    w = world(late, make_spec(slis=(ACCURACY,)))
    w.order(FULL, FULL)
    w.advance(START + 595)
    assert w.truth[NEW, "accuracy"].total == 0
    old = w.truth[OLD, "accuracy"].total
    assert old == pytest.approx(0.5 * 20 * 595, rel=0.1), "predictions of before the rollout get their labels"
    w.advance(START + 1200)
    assert w.truth[NEW, "accuracy"].total == pytest.approx(0.5 * 20 * 600, rel=0.1)


def test_late_labels_are_of_the_cohort_of_their_prediction() -> None:
    late = Scenario(late=(LateLabels("accuracy", delay=90.0, share=0.5),), settle=0.0)
    labels = Labels(max_delay=300.0)
    other = replace(ACCURACY, name="other", source=Counts(Selector("seen_total"), Selector("odd_total")), labels=labels)
    w = world(late, make_spec(slis=(replace(ACCURACY, labels=labels), other)))
    w.order(FULL, FULL)
    w.advance(START + 900)
    found = [s for s in series(w, "predictions_total", "predictions_labeled_total") if "-v8-" in s.labels["pod"]]
    counts = {name: defaultdict[float, float](float) for name in ("predictions_total", "predictions_labeled_total")}
    for one in found:
        counts[one.labels["__name__"]][float(one.labels["cohort"])] += one.samples[-1][1]
    predicted, labelled = counts.values()
    assert min(predicted) == START + 420, "older ones are exposed no longer"
    assert max(labelled) == START + 780, "labels of the last 90 s are still to come"
    for cohort in range(480, 720, 60):
        assert predicted[START + cohort] == pytest.approx(20 * 60, rel=0.15), "once, for all SLIs"
        assert labelled[START + cohort] == pytest.approx(0.5 * 20 * 60, rel=0.2)


@pytest.mark.parametrize("kind", [OutageKind.DOWN, OutageKind.UNREACHABLE])
def test_no_answer_while_unreachable(kind: OutageKind) -> None:
    w = world(Scenario(outages=(Outage(kind, 60.0, 120.0),)))
    w.advance(START + 59)
    assert series(w, "up")
    w.advance(START + 119)
    assert ask(w, "up") == NoAnswer("Unreachable")
    w.advance(START + 121)
    times = {at for s in series(w, "up", window=300.0) for at, _ in s.samples}
    missed = {at for at in times if START + 60 <= at < START + 120}
    assert bool(missed) == (kind is OutageKind.UNREACHABLE), "Prometheus that is down scrapes nothing"


def test_series_of_one_arm_vanish() -> None:
    w = world(Scenario(outages=(Outage(OutageKind.EMPTY, 0.0, 60.0, (NEW,)),)))
    w.advance(START + 30)
    assert {s.labels["pod"][:8] for s in series(w, "up")} == {"fraud-v7"}
    w.advance(START + 61)
    assert {s.labels["pod"][:8] for s in series(w, "up")} == {"fraud-v7", "fraud-v8"}


def test_nan_samples_are_left_out_and_told() -> None:
    w = world(Scenario(outages=(Outage(OutageKind.NAN, 20.0, 40.0, (OLD,)),)))
    w.advance(START + 60)
    found = [s for s in series(w, "requests_total") if s.labels["pod"].startswith("fraud-v7")]
    for s in found:
        assert len(s.rejected) == 4
        assert all(START + 20 <= at < START + 40 for at in s.rejected)
        assert not {at for at, _ in s.samples} & set(s.rejected)


def test_a_crashed_pod_counts_from_zero() -> None:
    crashes = Crashes(NEW, Onset(30.0), every=40.0, downtime=12.0)
    w = world(Scenario(crashes=(crashes,), settle=0.0))
    w.order(FULL, FULL)
    down = 0
    for k in range(1, 600):
        w.advance(START + k)
        down += w.ready(NEW) < 2
    assert down > 100
    found = [s for s in series(w, "requests_total", window=700.0) if s.labels["code"] == "200"]
    drops = sum(b[1] < a[1] for s in found for a, b in zip(s.samples, s.samples[1:], strict=False))
    assert drops > 5
    ups = [
        value for s in series(w, "up", window=700.0) if s.labels["pod"].startswith("fraud-v8") for _, value in s.samples
    ]
    assert 0.0 in ups
    assert w.ready(OLD) == 2


def test_pods_come_and_go() -> None:
    w = world(Scenario(scales=(Scale(60.0, OLD, 4), Scale(120.0, OLD, 1)), settle=0.0))
    w.advance(START + 59)
    assert (w.ready(OLD), w.wanted[OLD], w.pods_changed) == (2, 2, False)
    w.advance(START + 61)
    assert (w.ready(OLD), w.wanted[OLD], w.pods_changed) == (4, 4, True)
    w.advance(START + 121)
    assert w.ready(OLD) == 1
    w.advance(START + 180)
    assert w.truth[OLD, "errors"].total == pytest.approx(180 * 20, abs=5 * 60), "traffic finds the pods that are there"
    up = {s.labels["pod"]: [at for at, _ in s.samples] for s in series(w, "up", window=400.0)}
    lives = sorted((round(min(t) - START), round(max(t) - START)) for p, t in up.items() if p.startswith("fraud-v7"))
    assert len(lives) == 4
    assert [end > 170 for _, end in lives].count(True) == 1, "those that are gone are scraped no more"


def test_young_pods_are_slow() -> None:
    cold = Scenario(
        base=(("latency", 0.01),),
        cold=(ColdStart("latency", 10.0, 30.0),),
        scales=(Scale(60.0, OLD, 4),),
    )
    w = world(cold)
    slow = []
    for t in (60, 90, 150):
        w.advance(START + t)
        slow.append((w.truth[OLD, "latency"].total, w.truth[OLD, "latency"].bad))
    shares = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip([(0, 0), *slow], slow, strict=False)]
    assert shares[0] < 0.04
    assert shares[1] > 0.3, "half of the pods are young, and nearly all of their answers slow"
    assert shares[2] < 0.08


def test_the_long_past_is_as_usual() -> None:
    w = world(Scenario(base=(("errors", 0.002),)))
    metrics = VirtualMetrics(
        w.storage,
        SourceSpec("default", ArmsByPod(), 5.0),
        (),
        lambda: w.now,
        began=START,
        history=HISTORY,
        stock=STOCK,
    )
    w.advance(START + 10)
    query = SeriesQuery(("requests_total",), HISTORY, (), ("serving",), "fraud-v7-.+")
    result = asyncio.run(metrics.total("default", query, at=w.now))
    assert isinstance(result, Answer)
    total = sum(s.samples[0][1] for s in result.series)
    bad = sum(s.samples[0][1] for s in result.series if s.labels["code"] == "500")
    assert total == pytest.approx(20 * HISTORY, rel=0.01)
    assert bad / total == pytest.approx(0.002, rel=0.05)


def test_the_same_seed_gives_the_same_world() -> None:
    def played(seed: int) -> list[Series]:
        w = world(Scenario(crashes=(Crashes(NEW, Onset(), 60.0, 5.0),), dispersion=2.0), seed=seed)
        w.order(FULL, FULL)
        w.advance(START + 300)
        return series(w, "requests_total", "latency_seconds_bucket", "up", window=600.0)

    assert played(3) == played(3)
    assert played(3) != played(4)
