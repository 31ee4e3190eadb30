"""Users who send their bucket keep their version while the weight grows, through a real gateway."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from e2e.cluster import gateway
from e2e.models import records
from e2e.models.records import Record
from e2e.scenarios.rollouts.plays import CANDIDATE, LEGACY, V1, V2, arms, managed, open_play
from e2e.stage import Stage, until
from modelrollout.adapters.kube.buckets import ANYBODY, below
from modelrollout.core.assignment import is_candidates
from modelrollout.core.model import Weight

pytestmark = pytest.mark.timeout(1800)

Stages = Callable[[str], Stage]

HEADER, KEY, USERS = "x-modelrollout-bucket", "e2e/tumour/v2", 200
MARGIN = 1.5
"""Seconds from a weight in the status to the gateway's last connection that has it."""


def by_user(found: Iterable[Record]) -> dict[str, set[str | None]]:
    """The versions that each user was answered by."""
    versions: dict[str, set[str | None]] = defaultdict(set)
    for record in found:
        versions[record.user].add(record.version)
    return dict(versions)


def between(found: Iterable[Record], start: float, end: float) -> list[Record]:
    return [record for record in found if start <= record.start < end]


def expected(users: Iterable[str], percent: int) -> dict[str, set[str | None]]:
    return {user: {V2 if is_candidates(user, KEY, Weight(percent * 100)) else V1} for user in users}


def test_two_hundred_users_keep_their_version_while_the_weight_grows_and_all_leave_at_the_revert(
    stages: Stages,
) -> None:
    stage = stages("sticky")
    wanted: list[dict[str, Any]] = [
        {"weight": 10, "minDuration": "3s"},
        {"weight": 50, "minDuration": "1h", "approval": True},
        {"weight": 100},
    ]
    traffic = {**managed(stage, "x"), "sticky": {"bucketHeader": HEADER}}
    traffic["managedRoute"]["hostnames"] = [stage.host]
    open_play(stage, wanted=wanted, traffic=traffic, rate=1, duration=5)
    # The operator makes this route: users come when the gateway has it.
    until("the gateway serves it", lambda: _answers(stage, stage.host, [(0, "9999")]) == [V1], seconds=60)
    time.sleep(MARGIN)
    one = ["--users", str(USERS), "--seed", "7"]
    sticky = stage.load(100, duration=180, label="sticky", extra=[*one, "--bucket-header", f"{HEADER}={KEY}"])
    others = stage.load(40, duration=180, label="others", extra=one)
    stage.wait_weight(10, seconds=60)
    ten = time.time() + MARGIN
    time.sleep(MARGIN + 5)
    stage.wait_status("asks for approval", lambda s: s.get("reason") == "Approval", seconds=60)
    raised = time.time()
    stage.act("Approve")
    stage.wait_weight(50, seconds=60)
    fifty = time.time() + MARGIN
    time.sleep(MARGIN + 10)
    turned = stage.behave(CANDIDATE, errors=0.6)
    status = stage.wait_phase("RolledBack", seconds=60)
    closed = time.time() + MARGIN
    time.sleep(MARGIN + 5)
    seen, unsticky = sticky.stop(), others.stop()

    at_ten, at_fifty = between(seen, ten, raised), between(seen, fifty, turned)
    assert len(by_user(at_fifty)) > USERS * 0.9
    assert by_user(at_ten) == expected(by_user(at_ten), 10)
    assert by_user(at_fifty) == expected(by_user(at_fifty), 50)
    assert len([user for user in by_user(at_ten) if is_candidates(user, KEY, Weight(1000))]) > 5
    assert list(back_and_forth(between(seen, 0, turned))) == [], "who is in stays in"
    # One that was under way as the candidate turned bad may fail.
    assert [record for record in records.failed(seen, 0, turned) if record.end < turned] == []

    split = between(unsticky, fifty, turned)
    assert 0.35 < sum(record.version == V2 for record in split) / len(split) < 0.65, "the weight, request by request"
    assert any(len(versions) == 2 for versions in by_user(split).values())

    after = between(seen, closed, time.time())
    assert len(by_user(after)) > USERS / 2
    assert [record for record in after + between(unsticky, closed, time.time()) if record.version != V1] == []
    assert status["weight"] == "0"
    assert stage.route_weights() == [[100, 0]] * 3


def back_and_forth(found: Iterable[Record]) -> Iterator[str]:
    """Users whom legacy answered after the candidate had."""
    ins: dict[str, float] = {}
    for record in sorted(found, key=lambda record: record.start):
        if record.version == V2:
            ins.setdefault(record.user, record.end)
        elif record.version == V1 and record.start > ins.get(record.user, record.start):
            yield record.user


WEIGHTS = (1, 25, 999, 1000, 2345, 5000, 9999, 10_000)
NONE = ("10000", "000", "0000 x", "none")


def test_the_gateway_matches_exactly_the_buckets_below(stages: Stages) -> None:
    """Expressions are the implementation's own matter in the Gateway API: this gateway's."""
    stage = stages("buckets")
    stage.deploy(*arms(stage))
    host = f"buckets.{stage.host}"
    rules = [
        rule
        for weight in WEIGHTS
        for rule in (_rule(weight, below(Weight(weight)), CANDIDATE), _rule(weight, ANYBODY, LEGACY))
    ]
    parents: list[dict[str, Any]] = managed(stage, "x")["managedRoute"]["parentRefs"]
    stage.apply(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "buckets", "namespace": stage.namespace},
            "spec": {"parentRefs": parents, "hostnames": [host], "rules": rules},
        }
    )
    until("the gateway serves it", lambda: _answers(stage, host, [(10_000, "0000")]) == [V2], seconds=30)
    asked = [
        (weight, f"{number:04d}")
        for weight in WEIGHTS
        for number in sorted({0, weight - 1, weight, weight // 2, weight // 10, 9999} - {10_000})
    ]
    assert _answers(stage, host, asked) == [V2 if int(number) < weight else V1 for weight, number in asked]
    none = [(5000, text) for text in NONE]
    assert _answers(stage, host, none) == [""] * len(none), "no rule takes what is no bucket"


def _rule(weight: int, expression: str, service: str) -> dict[str, Any]:
    headers = [
        {"type": "Exact", "name": "x-weight", "value": str(weight)},
        {"type": "RegularExpression", "name": HEADER, "value": expression},
    ]
    return {"matches": [{"headers": headers}], "backendRefs": [{"name": service, "port": 8080}]}


def _answers(stage: Stage, host: str, asked: Iterable[tuple[int, str]]) -> list[str]:
    """The version that answers each request of a weight and a bucket, empty for none; in one process."""
    url = f"http://{gateway.address(stage.cluster)}/predict"
    argv: list[str] = ["curl", "-s", "--max-time", "10"]
    for at, (weight, text) in enumerate(asked):
        argv += ["--next", "-s"] if at else []
        argv += ["-o", "/dev/null", "-w", "%header{x-model-version}\\n", "-d", "{}", "-H", f"Host: {host}"]
        argv += ["-H", f"x-weight: {weight}", "-H", f"{HEADER}: {text}", url]
    done = stage.cluster.exec(argv)
    return done.stdout.splitlines()
