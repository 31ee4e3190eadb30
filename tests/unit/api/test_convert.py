"""Rollouts to core values: defaults, units, problems in words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelrollout.core import model
from modelrollout.core.rates import Exposure
from tests.unit.api.objects import ADOPT, FULL, ISTIO, NGINX, REPLICAS, SMALLEST, TRAEFIK, changed, problem_of, spec_of


def test_smallest_gets_every_default() -> None:
    obj = copy.deepcopy(SMALLEST)
    obj["metadata"] |= {"uid": "u-1", "generation": 4}
    assert spec_of(obj) == model.RolloutSpec(
        key=model.Key("serving", "fraud"),
        uid="u-1",
        generation=4,
        legacy=model.Arm("fraud-v7", "fraud-v7"),
        candidate=model.Arm("fraud-v8", "fraud-v8"),
        port=8080,
        traffic=model.Traffic(model.ManagedRoute((model.ParentRef("public", "infra"),)), settle=5.0),
        steps=tuple(model.Step(model.Weight(weight), 60.0, 21600.0) for weight in (500, 5000, 10000)),
        slis=(model.Sli("availability", model.ProfileRef("modelrollout", "errors"), allowed=0.001),),
    )


def test_full_is_the_smallest_with_its_defaults_written_out() -> None:
    full, small = spec_of(FULL), spec_of(SMALLEST)
    for field in ("key", "port", "budget", "analysis", "candidate_deadline", "paused", "blocking"):
        assert getattr(full, field) == getattr(small, field), field
    assert full.traffic.settle == small.traffic.settle


def test_full_in_detail() -> None:
    spec = spec_of(FULL)
    assert spec.candidate == model.Arm("fraud-v8", "fraud-v8", "fraud", "8")
    assert spec.traffic == model.Traffic(
        router=model.ManagedRoute(
            parent_refs=(model.ParentRef("public", "infra", "http"),),
            hostnames=("fraud.example.com",),
            matches=(model.RouteMatch("PathPrefix", "/predict", (model.HeaderMatch("x-tenant", "acme"),)),),
        ),
        segments=(
            model.Segment((model.HeaderMatch("x-tier", "beta"),)),
            model.Segment((model.HeaderMatch("x-role", "tester"), model.HeaderMatch("x-team", "risk"))),
        ),
        settle=5.0,
    )
    assert [step.weight for step in spec.steps] == [25, 100, 500, 2500, 5000, 10000]
    assert spec.scale == 10_000
    assert spec.steps[0] == model.Step(model.Weight(25), 300.0, 21600.0)
    assert spec.steps[4].approval
    assert [sli.critical for sli in spec.slis] == [True, False, True]
    assert [sli.allowed for sli in spec.slis] == [0.001, 0.05, 0.1]
    assert spec.slis[1].threshold == 0.3
    assert spec.slis[2].source == model.Counts(
        model.Selector("predictions_labeled_total"),
        model.Selector("predictions_labeled_total", equal=(("correct", "false"),)),
    )
    assert spec.slis[2].arms == model.ArmLabels("arm", "legacy", "candidate")
    assert [sli.margin for sli in spec.slis] == [model.Margin(), model.Margin(), model.Margin(1.0, 0.01)]
    assert [sli.labels for sli in spec.slis] == [None, None, model.Labels()]


RESTARTS = {"name": "restarts", "counts": {"bad": {"metric": "restarts_total"}}}


def alone(**changes: Any) -> dict[str, Any]:
    return changed(SMALLEST, "slis", [*SMALLEST["spec"]["slis"], {**RESTARTS, **changes}])


def test_counts_without_a_total_have_no_objective_and_no_difference() -> None:
    found = spec_of(alone()).slis[-1]
    assert found.source == model.Counts(None, model.Selector("restarts_total"), Exposure.REPLICAS)
    assert (found.allowed, found.margin) == (None, model.Margin(1.25, 0.0))
    by_weight = spec_of(alone(counts={"bad": {"metric": "a_total"}, "per": "Weight"}, margin={"ratio": "0.9"})).slis[-1]
    assert by_weight.source == model.Counts(None, model.Selector("a_total"), Exposure.WEIGHT)
    assert by_weight.margin == model.Margin(0.9, 0.0)


def test_a_share_of_the_traffic_is_not_known_beside_segments() -> None:
    obj = alone(counts={"bad": {"metric": "a_total"}, "per": "Weight"})
    segments = changed(obj, "traffic.segments", [{"headers": [{"name": "x-tier", "value": "beta"}]}])
    assert problem_of(segments).startswith('spec.slis[1].counts.per: "Weight" needs to know')
    assert "set Replicas, or remove segments" in problem_of(segments)


def test_a_share_of_the_traffic_is_not_known_where_users_are_split() -> None:
    obj = alone(counts={"bad": {"metric": "a_total"}, "per": "Weight"})
    sticky = changed(obj, "traffic.sticky", {"bucketHeader": "x-bucket"})
    assert problem_of(sticky).startswith('spec.slis[1].counts.per: "Weight" needs to know')
    assert "set Replicas, or remove sticky" in problem_of(sticky)


def test_users_stay_by_the_bucket_in_a_header() -> None:
    assert spec_of(SMALLEST).traffic.bucket_header is None
    sticky = changed(SMALLEST, "traffic.sticky", {"bucketHeader": "X-Bucket"})
    assert spec_of(sticky).traffic.bucket_header == "X-Bucket"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"objective": "99"}, "objective"),
        ({"margin": {"difference": "0.01"}}, "margin.difference"),
        ({"labels": {}}, "labels"),
        ({"counts": {"bad": {"metric": "a_total"}, "per": "Pods"}}, "counts.per"),
        ({"counts": {"bad": {"metric": "a_total"}, "total": {"metric": "b_total"}, "per": "Weight"}}, "counts.per"),
        ({"counts": {"bad": {"metric": "a_total"}, "total": {"metric": "b_total"}}}, "objective"),
    ],
)
def test_what_counts_without_a_total_cannot_have(changes: dict[str, Any], field: str) -> None:
    assert f"spec.slis[1].{field}: " in problem_of(alone(**changes))


def test_a_guard_alone_proves_nothing() -> None:
    assert "at least one critical SLI must have a total" in problem_of(changed(SMALLEST, "slis", [RESTARTS]))


def test_a_label_value_is_never_an_expression() -> None:
    """No text of a user is run as a regular expression: one that takes for ever would stop every rollout."""
    odd = {"code": "(a+)+$", "path": ".*"}
    counts = {"total": {"metric": "a_total", "match": odd}, "bad": {"metric": "b_total", "match": odd}}
    sli = {"name": "s", "objective": "99", "counts": counts}
    source = spec_of(changed(SMALLEST, "slis", [sli])).slis[0].source
    assert isinstance(source, model.Counts)
    assert source.total is not None
    for selector in (source.total, source.bad):
        assert (selector.equal, selector.regex) == (tuple(sorted(odd.items())), ())


def test_ingress_nginx() -> None:
    traffic = spec_of(NGINX).traffic
    assert traffic.router == model.IngressNginx("fraud")
    assert traffic.segments == (model.Segment((model.HeaderMatch("x-tier", "beta"),)),)


def test_istio() -> None:
    assert spec_of(ISTIO).traffic.router == model.Istio("fraud", "predict")
    named = changed(ISTIO, "traffic.istio", {"virtualService": "fraud", "subsets": {"legacy": "v7", "candidate": "v8"}})
    assert spec_of(named).traffic.router == model.Istio("fraud", None, model.Subsets("v7", "v8"))


def test_traefik() -> None:
    assert spec_of(TRAEFIK).traffic.router == model.Traefik("fraud")


def test_steps_get_the_shares_that_pods_make_and_both_arms_the_one_service() -> None:
    spec = spec_of(REPLICAS)
    assert spec.traffic.router == model.Replicas("fraud", 10, (500, 2500, 5000, 10_000))
    assert [step.weight for step in spec.steps] == [1000, 3000, 5000, 10_000]
    assert (spec.legacy.service, spec.candidate.service) == ("fraud", "fraud")


def test_a_service_splits_connections_so_that_a_wrong_split_is_only_told_unless_asked_for() -> None:
    assert not spec_of(REPLICAS).analysis.split_holds
    assert spec_of(changed(REPLICAS, "analysis", {"sampleRatio": "Hold"})).analysis.split_holds
    assert not spec_of(changed(SMALLEST, "analysis", {"sampleRatio": "Warn"})).analysis.split_holds
    assert spec_of(SMALLEST).analysis.split_holds


def test_adopted_route() -> None:
    assert spec_of(ADOPT).traffic.router == model.AdoptRoute("fraud", "predict")


@pytest.mark.parametrize(
    ("path", "value", "attribute", "expected"),
    [
        ("analysis.interval", "1m", "analysis.interval", 60.0),
        ("analysis.warmup", "1h30m15.5s", "analysis.warmup", 5415.5),
        ("analysis.noData", {"then": "Pause"}, "analysis.no_data", model.Hold(600.0, model.Outcome.PAUSE)),
        ("analysis.noData", {"hold": "0s"}, "analysis.no_data", model.Hold(0.0, model.Outcome.ROLLBACK)),
        (
            "analysis.inconclusive",
            {"hold": "90m", "then": "Promote"},
            "analysis.inconclusive",
            model.Hold(5400.0, model.Outcome.PROMOTE),
        ),
        ("errorBudget.window", "12h", "budget.window", 43200.0),
        ("errorBudget.rolloutShare", "0.5%", "budget.rollout_share", 0.005),
        ("errorBudget.minRemaining", "0%", "budget.min_remaining", 0.0),
        ("candidateDeadline", "250ms", "candidate_deadline", 0.25),
        ("paused", True, "paused", True),
        ("gitops.blocking", True, "blocking", True),
        ("port", 80, "port", 80),
        ("legacy.service", "stable", "legacy.service", "stable"),
        ("analysis.metricSource", "team-a", "analysis.metric_source", "team-a"),
        ("analysis.falseRollback", "0.001", "analysis.false_rollback", 0.001),
        ("analysis.falsePromote", "0.2", "analysis.false_promote", 0.2),
        ("analysis.tolerance", "0.1%", "analysis.tolerance", 0.001),
    ],
)
def test_what_is_set_counts(path: str, value: Any, attribute: str, expected: Any) -> None:
    found: Any = spec_of(changed(SMALLEST, path, value))
    for part in attribute.split("."):
        found = getattr(found, part)
    assert found == expected


@pytest.mark.parametrize(
    ("usual", "own", "expected"),
    [
        (None, None, model.Margin(1.25, 0.0005)),
        ({"ratio": "1.5"}, None, model.Margin(1.5, 0.0005)),
        ({"difference": "0"}, None, model.Margin(1.25, 0.0)),
        ({"ratio": "1.5", "difference": "0.01"}, {"ratio": "2"}, model.Margin(2.0, 0.01)),
        ({"ratio": "1.5", "difference": "0.01"}, {"difference": "0.002"}, model.Margin(1.5, 0.002)),
        ({"ratio": "1.5", "difference": "0.01"}, {}, model.Margin(1.5, 0.01)),
        (None, {"ratio": "0.8"}, model.Margin(0.8, 0.0005)),
        ({"ratio": "1", "difference": "0.1"}, {"ratio": "3", "difference": "0"}, model.Margin(3.0, 0.0)),
    ],
)
def test_what_an_sli_leaves_open_of_its_margin_comes_from_analysis(
    usual: Any, own: Any, expected: model.Margin
) -> None:
    obj = changed(changed(SMALLEST, "analysis.margin", usual), "slis.0.margin", own)
    assert spec_of(obj).slis[0].margin == expected


@pytest.mark.parametrize(
    ("usual", "own", "ratio"),
    [({"difference": "0"}, {"ratio": "1"}, "1"), ({"ratio": "0.9"}, {"difference": "0.0"}, "0.9")],
)
def test_two_halves_of_a_margin_that_nothing_could_prove(usual: Any, own: Any, ratio: str) -> None:
    obj = changed(changed(SMALLEST, "analysis.margin", usual), "slis.0.margin", own)
    assert problem_of(obj).startswith(
        f"spec.slis[0].margin: together with analysis.margin the ratio is {ratio} and the difference 0; with a ratio"
        " of 1 or less, difference must be more than 0"
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, None),
        ({}, model.Labels(0.8, 1800.0)),
        ({"minCoverage": "95.5%"}, model.Labels(0.955, 1800.0)),
        ({"maxDelay": "2h"}, model.Labels(0.8, 7200.0)),
    ],
)
def test_labels(labels: Any, expected: model.Labels | None) -> None:
    assert spec_of(changed(SMALLEST, "slis.0.labels", labels)).slis[0].labels == expected
