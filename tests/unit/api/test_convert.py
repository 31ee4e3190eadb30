"""Resources to core values: defaults, units, problems in words, and no way to make it raise."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.api import crd
from modelrollout.api.convert import action_target, to_action, to_source, to_spec
from modelrollout.api.source import Connection, SecretKey, Source
from modelrollout.core import model
from modelrollout.core.observation import ActionRequest, SpecProblem
from modelrollout.core.rates import Exposure
from modelrollout.ports import ArmsByLabel, ArmsByPod, SourceSpec
from tests.structural import drawn

EXAMPLES = Path(__file__).parents[3] / "examples"
FULL, SOURCE, ACTION = yaml.safe_load_all((EXAMPLES / "full.yaml").read_text())
SMALLEST = yaml.safe_load((EXAMPLES / "smallest.yaml").read_text())
ADOPT = yaml.safe_load((EXAMPLES / "adopt-route.yaml").read_text())

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def spec_of(obj: dict[str, Any]) -> model.RolloutSpec:
    spec = to_spec(obj, strict=True)
    assert isinstance(spec, model.RolloutSpec), spec
    return spec


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    out = copy.deepcopy(obj)
    node: Any = out["spec"]
    parents: list[Any] = [int(part) if part.isdigit() else part for part in path.split(".")]
    last = parents.pop()
    for part in parents:
        node = node[part] if isinstance(node, list) else node.setdefault(part, {})
    node[last] = value
    return out


def problem_of(obj: dict[str, Any], *, strict: bool = False) -> str:
    found = to_spec(obj, strict=strict)
    assert isinstance(found, SpecProblem)
    assert found.reason == "InvalidSpec"
    return found.problem


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
    assert "set Replicas, or remove the segments" in problem_of(segments)


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


def ramped(ramp: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**SMALLEST, "spec": {**SMALLEST["spec"], "steps": None, "ramp": ramp, **spec}}


@pytest.mark.parametrize(
    ("ramp", "weights"),
    [
        ({}, [100, 270, 729, 1968, 5314, 10_000]),
        ({"from": "0.25", "growth": 10}, [25, 250, 2500, 10_000]),
        ({"from": 5, "growth": "5"}, [500, 2500, 10_000]),
        # 84 % would leave less than a factor of 1.2, 83.3 % does not.
        ({"from": 42, "growth": 2}, [4200, 10_000]),
        ({"from": "41.65", "growth": 2}, [4165, 8330, 10_000]),
        ({"from": 50, "growth": "1.2"}, [5000, 6000, 7200, 10_000]),
        # What rounds to the same weight is one step.
        (
            {"from": "0.01", "growth": "1.7"},
            [1, 2, 3, 5, 8, 14, 24, 41, 70, 119, 202, 343, 583, 990, 1684, 2862, 4866, 8272, 10_000],
        ),
    ],
)
def test_a_ramp_is_a_ladder(ramp: dict[str, Any], weights: list[int]) -> None:
    spec = spec_of(ramped(ramp))
    assert (spec.ramp, spec_of(SMALLEST).ramp) == (True, False)
    assert spec.steps == tuple(model.Step(model.Weight(weight), 60.0, 21600.0) for weight in weights)


def test_the_steps_of_a_ramp_last_as_step_defaults_say() -> None:
    steps = spec_of(ramped({"growth": 10}, stepDefaults={"minDuration": "2m", "maxDuration": "1h"})).steps
    assert [(step.min_duration, step.max_duration) for step in steps] == [(120.0, 3600.0)] * 3
    assert not any(step.approval for step in steps)


@given(start=st.integers(1, 5000), growth=st.integers(1200, 10_000))
def test_every_ramp_rises_to_all_traffic_or_says_what_to_change(start: int, growth: int) -> None:
    ramp = {"from": f"{start / 100:.2f}", "growth": f"{growth / 1000:.3f}"}
    found = to_spec(ramped(ramp), strict=True)
    if isinstance(found, SpecProblem):
        assert "spec.ramp.growth" in found.problem
        wider = found.problem.partition("set growth to ")[2].split()[0]
        assert float(wider) > growth / 1000
        found = spec_of(ramped(ramp | {"growth": wider}))
    weights = [step.weight for step in found.steps]
    assert weights == sorted(set(weights))
    assert (weights[0], weights[-1]) == (start, 10_000)
    assert len(weights) <= 20
    assert weights[-2] * 1.2 <= 10_000 + 0.6


def test_too_many_steps_of_a_ramp() -> None:
    assert problem_of(ramped({"from": "0.01", "growth": "1.2"})) == (
        "spec.ramp.growth: from 0.01 % by factors of 1.2 it takes 46 steps, at most 20 are possible; set growth to"
        " 1.7 or more, or from to a higher weight"
    )


def test_the_tolerance_of_a_ramp_is_that_of_the_rollout() -> None:
    analysis = {"tolerance": "0.1%"}
    assert spec_of(ramped({}, analysis=analysis)).analysis.tolerance == 0.001
    assert spec_of(ramped({"tolerance": "0.02%"}, analysis=analysis)).analysis.tolerance == 0.0002
    assert spec_of(ramped({})).analysis.tolerance == 0.0005


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"minDuration": "7h"}, "spec.stepDefaults.minDuration: the step would last at least 25200s"),
        ({"maxDuration": "30s"}, "spec.stepDefaults.maxDuration: the step would last at least 60s and at most 30s"),
    ],
)
def test_durations_that_no_step_of_a_ramp_can_have(defaults: dict[str, str], said: str) -> None:
    assert problem_of(ramped({}, stepDefaults=defaults)).startswith(said)


def test_step_defaults_fill_only_what_is_absent() -> None:
    obj = changed(SMALLEST, "stepDefaults", {"minDuration": "2m", "maxDuration": "1h"})
    obj = changed(obj, "steps.1.minDuration", "3m")
    durations = [(step.min_duration, step.max_duration) for step in spec_of(obj).steps]
    assert durations == [(120.0, 3600.0), (180.0, 3600.0), (120.0, 3600.0)]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "steps.0.minDuration",
            "7h",
            "spec.steps[0].minDuration: the step would last at least 25200s and at most 21600s",
        ),
        ("steps.0.maxDuration", "30s", "spec.steps[0].maxDuration: the step would last at least 60s and at most 30s"),
        ("steps.1.weight", 5, "spec.steps: weights must rise"),
        ("steps.0.weight", True, "spec.steps[0].weight: must be more than 0"),
        ("candidate.deployment", "fraud-v7", "spec.candidate.deployment: candidate.deployment must differ"),
        ("traffic.adoptRoute", {"name": "x"}, "spec.traffic: exactly one router must be set"),
        ("slis.0.objective", "101", "spec.slis[0].objective: must be a percentage"),
        ("slis.0.objective", 99, "spec.slis[0].objective: must be a string (in quotes)"),
        ("legacy", [], "spec.legacy: must be an object"),
        ("steps", {}, "spec.steps: must be a list"),
        ("ramp", {"from": 1}, "spec.steps: exactly one of steps and ramp must be set"),
        ("analysis.margin", {"ratio": "1", "difference": "0"}, "spec.analysis.margin.difference: with a ratio of 1 or"),
        ("analysis.tolerance", "0.0005", "spec.analysis.tolerance: string should match"),
        ("port", "http", "spec.port: must be a whole number"),
        ("port", 10**400, "spec.port: input should be less than or equal to 65535"),
        ("paused", "yes", "spec.paused: must be a boolean"),
    ],
)
def test_problems_name_field_and_fix(path: str, value: Any, said: str) -> None:
    assert said in problem_of(changed(SMALLEST, path, value))


def test_a_header_can_not_be_matched_twice() -> None:
    obj = changed(FULL, "traffic.segments.0.headers.0.name", "X-Tenant")
    assert problem_of(obj) == (
        'spec.traffic.segments[0].headers: "X-Tenant" is matched by managedRoute.matches too; name it in one of the'
        " two places"
    )


def test_many_problems_are_cut() -> None:
    said = problem_of({"metadata": SMALLEST["metadata"], "spec": {}})
    assert said == ("spec.legacy: must be set; spec.candidate: must be set; spec.traffic: must be set (and 1 more)")


def test_unknown_fields_are_for_linting_only() -> None:
    obj = changed(SMALLEST, "analysis.falseAlarm", "0.05")
    assert isinstance(to_spec(obj), model.RolloutSpec)
    assert problem_of(obj, strict=True) == "spec.analysis.falseAlarm: unknown field"


def test_no_problem_repeats_a_long_value() -> None:
    said = problem_of(changed(SMALLEST, "legacy.deployment", "A" * 5000))
    assert len(said) < 200


@pytest.mark.parametrize("metadata", [None, {}, [], {"name": "x"}, {"name": 3, "namespace": "y"}])
def test_an_object_without_a_name(metadata: Any) -> None:
    assert problem_of({**SMALLEST, "metadata": metadata}).startswith("metadata: ")


def test_source_in_detail() -> None:
    assert to_source(SOURCE, strict=True) == Source(
        spec=SourceSpec("default", ArmsByPod(), scrape_interval=5.0),
        connection=Connection(
            address="https://prometheus.monitoring:9090",
            bearer_token=SecretKey("prometheus-token", "token"),
            ca=SecretKey("prometheus-ca", "ca.crt"),
            headers=(("X-Scope-OrgID", "ml"),),
            timeout=5.0,
            max_concurrency=8,
        ),
        allowed=(("ml", "true"),),
    )


def test_source_defaults() -> None:
    obj = {"metadata": {"name": "s"}, "spec": {"prometheus": {"address": "http://p:9090/"}}}
    assert to_source(obj) == Source(
        SourceSpec("s", ArmsByPod(), scrape_interval=None), Connection("http://p:9090"), allowed=None
    )


def test_source_arms_by_label() -> None:
    label = {"name": "version", "legacy": "a", "candidate": "b"}
    source = to_source(changed(SOURCE, "arms", {"by": "label", "label": label}))
    assert isinstance(source, Source)
    assert source.spec.arms == ArmsByLabel("version", "a", "b")


@pytest.mark.parametrize(
    ("allowed", "labels", "expected"),
    [
        (None, {}, True),
        ((), {}, True),
        ((("ml", "true"),), {"ml": "true", "x": "y"}, True),
        ((("ml", "true"),), {"ml": "false"}, False),
        ((("ml", "true"), ("team", "a")), {"ml": "true"}, False),
    ],
)
def test_allowed_namespaces(
    allowed: tuple[tuple[str, str], ...] | None, labels: dict[str, str], expected: bool
) -> None:
    source = Source(SourceSpec("s", ArmsByPod(), scrape_interval=None), Connection("http://p"), allowed)
    assert source.allows(labels) is expected


def stored_action(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "a", "namespace": "serving", "uid": "u", "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {**ACTION, "metadata": metadata, **changes}


def test_action() -> None:
    assert to_action(stored_action()) == ActionRequest(
        name="a",
        uid="u",
        verb=model.ActionVerb.ABORT,
        created=1767323045.0,
        revision="5f3c9a",
        reason="support tickets",
    )
    assert action_target(stored_action()) == model.Key("serving", "fraud")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": {"result": "Applied"}},
        {"status": {"result": "Refused"}},
        {"spec": {"rollout": "fraud", "action": "Explode"}},
        {"spec": None},
        {"metadata": {}},
    ],
)
def test_no_action(changes: dict[str, Any]) -> None:
    assert to_action(stored_action(**changes)) is None


def test_an_empty_status_is_no_result() -> None:
    assert to_action(stored_action(status={})) is not None


@given(obj=JSON)
def test_total_on_any_json(obj: Any) -> None:
    wrapped = {"metadata": {"name": "a", "namespace": "b", "uid": "u"}, "spec": obj, "status": obj}
    for candidate in (obj if isinstance(obj, dict) else {}, wrapped, {"metadata": obj, "spec": obj}):
        assert isinstance(to_spec(candidate), SpecProblem)
        assert isinstance(to_source(candidate), SpecProblem)
        assert to_action(candidate) is None
        action_target(candidate)


SPEC_SCHEMA = crd.definition(crd.KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None, max_examples=100)
@given(spec=drawn(SPEC_SCHEMA), weights=st.lists(st.integers(1, 9999), min_size=1, max_size=5, unique=True))
def test_total_on_what_the_schema_takes(spec: dict[str, Any], weights: list[int]) -> None:
    ladder = [*sorted(weights), 10_000]
    spec.pop("ramp", None)
    spec["steps"] = [{"weight": f"{weight // 100}.{weight % 100:02d}"} for weight in ladder]
    found = to_spec({"metadata": {"name": "a", "namespace": "b"}, "spec": spec}, strict=True)
    if isinstance(found, model.RolloutSpec):
        assert [step.weight for step in found.steps] == ladder
        assert all(0 < sli.allowed < 1 for sli in found.slis if sli.allowed is not None)
        assert found.legacy.service != found.candidate.service
    else:
        assert found.problem.startswith("spec")


@pytest.mark.parametrize(
    ("given", "holds"), [({}, True), ({"sampleRatio": "Hold"}, True), ({"sampleRatio": "Warn"}, False)]
)
def test_a_wrong_split_holds_unless_told_otherwise(given: dict[str, Any], holds: bool) -> None:
    found = spec_of({**SMALLEST, "spec": {**SMALLEST["spec"], "analysis": given}})
    assert found.analysis.split_holds is holds
