"""`modelrollout plan`: exit codes, words, tables and JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.layout.documents import DOCS, ROOT, blocks

SMALLEST = ROOT / "examples" / "smallest.yaml"


def run(*arguments: str | Path, typed: str | None = None, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["plan", *map(str, arguments)], input=typed, env={"COLUMNS": "120", **environment})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def planned(*arguments: str | Path) -> dict[str, Any]:
    code, out, err = run(*arguments, "-o", "json")
    assert (code, err) in ((0, ""), (6, ""))
    [rollout] = json.loads(out)["rollouts"]
    assert rollout["provable"] is (code == 0)
    return dict(rollout)


def hasty(tmp_path: Path) -> Path:
    """The smallest example with little time per step."""
    [rollout] = yaml.safe_load_all(SMALLEST.read_text())
    rollout["spec"]["stepDefaults"] = {"maxDuration": "10m"}
    path = tmp_path / "hasty.yaml"
    path.write_text(yaml.safe_dump(rollout))
    return path


def test_what_is_provable_is_0_and_shown_in_tables() -> None:
    code, out, err = run(SMALLEST, "--rate", "20", "--error-rate", "0.001")
    assert (code, err) == (0, "")
    for words in (
        "serving/fraud: takes 4h31m if the candidate is as good as legacy",
        "availability: 20 requests/s, legacy 0.100 % bad, 0.100 % allowed",
        "every margin is provable in time",
    ):
        assert words in out
    rows = [line.split() for line in out.splitlines()]
    assert ["1/3", "5", "%", "3h15m", "60s", "6h", "11,721", "availability"] in rows
    assert ["3/3", "100", "%", "60s", "60s", "6h", "1,200", "minDuration"] in rows
    assert ["worse", "1.5x", "2x", "3x", "5x", "10x", "dead"] in rows


def test_what_is_not_provable_is_6_and_told_with_the_ways_out(tmp_path: Path) -> None:
    code, out, err = run(hasty(tmp_path), "--rate", "20", "--error-rate", "0.001")
    assert (code, err) == (6, "")
    assert "not provable: availability: margin 1.25 + 0.001 is not provable at 5 % of 20 requests/s with" in out
    assert "every margin is provable" not in out


def test_counts_without_a_total_are_a_guard_without_a_proof(tmp_path: Path) -> None:
    [rollout] = yaml.safe_load_all(SMALLEST.read_text())
    rollout["spec"]["slis"].append({"name": "restarts", "counts": {"bad": {"metric": "restarts_total"}}})
    rollout["spec"]["slis"].append({"name": "b", "critical": False, "counts": {"bad": {"metric": "b_total"}}})
    path = tmp_path / "guarded.yaml"
    path.write_text(yaml.safe_dump(rollout))
    code, out, err = run(path, "--rate", "availability=20", "--error-rate", "0.001")
    assert (code, err) == (0, "")
    assert "restarts: a guard: counts without a total prove nothing" in out
    found = planned(path, "--rate", "20", "--error-rate", "0.001")
    assert (found["guards"], [sli["name"] for sli in found["slis"]]) == (["restarts"], ["availability"])
    assert found["seconds"] == planned(SMALLEST, "--rate", "20", "--error-rate", "0.001")["seconds"]


def test_an_objective_beside_counts_without_a_total_is_refused_offline_too(tmp_path: Path) -> None:
    [rollout] = yaml.safe_load_all(SMALLEST.read_text())
    rollout["spec"]["slis"].append({"name": "a", "counts": {"bad": {"metric": "a_total"}}, "objective": "99"})
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(rollout))
    code, _, err = run(path, "--rate", "20")
    assert code == 5
    assert "spec.slis[1].objective: counts without a total have no share of good events: remove objective" in err


def test_json_has_the_same_numbers(tmp_path: Path) -> None:
    found = planned(
        hasty(tmp_path), "--rate", "20", "--error-rate", "0.1%", "--regression", "3", "--regression", "dead"
    )
    assert found["rollout"] == "serving/fraud"
    [text] = found["notProvable"]
    assert text.startswith("availability: margin 1.25 + 0.001 is not provable")
    assert found["slis"] == [
        {
            "name": "availability",
            "rate": 20.0,
            "errorRate": 0.001,
            "allowed": 0.001,
            "provable": False,
            "budgetShareBadEvents": 1036.8,
        }
    ]
    assert [(step["weightPercent"], step["minSeconds"], step["maxSeconds"]) for step in found["steps"]] == [
        (weight, 60.0, 600.0) for weight in (5.0, 50.0, 100.0)
    ]
    assert found["seconds"] == pytest.approx(sum(step["seconds"] for step in found["steps"]), rel=1e-5)
    [half] = found["steps"][1]["slis"]
    assert half["margin"] == {"ratio": 1.25, "difference": 0.0005}
    assert half["seconds"] > 600.0
    assert half["smallestRatio"] > 1.25
    assert half["smallestDifference"] > 0.0005
    three, dead = half["regressions"]
    assert (three["times"], three["errorRate"], three["by"]) == (3.0, 0.003, "comparison")
    assert (dead["times"], dead["errorRate"], dead["by"]) == (None, 1.0, "burn tier")
    assert 0 < three["seconds"] < three["secondsP90"]
    assert 0 < three["excessBadEvents"] < three["excessBadEventsP90"]
    [last] = found["steps"][2]["slis"]
    assert (last["margin"], last["smallestRatio"]) == (None, None)


def test_what_never_happens_is_null_in_json(tmp_path: Path) -> None:
    found = planned(hasty(tmp_path), "--rate", "0.0001", "--regression", "1.01")
    [first] = found["steps"][0]["slis"]
    assert first["smallestRatio"] is None
    assert "NaN" not in json.dumps(found)
    assert "Infinity" not in json.dumps(found)


def test_rates_per_sli() -> None:
    found = planned(
        ROOT / "examples" / "full.yaml",
        *("--rate", "20", "--rate", "accuracy=1", "--error-rate", "0.01", "--error-rate", "accuracy=8%"),
    )
    assert [(sli["name"], sli["rate"], sli["errorRate"]) for sli in found["slis"]] == [
        ("availability", 20.0, 0.01),
        ("accuracy", 1.0, 0.08),
    ], "latency is not critical there"


def test_without_an_error_rate_legacy_is_held_to_meet_its_objective() -> None:
    found = planned(SMALLEST, "--rate", "20")
    assert found["slis"][0]["errorRate"] == 0.0005
    assert found["wouldNotStart"] == []


def test_a_budget_that_would_be_spent_is_told() -> None:
    """The operator's guard G0 would hold the rollout in Preflight."""
    said = (
        "availability: if legacy has had 0.0950 % bad for 30d where 0.100 % is allowed, 5.00 % of the error budget is "
        "left; errorBudget.minRemaining is 10.0 %, so it would not start without an Approve action"
    )
    assert planned(SMALLEST, "--rate", "20", "--error-rate", "0.00095")["wouldNotStart"] == [said]
    code, out, _ = run(SMALLEST, "--rate", "20", "--error-rate", "0.00095")
    assert code == 0
    assert f"would not start: {said}" in " ".join(out.split())
    assert planned(SMALLEST, "--rate", "20", "--error-rate", "0.0009")["wouldNotStart"] == []


def test_a_manifest_comes_from_stdin_and_may_hold_several(tmp_path: Path) -> None:
    [one] = yaml.safe_load_all(SMALLEST.read_text())
    other = {**one, "metadata": {"name": "other"}}
    code, out, _ = run("-", "--rate", "20", "-o", "json", typed=yaml.safe_dump_all([one, {"kind": "Service"}, other]))
    assert code == 0
    assert [each["rollout"] for each in json.loads(out)["rollouts"]] == ["serving/fraud", "default/other"]


def test_the_scrape_interval_is_asked_or_the_sources_or_the_ticks(tmp_path: Path) -> None:
    def first_step(*arguments: str | Path) -> float:
        return float(planned(*arguments, "--rate", "20000", "--error-rate", "1%")["steps"][0]["slis"][0]["seconds"])

    [rollout] = yaml.safe_load_all(SMALLEST.read_text())
    source = {
        "kind": "MetricSource",
        "metadata": {"name": "default"},
        "spec": {"prometheus": {"address": "http://prometheus:9090"}, "scrapeInterval": "500ms"},
    }
    both = tmp_path / "both.yaml"
    both.write_text(yaml.safe_dump_all([rollout, source]))
    plain, told, asked = first_step(SMALLEST), first_step(both), first_step(both, "--scrape-interval", "250ms")
    assert plain - told == pytest.approx(0.5)
    assert told - asked == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "no rate for SLI 'availability': give --rate NUMBER, or --rate availability=NUMBER"),
        (("--rate", "many"), "--rate many: must be a number"),
        (("--rate", "0"), "--rate 0: must be more than 0"),
        (("--rate", "-1"), "--rate -1: must be 0 or more"),
        (("--rate", "inf"), "--rate inf: must be 0 or more"),
        (("--rate", "20", "--error-rate", "7"), "--error-rate 7: must be between 0 and 1 (or a percentage)"),
        (("--rate", "latency=20"), "--rate latency=20: there is no SLI 'latency'; there are availability"),
        (("--rate", "20", "--regression", "1"), "--regression 1: must be more than 1, or dead"),
        (
            ("--rate", "20", "--scrape-interval", "soon"),
            "--scrape-interval soon: must be a duration above 0, such as 15s",
        ),
        (("--rate", "20", "--scrape-interval", "0s"), "--scrape-interval 0s: must be a duration above 0, such as 15s"),
    ],
)
def test_bad_options_are_2(arguments: tuple[str, ...], complaint: str) -> None:
    assert run(SMALLEST, *arguments) == (2, "", f"error: {complaint}\n")


def test_an_invalid_object_is_5_and_told_in_words(tmp_path: Path) -> None:
    [rollout] = yaml.safe_load_all(SMALLEST.read_text())
    rollout["spec"]["stepz"] = []
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(rollout))
    assert run(path, "--rate", "20") == (5, "", f"error: {path}: ModelRollout 'fraud': spec.stepz: unknown field\n")


def test_a_file_that_is_not_there_is_1(tmp_path: Path) -> None:
    path = tmp_path / "nosuch.yaml"
    code, out, err = run(path, "--rate", "20")
    assert (code, out) == (1, "")
    assert err == f"error: {path}: No such file or directory; name a manifest that can be read\n"


def test_a_pipe_and_no_color_get_no_escapes() -> None:
    for environment in ({}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}):
        _, out, _ = run(SMALLEST, "--rate", "20", **environment)
        assert "\x1b[3" not in out
        assert "\x1b[9" not in out


def test_nothing_heavy_is_loaded_before_a_command_needs_it() -> None:
    heavy = ["numpy", "scipy", "pydantic", "yaml", "kopf", "kubernetes", "rich.table"]
    code = f"import sys, modelrollout.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page_shows_what_the_command_prints() -> None:
    found = [
        (command, after.text.rstrip())
        for command, after in pairwise(blocks(DOCS / "how-to" / "plan-a-rollout.md"))
        if command.text.startswith(".venv/bin/modelrollout plan") and not after.language
    ]
    assert len(found) == 2
    for command, text in found:
        arguments = command.text.split()[2:]
        _, out, _ = run(ROOT / arguments[0], *arguments[1:])
        assert "\n".join(line.rstrip() for line in out.splitlines()) == text
