"""What `doctor` says of clocks and of the leader's Lease, which is told by them."""

from __future__ import annotations

import pytest

from modelrollout.cli.doctor import looked
from modelrollout.cli.doctor_operator import clock
from modelrollout.cli.doctor_operator import lease as leader
from modelrollout.cli.findings import State
from tests.unit.cli.cluster_answers import asking
from tests.unit.cli.doctor_scene import (
    LEASES,
    NOW,
    healthy,
    lease,
    logged,
    told,
)


def test_a_holder_whose_clock_is_wrong_is_not_taken_for_dead() -> None:
    cluster, renewals = healthy(), iter([NOW - 100, NOW - 96])

    def next_look(_: float) -> None:
        told(LEASES, lease(next(renewals)))(cluster)

    next_look(0)
    findings = list(looked(asking(cluster), None, None, "modelrollout", sleep=next_look, now=lambda: NOW))
    (finding,) = [each for each in findings if each.check == "leader"]
    assert finding.state is State.ERROR
    assert "operator-1 holds Lease modelrollout/modelrollout and renews it, but its time is " in finding.text
    assert finding.text.endswith("s behind the API server's clock")


def test_a_lease_is_held_against_the_clock_as_it_is_when_the_lease_is_read() -> None:
    """Ten seconds of other questions made a leader look like one whose clock is ahead."""
    cluster = healthy()
    told(LEASES, lease(1_800_000_010))(cluster)
    finding = leader(asking(cluster), "modelrollout", "modelrollout", -3600.0, now=lambda: 1_800_003_611.0)
    assert (finding.state, finding.text) == (
        State.OK,
        "operator-1 holds Lease modelrollout/modelrollout, renewed 1s ago",
    )


@pytest.mark.parametrize(("old", "state"), [(3, State.OK), (9, State.WARNING), (14, State.ERROR)])
def test_a_lease_that_is_late(old: float, state: State) -> None:
    cluster = healthy()
    told(LEASES, lease(1_800_000_000 - old))(cluster)
    place = ("modelrollout", "modelrollout", 0.0)
    finding = leader(asking(cluster), *place, sleep=lambda _: None, now=lambda: 1_800_000_000.0)
    assert finding.state is state, finding.text


@pytest.mark.parametrize(
    ("late", "state"), [(0.0, State.OK), (4.0, State.OK), (60.0, State.WARNING), (-60.0, State.WARNING)]
)
def test_the_clock_of_this_machine(late: float, state: State) -> None:
    cluster = healthy()
    told("--raw /version", logged(1_800_000_000))(cluster)
    finding, ahead = clock(asking(cluster), now=lambda: 1_800_000_000.5 + late)
    assert (finding.state, ahead) == (state, -late)
