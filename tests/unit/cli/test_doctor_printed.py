"""What `doctor` prints, how it ends, and how it asks."""

from __future__ import annotations

import json
import time

import pytest

from modelrollout.cli import asking as asking_module
from modelrollout.cli import installed
from modelrollout.cli.asking import Asking, bodies
from modelrollout.cli.findings import Finding, State, as_object, as_text
from tests.unit.cli.doctor_scene import (
    ROLLOUTS,
    healthy,
)
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.test_reads import run


def test_what_the_command_prints_and_how_it_ends(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    results = [
        Finding("clock", State.OK, "fine"),
        Finding("leader", State.UNKNOWN, "can't be read"),
        Finding("router", State.WARNING, "slow", "hurry"),
    ]
    monkeypatch.setattr("modelrollout.cli.doctor.looked", lambda *_: iter(results))
    code, out, err = run("doctor")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "ok         clock: fine",
        "not known  leader: can't be read",
        "warning    router: slow",
        "           fix: hurry",
        "",
        "1 ok, 1 warning, 1 not known",
    ]
    assert run("doctor", "--strict")[0] == 1
    shown = json.loads(run("doctor", "-o", "json")[1])
    assert shown == as_object(results)
    assert shown["counts"] == {"ok": 1, "warning": 1, "error": 0, "not known": 1}
    results.append(Finding("crds", State.ERROR, "missing", "install"))
    assert run("doctor")[0] == 1
    assert run("doctor", "-o", "name") == (2, "", "error: -o name: findings have none; use text, json or yaml\n")


def test_a_fix_is_never_wrapped_and_states_need_no_colour() -> None:
    fix = "kubectl " + "x" * 200
    page = as_text([Finding("router", State.ERROR, "a " * 100, fix)], width=60, colour=True)
    assert f"fix: {fix}\n" in page
    assert "\x1b[31merror" in page
    assert all(len(line) <= 60 for line in page.splitlines() if "fix" not in line and "\x1b" not in line)


def test_no_cluster_is_one_line(kubectl: FakeKubectl) -> None:
    kubectl.answers("", said="The connection to the server 127.0.0.1:1 was refused\n", code=1)
    code, out, err = run("doctor")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "no cluster can be reached" in err


def test_a_slow_answer_is_told_while_it_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "SLOW", 0.0)
    said: list[str] = []
    cluster = healthy()
    asks = Asking(cluster, say=said.append)

    def call(*_: str, text: str | None = None) -> str:
        until = time.monotonic() + 10
        while not said and time.monotonic() < until:
            pass
        return "{}"

    object.__setattr__(cluster, "call", call)
    asks.text("the rollouts", "get")
    assert said == ["asking for the rollouts ..."]


def test_a_quick_answer_is_not_announced() -> None:
    said: list[str] = []
    assert Asking(healthy(), say=said.append).raw("the rollouts", ROLLOUTS) is not None
    assert said == []


@pytest.mark.parametrize(
    ("client", "server", "same"),
    [
        ("0.1.0.dev0", "0.1.0", True),
        ("0.1.0", "v0.1.7", True),
        ("0.1.0", "0.2.0", False),
        ("1.2.0", "1.9.1", True),
        ("1.2.0", "2.0.0", False),
    ],
)
def test_which_versions_agree(client: str, server: str, same: bool) -> None:
    assert installed.agrees(client, server) is same


def test_several_objects_one_after_the_other() -> None:
    assert list(bodies('{"a": 1}\n{"b": 2}\n[3] nonsense')) == [{"a": 1}, {"b": 2}]
