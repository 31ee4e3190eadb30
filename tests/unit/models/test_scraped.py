"""The instrumentation contract as a real Prometheus sees it."""

import asyncio
from pathlib import Path

import pytest

from e2e.cluster.prometheus import Prometheus
from e2e.models import records

from .conftest import StartServer
from .gateway import Gateway, serve
from .test_generator import Held, generator

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(600)]  # the binary is built on first use


def test_errors_slow_and_accuracy_are_what_the_client_saw(
    start_server: StartServer, held: Held, tmp_path: Path
) -> None:
    legacy = start_server("legacy", version="7", pod="p7", PEER_VERSIONS="8")
    behaviour = '{"errors": 0.3, "delay_ms": 350, "delay_share": 0.4}'
    candidate = start_server("better", version="8", pod="p8", PEER_VERSIONS="7", BEHAVIOUR=behaviour)

    async def load() -> list[records.Record]:
        async with serve(Gateway(legacy.port, candidate.port, weight=50)) as gateway:
            feedback = gateway.url.replace("/predict", "/feedback")
            run = generator(gateway.url, held, tmp_path / "r", duration=2.0, feedback_url=feedback)
            await run.run()
        return records.read(tmp_path / "r")

    with Prometheus(targets=[f"127.0.0.1:{server.port}" for server in (legacy, candidate)]) as prometheus:
        prometheus.wait_for('count(requests_total{code="500"} == 0)', lambda got: bool(got) and got[0].value == 2)
        found = asyncio.run(load())
        prometheus.wait_for("sum(requests_total)", lambda got: bool(got) and got[0].value == 400)
        prometheus.wait_for(
            "sum(predictions_labeled_total)",
            lambda got: bool(got) and got[0].value == sum(r.kind == "ok" for r in found),
        )

        def number(expression: str) -> float:
            (only,) = prometheus.query(expression)
            return only.value

        for version in ("7", "8"):
            mine = [r for r in found if r.version == version]
            scope = f'version="{version}"'
            assert number(f"sum(requests_total{{{scope}}})") == len(mine)
            assert number(f'sum(requests_total{{{scope},code=~"5.."}})') == sum(r.failed for r in mine)
            fast = number(f'latency_seconds_bucket{{{scope},le="0.3"}}')
            slow, failures = len(mine) - fast, sum(r.failed for r in mine)
            # Failures are in it; the client's time has the gateway on top, so it can't be faster.
            assert failures <= slow <= sum(r.failed or r.seconds > 0.3 for r in mine)
            if version == "8":
                assert failures > 30
                assert slow > failures + 30
            wrong = sum(r.kind == "ok" and r.predicted != r.label for r in mine)
            assert number(f'sum(predictions_labeled_total{{{scope},correct="false"}})') == wrong
