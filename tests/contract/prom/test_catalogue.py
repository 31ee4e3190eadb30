"""Every profile against the exposition text of its server, on a real Prometheus: the names that discovery chooses, the
counts of a known increase with a first error in it, and those after a restart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from typer.testing import CliRunner

from e2e.cluster.prometheus import Prometheus
from modelrollout.adapters.prom.metrics import PrometheusMetrics
from modelrollout.adapters.prom.sources import Sources
from modelrollout.api.profile import to_profile
from modelrollout.catalog import Catalogue, Resolved, alternatives, builtin, resolve
from modelrollout.catalog.profiles import Arms, Profile
from modelrollout.cli.main import app
from modelrollout.core.model import ArmLabels, Key, ProfileRef, Sli
from modelrollout.ports import Answer, ArmsByPod, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import Split, pods_of
from modelrollout.stats.increments import UP, KnownTargets
from modelrollout.stats.ticks import ArmReader, TickCounts
from tests.contract.prom.conftest import no_secret, source_object
from tests.contract.prom.scraped import EVERY, Moments, scraped, server_of, texts
from tests.scene import make_spec

pytestmark = pytest.mark.prometheus

SOURCE = SourceSpec("default", ArmsByPod(), EVERY)
ARMS = {
    "seldon": ArmLabels("server", "fraud-v7", "fraud-v8"),
    "llm-d-epp": ArmLabels("target_model_name", "fraud-v7", "fraud-v8"),
    "istio-source": ArmLabels("destination_workload", "fraud-v7", "fraud-v8"),
    "contour": ArmLabels("envoy_cluster_name", "contour_fraud-v7_8080", "contour_fraud-v8_8080"),
    "ingress-nginx": ArmLabels("arm", "fraud/", "fraud/ingress-nginx-fraud-v8-8080"),
    "ingress-nginx.old": ArmLabels("arm", "fraud/", "fraud/ingress-nginx.old-fraud-v8-8080"),
    "traefik": ArmLabels(
        "service", "traefik-fraud-v7-8080@kubernetesgateway", "traefik-fraud-v8-8080@kubernetesgateway"
    ),
}
HTTP = "http_requests_total"
TOKENS = "time_per_output_token_seconds"
E2E = "e2e_request_latency_seconds"
NGINX = "nginx_ingress_controller"
TF = ":tensorflow:serving:request"

# Text, SLI, threshold; total and bad events in one step; one of the metrics that must have been chosen.
EXPECTED = (
    ("modelrollout", "errors", None, 100, 6, "requests_total"),
    ("modelrollout", "latency", 0.3, 100, 30, "latency_seconds_bucket"),
    ("modelrollout", "accuracy", None, 33, 3, "predictions_labeled_total"),
    ("vllm", "errors", None, 100, 6, HTTP),
    ("vllm", "latency", 1.0, 90, 20, f"vllm:{E2E}_bucket"),
    ("vllm", "ttft", 0.25, 90, 10, "vllm:time_to_first_token_seconds_bucket"),
    ("vllm", "itl", 0.05, 900, 100, "vllm:inter_token_latency_seconds_bucket"),
    ("vllm", "tpot", 0.05, 90, 5, f"vllm:request_{TOKENS}_bucket"),
    ("vllm", "queue-time", 0.5, 90, 2, "vllm:request_queue_time_seconds_bucket"),
    ("vllm.old", "errors", None, 100, 6, HTTP),
    ("vllm.old", "itl", 0.05, 900, 100, f"vllm:{TOKENS}_bucket"),
    ("sglang", "errors", None, 100, 6, "sglang:num_aborted_requests_total"),
    ("sglang", "latency", 0.8, 94, 24, f"sglang:{E2E}_bucket"),
    ("sglang", "ttft", 0.2, 94, 4, "sglang:time_to_first_token_seconds_bucket"),
    ("sglang", "itl", 0.02, 940, 40, "sglang:inter_token_latency_seconds_bucket"),
    ("sglang", "queue-time", 0.5, 94, 3, "sglang:queue_time_seconds_bucket"),
    ("sglang.old", "itl", 0.02, 940, 40, f"sglang:{TOKENS}_bucket"),
    ("tgi", "errors", None, 96, 6, "tgi_request_failure"),
    ("tgi", "latency", 0.26, 96, 26, "tgi_request_duration_bucket"),
    ("tgi", "tpot", 0.023, 90, 5, "tgi_request_mean_time_per_token_duration_bucket"),
    ("tgi", "queue-time", 0.015, 90, 2, "tgi_request_queue_duration_bucket"),
    ("tei", "errors", None, 96, 6, "te_request_failure"),
    ("tei", "latency", 0.023, 90, 20, "te_request_duration_bucket"),
    ("tei", "queue-time", 0.015, 90, 2, "te_request_queue_duration_bucket"),
    ("tei.old", "latency", 0.023, 90, 20, "te_embed_duration_bucket"),
    ("tei.old", "queue-time", 0.015, 90, 2, "te_embed_queue_duration_bucket"),
    ("trtllm", "errors", None, 100, 6, "trtllm_request_error_total"),
    ("trtllm", "latency", 1.0, 94, 24, f"trtllm_{E2E}_bucket"),
    ("trtllm", "ttft", 0.25, 94, 4, "trtllm_time_to_first_token_seconds_bucket"),
    ("trtllm", "tpot", 0.05, 94, 2, f"trtllm_{TOKENS}_bucket"),
    ("trtllm", "queue-time", 0.5, 94, 3, "trtllm_request_queue_time_seconds_bucket"),
    ("triton", "errors", None, 100, 6, "nv_inference_request_failure"),
    ("triton", "first-response", 0.5, 94, 14, "nv_inference_first_response_histogram_ms_bucket"),
    ("triton.old", "errors", None, 100, 6, "nv_inference_request_failure"),
    ("nim", "errors", None, 100, 6, "request_failure_total"),
    ("nim", "latency", 1.0, 100, 30, f"{E2E}_bucket"),
    ("nim", "ttft", 0.25, 94, 4, "time_to_first_token_seconds_bucket"),
    ("nim", "tpot", 0.05, 94, 2, f"{TOKENS}_bucket"),
    ("mlserver", "errors", None, 100, 6, "model_infer_request_failure_total"),
    ("mlserver", "rest-errors", None, 100, 6, "rest_server_requests_total"),
    ("mlserver", "latency", 0.1, 100, 26, "rest_server_request_duration_seconds_bucket"),
    ("mlserver.old", "latency", 0.1, 100, 26, "rest_server_requests_duration_seconds_bucket"),
    ("seldon", "errors", None, 100, 6, "seldon_model_infer_total"),
    ("seldon", "latency", 0.1, 98, 28, "seldon_model_infer_api_seconds_bucket"),
    ("kserve", "latency", 0.1, 100, 30, "request_predict_seconds_bucket"),
    ("kserve", "preprocess", 0.01, 100, 5, "request_preprocess_seconds_bucket"),
    ("kserve", "postprocess", 0.01, 100, 1, "request_postprocess_seconds_bucket"),
    ("knative", "errors", None, 100, 6, "kn_serving_invocation_duration_seconds_count"),
    ("knative", "latency", 0.25, 100, 26, "kn_serving_invocation_duration_seconds_bucket"),
    ("torchserve", "errors", None, 100, 6, "Requests5XX"),
    ("bentoml", "errors", None, 100, 6, "bentoml_service_request_total"),
    ("bentoml", "latency", 0.1, 100, 26, "bentoml_service_request_duration_seconds_bucket"),
    ("bentoml.old", "errors", None, 100, 6, "bentoml_api_server_request_total"),
    ("bentoml.old", "latency", 0.1, 100, 26, "bentoml_api_server_request_duration_seconds_bucket"),
    ("rayserve", "errors", None, 100, 6, "ray_serve_deployment_error_counter_total"),
    ("rayserve", "latency", 0.3, 100, 20, "ray_serve_deployment_processing_latency_ms_bucket"),
    ("tfserving", "errors", None, 100, 6, f"{TF}_count"),
    ("tfserving", "latency", 0.2, 100, 26, f"{TF}_latency_bucket"),
    ("tfserving.old", "latency", 0.2, 100, 30, f"{TF}_latency_bucket"),
    ("llm-d-epp", "errors", None, 100, 6, "llm_d_epp_request_error_total"),
    ("llm-d-epp", "latency", 1.0, 94, 24, "llm_d_epp_request_duration_seconds_bucket"),
    ("llm-d-epp", "ttft", 0.25, 94, 4, "llm_d_epp_request_ttft_seconds_bucket"),
    ("llm-d-epp", "tpot", 0.05, 94, 2, "llm_d_epp_request_streaming_tpot_seconds_bucket"),
    ("llm-d-epp.old", "errors", None, 100, 6, "inference_objective_request_error_total"),
    ("llm-d-epp.old", "latency", 1.0, 94, 24, "inference_objective_request_duration_seconds_bucket"),
    ("llm-d-epp.older", "errors", None, 100, 6, "inference_model_request_error_total"),
    ("llm-d-epp.older", "latency", 1.0, 94, 24, "inference_model_request_duration_seconds_bucket"),
    ("istio", "errors", None, 100, 6, "istio_requests_total"),
    ("istio", "latency", 0.25, 100, 26, "istio_request_duration_milliseconds_bucket"),
    ("istio-source", "errors", None, 100, 6, "istio_requests_total"),
    ("istio-source", "latency", 0.25, 100, 26, "istio_request_duration_milliseconds_bucket"),
    ("envoy-gateway", "errors", None, 100, 6, "envoy_cluster_upstream_rq_xx"),
    ("envoy-gateway", "latency", 0.5, 100, 20, "envoy_cluster_upstream_rq_time_bucket"),
    ("contour", "errors", None, 100, 6, "envoy_cluster_upstream_rq_xx"),
    ("contour", "latency", 0.25, 100, 20, "envoy_cluster_upstream_rq_time_bucket"),
    ("ingress-nginx", "errors", None, 100, 6, f"{NGINX}_requests"),
    ("ingress-nginx", "latency", 0.25, 100, 26, f"{NGINX}_response_duration_seconds_bucket"),
    ("ingress-nginx.old", "latency", 0.25, 100, 26, f"{NGINX}_request_duration_seconds_bucket"),
    ("traefik", "errors", None, 100, 6, "traefik_service_requests_total"),
    ("traefik", "latency", 0.3, 100, 26, "traefik_service_request_duration_seconds_bucket"),
    ("linkerd", "errors", None, 100, 6, "response_total"),
    ("linkerd", "latency", 0.2, 100, 20, "response_latency_ms_bucket"),
    ("acme-scorer", "errors", None, 100, 6, "scorer_requests_total"),
    ("acme-scorer", "latency", 0.1, 94, 24, "scorer_duration_milliseconds_bucket"),
    ("acme-scorer.old", "errors", None, 100, 6, "scorer_request_count"),
    ("acme-scorer.old", "latency", 0.12, 94, 24, "scorer_latency_ms_bucket"),
    ("cadvisor", "throttling", None, 100, 7, "container_cpu_cfs_throttled_periods_total"),
)
# Thresholds of the table that are no boundary of the server.
ROUNDED = frozenset({"tgi", "tei", "tei.old", "tfserving", "tfserving.old", "acme-scorer.old"})
EXAMPLE = Path(__file__).parents[3] / "examples" / "sli-profile.yaml"
PATIENCE = 60.0
SLACK = 300.0
"""Seconds: a busy machine takes its time between the moments."""


@pytest.fixture(scope="module")
def moments(prometheus: Prometheus) -> Iterator[Moments]:
    with scraped(prometheus) as times:
        yield times


@pytest_asyncio.fixture
async def metrics(prometheus: Prometheus) -> AsyncIterator[PrometheusMetrics]:
    sources = Sources(read_secret=no_secret, namespace_labels=lambda name: {}, allow_loopback=True)
    await sources.update(source_object("default", prometheus.url, timeout="10s"))
    yield PrometheusMetrics(sources)
    sources.close()


def own() -> Profile:
    """A profile of the cluster, as its object says."""
    found = to_profile(yaml.safe_load(EXAMPLE.read_text()), strict=True)
    assert isinstance(found, Profile)
    return found


def catalogue() -> Catalogue:
    """The builtin one and that of the cluster, in which every profile may be asked for."""
    found = (*builtin().profiles.values(), own())
    return Catalogue.of(*(replace(p, arms=Arms.PODS, hint="") if p.arms is Arms.NONE else p for p in found))


async def read(metrics: PrometheusMetrics, query: SeriesQuery, at: float) -> Answer:
    """The answer, asked for again where a busy machine was too slow."""
    for _ in range(3):
        (found,) = await metrics.read("default", [query], at=at)
        if isinstance(found, Answer):
            return found
    raise AssertionError(found)


@pytest.mark.parametrize(
    ("text", "name", "threshold", "total", "bad", "metric"), EXPECTED, ids=[f"{row[0]}-{row[1]}" for row in EXPECTED]
)
async def test_a_profile_counts_what_its_server_exposes(
    moments: Moments,
    metrics: PrometheusMetrics,
    text: str,
    name: str,
    threshold: float | None,
    total: int,
    bad: int,
    metric: str,
) -> None:
    arms = ARMS.get(text) or ARMS.get(server_of(text))
    sli = Sli(name, ProfileRef(server_of(text), name), 0.01, threshold=threshold, arms=arms)
    spec = make_spec(slis=(sli,), key=Key(text, "fraud"))
    names = alternatives(sli, catalogue())
    assert isinstance(names, tuple)
    pods = pods_of(spec, sli, SOURCE)
    query = SeriesQuery((*names, UP), SLACK, (), (text,), pods)
    found = await read(metrics, query, moments.restarted)
    resolved = resolve(sli, Split(found.series).arms(spec, sli, SOURCE)[1], catalogue())
    assert isinstance(resolved, Resolved), resolved
    assert metric in resolved.plan.counted
    assert bool(resolved.notes) == (threshold is not None and text in ROUNDED), resolved.notes

    asked = replace(query, metrics=(*resolved.plan.metrics, UP), boundaries=resolved.plan.boundaries)
    answer = await read(metrics, asked, moments.restarted)
    counters, health = Split.in_two(answer.series)
    reader = ArmReader(resolved.plan, scrape=PATIENCE, slack=SLACK)
    arm = reader.prepare((*counters.arms(spec, sli, SOURCE)[1], *health.arms(spec, sli, SOURCE)[1]))
    known = KnownTargets(answer.series)
    for steps, start, end in ((2, moments.stood, moments.moved), (1, moments.moved, moments.restarted)):
        tick = reader.read(arm, start, end, known=known, judged=lambda target: True, lazy=arms is not None)
        assert isinstance(tick, TickCounts), tick
        assert (tick.n, tick.e) == (steps * total, steps * bad), (start, end)


def test_every_sli_and_every_text_is_in_the_table() -> None:
    known = {(server, sli) for server, profile in catalogue().profiles.items() for sli in profile.slis}
    assert {(server_of(text), name) for text, name, *_ in EXPECTED} == known
    assert set(texts()) - {row[0] for row in EXPECTED} == {"kube-state-metrics"}, "it has no SLI"


def test_every_alternative_name_is_chosen_somewhere() -> None:
    named = {name for row in EXPECTED for name in [row[5]]}
    for server, profile in catalogue().profiles.items():
        for name, entry in profile.slis.items():
            histogram = getattr(entry, "histogram", None)
            for each in histogram.names if histogram else ():
                assert f"{each}_bucket" in named, f"{server}/{name}: {each}"


def checked(prometheus: Prometheus, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `profiles check` for one server."""
    result = CliRunner().invoke(
        app, ["profiles", "check", "--prometheus", prometheus.url, "-o", "json", *arguments], catch_exceptions=False
    )
    (found,) = json.loads(result.stdout)["profiles"]
    assert isinstance(found, dict)
    return result.exit_code, found


@pytest.mark.parametrize("server", [name for name, profile in builtin().profiles.items() if profile.slis])
def test_check_finds_each_server_fitting_as_a_whole(prometheus: Prometheus, moments: Moments, server: str) -> None:
    code, found = checked(prometheus, server, "--namespace", server)
    assert (code, found["fits"]) == (0, True)
    missing = [each for each in (*found["slis"], *found["display"]) if not each["fits"]]
    assert missing == []
    profile = builtin().profiles[server]
    assert all(each["boundariesSeconds"] for each in found["slis"] if hasattr(profile.slis[each["name"]], "histogram"))
    if profile.arms is Arms.LABEL:
        assert {ARMS[server].legacy, ARMS[server].candidate} <= set(found["values"])


def test_check_narrows_to_a_deployment_and_says_what_is_missing(prometheus: Prometheus, moments: Moments) -> None:
    assert checked(prometheus, "vllm", "--namespace", "vllm", "--deployment", "fraud-v8")[0] == 0
    code, found = checked(prometheus, "vllm", "--namespace", "vllm", "--deployment", "fraud-v9")
    assert (code, found["fits"], found["series"]) == (1, False, 0)
    assert found["slis"][0]["reason"] == f"no series of {HTTP}"
    code, found = checked(prometheus, "vllm", "--namespace", "vllm.old")
    states = {each["name"]: each["fits"] for each in found["slis"]}
    assert code == 0
    assert [name for name, fits in states.items() if not fits] == ["tpot"]


def test_check_says_where_series_of_a_gateway_are(prometheus: Prometheus, moments: Moments) -> None:
    code, found = checked(prometheus, "traefik", "--namespace", "serving")
    assert code == 1
    assert "its series carry namespace traefik, none serving" in found["slis"][0]["reason"]
