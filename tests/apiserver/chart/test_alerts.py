"""The chart's alerts in promtool: each fires on what it is meant for, in time, and not on a healthy operator.

The series are those of the operator's own registry, scraped a minute of fake time apart.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from e2e.chart import IMAGE, rendered
from e2e.cluster.prometheus import promtool
from modelrollout.core.model import Key, Phase
from modelrollout.core.status import RolloutStatus
from modelrollout.runtime.notify_metrics import NotifyMetrics
from modelrollout.runtime.series import RolloutSeries
from modelrollout.runtime.telemetry import Telemetry
from tests.layout.documents import DOCS

# helm and promtool are built on first use.
pytestmark = [pytest.mark.apiserver, pytest.mark.prometheus, pytest.mark.timeout(600)]

HOME = "modelrollout"
KEY = Key("serving", "fraud")
MINUTES = 40
FIRST, SECOND, OTHER = (
    "modelrollout-5d9c7b4f6-abcde",
    "modelrollout-5d9c7b4f6-fghij",
    "modelrollout-fraud-5d9c7b4f6-abcde",
)
STRANGER = "prometheus-0"


@dataclass
class Pod:
    """An operator as /metrics shows it; `here` says whether it is scraped."""

    telemetry: Telemetry = field(default_factory=Telemetry)
    rollouts: RolloutSeries = field(default_factory=RolloutSeries)
    notified: NotifyMetrics = field(init=False)
    age: float = 15.0
    here: bool = True

    def __post_init__(self) -> None:
        self.telemetry.watch_freshness(lambda: self.age)
        self.notified = NotifyMetrics(self.telemetry.registry)
        self.notified.waiting("bus", "slack", 0)

    def lead(self, phase: Phase = Phase.PROGRESSING) -> None:
        self.telemetry.leading(True)
        self.rollouts.show(KEY, RolloutStatus(phase=phase))

    def samples(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        if not self.here:
            return {}
        shown = CollectorRegistry()
        shown.register(self.rollouts)
        texts = (generate_latest(registry).decode() for registry in (self.telemetry.registry, shown))
        families = [family for text in texts for family in text_string_to_metric_families(text)]
        found = (sample for family in families for sample in family.samples if not sample.name.endswith("_created"))
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for s in found}


Pods = dict[str, Pod]
Script = Callable[[int, Pods], None]
"""What happens at a minute."""


def healthy(minute: int, pods: Pods) -> None:
    """A leader and a standby, and another release's leader, read a tick in time each minute."""
    if minute == 0:
        pods[FIRST].lead()
        pods[OTHER].lead()
    # A full list comes every 450 s.
    pods[FIRST].age = 60.0 * (minute % 8)
    for name in (FIRST, OTHER):
        pods[name].telemetry.evaluated(0.2)


def nobody(minute: int, pods: Pods) -> None:
    if minute == 10:
        pods[FIRST].telemetry.leading(False)


def gone(minute: int, pods: Pods) -> None:
    if minute == 10:
        pods[FIRST].here = pods[SECOND].here = False


def two(minute: int, pods: Pods) -> None:
    if minute == 10:
        pods[SECOND].lead()


def taken_over(minute: int, pods: Pods) -> None:
    """Nothing to be woken for: the leader's pod goes, the standby leads at the next scrape."""
    if minute == 10:
        pods[FIRST].here = False
        pods[SECOND].lead()


def bug(minute: int, pods: Pods) -> None:
    if minute == 10:
        pods[FIRST].telemetry.bug()


def bug_at_start(minute: int, pods: Pods) -> None:
    pods[FIRST].here = minute >= 10
    if minute == 0:
        pods[SECOND].telemetry.leading(True)
        pods[FIRST].telemetry.leading(False)
        pods[FIRST].telemetry.bug()


def phase(wanted: Phase, begins: int = 10, ends: int = MINUTES) -> Script:
    def script(minute: int, pods: Pods) -> None:
        if minute in (begins, ends):
            pods[FIRST].lead(wanted if minute == begins else Phase.ROLLED_BACK)

    return script


def late(seconds: float) -> Script:
    def script(minute: int, pods: Pods) -> None:
        if minute >= 10:
            pods[FIRST].telemetry.evaluated(seconds)

    return script


def silent(minute: int, pods: Pods) -> None:
    if minute >= 10:
        pods[SECOND].age = 60.0 * (minute - 10)


def unheard(result: str) -> Script:
    def script(minute: int, pods: Pods) -> None:
        if minute == 10:
            pods[FIRST].notified.ended("bus", "slack", result)

    return script


def queued(length: int) -> Script:
    def script(minute: int, pods: Pods) -> None:
        if minute == 10:
            pods[FIRST].notified.waiting("bus", "slack", length)

    return script


def bad_file(minute: int, pods: Pods) -> None:
    if minute == 10:
        pods[SECOND].notified.file(good=False)


CASES: dict[str, tuple[Script, int, set[str]]] = {
    "a healthy release": (lambda *_: None, 39, set()),
    "a takeover": (taken_over, 12, set()),
    "nobody leads, just now": (nobody, 10, set()),
    "nobody leads": (nobody, 12, {"ModelRolloutNobodyLeads"}),
    "all pods are gone while another release leads": (gone, 17, {"ModelRolloutNobodyLeads"}),
    "two lead": (two, 12, {"ModelRolloutTwoLead"}),
    "a bug": (bug, 11, {"ModelRolloutFrozenByABug"}),
    "a bug, half an hour later": (bug, 39, set()),
    "a bug before the first scrape": (bug_at_start, 11, {"ModelRolloutFrozenByABug"}),
    "a revert that has just begun": (phase(Phase.ROLLING_BACK), 10, set()),
    "a revert that hangs": (phase(Phase.ROLLING_BACK), 12, {"ModelRolloutRollbackStuck"}),
    "a revert that ended": (phase(Phase.ROLLING_BACK, ends=11), 13, {"ModelRolloutRolledBack"}),
    "evidence is a little late": (late(2.0), 30, set()),
    "evidence is late": (late(20.0), 30, {"ModelRolloutEvidenceLate"}),
    "a notification that was sent": (unheard("sent"), 12, set()),
    "a notification that was not": (unheard("failed"), 12, {"ModelRolloutNotificationsFail"}),
    "a notification that had no room": (unheard("dropped"), 12, {"ModelRolloutNotificationsFail"}),
    "some notifications wait": (queued(5), 12, set()),
    "many notifications wait": (queued(50), 12, {"ModelRolloutNotificationsFail"}),
    "a notification file that can't be used": (bad_file, 12, {"ModelRolloutNotifyFileBad"}),
    "a silent watch, for two lists": (silent, 25, set()),
    "a silent watch": (silent, 26, {"ModelRolloutWatchSilent"}),
}


def series(script: Script) -> list[dict[str, str]]:
    """Input series of promtool: a value a minute, `_` where there is none; `stale` ends one, as a scrape does."""
    pods = {name: Pod() for name in (FIRST, SECOND, OTHER)}
    seen: dict[str, list[str]] = {}
    for minute in range(MINUTES):
        healthy(minute, pods)
        script(minute, pods)
        for name, pod in pods.items():
            for (metric, labels), value in pod.samples().items():
                inner = ", ".join(f"{k}={json.dumps(v)}" for k, v in (("namespace", HOME), ("pod", name), *labels))
                told = seen.setdefault(f"{metric}{{{inner}}}", ["_"] * minute)
                told.append(f"{value:g}")
        for told in seen.values():
            if len(told) <= minute:
                told.append("_" if told[-1] in ("_", "stale") else "stale")
    return [{"series": name, "values": " ".join(values)} for name, values in seen.items()]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump(groups()))
    return path


def groups(*flags: str, release: str = "modelrollout") -> dict[str, object]:
    """What the chart's PrometheusRule says."""
    base = ("--set", f"image.repository={IMAGE},metrics.rules=true", "--set", "scope=cluster")
    (rule,) = (o for o in rendered(*base, *flags, release=release) if o["kind"] == "PrometheusRule")
    spec: dict[str, object] = rule["spec"]
    return spec


def told(*argv: str | Path) -> tuple[int, str]:
    """Exit code and output of promtool."""
    done = subprocess.run([promtool(), *argv], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong(rules: Path) -> None:
    code, text = told("check", "rules", "--lint=all", "--lint-fatal", rules)
    assert (code, "SUCCESS: 10 rules found" in text) == (0, True), text


@pytest.mark.parametrize("case", CASES)
def test_an_alert_fires_when_it_must_and_else_not(rules: Path, tmp_path: Path, case: str) -> None:
    script, minute, firing = CASES[case]
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    asked = 'count by (alertname) (ALERTS{alertstate="firing", severity!="info"})'
    test = {
        "interval": "1m",
        "input_series": series(script),
        "promql_expr_test": [{"expr": asked, "eval_time": f"{minute}m", "exp_samples": samples}],
    }
    passes(rules, tmp_path, test)


def passes(rules: Path, folder: Path, test: Mapping[str, object]) -> None:
    """Promtool finds what the test expects."""
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [dict(test)]}))
    code, text = told("test", "rules", path)
    assert code == 0, text


def moving(begins: int, ends: int) -> Script:
    def script(minute: int, pods: Pods) -> None:
        if minute in (0, begins, ends):
            pods[FIRST].lead(Phase.PAUSED if minute == begins else Phase.PROMOTED)
            pods[OTHER].lead(Phase.PROMOTED)

    return script


@pytest.mark.parametrize(("minute", "fires"), [(9, False), (11, True), (20, True), (25, False)])
def test_a_rollout_that_moves_is_told_to_nobody_but_holds_others_back(
    rules: Path, tmp_path: Path, minute: int, fires: bool
) -> None:
    asked = 'ALERTS{alertstate="firing"}'
    labels = 'alertname="ModelRolloutInProgress", alertstate="firing", severity="info", namespace="serving"'
    wanted = f'ALERTS{{{labels}, rollout_namespace="serving", rollout="fraud"}}'
    test = {
        "interval": "1m",
        "input_series": series(moving(10, 22)),
        "promql_expr_test": [
            {"expr": asked, "eval_time": f"{minute}m", "exp_samples": [{"labels": wanted, "value": 1}] if fires else []}
        ],
    }
    passes(rules, tmp_path, test)


def test_bug_a_takeover_was_a_second_incident(rules: Path, tmp_path: Path) -> None:
    """The labels of the pod that leads were the alert's: another leader's was another alert, told again."""

    def script(minute: int, pods: Pods) -> None:
        if minute == 10:
            pods[FIRST].lead(Phase.ROLLED_BACK)
        if minute == 20:
            pods[FIRST].here = False
        if minute == 21:
            pods[SECOND].lead(Phase.ROLLED_BACK)

    asked = 'count_over_time(ALERTS{alertname="ModelRolloutRolledBack", alertstate="firing"}[30m])'
    labels = 'alertname="ModelRolloutRolledBack", alertstate="firing", severity="ticket"'
    sample = {"labels": f'{{{labels}, rollout_namespace="serving", rollout="fraud"}}', "value": 21}
    test = {
        "interval": "1m",
        "input_series": series(script),
        "promql_expr_test": [{"expr": asked, "eval_time": "30m", "exp_samples": [sample]}],
    }
    passes(rules, tmp_path, test)


def test_severities_say_who_is_told(rules: Path) -> None:
    (group,) = yaml.safe_load(rules.read_text())["groups"]
    told_of = {rule["alert"]: rule["labels"]["severity"] for rule in group["rules"]}
    assert {name for name, severity in told_of.items() if severity == "page"} == {
        "ModelRolloutNobodyLeads",
        "ModelRolloutTwoLead",
        "ModelRolloutFrozenByABug",
        "ModelRolloutRollbackStuck",
    }
    assert set(told_of.values()) == {"page", "ticket", "info"}
    page = (DOCS / "how-to" / "alerts.md").read_text()
    rows = {
        severity: row
        for row in page.splitlines()
        for severity in ("page", "ticket", "info")
        if f"| `{severity}` |" in row
    }
    assert {name: severity for severity, row in rows.items() for name in re.findall(r"ModelRollout\w+", row)} == told_of


def test_every_alert_has_a_case_that_fires(rules: Path) -> None:
    (group,) = yaml.safe_load(rules.read_text())["groups"]
    told_of = {rule["alert"] for rule in group["rules"] if rule["labels"]["severity"] != "info"}
    assert told_of == {name for _, _, firing in CASES.values() for name in firing}


def test_bug_the_alerts_of_two_shards_took_one_for_the_other() -> None:
    def asked(release: str) -> re.Pattern[str]:
        found = re.search(
            r'sum\(modelrollout_leader\{namespace="modelrollout", pod=~"(\S+)"', str(groups(release=release))
        )
        assert found is not None
        return re.compile(found[1])

    pods = {"modelrollout": FIRST, "modelrollout-fraud": OTHER}
    for release in pods:
        matched = {name for name in (*pods.values(), STRANGER) if asked(release).fullmatch(name)}
        assert matched == {pods[release]}


def test_bug_a_rare_full_list_was_taken_for_a_silent_watch() -> None:
    text = str(groups("--set", "operator.resyncSeconds=3600"))
    assert re.search(r"modelrollout_watch_age_seconds\{[^}]+\} > 7200", text)
