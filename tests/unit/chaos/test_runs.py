"""Whole runs of the fault suite: the same twice, clean without faults, and found out when promises are broken."""

from __future__ import annotations

import asyncio

import pytest

from e2e.chaos.campaign import judge, reference
from e2e.chaos.drive import Run, drive
from e2e.chaos.faults import Plan, parse
from e2e.chaos.oracles import check
from e2e.chaos.workloads import workloads
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


KEPT = (
    "fail-at-50/1/crash+after@12",
    "fail-at-10/1/crash+after@9",
    "fail-at-50/1/fail+reset-applied+once@12",
    "delete/496617/edit+weight@13",
    "delete/326205/edit+route-deleted@15",
    "delete/1/poison+shared-route@4",
    "candidate-away/1/metrics+down+60@15",
    "promote/1/edit+lease-deleted@4,crash+after@7",
    "retry/1/blur+past+httproutes&modelrollouts+10@12,crash+after@14",
    "promote/1/parted+30+300@9",
    "fail-at-100/1/parted+30+300@16",
    "promote/1/parted+30+30@1",
    "legacy-away/1/poison+shared-route@2",
    "promote/1/poison+stored-garbage@11",
    "pause-resume/1/fail+timeout-applied+minute@6",
    "abort/1/blocked+30@12",
    "fail-at-100/1/blocked+30@13",
    "fail-at-100/1/blocked+30@14",
    "legacy-away/1/parted+30+-300@18",
    "fail-at-10/1/parted+30+300@2",
    "edit-steps/1/blur+silent+httproutes+600@7",
    "delete/1/edit+weight@15",
    "fail-at-10/886219/blur+past+deployments&endpointslices&httproutes&modelrollouts&rolloutactions+10@2,"
    "poison+unicode@2,edit+weight@5",
    "fail-at-50/453375/fail+500+thrice@3,parted+30+300@13",
    "fail-at-50/595037/metrics+empty+60@4,poison+unicode@5,poison+unicode@11",
    "edit-steps/514601/edit+lease-deleted@7,parted+30+-300@18",
    "outage/893794/fail+503+minute@12,fail+reset-applied+minute@18",
    "candidate-away/66927/fail+reset-applied+minute@17,edit+weight@21",
)
"""Plans that found something once, and one of each family."""


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
