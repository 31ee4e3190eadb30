"""At rest the operator writes nothing: five minutes of the API server's audit log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from e2e.cluster.provider import Cluster
from e2e.scenarios.rollouts.plays import CANDIDATE, hold_at, open_play, steps
from e2e.stage import Operator, Stage

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs("audit")]

QUIET = 300.0
OURS = ("modelrollout-operator", "kopf/")
"""User agents of the operator: its own client, and the framework's, which must not write at all."""


def test_promoted_and_rolled_back_rollouts_cost_no_write_in_five_minutes(
    cluster: Cluster, operator: Operator, stages: Callable[[str], Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    """With load going on, so that their metrics keep changing; the Lease is renewed, which is the only write."""
    good, bad = stages("rest-promoted"), stages("rest-back")
    loads = [
        open_play(good, wanted=steps(25, 100), rate=20, duration=900),
        open_play(bad, wanted=hold_at(25), rate=20, duration=900),
    ]
    bad.wait_weight(25, seconds=90)
    bad.behave(CANDIDATE, errors=1.0)
    bad.kubectl("wait", "--for=condition=RolledBack", "mr/tumour", "--timeout=90s")
    good.kubectl("wait", "--for=condition=Promoted", "mr/tumour", "--timeout=120s")
    time.sleep(5)
    begun = time.time()
    time.sleep(QUIET)
    ended = time.time()
    assert all(load.running.poll() is None for load in loads)
    writes: Counter[str] = Counter()
    leases = 0
    for event in cluster.audit():
        at = datetime.fromisoformat(str(event["stageTimestamp"])).timestamp()
        mine = str(event.get("userAgent", "")).startswith(OURS)
        if not (mine and begun <= at <= ended) or event.get("verb") in ("get", "list", "watch"):
            continue
        about = event.get("objectRef")
        assert isinstance(about, dict)
        if about["resource"] == "leases":
            leases += 1
        else:
            writes[f"{event['verb']} {about['resource']} {about.get('namespace')}/{about.get('name')}"] += 1
    with capsys.disabled():
        print(f"\n{QUIET:.0f} s at rest: writes {dict(writes)}, renewals of the Lease {leases}")
    # It was alive and is seen in this log under this name.
    assert leases > QUIET / 20
    assert not writes
    assert good.status()["phase"] == "Promoted"
    assert bad.status()["phase"] == "RolledBack"
