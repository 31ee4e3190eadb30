"""What the gateway's own session persistence does to a weighted split: why `sticky` has no cookie.

Decision 25 tells it. Should this fail with a newer gateway, the decision is to be thought over again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster import gateway
from e2e.scenarios.rollouts.plays import CANDIDATE, LEGACY, V1, V2, arms
from e2e.stage import Stage, until

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

USERS = 200
BROWSERS = """
import http.client, json, sys
address, host, jar, users = sys.argv[1:]
try:
    cookies = json.load(open(jar))
except FileNotFoundError:
    cookies = {}
versions = []
for user in map(str, range(int(users))):
    connection = http.client.HTTPConnection(address, timeout=10)
    headers = {"Host": host} | ({"Cookie": cookies[user]} if user in cookies else {})
    connection.request("POST", "/predict", b"{}", headers)
    answer = connection.getresponse()
    answer.read()
    if answer.getheader("Set-Cookie"):
        cookies[user] = answer.getheader("Set-Cookie").split(";")[0]
    versions.append(answer.getheader("x-model-version"))
json.dump(cookies, open(jar, "w"))
print(json.dumps(versions))
"""
"""Two hundred browsers that each make one request and keep their cookie."""


def test_cookies_of_the_gateway_keep_users_from_a_growing_weight(stages: Stages) -> None:
    stage = stages("session")
    stage.deploy(*arms(stage))
    host = f"session.{stage.host}"

    def weigh(legacy: int, candidate: int) -> None:
        stage.apply(_route(stage, host, legacy, candidate))

    def round_(jar: str = "jar.json") -> list[str]:
        argv = [sys.executable, "-c", BROWSERS, gateway.address(stage.cluster), host, str(stage.directory / jar)]
        argv.append(str(USERS))
        found: list[str] = json.loads(stage.cluster.exec(argv).stdout)
        return found

    def of_candidate(jar: str) -> int:
        return round_(jar).count(V2)

    weigh(90, 10)
    until("the gateway serves it", lambda: None not in round_("probe.json"), seconds=30)
    first = round_()
    assert 2 <= first.count(V2) <= 50, "new users are split by the weight"
    assert round_() == first, "and stay, the arm with the pod"

    weigh(50, 50)
    # New users tell that the gateway has taken the weight: each look has browsers of its own.
    looks = iter(range(100))
    until("half of new users", lambda: of_candidate(f"new-{next(looks)}.json") > 70, seconds=30)
    assert round_() == first, "users who were there before do not come in: 10 % of them at a weight of 50 %"

    weigh(100, 0)
    until("nobody", lambda: of_candidate(f"gone-{next(looks)}.json") == 0, seconds=30)
    assert set(round_()) == {V1}, "at 0 all leave"

    weigh(50, 50)
    until("half of new users", lambda: of_candidate(f"again-{next(looks)}.json") > 70, seconds=30)
    assert set(round_()) == {V1}, "and never come back, though the weight is 50 %"


def _route(stage: Stage, host: str, legacy: int, candidate: int) -> dict[str, Any]:
    backends = [
        {"name": LEGACY, "port": 8080, "weight": legacy},
        {"name": CANDIDATE, "port": 8080, "weight": candidate},
    ]
    persistence = {"sessionName": "arm", "type": "Cookie"}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "session", "namespace": stage.namespace},
        "spec": {
            "parentRefs": [{"name": gateway.GATEWAY, "namespace": gateway.NAMESPACE}],
            "hostnames": [host],
            "rules": [{"backendRefs": backends, "sessionPersistence": persistence}],
        },
    }
