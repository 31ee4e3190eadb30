"""The search through all states of small rollouts: it finds nothing in the operator, and it finds planted faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.chaos.model import __main__ as command
from e2e.chaos.model import explorer as exploring
from e2e.chaos.model.configs import CONFIGS, Config
from e2e.chaos.model.explorer import Graph
from e2e.chaos.model.liveness import searched
from e2e.chaos.model.state import NOW, aged, canonical, key
from e2e.chaos.model.walk import walk
from modelrollout.core import decide, lifecycle, steps, triggers
from modelrollout.core.intents import Move, SetWeight
from modelrollout.core.lifecycle import finalizer, new_revision, preflight
from modelrollout.core.model import FULL
from modelrollout.core.observation import EvidenceSeen
from modelrollout.core.reasons import Reason
from modelrollout.core.route_policy import settled
from modelrollout.core.situation import Draft, Policy, Situation, noted
from modelrollout.core.situation import raise_to as real_raise
from modelrollout.core.waiting import people

Plant = Callable[[pytest.MonkeyPatch], None]


def config(name: str) -> Config:
    return next(c for c in CONFIGS if c.name == name)


def found_in(name: str, *, limit: int, most: int = 10) -> Graph:
    return searched(config(name), limit=limit, most=most)


@pytest.mark.parametrize("name", [c.name for c in CONFIGS])
def test_nothing_is_violated_in_the_first_states(name: str) -> None:
    graph = found_in(name, limit=90)
    assert [(v.sentence, v.moves) for v in graph.violations] == []
    assert graph.transitions > 150


@pytest.mark.parametrize("name", ["pods", "route-people", "edits", "segments", "deletion"])
def test_nothing_is_violated_on_a_random_walk(name: str) -> None:
    walked = walk(config(name), transitions=600, seed=7)
    assert walked.faults == []
    assert walked.looks > 10
    assert walked.rollouts > 1


def ordered(*changed: Policy, without: tuple[Policy, ...] = ()) -> tuple[Policy, ...]:
    """The policies with `changed` before all others, and without some."""
    return (*changed, *(p for p in decide.POLICIES if p not in changed and p not in without))


def forgets_the_rejected(patch: pytest.MonkeyPatch) -> None:
    def blind(policy: Policy) -> Policy:
        def anew(s: Situation) -> Draft | None:
            draft = policy(replace(s, status=replace(s.status, rejected=())))
            known = s.status.rejected
            return draft and replace(draft, status=replace(draft.status, rejected=(*known, *draft.status.rejected)))

        return anew

    # Each of the two stops a rejected revision by itself.
    both = (new_revision, preflight)
    patch.setattr(decide, "POLICIES", tuple(blind(p) if p in both else p for p in decide.POLICIES))


def passes_without_evidence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Situation, "passes", property(lambda s: True))


def takes_evidence_of_the_step_before(patch: pytest.MonkeyPatch) -> None:
    def any_evidence(s: Situation) -> EvidenceSeen | None:
        return s.obs.evidence if isinstance(s.obs.evidence, EvidenceSeen) else None

    patch.setattr(Situation, "evidence", property(any_evidence))


def ignores_the_cap(patch: pytest.MonkeyPatch) -> None:
    def higher(*args: object) -> Draft:
        draft = real_raise(*args)  # type: ignore[arg-type]  # passed on
        return replace(draft, intent=SetWeight(FULL, segments=False, move=Move.RAISE))

    patch.setattr(steps, "raise_to", higher)


def reverts_only_when_nobody_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "POLICIES", ordered(people))


def reverts_only_with_a_verdict(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(triggers, "_from_evidence", lambda s: None)


def puts_the_finalizer_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "POLICIES", (*ordered(without=(finalizer,)), finalizer))


def writes_the_route_before_the_status(patch: pytest.MonkeyPatch) -> None:
    real = exploring.plan
    patch.setattr(exploring, "plan", lambda *given: real(*given)[::-1])


def reverts_onto_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Situation, "legacy_serves", property(lambda s: True))


def raises_without_pods(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Situation, "candidate_ready", property(lambda s: True))


def opens_gates_by_itself(patch: pytest.MonkeyPatch) -> None:
    def opened(s: Situation) -> Draft | None:
        draft = steps.dwell_and_advance(replace(s, status=replace(s.status, approved=99)))
        return draft and replace(draft, status=replace(draft.status, approved=s.status.approved))

    swapped = tuple(opened if p is steps.dwell_and_advance else p for p in decide.POLICIES)
    patch.setattr(decide, "POLICIES", swapped)


def holds_a_deletion_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "RELEASE_WAIT", 1e9)


def keeps_no_records(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(steps, "raise_to", lambda s, *more: _unrecorded(s, real_raise(s, *more)))


def _unrecorded(s: Situation, draft: Draft) -> Draft:
    return replace(draft, status=replace(draft.status, decisions=s.status.decisions))


def writes_at_rest(patch: pytest.MonkeyPatch) -> None:
    def busy(s: Situation) -> Draft | None:
        return Draft(noted(s, s.status, "Look", Reason.IDLE, "", FULL)) if s.status.phase == "Promoted" else None

    patch.setattr(decide, "POLICIES", (*decide.POLICIES, busy))


def never_goes_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "POLICIES", ordered(without=(steps.dwell_and_advance,)))


def keeps_an_old_reason(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "POLICIES", ordered(without=(settled,)))


def forgets_an_unfinished_rollback(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "POLICIES", ordered(without=(decide._finish_rollback,)))


PLANTED: tuple[tuple[str, Plant, str], ...] = (
    ("back-and-forth", forgets_the_rejected, "I3"),
    ("absent", passes_without_evidence, "I10"),
    ("absent", takes_evidence_of_the_step_before, "I10"),
    ("one-step", puts_the_finalizer_last, "I12"),
    ("checks", ignores_the_cap, "I2"),
    ("people", reverts_only_when_nobody_paused, "I4"),
    ("guards", reverts_only_with_a_verdict, "I4"),
    ("checks", writes_the_route_before_the_status, "I2"),
    ("pods", reverts_onto_nothing, "I8"),
    ("pods", raises_without_pods, "I8"),
    ("gates", opens_gates_by_itself, "I10"),
    ("deletion", holds_a_deletion_for_ever, "I12"),
    ("checks", keeps_no_records, "I14"),
    ("guards", writes_at_rest, "I"),
    ("guards", never_goes_on, "I7"),
    ("route", keeps_an_old_reason, "I7"),
    ("pods", forgets_an_unfinished_rollback, "I"),
)


@pytest.mark.parametrize(("name", "plant", "invariant"), PLANTED, ids=[plant.__name__ for _, plant, _ in PLANTED])
def test_a_planted_fault_is_found(name: str, plant: Plant, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    sentences = [v.sentence for v in found_in(name, limit=700, most=3).violations]
    assert any(sentence.startswith(invariant) for sentence in sentences), sentences


def test_a_violation_tells_the_way_and_how_to_play_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ignores_the_cap(monkeypatch)
    target = tmp_path / "l0.json"
    assert command.main(["--quick", "--config", "checks", "--walk", "0", "--json", str(target)]) == 1
    told = capsys.readouterr().out
    assert "I2: raised to 10000" in told
    again = next(line for line in told.splitlines() if "--replay" in line)
    made = json.loads(target.read_text())["configurations"][0]
    assert made["violations"][0]["moves"]
    assert command.main(again.split()[4:]) == 1
    assert "I2: raised to 10000" in capsys.readouterr().out


def test_a_quick_run_without_violation_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick", "--config", "guards", "--walk", "20"]) == 0
    assert "guards" in capsys.readouterr().out


def test_an_unknown_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--config", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_small_space_is_seen_to_its_end() -> None:
    small = replace(config("guards"), moments=config("guards").moments[:6])
    graph = searched(small, limit=100_000)
    assert graph.complete
    assert len(set(map(key, graph.states))) == len(graph.states)


def test_states_that_differ_only_in_what_is_long_ago_are_one() -> None:
    graph = found_in("guards", limit=60)
    state = next(s for s in graph.states if s.status and s.status.step and s.finalizer)
    assert key(aged(state, 500)) == key(aged(state, 5_000))
    assert key(aged(state, 60)) != key(aged(state, 500))
    assert canonical(aged(state, 500)).status.step.started >= NOW - 120  # type: ignore[union-attr]  # checked above
