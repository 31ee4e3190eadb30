"""`modelrollout replay` on recorded data: what is printed, exit codes, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.layout.documents import ROOT

MANIFEST = ROOT / "examples" / "smallest.yaml"
T0 = 1_800_000_000


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def counts(path: Path, *, minutes: int = 10, bad: int = 0, total: int = 500) -> Path:
    """Ticks of 5 s: legacy without an error, the candidate with `bad` of `total` in each."""
    rows = ["time,arm,sli,total,bad"]
    for at in range(5, 60 * minutes + 1, 5):
        rows.append(f"{T0 + at},legacy,availability,20000,0")
        rows.append(f"{T0 + at},candidate,availability,{total},{bad}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_good_candidate_is_promoted_0(tmp_path: Path) -> None:
    code, out, err = run("--csv", counts(tmp_path / "c.csv", total=20000), MANIFEST)
    assert (code, err) == (0, "")
    assert "The traffic split is the recorded one" in out
    assert "  availability: 50.0 % of 4800000 events were the candidate's; candidate 0 % of 2400000 bad, " in out
    assert out.rstrip().splitlines()[-1].startswith("Outcome: Promoted after ")
    assert out.count("Raise: ") == 3


def test_a_bad_candidate_is_rolled_back_3_with_its_numbers(tmp_path: Path) -> None:
    code, out, _ = run("--csv", counts(tmp_path / "c.csv", bad=250), MANIFEST)
    assert code == 3
    assert "Outcome: RolledBack after " in out
    assert "50.0 % of " in out


def test_data_that_end_too_early_are_4(tmp_path: Path) -> None:
    code, out, _ = run("--csv", counts(tmp_path / "c.csv", minutes=1), "--lead", "10", MANIFEST)
    assert code == 4
    assert "Outcome: none, the data end after " in out


def test_counts_per_tick_cannot_hold_events_without_a_total(tmp_path: Path) -> None:
    (rollout,) = yaml.safe_load_all(MANIFEST.read_text())
    rollout["spec"]["slis"].append({"name": "restarts", "counts": {"bad": {"metric": "restarts_total"}}})
    manifest = tmp_path / "guarded.yaml"
    manifest.write_text(yaml.safe_dump(rollout))
    code, _, err = run("--csv", counts(tmp_path / "c.csv"), manifest)
    assert code == 1
    assert (
        "SLI 'restarts' has no counts.total; remove it from the manifest, or record samples (JSON Lines) instead" in err
    )


def test_json(tmp_path: Path) -> None:
    code, out, _ = run("--csv", counts(tmp_path / "c.csv", bad=250), MANIFEST, "-o", "json")
    found = json.loads(out)
    assert (code, found["outcome"]) == (3, "RolledBack")
    verdicts = [sli["verdict"] for decision in found["decisions"] for sli in decision["slis"]]
    assert verdicts[-1] == "FAIL"
    assert found["recorded"] == [
        {
            "sli": "availability",
            "legacy": {"total": 2_400_000, "bad": 0},
            "candidate": {"total": 60_000, "bad": 30_000},
        }
    ]
    assert [d["weight"] for d in found["decisions"]][-1] == "0"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "error: give one of --journal, --data and --csv\n"),
        (["--journal", "x", "--data", "y"], 2, "error: give one of --journal, --data and --csv\n"),
        (["--data", "x"], 2, "error: name the manifest of the ModelRollout that is to run on the data\n"),
        (
            ["--journal", "x", "m.yaml"],
            2,
            "error: a journal holds the rollouts; give a manifest only with --data or --csv\n",
        ),
        (["--data", "x", "m.yaml", "--all"], 2, "error: --rollout and --all belong to --journal\n"),
        (["--data", "none", "m.yaml"], 1, "error: m.yaml: No such file or directory; name a manifest\n"),
        (
            ["--data", "none", str(MANIFEST)],
            1,
            "error: none: No such file or directory; name a file that can be read\n",
        ),
        (
            ["--csv", str(MANIFEST), str(MANIFEST)],
            1,
            f"error: {MANIFEST}: line 1: must be the columns time,arm,sli,total,bad, is ",
        ),
        (["--data", str(MANIFEST), str(MANIFEST)], 1, f"error: {MANIFEST}: line 1: is no JSON\n"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "is no YAML (ParserError at line 1)"),
        ("kind: ConfigMap", "must hold one ModelRollout, holds 0"),
        ("kind: ModelRollout\nmetadata: {name: a}\nspec: {nonsense: 1}", "ModelRollout 'a': spec.legacy: must be set"),
    ],
)
def test_a_manifest_that_is_none(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    code, _, err = run("--csv", counts(tmp_path / "c.csv", minutes=1), path)
    assert code == 1
    assert err.startswith(f"error: {path}: {said}")


def test_data_without_the_counters_are_said(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    header = {
        "format": "modelrollout-samples",
        "version": 1,
        "rollout": "serving/fraud",
        "start": 0,
        "end": 9,
        "scrape": 1,
    }
    path.write_text(json.dumps(header) + "\n")
    assert run("--data", path, MANIFEST)[::2] == (1, "error: the recording holds no sample\n")
    sample = {"labels": {"__name__": "other"}, "samples": [[1, 1], [9, 2]]}
    path.write_text(f"{json.dumps(header)}\n{json.dumps(sample)}\n")
    code, _, err = run("--data", path, MANIFEST)
    assert code == 1
    assert err.startswith("error: slis[availability]: no series of ")
