"""`modelrollout replay --journal`: exit codes, words and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.unit.sim.test_journal import under_way, written


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(written(under_way())) + "\n")
    return path


def tampered(journal: Path) -> None:
    line = json.loads(journal.read_text())
    line["decision"]["status"]["phase"] = "RollingBack"
    line["decision"]["status"]["mood"] = "good"
    with journal.open("a") as file:
        file.write(json.dumps(line) + "\n")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_all_the_same_is_0(journal: Path) -> None:
    assert run("--journal", journal) == (0, "1 the same, 0 differ\n", "")


def test_all_shows_what_is_the_same(journal: Path) -> None:
    code, out, _ = run("--journal", journal, "--all")
    assert code == 0
    assert out.startswith("line 1  2023-11-14T22:13:40.000Z  serving/fraud  the same: every critical SLI passes; ")


def test_a_difference_is_7_and_told_field_by_field(journal: Path) -> None:
    tampered(journal)
    code, out, err = run("--journal", journal)
    assert (code, err) == (7, "")
    first, second, third, last = out.splitlines()
    assert first.startswith("line 2  2023-11-14T22:13:40.000Z  serving/fraud  differs: ")
    assert second == '  ! status.phase: was "RollingBack", is "Progressing" now'
    assert third.endswith("not known to this version and left out: decision.status.mood")
    assert last == "1 the same, 1 differ (1 in what is done with traffic)"


def test_json(journal: Path) -> None:
    tampered(journal)
    code, out, _ = run("--journal", journal, "-o", "json")
    found = json.loads(out)
    assert code == 7
    assert found["summary"] == {"file": str(journal), "same": 1, "differ": 1, "act": 1, "unreadable": 0}
    (decision,) = found["decisions"]
    assert (decision["line"], decision["rollout"]) == (2, "serving/fraud")
    assert decision["differences"] == [
        {"field": "status.phase", "taken": "RollingBack", "now": "Progressing", "acts": True}
    ]


def test_json_of_decisions_that_are_all_the_same(journal: Path) -> None:
    code, out, _ = run("--journal", journal, "-o", "json")
    assert (code, json.loads(out)["decisions"]) == (0, [])
    found = json.loads(run("--journal", journal, "-o", "json", "--all")[1])
    assert [decision["differences"] for decision in found["decisions"]] == [[]]


def test_only_one_rollout(journal: Path) -> None:
    line = json.loads(journal.read_text())
    line["key"] = "other/one"
    with journal.open("a") as file:
        file.write(json.dumps(line) + "\n")
    assert run("--journal", journal, "--rollout", "other/one")[:2] == (0, "1 the same, 0 differ\n")
    code, out, err = run("--journal", journal, "--rollout", "serving/none")
    assert (code, out) == (1, "")
    assert err == f"error: {journal}: no decision on serving/none; it has other/one, serving/fraud\n"


def test_lines_that_can_not_be_read_are_1_unless_something_differs(journal: Path) -> None:
    with journal.open("a") as file:
        file.write("garbage\n")
    code, out, _ = run("--journal", journal)
    assert (code, out) == (1, "line 2: is no JSON\n1 the same, 0 differ, 1 unreadable\n")
    tampered_line = json.loads(journal.read_text().splitlines()[0])
    tampered_line["decision"]["wake_at"] = 1.0
    with journal.open("a") as file:
        file.write(json.dumps(tampered_line) + "\n")
    assert run("--journal", journal)[0] == 7


def test_an_empty_journal_and_one_that_is_not_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    code, out, err = run("--journal", empty)
    assert (code, out) == (1, "")
    assert (
        err == f"error: {empty}: holds no decision; the operator writes one line per decision with `--journal FILE`\n"
    )
    assert run("--journal", empty, "-o", "json")[:2] == (1, "")
    code, out, err = run("--journal", tmp_path / "none")
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path / 'none'}: No such file or directory; name a journal that can be read\n"
    code, out, err = run("--journal", tmp_path)
    assert (code, out) == (1, "")
    assert "Is a directory" in err
