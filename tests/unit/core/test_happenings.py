"""What people are told of, read from a status: which, how severe, since when, and with one identity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.happenings import SETTLE, Happened, Level, standing
from modelrollout.core.model import FULL, ActionVerb, Key, Phase, Verdict, Weight
from modelrollout.core.reasons import ConditionType, Reason
from modelrollout.core.status import (
    Condition,
    DecisionRecord,
    HistoryEntry,
    Holds,
    Incident,
    RolloutStatus,
    StepState,
)
from tests.scene import LEGACY, World, started

KEY = Key("serving", "fraud")
AT = 1_700_000_000.25


def stalled(reason: str, status: str = "True", message: str = "") -> tuple[Condition, ...]:
    return (Condition(ConditionType.STALLED, status, reason, message, AT, 1),)


def waiting(status: str = "True") -> tuple[Condition, ...]:
    return (Condition(ConditionType.PAUSED, status, "x", "", AT, 1),)


def record(action: str, reason: str, at: float) -> DecisionRecord:
    return DecisionRecord(at, action, reason, "m", Weight(500), "r1", 1)


BACK = Incident("r1", "SliFailed", "3 % bad where 1 % is allowed", AT, Weight(2500))
BASE = RolloutStatus(revision="r1", weight=Weight(500))
CASES: dict[str, tuple[RolloutStatus, list[tuple[Happened, Level, str, float]]]] = {
    "nothing": (replace(BASE, phase=Phase.PROGRESSING, reason="Progressing"), []),
    "going back": (
        replace(BASE, phase=Phase.ROLLING_BACK, incident=BACK),
        [(Happened.ROLLED_BACK, Level.TICKET, "SliFailed", AT)],
    ),
    "gone back": (
        replace(BASE, phase=Phase.ROLLED_BACK, incident=replace(BACK, closed=AT + 1), conditions=stalled("RolledBack")),
        [(Happened.ROLLED_BACK, Level.TICKET, "SliFailed", AT)],
    ),
    "deleted after an incident that is over": (
        replace(BASE, phase=Phase.ROLLING_BACK, incident=replace(BACK, closed=AT + 1)),
        [],
    ),
    "incident of another revision": (replace(BASE, phase=Phase.ROLLED_BACK, incident=replace(BACK, revision="r0")), []),
    "an incident, and the next rollout on its way": (replace(BASE, phase=Phase.PROGRESSING, incident=BACK), []),
    "legacy can't take users back": (
        replace(BASE, phase=Phase.ROLLING_BACK, incident=BACK, holds=Holds(blocked=AT + 2)),
        [
            (Happened.STUCK, Level.PAGE, "RollbackBlocked", AT + 2),
            (Happened.ROLLED_BACK, Level.TICKET, "SliFailed", AT),
        ],
    ),
    "legacy can't take users back at a deletion": (replace(BASE, phase=Phase.PROGRESSING, holds=Holds(blocked=AT)), []),
    "refused while it goes back": (
        replace(BASE, phase=Phase.ROLLING_BACK, conditions=stalled("Denied")),
        [(Happened.STUCK, Level.PAGE, "Denied", AT)],
    ),
    "unreadable while it goes back": (
        replace(BASE, phase=Phase.ROLLING_BACK, conditions=stalled("InvalidSpec")),
        [(Happened.STUCK, Level.PAGE, "InvalidSpec", AT)],
    ),
    "refused": (
        replace(BASE, phase=Phase.PROGRESSING, conditions=stalled("Denied")),
        [(Happened.STUCK, Level.TICKET, "Denied", AT)],
    ),
    "refused from the first write on": (
        replace(BASE, phase=Phase.INVALID, reason="Denied", conditions=stalled("Denied")),
        [(Happened.STUCK, Level.TICKET, "Denied", AT)],
    ),
    "the route is somebody else's": (
        replace(BASE, phase=Phase.PAUSED, reason="RouteConflict", conditions=stalled("RouteConflict")),
        [(Happened.STUCK, Level.TICKET, "RouteConflict", AT)],
    ),
    "no longer stalled": (replace(BASE, phase=Phase.PROGRESSING, conditions=stalled("Denied", "False")), []),
    "invalid": (
        replace(BASE, phase=Phase.INVALID, reason="RefNotFound", conditions=stalled("RefNotFound")),
        [(Happened.INVALID, Level.TICKET, "RefNotFound", AT)],
    ),
    "invalid, nobody knows since when": (
        replace(BASE, phase=Phase.INVALID, reason="RefNotFound"),
        [(Happened.INVALID, Level.TICKET, "RefNotFound", 0.0)],
    ),
    "unreadable at rest": (
        replace(BASE, phase=Phase.PROMOTED, reason="Promoted", conditions=stalled("InvalidSpec", message="no steps")),
        [(Happened.INVALID, Level.TICKET, "InvalidSpec", AT)],
    ),
    "paused by doubt": (
        replace(
            BASE,
            phase=Phase.PAUSED,
            reason="ElevatedBurn",
            decisions=(
                record("Pause", "Approval", AT),
                record("Pause", "ElevatedBurn", AT + 9),
                record("Hold", "x", AT),
            ),
            conditions=waiting(),
        ),
        [(Happened.PAUSED, Level.TICKET, "ElevatedBurn", AT + 9)],
    ),
    "paused, the record of it has gone": (
        replace(
            BASE,
            phase=Phase.PAUSED,
            reason="ElevatedBurn",
            decisions=(record("Pause", "ElevatedBurn", AT + 1), record("Pause", "Approval", AT + 2)),
            conditions=waiting(),
        ),
        [(Happened.PAUSED, Level.TICKET, "ElevatedBurn", AT)],
    ),
    "paused, nothing is known": (
        replace(BASE, phase=Phase.PAUSED, reason="ElevatedBurn"),
        [(Happened.PAUSED, Level.TICKET, "ElevatedBurn", 0.0)],
    ),
    "paused by people": (
        replace(BASE, phase=Phase.PAUSED, reason="PausedBySpec", conditions=waiting()),
        [(Happened.PAUSED, Level.INFO, "PausedBySpec", AT)],
    ),
    "an approval": (
        replace(BASE, phase=Phase.PAUSED, reason="Approval", conditions=waiting()),
        [(Happened.APPROVAL_WANTED, Level.TICKET, "Approval", AT)],
    ),
    "the budget is spent before the start": (
        replace(BASE, phase=Phase.PREFLIGHT, reason="BudgetExhausted", conditions=waiting()),
        [(Happened.APPROVAL_WANTED, Level.TICKET, "BudgetExhausted", AT)],
    ),
    "other preflight": (replace(BASE, phase=Phase.PREFLIGHT, reason="MetricsPending"), []),
    "promoted": (
        replace(
            BASE,
            phase=Phase.PROMOTED,
            reason="Promoted",
            history=(HistoryEntry("r1", "Promoted", "Promoted", "all passed", AT - 9, AT),),
        ),
        [(Happened.PROMOTED, Level.INFO, "Promoted", AT)],
    ),
    "found at full": (replace(BASE, phase=Phase.PROMOTED, reason="FoundAtFull"), []),
    "found at full after another revision": (
        replace(
            BASE, phase=Phase.PROMOTED, history=(HistoryEntry("r0", "Promoted", "Promoted", "all passed", AT - 9, AT),)
        ),
        [],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_stands(case: str) -> None:
    status, wanted = CASES[case]
    assert [(h.kind, h.level, h.reason, h.at) for h in standing(KEY, "u1", status)] == wanted


def test_nothing_stands_before_the_first_look() -> None:
    assert standing(KEY, "u1", None) == ()


def one(status: RolloutStatus, uid: str = "u1") -> str:
    (found,) = standing(KEY, uid, status)
    return found.id


PAUSED = CASES["paused by doubt"][0]


def test_the_identity_is_that_of_the_record() -> None:
    assert one(PAUSED) == one(replace(PAUSED, message="other numbers", weight=FULL, leader_epoch=PAUSED.leader_epoch))
    later = replace(PAUSED, decisions=(record("Pause", "ElevatedBurn", AT + 60),))
    others = [one(PAUSED, "u2"), one(replace(PAUSED, revision="r2")), one(later), one(replace(PAUSED, reason="NoData"))]
    assert len({one(PAUSED), *others}) == 5


def test_the_identity_survives_the_rounding_of_the_store() -> None:
    exact = replace(PAUSED, decisions=(record("Pause", "ElevatedBurn", 1_700_000_009.2501),))
    stored = replace(PAUSED, decisions=(record("Pause", "ElevatedBurn", 1_700_000_009.25),))
    assert one(exact) == one(stored)


def test_the_text_has_object_revision_weight_value_and_bound() -> None:
    (found,) = standing(KEY, "u1", CASES["going back"][0])
    assert found.title == "serving/fraud: revision r1 goes back to legacy"
    assert found.text == "SliFailed at 25 %: 3 % bad where 1 % is allowed"
    (unread,) = standing(KEY, "u1", CASES["unreadable at rest"][0])
    assert (unread.message, unread.settle) == ("no steps", SETTLE)


def test_approvals_of_two_steps_are_not_alike_and_a_pause_that_comes_again_is() -> None:
    wants = CASES["an approval"][0]
    first, second = (
        standing(KEY, "u1", replace(wants, step=StepState(index, 4, AT, Weight(500))))[0] for index in (1, 2)
    )
    assert first.alike != second.alike
    again = replace(PAUSED, decisions=(record("Pause", "ElevatedBurn", AT + 60),))
    assert standing(KEY, "u1", PAUSED)[0].alike == standing(KEY, "u1", again)[0].alike
    back = CASES["going back"][0]
    retried = replace(back, incident=replace(BACK, opened=AT + 60))
    assert standing(KEY, "u1", back)[0].alike != standing(KEY, "u1", retried)[0].alike


def kinds(world: World) -> list[Happened]:
    return [h.kind for h in standing(KEY, "u1", world.state)]


def test_a_whole_rollout_tells_its_approval_and_its_end() -> None:
    world = started(5, 100, approval=1)
    seen: list[Happened] = []
    for _ in range(60):
        world.run(5)
        seen += [kind for kind in kinds(world) if kind not in seen]
        if seen == [Happened.APPROVAL_WANTED]:
            world.act(ActionVerb.APPROVE)
    assert seen == [Happened.APPROVAL_WANTED, Happened.PROMOTED]


def test_a_bad_candidate_and_a_legacy_that_is_gone() -> None:
    world = started(5, 100)
    world.run(20)
    world.verdict, world.legacy = Verdict.FAIL, replace(LEGACY, endpoints=0)
    world.run(10)
    assert kinds(world) == [Happened.STUCK, Happened.ROLLED_BACK]
    world.legacy = LEGACY
    world.run(10)
    assert kinds(world) == [Happened.ROLLED_BACK]
    (first,) = standing(KEY, "u1", world.state)
    assert first.reason == Reason.SLI_FAILED
