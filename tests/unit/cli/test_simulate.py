"""`modelrollout simulate`: tables, charts, files, shares of many runs, exit codes, and what is wrong in one line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
SCENARIOS = EXAMPLES / "scenarios"
ROLLOUT = SCENARIOS / "fraud.yaml"


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["simulate", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def sick() -> tuple[str | Path, ...]:
    return ROLLOUT, "--scenario", SCENARIOS / "errors-at-25.yaml"


def test_a_revert_is_3_with_table_and_chart(sick: tuple[str | Path, ...]) -> None:
    code, out, err = run(*sick)
    assert (code, err) == (3, "")
    lines = out.splitlines()
    assert re.fullmatch(r"fraud, scenario errors-at-25, seed 1: rolled back after \d+:\d\d", lines[0])
    assert lines[1].startswith("errors: ")
    assert lines[3].split() == ["TIME", "WEIGHT", "DECISION", "REASON", "WHY"]
    assert [line.split()[:4] for line in lines[4:6]] == [["0:00", "5", "%", "Raise"], lines[5].split()[:4]]
    assert lines[6].split()[3] == "Rollback"
    assert any(line.startswith("errors: legacy ") and "allowed 1.00 %" in line for line in lines)
    assert any("candidate's share of traffic" in line for line in lines)
    assert lines[-1].strip() == "^ Raise, v Rollback"


def test_a_promotion_is_0() -> None:
    code, out, _ = run(ROLLOUT, "--scenario", SCENARIOS / "healthy.yaml", "-o", "json")
    found = json.loads(out)
    assert (code, found["outcome"], found["rollout"]) == (0, "promoted", "serving/fraud")
    assert [d["weight"] for d in found["decisions"]] == [5, 25, 50, 100, 100]
    assert set(found["slis"]) == {"errors", "latency"}
    assert found["slis"]["errors"]["candidate"]["total"] > 0


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    """The example with an SLI that virtual pods know nothing of."""
    documents = list(yaml.safe_load_all(ROLLOUT.read_text()))
    (rollout,) = (each for each in documents if each["kind"] == "ModelRollout")
    rollout["spec"]["slis"].append({"name": "restarts", "counts": {"bad": {"metric": "restarts_total"}}})
    path = tmp_path / "guarded.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def test_a_guard_has_nothing_to_count_and_holds_nobody(guarded: Path) -> None:
    code, out, _ = run(guarded, "--scenario", SCENARIOS / "healthy.yaml")
    assert code == 0
    assert "restarts: virtual pods have no such events\n" in out
    assert "restarts: no evidence of harm: candidate 0 in " in out


def test_a_scenario_cannot_change_what_virtual_pods_do_not_have(guarded: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "s.yaml"
    scenario.write_text("base: {restarts: 0.1}\n")
    code, _, err = run(guarded, "--scenario", scenario)
    assert code != 0
    assert "base.restarts" in err
    assert "must be an SLI with a total" in err


def test_neither_is_4(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.yaml"
    quiet.write_text("traffic: {rate: 0.02}\nduration: 5m\n")
    code, out, _ = run(ROLLOUT, "--scenario", quiet)
    assert code == 4
    assert out.startswith("fraud, scenario quiet, seed 1: still on its way when the scenario ended at 5:00\n")


def test_the_seed_makes_the_run(sick: tuple[str | Path, ...]) -> None:
    first, again, other = run(*sick, "--seed", "5"), run(*sick, "--seed", "5"), run(*sick, "--seed", "6")
    assert first == again
    assert first != other


def test_files(sick: tuple[str | Path, ...], tmp_path: Path) -> None:
    chart, journal = tmp_path / "chart.svg", tmp_path / "journal.jsonl"
    code, _, _ = run(*sick, "--svg", chart, "--journal", journal)
    assert code == 3
    assert ElementTree.parse(chart).getroot().tag.endswith("svg")
    replayed = CliRunner().invoke(app, ["replay", "--journal", str(journal)])
    assert (replayed.exit_code, replayed.stdout.split()[1:]) == (0, ["the", "same,", "0", "differ"])


def test_a_chart_that_cannot_be_written_is_1(sick: tuple[str | Path, ...], tmp_path: Path) -> None:
    code, _, err = run(*sick, "--svg", tmp_path / "no" / "chart.svg")
    assert code == 1
    assert err.endswith("No such file or directory; name a file that can be written\n")


def test_a_png(sick: tuple[str | Path, ...], tmp_path: Path) -> None:
    code, _, err = run(*sick, "--png", tmp_path / "chart.png")
    assert (code, err) == (3, "")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_png_needs_a_converter(sick: tuple[str | Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    code, _, err = run(*sick, "--png", tmp_path / "chart.png")
    assert code == 1
    assert err.startswith("error: PNG needs resvg: run `python -m pip install resvg-py`")


def test_many_runs(sick: tuple[str | Path, ...]) -> None:
    code, out, err = run(*sick, "--runs", "6", "--seed", "10")
    assert (code, err) == (0, "")
    name, _, head, row = out.splitlines()
    assert name == "fraud, scenario errors-at-25, 6 runs, seeds 10 to 15"
    assert head.split()[:3] == ["OUTCOME", "RUNS", "SHARE"]
    assert row.split()[:4] == ["reverted", "6", "100.00", "%"]
    assert "54.07 % to 100.00 %" in row


def test_many_runs_for_programs(sick: tuple[str | Path, ...]) -> None:
    _, out, _ = run(*sick, "--runs", "2", "-o", "json")
    found = json.loads(out)
    assert found["runs"] == 2
    assert found["outcomes"]["reverted"]["share"] == 1.0
    assert 60 < found["outcomes"]["reverted"]["seconds"]["median"] < 1200


def test_without_a_scenario_all_is_well() -> None:
    code, out, _ = run(EXAMPLES / "smallest.yaml", "-o", "json")
    found = json.loads(out)
    assert (found["scenario"], found["seed"]) == ("healthy", 1)
    assert found["outcome"] != "reverted"
    assert code == (0 if found["outcome"] == "promoted" else 4)


@pytest.mark.parametrize(
    ("rollout", "scenario", "code", "says"),
    [
        (None, "{}", 5, "rollout.yaml: must hold one ModelRollout, holds 0"),
        ("there", "traffic: {rate: -1}", 5, "scenario.yaml: traffic.rate: must be a number from 0 to 1e+06, is -1"),
        ("there", None, 1, "scenario.yaml: No such file or directory; name a YAML file that can be read"),
    ],
)
def test_what_is_wrong_is_said(rollout: str | None, scenario: str | None, code: int, says: str, tmp_path: Path) -> None:
    file, happens = tmp_path / "rollout.yaml", tmp_path / "scenario.yaml"
    file.write_text(ROLLOUT.read_text() if rollout else "kind: Nothing")
    if scenario is not None:
        happens.write_text(scenario)
    found, out, err = run(file, "--scenario", happens)
    assert (found, out) == (code, "")
    assert err == f"error: {tmp_path}/{says}\n"


def test_a_chart_of_many_runs_is_refused(sick: tuple[str | Path, ...], tmp_path: Path) -> None:
    code, _, err = run(*sick, "--runs", "2", "--svg", tmp_path / "chart.svg")
    assert code == 2
    assert "leave out --runs" in err
