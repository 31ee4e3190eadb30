"""Plans as text, and where they come from."""

from __future__ import annotations

import pytest

from e2e.chaos.faults import BadPlan, Plan, parse, text
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
