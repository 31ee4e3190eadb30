"""Waiting for a rollout: what counts as an end, of which revision, and the exit code of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from modelrollout.cli.fields import Fields
from modelrollout.cli.main import app
from modelrollout.cli.wait import PATIENCE, Aim, judged, until
from modelrollout.cli.watching import Lost, Seen
from tests.unit.cli.fake import FakeKubectl
from tests.unit.cli.scenes import scene


def rollout(
    phase: str,
    *,
    revision: str = "aaa",
    generation: int = 1,
    seen: int = 1,
    conditions: dict[str, tuple[str, str, int]] | None = None,
    history: tuple[tuple[str, str, str], ...] = (),
) -> dict[str, Any]:
    """`conditions`: status, reason and generation by type; `history`: revision, outcome and time of its end."""
    made = [
        {"type": kind, "status": status, "reason": reason, "observedGeneration": about, "message": f"{reason} it is"}
        for kind, (status, reason, about) in (conditions or {}).items()
    ]
    ends = [{"revision": r, "outcome": o, "endedAt": at, "message": "so it was"} for r, o, at in history]
    status = {"observedGeneration": seen, "phase": phase, "revision": revision, "conditions": made, "history": ends}
    return {"metadata": {"name": "fraud", "generation": generation}, "status": status}


PROMOTED = {"Promoted": ("True", "Promoted", 1)}
BACK = {"RolledBack": ("True", "SliFailed", 1)}
WRONG = {"Accepted": ("False", "InvalidSpec", 1)}
ABSENT = {"ResolvedRefs": ("False", "RefNotFound", 1)}
CASES: dict[str, tuple[dict[str, Any], Aim, str | None, int | None]] = {
    "promoted": (rollout("Promoted", conditions=PROMOTED), Aim.PROMOTED, None, 0),
    "promoted, this revision": (rollout("Promoted", conditions=PROMOTED), Aim.PROMOTED, "aaa", 0),
    "another revision is promoted": (rollout("Promoted", conditions=PROMOTED), Aim.PROMOTED, "bbb", None),
    "the last version was promoted": (
        rollout("Promoted", generation=2, conditions=PROMOTED),
        Aim.PROMOTED,
        None,
        None,
    ),
    "seen, but the condition is of the last version": (
        rollout("Promoted", generation=2, seen=2, conditions=PROMOTED),
        Aim.PROMOTED,
        None,
        None,
    ),
    "the next revision waits for the last one": (
        rollout("Promoted", conditions={"Promoted": ("False", "InProgress", 1)}),
        Aim.PROMOTED,
        None,
        None,
    ),
    "rolled back": (rollout("RolledBack", conditions=BACK), Aim.PROMOTED, None, 3),
    "rolled back, awaited": (rollout("RolledBack", conditions=BACK), Aim.ROLLED_BACK, None, 0),
    "rolled back, an end": (rollout("RolledBack", conditions=BACK), Aim.END, None, 3),
    "rolled back instead of paused": (rollout("RolledBack", conditions=BACK), Aim.PAUSED, None, 3),
    "promoted instead of rolled back": (rollout("Promoted", conditions=PROMOTED), Aim.ROLLED_BACK, None, 1),
    "promoted, an end": (rollout("Promoted", conditions=PROMOTED), Aim.END, None, 0),
    "paused": (rollout("Paused"), Aim.PAUSED, None, 0),
    "paused, of a version that is old": (rollout("Paused", generation=2), Aim.PAUSED, None, None),
    "paused, not awaited": (rollout("Paused"), Aim.PROMOTED, None, None),
    "progressing": (rollout("Progressing"), Aim.PROGRESSING, None, 0),
    "on its way": (rollout("Progressing"), Aim.PROMOTED, None, None),
    "invalid": (rollout("Invalid", conditions=WRONG), Aim.PROMOTED, None, 5),
    "invalid, after a promotion": (rollout("Promoted", conditions=WRONG), Aim.PROMOTED, None, 5),
    "a Deployment is absent": (rollout("Invalid", conditions=ABSENT), Aim.PROMOTED, None, 5),
    "nobody has looked": ({"metadata": {"name": "x", "generation": 1}}, Aim.PROMOTED, None, None),
    "superseded": (
        rollout("Progressing", revision="bbb", history=(("aaa", "Superseded", "t1"),)),
        Aim.PROMOTED,
        "aaa",
        1,
    ),
    "rolled back, and another one came": (
        rollout("Progressing", revision="bbb", history=(("aaa", "RolledBack", "t1"),)),
        Aim.PROMOTED,
        "aaa",
        3,
    ),
    "promoted, and another one came": (
        rollout("Progressing", revision="bbb", history=(("aaa", "Promoted", "t1"),)),
        Aim.PROMOTED,
        "aaa",
        0,
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_judged(name: str) -> None:
    obj, aim, revision, code = CASES[name]
    found = judged(Fields(obj), aim, revision)
    assert (found.code if found else None) == code
    if found:
        assert found.text.startswith("fraud")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(clock: Clock, *events: tuple[float, dict[str, Any] | Lost | None]) -> Iterator[Seen | Lost | None]:
    """Objects and losses at their times; afterwards nothing happens, second by second."""
    for at, event in events:
        clock.now = at
        yield event if isinstance(event, Lost) or event is None else Seen(event)
    while True:
        clock.now += 1
        yield None


def test_a_promotion_of_last_month_is_none_of_a_revision_that_comes_back() -> None:
    clock, old = Clock(), (("aaa", "Promoted", "2026-10-01T00:00:00Z"),)
    other = rollout("Promoted", revision="bbb", conditions=PROMOTED, history=old)
    back = rollout("Progressing", revision="aaa", history=old)
    gone = rollout("RolledBack", revision="aaa", conditions=BACK, history=old)
    found = until(told(clock, (0, other), (5, back), (9, gone)), Aim.PROMOTED, "aaa", limit=None, clock=clock)
    assert (found.code, clock.now) == (3, 9)


def test_an_end_before_the_wait_counts_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    old = (("aaa", "Promoted", "2026-10-01T00:00:00Z"), ("bbb", "RolledBack", "2026-10-02T00:00:00Z"))
    present = rollout("RolledBack", revision="bbb", conditions=BACK, history=old)
    found = until([Seen(present)], Aim.PROMOTED, "aaa", limit=None, recorded=True)
    assert (found.code, capsys.readouterr().err) == (0, "")
    assert found.text == "fraud: revision aaa was promoted; another one is there by now"
    clock = Clock()
    assert until(told(clock, (0, present)), Aim.PROMOTED, "aaa", limit=5, clock=clock).code == 4
    assert "aaa has ended before; waiting for it to come back (--recorded takes that end)\n" in capsys.readouterr().err


def test_recorded_is_about_a_revision(kubectl: FakeKubectl) -> None:
    assert run("wait", "fraud", "--recorded") == (
        2,
        "",
        "error: --recorded is about one revision; name it with --revision\n",
    )


def test_time_runs_out(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    found = until(told(clock, (0, rollout("Progressing"))), Aim.PROMOTED, None, limit=60, clock=clock)
    assert (found.code, clock.now) == (4, 60)
    assert found.text == "not promoted within 60 s; fraud: Progressing"
    assert capsys.readouterr().err == "fraud: Progressing\n", "each change is told once"


def test_a_reference_that_comes_right_in_time_is_no_failure() -> None:
    clock = Clock()
    absent, there = rollout("Invalid", conditions=ABSENT), rollout("Promoted", conditions=PROMOTED)
    found = until(told(clock, (0, absent), (PATIENCE - 1, there)), Aim.PROMOTED, None, limit=None, clock=clock)
    assert (found.code, clock.now) == (0, PATIENCE - 1)


def test_a_reference_that_stays_wrong_is_one() -> None:
    clock = Clock()
    found = until(told(clock, (0, rollout("Invalid", conditions=ABSENT))), Aim.PROMOTED, None, limit=None, clock=clock)
    assert (found.code, clock.now) == (5, PATIENCE)
    assert found.text == "fraud is invalid: RefNotFound it is"


def test_patience_begins_anew_when_it_was_right_in_between() -> None:
    clock = Clock()
    absent = rollout("Invalid", conditions=ABSENT)
    events = ((0.0, absent), (20.0, rollout("Progressing")), (25.0, absent))
    found = until(told(clock, *events), Aim.PROMOTED, None, limit=None, clock=clock)
    assert (found.code, clock.now) == (5, 25 + PATIENCE)


def test_a_wrong_spec_is_told_at_once() -> None:
    clock = Clock()
    found = until(told(clock, (3, rollout("Invalid", conditions=WRONG))), Aim.PROMOTED, None, limit=None, clock=clock)
    assert (found.code, clock.now) == (5, 3)


def test_a_cluster_that_is_away_for_a_while_is_told_and_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    events = ((0.0, rollout("Progressing")), (5.0, Lost("no cluster")), (9.0, rollout("Promoted", conditions=PROMOTED)))
    assert until(told(clock, *events), Aim.PROMOTED, None, limit=None, clock=clock).code == 0
    assert "no cluster; trying again\n" in capsys.readouterr().err


def test_a_deleted_rollout_ends_a_wait() -> None:
    found = until([Seen(rollout("Progressing"), gone=True)], Aim.PROMOTED, None, limit=None)
    assert (found.code, found.text) == (1, "fraud was deleted")


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_the_command_ends_with_code_and_sentence(kubectl: FakeKubectl) -> None:
    obj, _ = scene("promoted")
    kubectl.sees(("ADDED", obj))
    code, out, err = run("wait", "fraud", "-n", "serving", "--timeout", "20s")
    assert (code, err) == (0, "")
    assert out == f"fraud: revision {obj['status']['revision']} is promoted\n"
    assert kubectl.calls[0].startswith("--namespace=serving get modelrollouts.modelrollout.dev fraud --watch")


def test_the_command_fails_with_what_was_wrong(kubectl: FakeKubectl) -> None:
    obj, _ = scene("1-errors")
    kubectl.sees(("ADDED", obj))
    code, out, err = run("wait", "fraud", "--for", "promoted")
    assert (code, out) == (3, "")
    assert err.startswith(f"error: fraud: revision {obj['status']['revision']} was rolled back: errors: burns over 12x")
    assert run("status", "fraud", "-w")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("wait", "fraud", "--timeout", "5"), "--timeout 5: must be a duration such as 90s or 1h30m"),
        (("wait", "fraud", "--for", "glory"), "glory"),
        (("wait",), "Missing argument 'NAME'"),
    ],
)
def test_usage(kubectl: FakeKubectl, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert kubectl.calls == []
