"""The example configuration in a real Alertmanager: what a rollout in progress and a revert that hangs hold back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cluster.alertmanager import Alertmanager
from tests.layout.documents import ROOT

# Alertmanager is built on first use.
pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(600)]

EXAMPLE = ROOT / "examples" / "alertmanager" / "alertmanager.yml"
FRAUD = {"rollout_namespace": "serving", "rollout": "fraud"}
MOVES = {"alertname": "ModelRolloutInProgress", "severity": "info", "namespace": "serving", **FRAUD}
HANGS = {"alertname": "ModelRolloutRollbackStuck", "severity": "page", **FRAUD}
BACK = {"alertname": "ModelRolloutRolledBack", "severity": "ticket", **FRAUD}
BURNS = {"alertname": "FraudBurns", "severity": "ticket", **FRAUD}
SLOW = {"alertname": "FraudSlow", "severity": "ticket", "namespace": "serving", "during_rollout": "wait"}


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    with Alertmanager(EXAMPLE.read_text()) as running:
        yield running


CASES: dict[str, tuple[dict[str, str], dict[str, str], bool]] = {
    "own ticket about the rollout that moves": (MOVES, BURNS, True),
    "own ticket about another rollout": (MOVES, {**BURNS, "rollout": "spam"}, False),
    "a service's ticket that may wait": (MOVES, SLOW, True),
    "a service's ticket that may not": (MOVES, {**SLOW, "during_rollout": ""}, False),
    "a service's ticket of another namespace": (MOVES, {**SLOW, "namespace": "billing"}, False),
    "a page about the rollout that moves": (MOVES, {**BURNS, "severity": "page"}, False),
    "the operator's ticket about the rollout that moves": (MOVES, BACK, False),
    "the operator's ticket about itself": (
        MOVES,
        {"alertname": "ModelRolloutWatchSilent", "severity": "ticket"},
        False,
    ),
    "a ticket without a rollout": (MOVES, {"alertname": "DiskFull", "severity": "ticket"}, False),
    "the ticket beside the page": (HANGS, BACK, True),
    "the ticket of another rollout": (HANGS, {**BACK, "rollout": "spam"}, False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_held_back(alertmanager: Alertmanager, case: str) -> None:
    source, target, held = CASES[case]
    # A label of the case keeps the alerts of the others out of the way: no rule compares it, so the sources are one.
    source, target = ({k: v for k, v in labels.items() if v} for labels in (source, target))
    mark = {"case": case}
    alertmanager.post([{"labels": source}, {"labels": {**target, **mark}}])
    # The inhibitor hears of an alert a moment after the list has it.
    found = alertmanager.wait_for(
        lambda alerts: any(
            a["labels"].get("case") == case
            and a["status"]["state"] != "unprocessed"
            and bool(a["status"]["inhibitedBy"]) >= held
            for a in alerts
        )
    )
    (alert,) = [a for a in found if a["labels"].get("case") == case]
    assert bool(alert["status"]["inhibitedBy"]) is held
    assert alert["receivers"] == [{"name": "pager" if target["severity"] == "page" else "tickets"}]
    # Not to be a source for the next case.
    over = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-01T00:00:01Z"}
    alertmanager.post([{"labels": source, **over}])
    alertmanager.wait_for(lambda alerts: all(a["labels"] != source for a in alerts))


def test_info_is_told_to_nobody(alertmanager: Alertmanager) -> None:
    alertmanager.post([{"labels": {**MOVES, "rollout": "quiet"}}])
    found = alertmanager.wait_for(lambda alerts: any(a["labels"].get("rollout") == "quiet" for a in alerts))
    (alert,) = [a for a in found if a["labels"].get("rollout") == "quiet"]
    assert alert["receivers"] == [{"name": "nobody"}]
