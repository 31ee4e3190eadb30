"""SLIs without a total, from samples to verdicts: kube-state-metrics counts restarts, pods count their fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from modelrollout.core.model import ArmLabels, Counts, Margin, Selector, Sli, Step, Verdict, Weight
from modelrollout.core.observation import EvidenceSeen, NoDataCause, SliAssessment
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.rates import ArmEvents, Exposure, Rates
from modelrollout.core.samples import Series
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker, settle
from modelrollout.stats.increments import KnownTargets
from modelrollout.stats.occurrences import Jobs, OccurrenceReader
from modelrollout.stats.ticks import NoTick
from tests.unit.stats.fleet import ERROR_PLAN, ORIGIN, Fleet, sli, spec, step, tracker

RESTARTS = Selector("kube_pod_container_status_restarts_total")
PLAN = SliPlan("restarts", (), (Term(RESTARTS),))
GUARD = Sli("restarts", Counts(None, RESTARTS, Exposure.REPLICAS), None, margin=Margin(1.25, 0.0))
STEPS = (Step(Weight(500), 30.0, 3600.0), Step(Weight(10_000), 30.0, 3600.0))
ROLLOUT = replace(spec(GUARD), steps=STEPS)


@dataclass
class Kube:
    """Scrapes of kube-state-metrics, which tells of all pods, and of the pods themselves; every 5 s."""

    samples: dict[str, dict[tuple[tuple[str, str], ...], list[tuple[float, float]]]] = field(
        default_factory=lambda: {"legacy": {}, "candidate": {}}
    )

    def put(self, arm: str, at: float, value: float, **labels: str) -> None:
        key = {"__name__" if name == "name" else name: each for name, each in labels.items()}
        self.samples[arm].setdefault(tuple(sorted(key.items())), []).append((at, value))

    def pod(
        self,
        arm: str,
        pod: str,
        *,
        until: float,
        restarts: Callable[[float], float] = lambda t: 0.0,
        told: Callable[[float], bool] = lambda t: True,
        up: Callable[[float], bool] = lambda t: True,
        begin: float = -62.0,
    ) -> None:
        t = begin
        while t <= until:
            if told(t):
                self.put(
                    arm,
                    ORIGIN + t,
                    restarts(t),
                    name=RESTARTS.metric,
                    job="ksm",
                    instance="ksm:80",
                    namespace="ns",
                    pod=pod,
                )
            self.put(arm, ORIGIN + t, float(up(t)), name="up", job="app", instance=pod, namespace="ns", pod=pod)
            t += 5.0

    def read(self, at: float, window: float) -> ArmSeries:
        def arm(name: str) -> list[Series]:
            cut = ((dict(k), tuple(x for x in v if at - window < x[0] <= at)) for k, v in self.samples[name].items())
            return [Series.of(labels, samples) for labels, samples in cut if samples]

        return ArmSeries(arm("legacy"), arm("candidate"))


def kube(until: float = 700.0, *, candidate: Callable[[float], float] = lambda t: 0.0, **odd: object) -> Kube:
    """Three pods of legacy without a restart and one of the candidate."""
    found = Kube()
    for pod in ("d-1", "d-2", "d-3"):
        found.pod("legacy", pod, until=until)
    found.pod("candidate", "c-1", until=until, restarts=candidate, **odd)  # type: ignore[arg-type]  # of `pod`
    return found


def guarded(**changes: object) -> EvidenceTracker:
    given: dict[str, object] = {"grid": ORIGIN, "since": ORIGIN, "scrape": 5.0, "ledgers": ()}
    rollout = changes.pop("rollout", ROLLOUT)
    assert isinstance(rollout, type(ROLLOUT))
    return EvidenceTracker(rollout, {"restarts": PLAN}, **{**given, **changes})  # type: ignore[arg-type]  # its keywords


def run(tracked: EvidenceTracker, cluster: Kube, until: float, *, first: float = 6.0) -> None:
    now = first
    while now <= until:
        span = tracked.span(ORIGIN + now)
        if span is not None:
            tracked.feed(span, {"restarts": cluster.read(span.at, span.window)})
        now += 5.0


def told(tracked: EvidenceTracker, now: float) -> SliAssessment:
    evidence = tracked.assess(ORIGIN + now)
    assert isinstance(evidence, EvidenceSeen)
    (found,) = evidence.slis
    return found


def rates(found: SliAssessment) -> Rates:
    assert found.rates is not None
    assert (found.candidate, found.legacy, found.allowed, found.odds) == (None, None, None, None)
    return found.rates


def judged(cluster: Kube, until: float = 601.0, **changes: object) -> SliAssessment:
    tracked = guarded(**changes)
    run(tracked, cluster, until)
    return told(tracked, until)


def test_silence_in_both_arms_passes_at_once_and_is_no_missing_data() -> None:
    found = judged(kube(), until=21.0)
    assert (found.verdict, found.no_data) == (Verdict.PASS, None)
    assert rates(found).candidate == ArmEvents(0, 20.0)
    assert rates(found).legacy == ArmEvents(0, 60.0)
    assert rates(found).ratio is None


def test_a_guard_passes_no_sooner_than_both_arms_were_compared() -> None:
    assert judged(kube(), until=6.0).verdict is Verdict.WAIT


def test_restarts_of_the_candidate_raise_a_doubt_and_then_fail() -> None:
    tracked, cluster = guarded(), kube(candidate=lambda t: float(max(0, (t - 100) // 60)))
    verdicts = []
    for until in range(101, 600, 5):
        run(tracked, cluster, until, first=until)
        verdicts.append(told(tracked, until).verdict)
    order = [v for n, v in enumerate(verdicts) if n == 0 or v is not verdicts[n - 1]]
    assert order == [Verdict.PASS, Verdict.WAIT, Verdict.FAIL]
    found = told(tracked, 596)
    assert rates(found).candidate.events >= 5
    assert rates(found).worse >= rates(found).worse_limit


def test_a_guard_that_is_not_critical_fails_at_its_own_level_and_shares_no_risk() -> None:
    extra = replace(GUARD, critical=False)
    limits = {rates(judged(kube(), rollout=replace(ROLLOUT, slis=slis))).worse_limit for slis in ((GUARD,), (extra,))}
    assert limits == {4.6052}
    both = (GUARD, sli())
    tracked = EvidenceTracker(
        replace(ROLLOUT, slis=both),
        {"restarts": PLAN, "errors": ERROR_PLAN},
        grid=ORIGIN,
        since=ORIGIN,
        scrape=5.0,
        ledgers=(),
    )
    assert [ledger.sli for ledger in tracked.ledgers] == ["errors"]


def test_exposure_ends_with_the_last_scrape_of_a_pod_that_vanishes() -> None:
    cluster = kube(until=700.0)
    cluster.samples["legacy"] = {k: v for k, v in cluster.samples["legacy"].items() if dict(k)["pod"] != "d-3"}
    cluster.pod("legacy", "d-3", until=198.0)
    assert rates(judged(cluster, until=401.0)).legacy.exposure == pytest.approx(2 * 400.0 + 200.0, abs=5.0)


def test_young_pods_bring_neither_events_nor_exposure() -> None:
    cluster = kube()
    cluster.pod("candidate", "c-2", until=700.0, begin=98.0, restarts=lambda t: 3.0 if t > 110 else 0.0)
    found = rates(judged(cluster, until=401.0))
    assert found.candidate.events == 0
    assert found.candidate.exposure == pytest.approx(400.0 + 400.0 - 130.0, abs=5.0)


def test_a_replica_that_two_jobs_scrape_is_one_replica() -> None:
    cluster = kube(told=lambda t: True)
    for pod in ("d-1", "d-2", "d-3"):
        for n in range(-12, 130):
            cluster.put(
                "legacy",
                ORIGIN + 5 * n - 1,
                0.0,
                name=RESTARTS.metric,
                job="ksm-2",
                instance="b",
                namespace="ns",
                pod=pod,
            )
    assert rates(judged(cluster, until=401.0)).legacy.exposure == pytest.approx(1200.0, abs=5.0)


def test_a_silent_kube_state_metrics_is_missing_data_though_the_pods_are_up() -> None:
    found = judged(kube(told=lambda t: t < 100), until=201.0)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.STALE)


def test_a_counter_that_does_not_exist_yet_has_counted_nothing() -> None:
    """A pod exposes the counter with its first fallback: until then its scrapes say that there was none."""
    cluster = Kube()
    for arm, pod in (("legacy", "d-1"), ("candidate", "c-1")):
        cluster.pod(arm, pod, until=400.0, told=lambda t: False)
    found = judged(cluster, until=201.0)
    assert found.verdict is Verdict.PASS
    assert rates(found).candidate == ArmEvents(0, 200.0)


def test_nobody_looking_is_missing_data() -> None:
    cluster = Kube()
    for arm, pod in (("legacy", "d-1"), ("candidate", "c-1")):
        cluster.pod(arm, pod, until=400.0, told=lambda t: False, up=lambda t: False)
    found = judged(cluster, until=201.0)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.BOTH_ARMS)


def test_nobody_looking_at_the_candidate_is_missing_data() -> None:
    cluster = Kube()
    cluster.pod("legacy", "d-1", until=400.0)
    cluster.pod("candidate", "c-1", until=400.0, told=lambda t: False, up=lambda t: False)
    found = judged(cluster, until=201.0)
    assert (found.verdict, found.no_data) == (Verdict.NO_DATA, NoDataCause.MISSING)


def test_a_replica_that_begins_anew_counts_from_zero() -> None:
    """Its counter drops from 4 to 1: one more event, not three fewer."""
    found = rates(judged(kube(candidate=lambda t: 4.0 if t < 100 else 1.0), until=201.0))
    assert found.candidate.events == 1


def test_two_kube_state_metrics_merged_into_one_series_are_no_data_for_a_while() -> None:
    def merged(t: float) -> float:
        return 500.0 if t < 100 or t > 110 else 300.0

    tracked = guarded()
    run(tracked, kube(candidate=merged), 111.0)
    assert rates(told(tracked, 111)).candidate.events == 0


def test_a_counter_that_is_no_number_is_missing_data() -> None:
    reader = OccurrenceReader(PLAN, Jobs(), scrape=5.0, slack=15.0)
    labels = {"__name__": RESTARTS.metric, "job": "ksm", "instance": "k", "namespace": "ns", "pod": "c-1"}
    nan = Series.of(labels, [], (ORIGIN + 3.0, ORIGIN + 8.0))
    arm, known = reader.prepare([nan]), KnownTargets([nan])
    found = reader.read(arm, ORIGIN + 5, ORIGIN + 10, known=known, judged=lambda target: True, lazy=False)
    assert found == NoTick(NoDataCause.REJECTED)


def test_without_legacy_there_is_nothing_to_compare_with() -> None:
    cluster = kube()
    cluster.samples["legacy"] = {}
    found = judged(cluster, until=201.0)
    assert (found.verdict, found.note) == (Verdict.WAIT, "no data from legacy to compare with")


def test_the_last_step_has_no_comparison_and_passes_on_data() -> None:
    """Legacy's replicas idle there: what happens to those that work is no harm beside it."""
    found = judged(kube(candidate=lambda t: float(max(0, t // 20))), index=1)
    assert found.verdict is Verdict.PASS
    assert rates(found).candidate.exposure == 0.0


@pytest.mark.parametrize(("weight", "shares"), [(Weight(500), (30.0, 570.0)), (None, (0.0, 0.0))])
def test_exposure_by_weight_is_the_share_of_the_traffic(weight: Weight | None, shares: tuple[float, float]) -> None:
    by_weight = replace(GUARD, source=Counts(None, RESTARTS, Exposure.WEIGHT))
    found = judged(kube(), weight=weight, rollout=replace(ROLLOUT, slis=(by_weight,)))
    assert found.verdict is Verdict.PASS
    assert (rates(found).candidate.exposure, rates(found).legacy.exposure) == pytest.approx(shares)


def test_young_replicas_take_their_part_of_a_share_of_the_traffic() -> None:
    by_weight = replace(GUARD, source=Counts(None, RESTARTS, Exposure.WEIGHT))
    cluster = kube()
    cluster.pod("candidate", "c-2", until=700.0, begin=98.0)
    found = rates(judged(cluster, until=401.0, weight=Weight(5000), rollout=replace(ROLLOUT, slis=(by_weight,))))
    assert found.candidate.exposure == pytest.approx(200.0 - 0.5 * 0.5 * 30.0, abs=4.0)
    assert found.legacy.exposure == pytest.approx(200.0)


LABELLED = replace(GUARD, arms=ArmLabels("version", "old", "new"))


def labelled() -> Kube:
    """One gateway counts for both arms; only legacy has had an event."""
    cluster = Kube()
    for n in range(-12, 130):
        cluster.put("legacy", ORIGIN + 5 * n, 1.0, name=RESTARTS.metric, job="gw", instance="gw", version="old")
    return cluster


def test_replicas_behind_a_label_of_somebody_elses_counter_cannot_be_counted() -> None:
    found = judged(labelled(), rollout=replace(ROLLOUT, slis=(LABELLED,)))
    assert found.verdict is Verdict.INVALID
    assert "set counts.per to Weight" in found.note


def test_a_share_of_the_traffic_can_be_told_there() -> None:
    by_weight = replace(LABELLED, source=Counts(None, RESTARTS, Exposure.WEIGHT))
    found = judged(labelled(), weight=Weight(500), rollout=replace(ROLLOUT, slis=(by_weight,)))
    assert found.verdict is Verdict.PASS
    assert (rates(found).candidate.events, rates(found).candidate.exposure) == pytest.approx((0, 30.0))


def test_a_tracker_that_starts_in_mid_step_arrives_at_the_same_evidence() -> None:
    """Acceptance test 14, from samples on: read tick by tick and in one go, bit by bit."""
    cluster = kube(candidate=lambda t: float(max(0, (t - 100) // 70)))
    before = guarded()
    run(before, cluster, 301.0)
    stored = before.assess(ORIGIN + 301)
    assert isinstance(stored, EvidenceSeen)
    steps = {"since": ORIGIN + 310, "checkpoints": stored.checkpoints}
    whole, late = guarded(**steps), guarded(**steps)
    run(whole, cluster, 601.0, first=311.0)
    run(late, cluster, 601.0, first=601.0)
    one, other = whole.assess(ORIGIN + 601), late.assess(ORIGIN + 601)
    assert one == other
    assert isinstance(one, EvidenceSeen)
    (found,) = one.slis
    assert rates(found).candidate.events == 7
    assert found.verdict is Verdict.FAIL


def test_rollouts_settled_together_are_judged_as_if_alone() -> None:
    fleet = Fleet()
    for n in range(-12, 100):
        for arm in ("legacy", "candidate"):
            fleet.scrape(arm, f"{arm[0]}-1", ORIGIN - 2 + 5 * n, {"200": 100.0 * n, "500": 1.0 * n})
    tracked = tracker(replace(spec(), steps=STEPS))
    step(tracked, fleet, ORIGIN + 301)
    guard = guarded()
    run(guard, kube(candidate=lambda t: float(max(0, t // 40))), 301.0, first=301.0)
    alone = guarded()
    run(alone, kube(candidate=lambda t: float(max(0, t // 40))), 301.0, first=301.0)
    settle([tracked, guard])
    assert told(guard, 301) == told(alone, 301)
