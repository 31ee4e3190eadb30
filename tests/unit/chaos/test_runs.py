"""Whole runs of the fault suite: the same twice, clean without faults, and found out when promises are broken."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from e2e.chaos.campaign import judge, reference
from e2e.chaos.carriers import moves
from e2e.chaos.drive import BELATED, Run, drive
from e2e.chaos.faults import Plan, parse
from e2e.chaos.kept import KEPT
from e2e.chaos.oracles import check
from e2e.chaos.reverts import REVERT
from e2e.chaos.workloads import workloads
from modelrollout.adapters.kube.resources import ROLLOUTS
from modelrollout.core.intents import SetWeight
from modelrollout.runtime.commit import Act


def told(run: Run) -> list[tuple[float, str, str, bytes]]:
    return [(v.at, v.agent, v.resource.plural, v.raw) for v in run.history]


@pytest.mark.parametrize("workload", sorted(workloads()))
def test_nothing_is_wrong_when_nothing_goes_wrong(workload: str) -> None:
    run = reference(workload)
    assert check(run, None) == []
    ends = workloads()[workload].ends
    assert (run.end["rollout"] or {"status": {}})["status"].get("phase", "gone") in (ends or ("gone",))


@pytest.mark.parametrize(
    "line",
    [
        "promote/1/",
        "fail-at-50/5/crash+after@9,fail+503+minute@12",
        "retry/9/blur+late+httproutes+10@4,edit+weight@13",
        "upgrade/2/parted+30+30@7",
    ],
)
def test_a_plan_run_twice_is_the_same_byte_for_byte(line: str) -> None:
    assert told(drive(parse(line))) == told(drive(parse(line)))


@pytest.mark.parametrize("line", KEPT)
def test_promises_are_kept(line: str) -> None:
    assert judge(parse(line)).violations == ()


def broken(line: str) -> set[str]:
    plan = parse(line)
    reference.cache_clear()
    try:
        known = drive(Plan(plan.workload, 1))
        return {violation.oracle for violation in (*check(known, None), *check(drive(plan), known))}
    finally:
        reference.cache_clear()


def test_a_revert_that_waits_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = Act.lower

    async def late(self: Act, intent: SetWeight) -> None:
        await asyncio.sleep(3)
        await lower(self, intent)

    monkeypatch.setattr(Act, "lower", late)
    assert "I4" in broken("abort/1/")


def test_a_route_raised_before_its_record_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def route_first(self: Act, intent: SetWeight) -> None:
        await self.commit.routing.set_weight(self.needed(), self.route, intent.weight, segments=False)
        await self.status()

    monkeypatch.setattr(Act, "raised", route_first)
    assert "I2" in broken("promote/1/")


def belated_raise(fault: str, **later: float) -> Run:
    """A run in which only that is left: a raise to 10 % is recorded, the next revision comes, and then the raise does,
    8 s after it was sent; `back`: seconds until it is lowered again.
    """
    known = reference("promote")
    up = next(move.version for move in moves(known.workload.carrier, known.history) if move.ours)
    records = [v for v in known.history if v.resource is ROLLOUTS and v.number < up.number and v.agent == up.agent]
    (before,) = [v for v in known.history if v.body is up.before]
    record, earlier = records[-1], records[-2]
    sent = record.at + 0.01
    times = [(before, 0.0), (record, record.at), (earlier, sent + 7.0), (up, sent + BELATED)]
    times.append((replace(before, agent=up.agent), sent + BELATED + later.get("back", 0.1)))
    history = [replace(version, number=number, at=at) for number, (version, at) in enumerate(times)]
    return Run(parse(f"promote/1/{fault}"), known.workload, history, end={"rollout": None})


def test_a_raise_that_was_carried_out_late_is_excused_only_where_one_was_planned_and_it_was_put_back() -> None:
    def beyond(run: Run) -> list[str]:
        return [violation.text for violation in check(run, None) if violation.oracle == "I2"]

    assert beyond(belated_raise("fail+late+once@4")) == []
    assert len(beyond(belated_raise("fail+503+once@4"))) == 1
    assert len(beyond(belated_raise("fail+late+once@4", back=REVERT + 1))) == 1
