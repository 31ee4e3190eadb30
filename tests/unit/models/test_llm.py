"""The stand-in for vLLM: answers, and counts that the profile `vllm` reads."""

from __future__ import annotations

import json

import pytest

from e2e.models.http11 import Refused, Request
from e2e.models.llm import VARIANTS, Engine, Pace, serve
from modelrollout.catalog.reading import builtin
from modelrollout.catalog.resolve import metrics_of

QUICK = Pace(0.0, 0.0)


def completion(**body: object) -> Request:
    return Request("POST", "/v1/completions", {}, json.dumps(body).encode())


async def scraped(engine: Engine) -> str:
    return (await engine.answer(Request("GET", "/metrics", {}, b""))).body.decode()


async def test_an_answer_has_as_many_tokens_as_asked_for_and_is_counted() -> None:
    engine = Engine("chat", "v1", QUICK)
    answer = await engine.answer(completion(max_tokens=3))
    assert (answer.status, json.loads(answer.body)["choices"][0]["text"]) == (200, "word word word")
    text = await scraped(engine)
    for line in (
        'http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 1',
        'vllm:time_to_first_token_seconds_count{model_name="chat",engine="0"} 1',
        'vllm:e2e_request_latency_seconds_count{model_name="chat",engine="0"} 1',
        'vllm:generation_tokens_total{model_name="chat",engine="0"} 3',
    ):
        assert line in text


async def test_it_has_the_metrics_that_the_profile_reads_for_the_slis_of_the_tutorial() -> None:
    text = await scraped(Engine("chat", "v1", QUICK))
    served = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    for name in ("errors", "ttft", "latency"):
        wanted = set(metrics_of(builtin().profiles["vllm"].slis[name]))
        assert wanted & served, name
        assert {each for each in wanted if each.startswith("vllm:")} <= served


@pytest.mark.parametrize("wanted", [0, 513, "3", None])
async def test_a_wrong_number_of_tokens_is_the_clients_mistake(wanted: object) -> None:
    engine = Engine("chat", "v1", QUICK)
    assert (await engine.answer(completion(max_tokens=wanted))).status == 400
    text = await scraped(engine)
    assert 'http_requests_total{handler="/v1/completions",method="POST",status="4xx"} 1' in text
    assert 'vllm:time_to_first_token_seconds_count{model_name="chat",engine="0"} 0' in text


async def test_another_path_is_refused() -> None:
    with pytest.raises(Refused, match="there is POST /v1/completions"):
        await Engine("chat", "v1", QUICK).answer(Request("POST", "/predict", {}, b"{}"))


async def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(ValueError, match="VARIANT='x' is unknown; known: base, late, fast"):
        await serve({"VARIANT": "x"})


def test_only_the_first_token_of_the_late_one_is_late() -> None:
    """Of the tutorial's thresholds, 500 ms and 2 s, with the longest answer that its load asks for."""
    base, late, fast = (VARIANTS[name] for name in ("base", "late", "fast"))
    assert late.first * 0.8 < 0.5 < late.first
    assert max(base.first, fast.first) * 1.2 < 0.25
    assert max(1.2 * (each.first + 48 * each.token) for each in (base, late, fast)) < 2.0
