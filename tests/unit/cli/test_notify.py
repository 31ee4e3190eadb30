"""`modelrollout notify test`: checks as the operator does, sends one test to each target, says what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelrollout.cli.main import app
from tests.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path, receiver: Receiver) -> Path:
    path = tmp_path / "targets.yaml"
    targets = [
        {"name": "bus", "cloudevents": {"url": f"{receiver.url}/bus"}},
        {"name": "team", "slack": {"url": f"{receiver.url}/gone"}},
        {"name": "calls", "alertmanager": {"url": receiver.url}, "severity": "page", "happenings": ["Stuck"]},
    ]
    path.write_text(json.dumps({"targets": targets}))
    return path


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["notify", "test", *map(str, arguments)], env={"COLUMNS": "80"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_every_target_is_sent_a_test_that_says_so(file: Path, receiver: Receiver) -> None:
    code, out, err = run("--file", file, "--allow-loopback")
    assert (code, out, err) == (1, "bus (cloudevents): ok\ncalls (alertmanager): ok\n", "team (slack): HTTP 404\n")
    got = dict(receiver.got)
    assert "there is no such rollout" in got["/bus"]["data"]["message"]
    assert got["/gone"]["text"].startswith("modelrollout-test/notification")
    (alert,) = got["/api/v2/alerts"]
    assert (alert["labels"]["severity"], alert["labels"]["rollout"]) == ("page", "notification")


def test_one_target_alone(file: Path, receiver: Receiver) -> None:
    code, out, err = run("--file", file, "--allow-loopback", "--target", "bus")
    assert (code, out, err) == (0, "bus (cloudevents): ok\n", "")
    assert [path for path, _ in receiver.got] == ["/bus"]


def test_a_check_sends_nothing(file: Path, receiver: Receiver) -> None:
    code, out, _ = run("--file", file, "--allow-loopback", "--check")
    assert (code, out) == (0, f"{file}: good; 3 targets: bus, team, calls\n")
    assert receiver.got == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 1, "targets[0].cloudevents.url of bus: points to"),
        (("--allow-loopback", "--target", "nobody"), 2, "has no target 'nobody'; it has bus, team, calls"),
    ],
)
def test_what_can_not_be_used_is_told_and_nothing_sent(
    file: Path, receiver: Receiver, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended, out, err = run("--file", file, *arguments)
    assert (ended, out) == (code, "")
    assert words in err
    assert receiver.got == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, _, err = run("--file", tmp_path / "none.yaml")
    assert code == 2
    assert "can't be read: FileNotFoundError" in err
