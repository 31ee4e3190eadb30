"""Our profiles on a real Prometheus: discovery, raw counts and the PromQL of dashboards agree with what is stored."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

import pytest

from e2e.cluster.prometheus import Prometheus
from e2e.cluster.remote_write import Sample
from e2e.models.telemetry import Telemetry
from modelrollout.adapters.prom import render
from modelrollout.catalog import Resolved, alternatives, resolve, service_view
from modelrollout.core.model import ProfileRef, Selector, Sli
from modelrollout.core.plan import SliPlan, Term
from modelrollout.core.samples import Series
from modelrollout.ports import Answer, SeriesQuery
from tests.contract.prom.conftest import World

pytestmark = pytest.mark.prometheus

STEPS = 12
EVERY = 5.0

# Metric, labels beside namespace and pod, increment per scrape.
Flow = tuple[str, Mapping[str, str], float]
MODEL: Sequence[Flow] = (
    ("requests_total", {"version": "8", "code": "200"}, 90),
    ("requests_total", {"version": "8", "code": "404"}, 4),
    ("requests_total", {"version": "8", "code": "500"}, 5),
    ("requests_total", {"version": "8", "code": "503"}, 1),
    ("latency_seconds_bucket", {"version": "8", "le": "0.1"}, 40),
    ("latency_seconds_bucket", {"version": "8", "le": "0.3"}, 70),
    ("latency_seconds_bucket", {"version": "8", "le": "1.0"}, 85),
    ("latency_seconds_bucket", {"version": "8", "le": "+Inf"}, 90),
    ("latency_seconds_count", {"version": "8"}, 90),
    ("predictions_labeled_total", {"version": "8", "step": "1", "correct": "true"}, 30),
    ("predictions_labeled_total", {"version": "8", "step": "1", "correct": "false"}, 3),
)
CLUSTER = {"envoy_cluster_name": "httproute/ml/fraud/rule/0"}
ENVOY: Sequence[Flow] = (
    ("envoy_cluster_upstream_rq_xx", {**CLUSTER, "envoy_response_code_class": "2"}, 94),
    ("envoy_cluster_upstream_rq_xx", {**CLUSTER, "envoy_response_code_class": "5"}, 6),
    ("envoy_cluster_upstream_rq_time_count", CLUSTER, 100),
    ("envoy_cluster_upstream_rq_time_bucket", {**CLUSTER, "le": "250"}, 60),
    ("envoy_cluster_upstream_rq_time_bucket", {**CLUSTER, "le": "500"}, 80),
    ("envoy_cluster_upstream_rq_time_bucket", {**CLUSTER, "le": "+Inf"}, 100),
)
# Profile, threshold, total and bad per scrape.
EXPECTED = (
    ("modelrollout/errors", None, 100, 6),
    ("modelrollout/latency", 0.3, 100, 30),
    ("modelrollout/accuracy", None, 33, 3),
    ("envoy-gateway/errors", None, 100, 6),
    ("envoy-gateway/latency", 0.5, 100, 20),
)


def feed(prometheus: Prometheus, now: float, namespace: str, pod: str, flows: Sequence[Flow]) -> None:
    """Counters that have run for `STEPS` scrapes, the last one now; before that they stood at 1000 for a while."""
    start = now - STEPS * EVERY
    prometheus.write(
        Sample(metric, {**labels, "namespace": namespace, "pod": pod}, value, at)
        for metric, labels, rate in flows
        for at, value in [
            (start - 60, 1000.0),
            *((start + n * EVERY, 1000.0 + n * rate) for n in range(STEPS + 1)),
        ]
    )


def ref(profile: str) -> ProfileRef:
    return ProfileRef(*profile.split("/"))


def counted(terms: Sequence[Term], series: Sequence[Series]) -> float:
    """What the terms count between the first and the last sample, by hand."""
    return sum(
        term.sign * (each.samples[-1][1] - each.samples[0][1])
        for term in terms
        for each in series
        if belongs(each.labels, term)
    )


def belongs(labels: Mapping[str, str], term: Term) -> bool:
    return (
        labels["__name__"] == term.selector.metric
        and all(labels.get(name) == value for name, value in term.selector.equal)
        and all(re.fullmatch(pattern, labels.get(name, "")) is not None for name, pattern in term.selector.regex)
        and (term.boundary is None or float(labels["le"]) == term.boundary)
    )


@pytest.mark.parametrize("world", ["prometheus"], indirect=True)
@pytest.mark.parametrize(("profile", "threshold", "total", "bad"), EXPECTED[:3])
async def test_discovery_and_raw_counts(
    prometheus: Prometheus, world: World, profile: str, threshold: float | None, total: int, bad: int
) -> None:
    namespace = "raw-" + profile.replace("/", "-")
    pods = ("fraud-v7-aaa-11111", "fraud-v8-bbb-22222")
    for pod in pods:
        feed(prometheus, world.now, namespace, pod, MODEL)
    sli = Sli("x", ref(profile), 0.01, threshold=threshold)
    names = alternatives(sli)
    assert isinstance(names, tuple)
    (found,) = await world.metrics.read(
        "default", [SeriesQuery(names, 300.0, namespaces=(namespace,), pods="fraud-v[78]-.*")], at=world.now
    )
    assert isinstance(found, Answer)
    resolved = resolve(sli, found.series)
    assert isinstance(resolved, Resolved), resolved
    plan = resolved.plan
    query = SeriesQuery(plan.metrics, STEPS * EVERY + 1, plan.boundaries, (namespace,), "fraud-v8-.*")
    (answer,) = await world.metrics.read("default", [query], at=world.now)
    assert isinstance(answer, Answer)
    assert {each.labels["pod"] for each in answer.series} == {pods[1]}
    assert counted(plan.total, answer.series) == total * STEPS
    assert counted(plan.bad, answer.series) == bad * STEPS


@pytest.mark.parametrize(("profile", "threshold", "total", "bad"), EXPECTED)
def test_promql_of_dashboards(
    prometheus: Prometheus, profile: str, threshold: float | None, total: int, bad: int
) -> None:
    now = float(int(time.time()))
    namespace = "view-" + profile.replace("/", "-")
    feed(prometheus, now, namespace, "p", ENVOY if profile.startswith("envoy") else MODEL)
    plan = service_view(ref(profile), threshold=threshold)
    window = STEPS * EVERY
    for terms, expected in ((plan.total, total), (plan.bad, bad)):
        (result,) = prometheus.query(render.count(terms, window=window, namespace=namespace), at=now)
        # `increase` extrapolates to the edges of the window: up to one scrape in twelve.
        assert result.value == pytest.approx(expected * STEPS, rel=0.1), profile


def test_first_error_is_seen_and_no_errors_are_zero_but_no_requests_are_nothing(prometheus: Prometheus) -> None:
    now = float(int(time.time()))
    plan = service_view(ProfileRef("modelrollout", "errors"))
    both = (*plan.total, Term(plan.bad[0].selector, sign=-1))
    feed(prometheus, now, "first", "p", [("requests_total", {"code": "200"}, 10)])
    (good,) = prometheus.query(render.count(both, window=60.0, namespace="first"), at=now)
    assert good.value == pytest.approx(120, rel=0.1)
    prometheus.write([Sample("requests_total", {"code": "500", "namespace": "first", "pod": "p"}, 3.0, now)])
    (bad,) = prometheus.query(render.count(plan.bad, window=60.0, namespace="first"), at=now)
    assert bad.value == 3.0
    assert prometheus.query(render.count(both, window=60.0, namespace="nowhere"), at=now) == []


@pytest.mark.parametrize("world", ["prometheus"], indirect=True)
async def test_the_example_server_keeps_the_contract(prometheus: Prometheus, world: World) -> None:
    """The metrics of our own model server are what the `modelrollout` profile asks for, spelled as it spells them."""
    telemetry = Telemetry("8", started=world.now - 60)
    stamped = []
    for line in telemetry.text().splitlines():
        if line and not line.startswith("#"):
            head, _, value = line.rpartition(" ")
            name, _, labels = head.partition("{")
            stamped.append((name, labels.rstrip("}"), float(value)))
    prometheus.write(
        Sample(name, {**pairs(labels), "namespace": "example", "pod": "fraud-v8-bbb-22222"}, value, world.now)
        for name, labels, value in stamped
    )
    for profile, threshold in (("errors", None), ("latency", 0.3), ("accuracy", None)):
        sli = Sli("x", ProfileRef("modelrollout", profile), 0.01, threshold=threshold)
        names = alternatives(sli)
        assert isinstance(names, tuple)
        (found,) = await world.metrics.read(
            "default", [SeriesQuery(names, 60.0, namespaces=("example",))], at=world.now
        )
        assert isinstance(found, Answer)
        resolved = resolve(sli, found.series)
        assert isinstance(resolved, Resolved), resolved
        assert resolved.notes == ()


def pairs(labels: str) -> dict[str, str]:
    return {name: value.strip('"') for name, _, value in (each.partition("=") for each in labels.split(",") if each)}


def test_plan_of_a_view_has_no_boundary_without_threshold() -> None:
    plan = service_view(ProfileRef("envoy-gateway", "latency"))
    selector = Selector("envoy_cluster_upstream_rq_time_count")
    bucket = Selector("envoy_cluster_upstream_rq_time_bucket")
    assert plan == SliPlan("latency", (Term(selector),), (Term(selector), Term(bucket, sign=-1)))
