"""From an SLI to its plan: which names, which boundary, and which sentence when it can't be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.catalog import Catalogue, Resolved, alternatives, builtin, resolve, service_view
from modelrollout.catalog.profiles import Arms, Counter, Display, LatencyEntry, Profile, RatioEntry, Unit
from modelrollout.core.model import ArmLabels, Counts, Labels, ProfileRef, Selector, Sli
from modelrollout.core.observation import PreflightFailed, SpecProblem
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.rates import Exposure
from modelrollout.core.samples import Series

REQUESTS = Selector("requests_total")
BUCKET = Selector("latency_seconds_bucket")


def sli(source: str, *, threshold: float | None = None, name: str = "x") -> Sli:
    return Sli(name, ProfileRef(*source.split("/")), 0.01, threshold=threshold)


def counts(total: Selector, bad: Selector, *, threshold: float | None = None) -> Sli:
    return Sli("own", Counts(total, bad), 0.1, threshold=threshold)


def series(metric: str, **labels: str) -> Series:
    return Series.of({"__name__": metric, "namespace": "ml", **labels}, ((1.0, 1.0),))


def histogram(pod: str, *boundaries: str, metric: str = "latency_seconds") -> list[Series]:
    return [series(f"{metric}_bucket", pod=pod, le=le) for le in (*boundaries, "+Inf")]


def latency(threshold: float, *buckets: Series) -> Resolved | PreflightFailed:
    return resolve(sli("modelrollout/latency", threshold=threshold), [series("requests_total", code="200"), *buckets])


def failure(result: Resolved | PreflightFailed, reason: str) -> str:
    assert isinstance(result, PreflightFailed), result
    assert result.reason == reason
    return result.problem


def problem(result: tuple[str, ...] | SpecProblem) -> str:
    assert isinstance(result, SpecProblem), result
    assert result.reason == "InvalidSpec"
    return result.problem


def test_errors() -> None:
    asked = sli("modelrollout/errors")
    assert alternatives(asked) == ("requests_total",)
    expected = SliPlan("x", (Term(REQUESTS),), (Term(Selector("requests_total", regex=(("code", "5.."),))),))
    assert resolve(asked, [series("requests_total", code="200", version="8")]) == Resolved(expected)


RESTARTS = Selector("restarts_total", equal=(("container", "server"),))
GUARD = Sli("own", Counts(None, RESTARTS, Exposure.REPLICAS), None)


def test_events_without_a_total_are_counted_by_themselves() -> None:
    assert alternatives(GUARD) == ("restarts_total",)
    plan = SliPlan("own", (), (Term(RESTARTS),))
    assert resolve(GUARD, [series("restarts_total", container="server")]) == Resolved(plan)
    assert plan.metrics == ("restarts_total",)


def test_events_that_have_not_come_yet_are_noted_and_a_wrong_label_is_told() -> None:
    found = resolve(GUARD, [])
    assert isinstance(found, Resolved)
    assert found.notes == (
        "slis[own]: no series of restarts_total yet, so no event is bad until one appears; check counts.bad.metric",
    )
    assert "restarts_total has no label container" in failure(
        resolve(GUARD, [series("restarts_total", pod="p")]), "MetricNotFound"
    )


def test_accuracy() -> None:
    asked = sli("modelrollout/accuracy")
    assert alternatives(asked) == ("predictions_labeled_total",)
    labeled = Selector("predictions_labeled_total")
    wrong = Selector("predictions_labeled_total", equal=(("correct", "false"),))
    found = resolve(asked, [series("predictions_labeled_total", correct="true")])
    plain = SliPlan("x", (Term(labeled),), (Term(wrong),))
    assert found == Resolved(plain)
    assert plain.metrics == plain.counted == ("predictions_labeled_total",)


@pytest.mark.parametrize("source", [None, Counts(Selector("seen_total"), Selector("wrong_total"))])
def test_late_labels_are_held_against_all_predictions(source: Counts | None) -> None:
    asked = replace(sli("modelrollout/accuracy"), labels=Labels())
    asked = asked if source is None else replace(asked, source=source)
    names = alternatives(asked)
    assert not isinstance(names, SpecProblem)
    assert names[-1] == "predictions_total"
    found = resolve(asked, [series(name, correct="false") for name in ("predictions_labeled_total", "seen_total")])
    assert isinstance(found, Resolved)
    assert found.plan.predicted == Term(Selector("predictions_total"))
    assert found.plan.metrics == tuple(sorted({*found.plan.counted, "predictions_total"}))
    assert "predictions_total" not in found.plan.counted


def test_latency_counts_failures_as_slow() -> None:
    asked = sli("modelrollout/latency", threshold=0.3)
    assert alternatives(asked) == ("requests_total", "latency_seconds_bucket")
    found = latency(0.3, *histogram("a", "0.1", "0.3", "1.0"))
    bad = (Term(REQUESTS), Term(BUCKET, sign=-1, boundary=0.3))
    assert found == Resolved(SliPlan("x", (Term(REQUESTS),), bad), within="up to 300ms")


@pytest.mark.parametrize("spelling", ["0.3", "0.30", "3e-01"])
def test_boundary_in_any_spelling_is_exact(spelling: str) -> None:
    found = latency(0.3, *histogram("a", "0.1", spelling))
    assert isinstance(found, Resolved)
    assert found.notes == ()
    assert found.plan.boundaries == (0.3,)


def test_threshold_between_boundaries_is_lowered_with_a_note() -> None:
    found = latency(0.32, *histogram("a", "0.1", "0.3", "0.35"))
    assert isinstance(found, Resolved)
    assert found.plan.boundaries == (0.3,)
    assert found.notes == ("slis[x]: threshold 320ms is no bucket boundary of latency_seconds; 300ms is used",)


def test_what_is_counted_names_what_was_chosen_and_says_that_a_threshold_was_rounded() -> None:
    exact, lowered = (latency(each, *histogram("a", "0.1", "0.3")) for each in (0.3, 0.32))
    assert isinstance(exact, Resolved)
    assert isinstance(lowered, Resolved)
    assert exact.counted == "requests_total, latency_seconds_bucket up to 300ms"
    rounded = "up to 300ms (threshold 320ms, rounded down)"
    assert lowered.counted == f"requests_total, latency_seconds_bucket {rounded}"


def test_boundary_must_be_common_to_both_arms() -> None:
    found = latency(0.3, *histogram("legacy", "0.1", "0.25", "0.3"), *histogram("candidate", "0.1", "0.3"))
    assert isinstance(found, Resolved)
    assert found.plan.boundaries == (0.3,)
    found = latency(0.3, *histogram("legacy", "0.1", "0.25", "0.3"), *histogram("candidate", "0.1", "0.28"))
    assert isinstance(found, Resolved)
    assert found.plan.boundaries == (0.1,)
    assert "100ms is used" in found.notes[0]


def test_no_lower_boundary_names_the_nearest() -> None:
    words = failure(latency(0.01, *histogram("a", "0.1", "0.3", "1.0")), "BoundaryMissing")
    assert words.startswith("slis[x]: threshold 10ms is below every bucket boundary of latency_seconds")
    assert "nearest: 100ms, 300ms" in words


def test_no_common_boundary_at_all() -> None:
    words = failure(latency(0.3, *histogram("a", "0.1"), *histogram("b", "0.2")), "BoundaryMissing")
    assert "share no bucket boundary of latency_seconds" in words


def test_infinity_is_no_boundary() -> None:
    failure(latency(0.3, *histogram("a")), "BoundaryMissing")


def test_missing_metric_says_what_to_check() -> None:
    words = failure(resolve(sli("modelrollout/errors", name="availability"), []), "MetricNotFound")
    assert words.startswith("slis[availability]: no series of requests_total")
    assert "Prometheus scrapes them" in words
    assert words.endswith("; `modelrollout profiles check` tells which profile fits")
    own = failure(resolve(counts(Selector("a_total"), Selector("b_total")), []), "MetricNotFound")
    assert own.endswith("; or correct counts")
    assert "latency_seconds_bucket" in failure(latency(0.3), "MetricNotFound")
    no_requests = resolve(sli("modelrollout/latency", threshold=0.3), histogram("a", "0.3"))
    assert "no series of requests_total" in failure(no_requests, "MetricNotFound")


def test_metric_of_another_kind_with_the_same_name() -> None:
    words = failure(resolve(sli("modelrollout/errors"), [series("requests_total", status="200")]), "MetricNotFound")
    assert "requests_total has no label code (it has: namespace, status)" in words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (sli("modelrollout/latency"), "spec.slis[x].threshold must be set"),
        (sli("modelrollout/errors", threshold=0.3), "spec.slis[x].threshold has no meaning"),
        (sli("modelrollout/accuracy", threshold=0.3), "spec.slis[x].threshold has no meaning"),
        (counts(REQUESTS, REQUESTS, threshold=0.3), "spec.slis[own].threshold belongs to"),
        (sli("nobody/errors"), "spec.slis[x].profile names no known server 'nobody'; there are: bentoml, cadvisor"),
        (sli("vllm/queue"), "vllm/queue is for dashboards: no events to judge a candidate by; there are: errors"),
        (sli("triton/latency", threshold=0.3), "triton has no 'latency': it keeps sums of times"),
        (sli("kserve/errors"), "kserve has no 'errors': it counts no failures; use istio/errors"),
        (sli("kube-state-metrics/errors"), "it has: none that judges a candidate"),
        (
            sli("traefik/errors"),
            "spec.slis[x].arms must be set for profile traefik/errors, or arms of the MetricSource",
        ),
        (sli("modelrollout/ttft"), "it has: errors, latency, accuracy"),
        (sli("envoy-gateway/errors"), "can't tell legacy from candidate; use metrics of the model pods"),
        (sli("envoy-gateway/latency", threshold=0.3), "can't tell legacy from candidate"),
    ],
)
def test_spec_problems(asked: Sli, words: str) -> None:
    assert words in problem(alternatives(asked))
    # Also for whoever skips discovery.
    assert words in failure(resolve(asked, []), "InvalidSpec")


OLD_AND_NEW = Catalogue.of(
    Profile(
        "srv",
        "",
        {
            "errors": RatioEntry("", (Counter(("new_total", "old_total")),), (Counter(("new_failed", "old_failed")),)),
            "latency": LatencyEntry("", (Counter(("new_total", "old_total")),), Counter(("new_ms", "old_ms")), 1000.0),
        },
    )
)


def test_first_name_that_exists_wins() -> None:
    asked = sli("srv/errors")
    assert alternatives(asked, OLD_AND_NEW) == ("new_total", "old_total", "new_failed", "old_failed")
    for there, expected in [
        (("old_total", "old_failed"), ("old_total", "old_failed")),
        (("old_total", "new_total", "old_failed"), ("new_total", "old_failed")),
        (("new_total",), ("new_total", "new_failed")),
    ]:
        found = resolve(asked, [series(name) for name in there], OLD_AND_NEW)
        assert isinstance(found, Resolved)
        assert (found.plan.total[0].selector.metric, found.plan.bad[0].selector.metric) == expected
    words = failure(resolve(asked, [series("new_failed")], OLD_AND_NEW), "MetricNotFound")
    assert "any of new_total, old_total" in words


def test_histogram_in_milliseconds() -> None:
    asked = sli("srv/latency", threshold=0.32)
    assert alternatives(asked, OLD_AND_NEW) == ("new_total", "old_total", "new_ms_bucket", "old_ms_bucket")
    found = resolve(asked, [series("old_total"), *histogram("a", "100", "300", metric="old_ms")], OLD_AND_NEW)
    assert isinstance(found, Resolved)
    assert found.plan.bad == (
        Term(Selector("old_total")),
        Term(Selector("old_ms_bucket"), sign=-1, boundary=300.0),
    )
    assert found.notes == ("slis[x]: threshold 320ms is no bucket boundary of old_ms; 300ms is used",)
    exact = resolve(
        sli("srv/latency", threshold=0.3), [series("old_total"), *histogram("a", "300", metric="old_ms")], OLD_AND_NEW
    )
    assert isinstance(exact, Resolved)
    assert exact.notes == ()


def test_counts_of_the_user() -> None:
    total = Selector("jobs_total", equal=(("queue", "ml"),))
    bad = Selector("jobs_total", equal=(("queue", "ml"), ("result", "failed")), regex=(("code", "4..|5.."),))
    asked = counts(total, bad)
    assert alternatives(asked) == ("jobs_total",)
    found = resolve(asked, [series("jobs_total", queue="ml", result="ok", code="200")])
    assert found == Resolved(SliPlan("own", (Term(total),), (Term(bad),)))


def test_counts_with_a_typo_do_not_pass_for_ever() -> None:
    there = [series("jobs_total", result="ok")]
    typo = counts(Selector("jobs_total"), Selector("jobs_total", equal=(("resutl", "failed"),)))
    assert "jobs_total has no label resutl" in failure(resolve(typo, there), "MetricNotFound")
    typo = counts(Selector("jobs_total"), Selector("jobs_total", regex=(("resutl", "f.*"),)))
    assert "has no label resutl" in failure(resolve(typo, there), "MetricNotFound")
    typo = counts(Selector("jobs_total", equal=(("queue", "ml"),)), Selector("jobs_total"))
    assert "has no label queue" in failure(resolve(typo, there), "MetricNotFound")
    assert "no series of jobs" in failure(resolve(counts(Selector("jobs"), Selector("jobs")), there), "MetricNotFound")


def test_counts_may_ask_for_the_absence_of_a_label() -> None:
    asked = counts(
        Selector("jobs_total", equal=(("retry", ""),)), Selector("jobs_total", regex=(("reason", "|failed"),))
    )
    assert isinstance(resolve(asked, [series("jobs_total")]), Resolved)


def test_counts_whose_bad_metric_has_not_appeared_yet() -> None:
    asked = counts(Selector("jobs_total"), Selector("jobs_failed_total"))
    assert alternatives(asked) == ("jobs_total", "jobs_failed_total")
    found = resolve(asked, [series("jobs_total")])
    assert isinstance(found, Resolved)
    assert "no series of jobs_failed_total yet" in found.notes[0]
    assert resolve(asked, [series("jobs_total"), series("jobs_failed_total")]) == Resolved(found.plan)


DONE, FAILED = Counter(("done_total",)), Counter(("failed_total",), regex=(("why", "crash|full"),))
INSIDE = Counter(("seen_total",), equal=(("side", "in"),))
SUMS = Catalogue.of(
    Profile(
        "srv",
        "",
        {
            "errors": RatioEntry("", (DONE, FAILED), (FAILED,)),
            "narrow": RatioEntry("", (INSIDE,), (Counter((), equal=(("code", "5"), ("side", "in"))),)),
            "latency": LatencyEntry("", (DONE, FAILED), Counter(("t",), regex=(("code", "2.."),)), 1.0),
        },
    )
)


def test_a_total_may_be_a_sum_of_which_parts_are_not_there_yet() -> None:
    asked = sli("srv/errors")
    assert alternatives(asked, SUMS) == ("done_total", "failed_total")
    done, failed = Term(Selector("done_total")), Term(Selector("failed_total", regex=FAILED.regex))
    found = resolve(asked, [series("done_total")], SUMS)
    assert isinstance(found, Resolved)
    assert found.plan == SliPlan("x", (done, failed), (failed,))
    assert found.notes == ("slis[x]: no series of failed_total yet, so no event is bad until one appears",)
    assert resolve(asked, [series("done_total"), series("failed_total", why="crash")], SUMS) == Resolved(found.plan)
    only = resolve(asked, [series("failed_total", why="full")], SUMS)
    assert only == Resolved(found.plan), "every request may have failed"
    assert "no series of any of done_total, failed_total" in failure(resolve(asked, [], SUMS), "MetricNotFound")
    wrong = resolve(asked, [series("done_total"), series("failed_total", reason="crash")], SUMS)
    assert "failed_total has no label why" in failure(wrong, "MetricNotFound")


def test_a_total_that_is_there_with_other_labels_only_is_not_found() -> None:
    """It would be counted as no requests at all."""
    there = [series("seen_total", side="out", code="5")]
    words = failure(resolve(sli("srv/narrow"), there, SUMS), "MetricNotFound")
    assert words.startswith('slis[x]: no series of seen_total{side="in"} from the pods')
    assert isinstance(resolve(sli("srv/narrow"), [*there, series("seen_total", side="in", code="2")], SUMS), Resolved)


def test_a_bucket_may_be_narrowed_so_that_fast_failures_are_bad() -> None:
    asked = sli("srv/latency", threshold=0.3)
    buckets = [series("t_bucket", code=code, le=le) for code in ("200", "500") for le in ("0.3", "1", "+Inf")]
    found = resolve(asked, [series("done_total"), *buckets], SUMS)
    assert isinstance(found, Resolved)
    narrowed = Term(Selector("t_bucket", regex=(("code", "2.."),)), sign=-1, boundary=0.3)
    assert found.plan.bad == (*found.plan.total, narrowed)
    bare = [series("done_total"), series("t_bucket", le="0.3")]
    assert "t_bucket has no label code" in failure(resolve(asked, bare, SUMS), "MetricNotFound")


def test_dashboards_get_the_newest_names_of_a_sum() -> None:
    plan = service_view(ProfileRef("srv", "latency"), threshold=0.3, catalogue=SUMS)
    failed = Term(Selector("failed_total", regex=FAILED.regex))
    assert plan.total == (Term(Selector("done_total")), failed)
    assert plan.bad == (*plan.total, Term(Selector("t_bucket", regex=(("code", "2.."),)), sign=-1, boundary=0.3))


def test_what_a_label_tells_apart_is_looked_for_by_that_label() -> None:
    gateway = replace(sli("traefik/errors"), arms=ArmLabels("service", "old@x", "new@x"))
    assert isinstance(alternatives(gateway), tuple)
    words = failure(resolve(gateway, []), "MetricNotFound")
    assert "no series of traefik_service_requests_total with service='old@x' or 'new@x'" in words
    assert "the rollout's namespace in the label namespace" in words


def test_a_metric_to_look_at_is_no_sli() -> None:
    shown = Display("", Counter(("waiting",)), False, Unit.REQUESTS)
    known = Catalogue.of(replace(SUMS.profiles["srv"], display={"queue": shown}))
    words = problem(alternatives(sli("srv/queue"), known))
    assert "srv/queue is for dashboards: no events to judge a candidate by; there are: errors, narrow, latency" in words


def test_every_builtin_entry_can_be_asked_for() -> None:
    for server, profile in builtin().profiles.items():
        for name, entry in profile.slis.items():
            threshold = 0.3 if isinstance(entry, LatencyEntry) else None
            asked = sli(f"{server}/{name}", threshold=threshold)
            labelled = replace(asked, arms=ArmLabels("a", "b", "c"))
            assert isinstance(alternatives(asked), tuple) is (profile.arms is Arms.PODS)
            assert isinstance(alternatives(labelled), tuple) is (profile.arms is not Arms.NONE)
