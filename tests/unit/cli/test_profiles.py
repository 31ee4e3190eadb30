"""`modelrollout profiles`: what it prints, with which exit code, and what it does not import for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.catalog import builtin
from modelrollout.cli.main import app
from tests.unit.cli.test_record import answer, says
from tests.unit.prom.misbehaving import Misbehaving

Labels = dict[str, str]
OK: Labels = {"__name__": "requests_total", "code": "200"}


def run(*arguments: str, token: str = "") -> tuple[int, str, str]:
    environment = {"MODELROLLOUT_PROMETHEUS_TOKEN": token or None, "COLUMNS": "80"}
    result = CliRunner().invoke(app, ["profiles", *arguments], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def serving(*series: Labels) -> Misbehaving:
    """A Prometheus that has these series, of pod `fraud-v8-5d9c7b6f4-x2x9z` in `serving` unless they say otherwise."""
    own = {"namespace": "serving", "pod": "fraud-v8-5d9c7b6f4-x2x9z"}
    at = time.time() - 10
    result: list[dict[str, object]] = [{"metric": own | labels, "values": [[at, "1"]]} for labels in series]
    return says(answer({"status": "success", "data": {"resultType": "matrix", "result": result}}))


def checked(server: Misbehaving, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, err = run("check", "--prometheus", server.url, "-o", "json", *arguments)
    assert err == ""
    document = json.loads(out)
    assert list(document) == ["profiles"]
    return code, {each["server"]: each for each in document["profiles"]}


def test_list_has_a_row_for_each_profile() -> None:
    code, out, err = run("list")
    assert (code, err) == (0, "")
    assert "\x1b" not in out, "plain in a pipe"
    rows = {line.split()[0] for line in out.splitlines() if line.strip()}
    assert set(builtin().profiles) <= rows
    assert re.search(r"knative +errors\?, latency\?", out)
    assert "?: names not checked against a source of the server" in out


def test_list_and_show_say_the_same_in_json_and_yaml() -> None:
    code, out, _ = run("list", "-o", "json")
    listed = {each["server"]: each for each in json.loads(out)["profiles"]}
    assert (code, set(listed)) == (0, set(builtin().profiles))
    code, out, _ = run("list", "-o", "yaml")
    assert (code, yaml.safe_load(out)["profiles"]) == (0, list(listed.values()))
    code, out, _ = run("show", "triton", "-o", "yaml")
    assert (code, yaml.safe_load(out)) == (0, listed["triton"])
    code, out, _ = run("show", "triton", "-o", "json")
    assert (code, json.loads(out)) == (0, listed["triton"])


def test_fields_of_a_profile() -> None:
    vllm = json.loads(run("show", "vllm", "-o", "json")[1])
    ttft = next(each for each in vllm["slis"] if each["sli"] == "ttft")
    assert ttft == {
        "sli": "ttft",
        "summary": "Requests whose first token came later than the threshold",
        "threshold": True,
        "total": "vllm:time_to_first_token_seconds_count",
        "bad": 'total - vllm:time_to_first_token_seconds_bucket{le="<threshold>"}',
        "verified": True,
    }
    assert (vllm["arms"], vllm["label"], vllm["hint"], vllm["verified"]) == ("pods", None, None, True)
    queue = next(each for each in vllm["display"] if each["name"] == "queue")
    assert (queue["type"], queue["unit"], queue["metric"]) == ("gauge", "requests", "vllm:num_requests_waiting")
    assert "errors" in json.loads(run("show", "kserve", "-o", "json")[1])["without"]


def test_show_is_a_page_of_whole_lines() -> None:
    code, out, err = run("show", "nim")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "nim: NVIDIA NIM for LLMs"
    assert "needs: scrape /v1/metrics" in lines
    assert "  total: request_success_total + request_failure_total" in lines
    assert '  bad: total - e2e_request_latency_seconds_bucket{le="<threshold>"}' in lines
    assert any(line.startswith("source: NVIDIA documentation") for line in lines)
    assert "arms: its series come from the proxies" in run("show", "contour")[1]
    assert "; not checked against a source" in run("show", "contour")[1]


def test_a_profile_that_there_is_not() -> None:
    for arguments in (["show", "nosuch"], ["check", "nosuch", "--prometheus", "http://127.0.0.1:9"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: no profile 'nosuch'; there are bentoml, cadvisor, ")


def test_check_says_what_is_counted_and_at_which_boundaries() -> None:
    buckets = [{"__name__": "latency_seconds_bucket", "le": le} for le in ("0.1", "0.3", "1.5", "+Inf")]
    with serving(OK, *buckets) as server:
        code, found = checked(server, "modelrollout")
    errors, latency, accuracy = found["modelrollout"]["slis"]
    assert (code, found["modelrollout"]["fits"], found["modelrollout"]["series"]) == (0, True, 5)
    assert errors == {
        "name": "errors",
        "fits": True,
        "metrics": ["requests_total"],
        "boundariesSeconds": [],
        "reason": None,
    }
    assert (latency["fits"], latency["boundariesSeconds"]) == (True, [0.1, 0.3, 1.5])
    assert (accuracy["fits"], accuracy["reason"]) == (False, "no series of predictions_labeled_total")


@pytest.mark.parametrize(
    ("series", "name", "reason"),
    [
        ([{"__name__": "requests_total"}], "errors", "requests_total has no label code (it has: namespace, pod)"),
        ([OK], "latency", "no series of latency_seconds_bucket"),
        (
            [OK, {"__name__": "latency_seconds_bucket", "le": "+Inf"}],
            "latency",
            "share no bucket boundary of latency_seconds",
        ),
    ],
)
def test_check_says_what_is_missing_and_why(series: list[Labels], name: str, reason: str) -> None:
    with serving(*series) as server:
        _, found = checked(server, "modelrollout")
    (sli,) = (each for each in found["modelrollout"]["slis"] if each["name"] == name)
    assert not sli["fits"]
    assert reason in sli["reason"]


def test_check_remarks_that_no_failure_was_counted_yet() -> None:
    with serving({"__name__": "trtllm_request_success_total", "finished_reason": "stop"}) as server:
        code, found = checked(server, "trtllm")
    errors = found["trtllm"]["slis"][0]
    assert (code, errors["fits"]) == (0, True)
    assert errors["reason"] == "no series of trtllm_request_error_total yet, so no event is bad until one appears"


def test_check_without_names_asks_for_all_and_ends_with_1_when_nothing_fits() -> None:
    with serving() as server:
        code, out, err = run("check", "--prometheus", server.url)
        assert len(server.requests) == len(builtin().profiles)
    assert (code, err) == (1, "")
    assert out.startswith("no series of: bentoml, cadvisor, ")
    assert "nothing fits: check that Prometheus scrapes the pods" in out


def test_check_as_text_shows_what_fits_and_the_values_of_a_label() -> None:
    workload = {"__name__": "istio_requests_total", "reporter": "source", "response_code": "200"}
    series = [{**workload, "destination_workload": f"m-{n}"} for n in range(8)]
    with serving(*series) as server:
        code, out, err = run("check", "istio-source", "--prometheus", server.url)
    assert (code, err) == (0, "")
    assert "istio-source: fits, 8 series" in out
    assert re.search(r"istio-source/errors +yes +istio_requests_total", out)
    assert re.search(r"istio-source/latency +no +- +- +no series of", out)
    assert "label destination_workload: m-0, m-1, m-2, m-3, m-4, m-5, ... m-7 (8); its series come from" in out
    assert out.rstrip().endswith("fits: istio-source")


def test_a_profile_for_display_only_does_not_make_it_fit() -> None:
    with serving({"__name__": "kube_pod_container_status_restarts_total"}) as server:
        code, found = checked(server, "kube-state-metrics")
    assert (code, found["kube-state-metrics"]["display"][0]["fits"]) == (1, True)


def test_check_takes_pods_of_the_deployments_only() -> None:
    other = {"pod": "fraud-v8-canary-5d9c7b6f4-x2x9z"}
    with serving({**OK, **other}) as server:
        code, found = checked(server, "modelrollout", "--deployment", "fraud-v8", "--namespace", "serving")
        (request,) = server.requests
    query = urllib.parse.unquote_plus(request.decode())
    assert 'namespace="serving",pod=~"fraud-v8-.+"' in query
    assert (code, found["modelrollout"]["series"]) == (1, 0), "fraud-v8-canary is another Deployment"
    with serving(OK, {**OK, **other}) as server:
        code, found = checked(server, "modelrollout", "--deployment", "fraud-v8", "--deployment", "fraud-v7")
    assert (code, found["modelrollout"]["series"]) == (0, 1)


def test_series_of_a_gateway_are_looked_for_in_every_namespace_and_told_where_they_are() -> None:
    series = {"__name__": "traefik_service_requests_total", "code": "200", "service": "x@y", "namespace": "traefik"}
    with serving(series) as server:
        code, found = checked(server, "traefik", "--namespace", "serving", "--deployment", "fraud-v8")
        (request,) = server.requests
    assert b"namespace" not in request
    assert code == 1
    assert found["traefik"]["slis"][0]["reason"] == (
        "its series carry namespace traefik, none serving; relabel them, or name the namespace that they carry"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--namespace", 'x"}'], 2, "--namespace 'x\"}': is no name of Kubernetes"),
        (["--deployment", "Fraud"], 2, "--deployment 'Fraud': is no name of Kubernetes"),
        (["--token-file", "none"], 1, "--token-file: none: No such file or directory"),
        (["--ca-file", "none"], 1, "--ca-file: none: No such file or directory"),
        (["--prometheus", "ftp://x"], 1, "--prometheus: the address must start with http:// or https://"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = [] if "--prometheus" in arguments else ["--prometheus", "http://127.0.0.1:9"]
    found, out, err = run("check", *where, *arguments)
    assert (found, out) == (code, "")
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1


def test_a_server_that_refuses_is_told_without_the_token() -> None:
    with says(answer({"status": "error", "error": "s3cret-t0ken"}, "403 Forbidden")) as server:
        code, out, err = run("check", "vllm", "--prometheus", server.url, token="s3cret-t0ken")
        (request, url) = server.requests[0], server.url
    assert b"Authorization: Bearer s3cret-t0ken\r\n" in request
    assert (code, out) == (1, "")
    assert err == f"error: {url} does not answer in a usable way (HTTP 403)\n"


@pytest.mark.parametrize("command", [["profiles", "list"], ["profiles", "show", "vllm"], ["profiles", "--help"]])
def test_nothing_heavy_is_imported_for_what_asks_nobody(command: list[str]) -> None:
    program = (
        "import sys; from typer.testing import CliRunner; from modelrollout.cli.main import app; "
        f"assert CliRunner().invoke(app, {command!r}).exit_code == 0; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    # Not pydantic: typer imports it by itself.
    heavy = {"numpy", "scipy", "kubernetes", "kopf", "aiohttp", "requests", "prometheus_api_client"}
    assert {name.partition(".")[0] for name in done.stdout.split()} & heavy == set()
