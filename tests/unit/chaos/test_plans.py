"""Plans as text, and where they come from."""

from __future__ import annotations

from collections import Counter

import pytest

from e2e.chaos.campaign import chosen
from e2e.chaos.faults import BadPlan, Plan, parse, text
from e2e.chaos.kept import KEPT
from e2e.chaos.plans import singles


def test_every_fault_is_read_back_from_its_text() -> None:
    faults = list(singles(3))
    assert len(faults) > 200
    assert len({text(fault) for fault in faults}) == len(faults)
    for fault in faults:
        plan = Plan("promote", 7, (fault,))
        assert parse(str(plan)) == plan


def test_a_plan_of_several_faults_is_read_back() -> None:
    line = "retry/3/crash+after@4,metrics+nan+60@9"
    assert str(parse(line)) == line


@pytest.mark.parametrize("line", ["", "promote", "promote/x/", "promote/1/crash@", "promote/1/flood+1@2"])
def test_what_is_no_plan_is_told(line: str) -> None:
    with pytest.raises(BadPlan):
        parse(line)


def test_every_family_has_its_share_of_a_short_campaign_and_what_was_kept_comes_first() -> None:
    plans = chosen(["promote", "fail-at-50"], seed=1, count=200)
    kept = [line for line in KEPT if line.startswith(("promote/", "fail-at-50/"))]
    assert [str(plan) for plan in plans[: len(kept)]] == kept
    assert len(plans) == 200
    singly = Counter(text(p.faults[0]).partition("+")[0] for p in plans[len(kept) :] if len(p.faults) == 1)
    assert len(singly) == 10
    assert max(singly.values()) - min(singly.values()) <= 1
