"""What is sent: CloudEvents 1.0, Slack-compatible messages, alerts. Identity, links, and harmless text."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from modelrollout.adapters.notify import alertmanager, cloudevents, slack
from modelrollout.adapters.notify.wording import MAX_TEXT, Context, Outgoing, alert_name, runbook
from modelrollout.api.targets import Links, Target, TargetKind
from modelrollout.core.happenings import Happened, Level
from modelrollout.core.model import Key
from tests.layout.documents import DOCS
from tests.scene import START
from tests.unit.notify.counted import ROLLED_BACK, happening

LINKS = Links(
    "https://docs.example.com/runbooks/", "https://grafana.example.com/d/x?var-ns={namespace}&var-r={rollout}"
)
CONTEXT = Context(LINKS, "prod-eu")
PLAIN = Context()
NOW = START + 10


def target(kind: TargetKind = TargetKind.CLOUDEVENTS, **changes: Any) -> Target:
    return replace(Target("t", kind, "https://sink.example.com/in"), **changes)


def read(outgoing: Outgoing) -> Any:
    return json.loads(outgoing.body)


def test_an_event_is_a_cloudevent_in_structured_mode() -> None:
    sent = cloudevents.request(ROLLED_BACK, target(), CONTEXT, now=NOW)
    assert dict(sent.headers) == {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
    assert read(sent) == {
        "specversion": "1.0",
        "id": "5f1d",
        "source": "//modelrollout.dev/clusters/prod-eu/namespaces/serving/modelrollouts/fraud",
        "type": "dev.modelrollout.rollout.rolledback.v1",
        "subject": "serving/fraud",
        "time": "2023-11-14T22:13:20.250Z",
        "datacontenttype": "application/json",
        "data": {
            "happening": "RolledBack",
            "severity": "ticket",
            "cluster": "prod-eu",
            "namespace": "serving",
            "rollout": "fraud",
            "uid": "u1",
            "revision": "6b8f9c",
            "reason": "SliFailed",
            "weight": "25%",
            "title": "[prod-eu] serving/fraud: revision 6b8f9c goes back to legacy",
            "message": "SliFailed at 25 %: availability: 3.1 % bad where 1 % is allowed (62 of 2000)",
            "runbook": "https://docs.example.com/runbooks/rolled-back.md",
            "dashboard": "https://grafana.example.com/d/x?var-ns=serving&var-r=fraud",
        },
    }


def test_an_event_of_a_cluster_without_a_name_and_of_an_unknown_time() -> None:
    event = cloudevents.event(replace(ROLLED_BACK, at=0.0), PLAIN, now=NOW)
    assert event["source"] == "//modelrollout.dev/namespaces/serving/modelrollouts/fraud"
    assert event["time"] == "2023-11-14T22:13:30.000Z"
    data: Any = event["data"]
    assert "cluster" not in data
    assert "dashboard" not in data


def test_token_and_signature() -> None:
    sent = cloudevents.request(ROLLED_BACK, target(bearer_token="tok", signing_key="key"), PLAIN, now=NOW)
    headers = dict(sent.headers)
    assert headers["Authorization"] == "Bearer tok"
    stamp, made = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["Modelrollout-Signature"]).groups()  # type: ignore[union-attr]  # matched
    assert int(stamp) == NOW
    assert made == hmac.new(b"key", stamp.encode() + b"." + sent.body, hashlib.sha256).hexdigest()
    assert "tok" not in repr(sent) + repr(target(bearer_token="tok"))


def test_a_message_for_slack() -> None:
    sent = slack.request(ROLLED_BACK, target(TargetKind.SLACK), CONTEXT, now=NOW)
    message = read(sent)
    assert message["text"] == "[prod-eu] serving/fraud: revision 6b8f9c goes back to legacy"
    (attachment,) = message["attachments"]
    said = "SliFailed at 25 %: availability: 3.1 % bad where 1 % is allowed (62 of 2000)"
    assert attachment["fallback"] == f"{message['text']}: {said}"
    assert attachment["text"] == (
        f"{said}\n<https://docs.example.com/runbooks/rolled-back.md|runbook> · "
        "<https://grafana.example.com/d/x?var-ns=serving&var-r=fraud|dashboard>"
    )
    assert set(message) == {"text", "attachments"}, "Mattermost knows no blocks"


def test_a_runbook_that_is_no_address_is_no_link() -> None:
    (attachment,) = read(slack.request(ROLLED_BACK, target(), PLAIN, now=NOW))["attachments"]
    assert "<" not in attachment["text"]


@pytest.mark.parametrize(
    "evil", ["<!channel> look", "@here", "@all", "<https://evil.example.com|runbook>", "[runbook](https://evil)"]
)
def test_text_of_others_neither_calls_nor_links(evil: str) -> None:
    sent = slack.request(replace(ROLLED_BACK, message=evil), target(TargetKind.SLACK), PLAIN, now=NOW)
    (attachment,) = read(sent)["attachments"]
    for text in (attachment["text"], attachment["fallback"]):
        assert not re.search(r"<|@\w|\]\(", text)


def test_colours_tell_severities_apart() -> None:
    def colour(**changes: Any) -> str:
        changed = replace(ROLLED_BACK, **changes)
        (attachment,) = read(slack.request(changed, target(), PLAIN, now=NOW))["attachments"]
        return str(attachment["color"])

    promoted = colour(kind=Happened.PROMOTED, level=Level.INFO)
    assert len({promoted, *(colour(level=level) for level in Level)}) == 4


def test_long_texts_are_cut() -> None:
    long = replace(ROLLED_BACK, message="x" * 5000)
    event: Any = cloudevents.event(long, PLAIN, now=NOW)
    assert len(event["data"]["message"]) == MAX_TEXT


def test_an_alert_stands_and_ends() -> None:
    whom = target(TargetKind.ALERTMANAGER, url="http://am:9093/", labels=(("team", "ml"),), bearer_token="tok")
    over = happening(1)
    sent = alertmanager.request([ROLLED_BACK], [(over, NOW - 3)], whom, CONTEXT, now=NOW)
    assert sent.url == "http://am:9093/api/v2/alerts"
    assert dict(sent.headers)["Authorization"] == "Bearer tok"
    stands, ends = read(sent)
    assert stands["labels"] == {
        "cluster": "prod-eu",
        "team": "ml",
        "alertname": "ModelRolloutRolledBack",
        "severity": "ticket",
        "rollout_namespace": "serving",
        "rollout": "fraud",
    }
    assert stands["annotations"] == {
        "summary": "[prod-eu] serving/fraud: revision 6b8f9c goes back to legacy",
        "description": "SliFailed at 25 %: availability: 3.1 % bad where 1 % is allowed (62 of 2000)",
        "revision": "6b8f9c",
        "runbook": "https://docs.example.com/runbooks/rolled-back.md",
        "dashboard": "https://grafana.example.com/d/x?var-ns=serving&var-r=fraud",
    }
    assert (stands["startsAt"], stands["endsAt"]) == ("2023-11-14T22:13:20.250Z", "2023-11-14T22:18:30.000Z")
    assert ends["endsAt"] == "2023-11-14T22:13:27.000Z"


def test_an_alert_never_ends_before_it_begins() -> None:
    whom = target(TargetKind.ALERTMANAGER)
    later = replace(ROLLED_BACK, at=NOW + 60)  # another leader's clock is ahead
    (alert,) = read(alertmanager.request([], [(later, NOW)], whom, PLAIN, now=NOW))
    assert alert["startsAt"] < alert["endsAt"]


def test_alerts_are_called_as_the_rules_call_them() -> None:
    rules = (DOCS.parent / "charts" / "modelrollout" / "monitoring" / "rules.yaml").read_text()
    stuck = replace(ROLLED_BACK, kind=Happened.STUCK, level=Level.PAGE, reason="RollbackBlocked")
    for each in (ROLLED_BACK, stuck):
        assert f"alert: {alert_name(each)}\n" in rules
    assert alert_name(replace(stuck, level=Level.TICKET)) == "ModelRolloutStuck"


@pytest.mark.parametrize("kind", [kind for kind in Happened if kind is not Happened.PROMOTED])
@pytest.mark.parametrize("reason", ["RouteConflict", "Denied", "NoData", "MetricsUnreachable", "Approval", "SliFailed"])
def test_every_happening_leads_to_a_runbook_that_there_is(kind: Happened, reason: str) -> None:
    page = runbook(replace(ROLLED_BACK, kind=kind, reason=reason), PLAIN)
    text = (DOCS.parent / page).read_text()
    assert "**Meaning.**" in text


def test_a_promotion_needs_no_runbook() -> None:
    assert runbook(replace(ROLLED_BACK, kind=Happened.PROMOTED), PLAIN) == ""


def test_a_target_is_told_what_it_wants() -> None:
    some = target(
        happenings=frozenset({Happened.ROLLED_BACK}), namespaces=frozenset({"serving"}), severity=Level.TICKET
    )
    assert some.wants(ROLLED_BACK)
    assert not some.wants(replace(ROLLED_BACK, kind=Happened.PAUSED))
    assert not some.wants(replace(ROLLED_BACK, key=Key("billing", "fraud")))
    assert not some.wants(replace(ROLLED_BACK, level=Level.INFO))
    assert some.wants(replace(ROLLED_BACK, level=Level.PAGE))
    assert target().wants(replace(ROLLED_BACK, kind=Happened.PROMOTED, level=Level.INFO))
