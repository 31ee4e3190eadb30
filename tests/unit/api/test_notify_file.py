"""The notification file: what it means, and that a problem names field, bound and fix but no secret."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from modelrollout.adapters.notify.cloudevents import signature
from modelrollout.api.notify_file import MAX_FILE, MAX_TARGETS, BadNotifications, read
from modelrollout.api.targets import Links, Notifications, Target, TargetKind
from modelrollout.core.happenings import Happened, Level
from tests.layout.documents import DOCS, ROOT, blocks

WHOLE = """
version: 1
cluster: prod-eu
links:
  runbooks: https://docs.example.com/runbooks
  dashboard: https://grafana.example.com/d/x?var-namespace={namespace}&var-rollout={rollout}
targets:
- name: bus
  cloudevents: {url: "https://broker.example.com/in", bearerToken: tok, signingKey: key}
  timeout: 2s
- name: team
  slack: {url: "https://hooks.example.com/services/T0/B0/x"}
  happenings: [RolledBack, Stuck]
  namespaces: [serving]
  severity: ticket
- name: oncall
  alertmanager: {url: "http://alertmanager.monitoring:9093", labels: {team: ml}}
"""


def test_the_whole_file() -> None:
    assert read(WHOLE) == Notifications(
        (
            Target(
                "bus",
                TargetKind.CLOUDEVENTS,
                "https://broker.example.com/in",
                timeout=2.0,
                bearer_token="tok",
                signing_key="key",
            ),
            Target(
                "team",
                TargetKind.SLACK,
                "https://hooks.example.com/services/T0/B0/x",
                happenings=frozenset({Happened.ROLLED_BACK, Happened.STUCK}),
                namespaces=frozenset({"serving"}),
                severity=Level.TICKET,
            ),
            Target("oncall", TargetKind.ALERTMANAGER, "http://alertmanager.monitoring:9093", labels=(("team", "ml"),)),
        ),
        Links(
            "https://docs.example.com/runbooks",
            "https://grafana.example.com/d/x?var-namespace={namespace}&var-rollout={rollout}",
        ),
        "prod-eu",
    )


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}", "targets: []"])
def test_nothing_is_nobody(text: str) -> None:
    assert read(text) == Notifications()


def one(**changes: object) -> str:
    return yaml.safe_dump({"targets": [{"name": "t", "slack": {"url": "https://SECRET.example.com"}, **changes}]})


BAD = {
    "no YAML": ("targets: [", "the file is no YAML, line 1"),
    "a list": ("[1]", "the file: must be an object"),
    "unknown field": ("sinks: []", "sinks: unknown field"),
    "another version": ("version: 2", "version: "),
    "no kind": ("targets: [{name: t}]", "targets[0]: set exactly one of cloudevents, slack, alertmanager"),
    "two kinds": (
        one(cloudevents={"url": "https://SECRET.example.com"}),
        "targets[0]: set exactly one of cloudevents, slack, alertmanager",
    ),
    "no name": ("targets: [{slack: {url: x}}]", "targets[0].name: must be set"),
    "a bad name": (one(name="Team A"), "targets[0].name: "),
    "no url": ("targets: [{name: t, slack: {}}]", "targets[0].slack.url: must be set"),
    "url is a number": ("targets: [{name: t, slack: {url: 5}}]", "targets[0].slack.url: must be a string (in quotes)"),
    "unknown happening": (one(happenings=["Promotd"]), "targets[0].happenings[0]: "),
    "nothing to tell": (one(happenings=[]), "targets[0].happenings: "),
    "unknown severity": (one(severity="critical"), "targets[0].severity: "),
    "too patient": (one(timeout="1m"), "targets[0].timeout: must be at least 100ms and at most 5s"),
    "token with a line break": (
        'targets: [{name: t, cloudevents: {url: https://x, bearerToken: "SECRET\\nx"}}]',
        "targets[0].cloudevents.bearerToken: ",
    ),
    "a label of ours": (
        "targets: [{name: t, alertmanager: {url: http://am, labels: {severity: page}}}]",
        "targets[0].alertmanager.labels: may not hold alertname, severity, rollout_namespace, rollout",
    ),
    "twice the same name": (
        "targets: [{name: t, slack: {url: https://x}}, {name: t, slack: {url: https://x}}]",
        "targets: every name must be unique",
    ),
    "too many": (
        yaml.safe_dump({"targets": [{"name": f"t{n}", "slack": {"url": "https://x"}} for n in range(MAX_TARGETS + 1)]}),
        f"at most {MAX_TARGETS}",
    ),
    "a dashboard with other places": (
        "links: {dashboard: 'https://g/{cluster}'}",
        "links.dashboard: may hold {namespace} and {rollout}, nothing else in braces",
    ),
    "too large": ("#" * (MAX_FILE + 1), f"at most {MAX_FILE}"),
    "an escape in a key": ('{"\\e[2Jx": 1}', "unknown field"),
    "deep": ("[" * 5000, "the file is no"),
}


@pytest.mark.parametrize("case", BAD)
def test_problems_name_field_bound_and_fix_and_no_secret(case: str) -> None:
    text, words = BAD[case]
    with pytest.raises(BadNotifications) as raised:
        read(text)
    said = str(raised.value)
    assert words in said
    assert "SECRET" not in said
    assert said.isprintable()


def test_only_the_first_problems_are_told() -> None:
    text = yaml.safe_dump({"targets": [{"name": f"t{n}"} for n in range(9)]})
    with pytest.raises(BadNotifications, match=r"\(and 4 more\)"):
        read(text)


def test_the_example_of_the_docs_is_good() -> None:
    (example,) = (b.text for b in blocks(DOCS / "how-to" / "notifications.md") if b.language == "yaml")
    assert [target.kind for target in read(example).targets] == list(TargetKind)
    assert example.strip() == (ROOT / "examples" / "notifications.yaml").read_text().strip()


def test_the_check_of_a_signature_in_the_docs_works() -> None:
    (code,) = (b.text for b in blocks(DOCS / "how-to" / "notifications.md") if b.language == "python")
    made: dict[str, Any] = {}
    exec(code, made)
    header = signature("key", b"{}", at=5)
    assert made["good"](header, b"{}", b"key")
    assert not made["good"](header, b"{ }", b"key")
    assert not made["good"](header.replace("t=5", "t=6"), b"{}", b"key")


def test_secrets_are_not_shown() -> None:
    assert repr(read(WHOLE).targets[0]) == "Target('bus', cloudevents)"
