"""docs/how-to/ingress-nginx.md played through Traefik's provider for such Ingresses, and what follows a promotion."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from e2e.models import records
from e2e.scenarios.rollouts.plays import steps
from e2e.scenarios.rollouts.versions import condition
from e2e.scenarios.traefik.front import CANDIDATE, LEGACY, NAME, NGINX_PAGE, V8, Front, deploy, page, quickly, raises
from e2e.stage import Stage

pytestmark = pytest.mark.timeout(900)

Stages = Callable[[str], Stage]
FOLLOWED = 4.0
"""Seconds after a write within which Traefik has taken it."""
CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "nginx"},
    "spec": {"controller": "k8s.io/ingress-nginx"},
}


def available(status: dict[str, Any]) -> str | None:
    return condition({"status": status}, "Available")


def test_the_page_of_ingress_nginx_is_played_and_legacy_is_missed_until_the_ingress_is_changed(
    stages: Stages, front: Front
) -> None:
    stage = stages("canary")
    stage.cluster.exec(["kubectl", "apply", "-f", "-"], input_text=json.dumps(CLASS))
    deploy(stage)
    things = page(stage, NGINX_PAGE)
    stage.apply(things["Ingress"])
    front.leads(stage)
    load = front.load(stage, 100, extra=["--header", "x-tier=beta", "--header-share", "0.2"])
    stage.apply(quickly(things["ModelRollout"], steps(10, 100, each="8s", last="4s")))
    status = stage.wait_phase("Promoted", seconds=180, name=NAME)
    done = time.time()
    time.sleep(FOLLOWED)
    seen = load.stop()
    assert records.failed(seen, 0, math.inf) == []
    (_, begun), (_, end) = raises(status)
    at = begun + FOLLOWED
    step = [r for r in seen if at <= r.start < end]
    assert {r.version for r in step if r.marked} == {V8}, "the segment"
    assert records.share([r for r in step if not r.marked], V8, at, end) == pytest.approx(0.1, abs=0.05)
    assert records.share(seen, V8, done + 1, math.inf) == 1.0
    assert "keep legacy's pods until Ingress 'fraud' sends to Service 'fraud-v8'" in status["message"]
    assert available(status) == "True"

    stage.kubectl("scale", "deployment", LEGACY, "--replicas=0")
    stage.wait_status("Available is False", lambda s: available(s) == "False", seconds=60, name=NAME)
    backend = {"op": "replace", "path": "/spec/rules/0/http/paths/0/backend/service/name", "value": CANDIDATE}
    stage.kubectl("patch", "ingress", "fraud", "--type=json", "-p", json.dumps([backend]))
    stage.wait_status("Available is True", lambda s: available(s) == "True", seconds=60, name=NAME)
    assert stage.status(NAME)["phase"] == "Promoted"
    time.sleep(FOLLOWED)
    assert front.code(stage.host) == "405", "a model server answers, at the candidate"
