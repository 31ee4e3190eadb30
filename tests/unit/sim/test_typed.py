"""Plain values back to core values: without loss, for every type; and what is said when they do not fit."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelrollout.core.intents import Decision, SetWeight
from modelrollout.core.model import (
    AdoptRoute,
    Analysis,
    Arm,
    ManagedRoute,
    Margin,
    ProfileRef,
    RolloutSpec,
    Router,
    Sli,
    Verdict,
)
from modelrollout.core.observation import EvidenceSeen, Observation
from modelrollout.core.status import Condition, RolloutStatus
from modelrollout.runtime.record import plain
from modelrollout.sim.typed import Gaps, Unreadable, read
from tests.scene import make_spec
from tests.unit.sim.drawn import values

RELAXED = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None, max_examples=100
)


def back(kind: Any, value: object) -> tuple[Any, Gaps]:
    gaps = Gaps()
    return read(kind, json.loads(json.dumps(value)), "it", gaps), gaps


ROUTERS = "ManagedRoute, AdoptRoute, IngressNginx, Istio, Traefik, Replicas"


@pytest.mark.parametrize("kind", [RolloutSpec, RolloutStatus, Observation, Decision, EvidenceSeen])
def test_round_trip_without_loss(kind: Any) -> None:
    @RELAXED
    @given(values(kind))
    def holds(value: Any) -> None:
        found, gaps = back(kind, plain(value))
        assert found == value
        assert type(found) is kind
        assert (gaps.unknown, gaps.missing) == ([], [])

    holds()


def test_every_kind_of_route_and_source_is_told_apart() -> None:
    for router in (ManagedRoute(()), AdoptRoute("r", "rule")):
        assert back(Router, plain(router))[0] == router


def test_a_condition_keeps_its_own_type() -> None:
    condition = Condition("Ready", "True", "Progressing", "going on", 1.5, 3)
    assert back(Condition, plain(condition))[0] == condition


def test_weights_and_verdicts_are_whole_again() -> None:
    found, _ = back(tuple[Verdict, ...], ["FAIL", "PASS"])
    assert found == (Verdict.FAIL, Verdict.PASS)
    assert isinstance(found[0], Verdict)


def test_a_field_of_a_newer_version_is_left_out_and_said() -> None:
    written: Any = plain(make_spec())
    written["analysis"]["horizon"] = 7
    written["slis"][0]["weights"] = [1, 2]
    found, gaps = back(RolloutSpec, written)
    assert found == make_spec()
    assert gaps.unknown == ["it.slis[0].weights", "it.analysis.horizon"]


def test_a_field_that_an_older_version_lacks_gets_its_default_and_is_said() -> None:
    written: Any = plain(make_spec())
    del written["slis"][0]["margin"], written["analysis"]["tolerance"]
    found, gaps = back(RolloutSpec, written)
    assert (found.slis[0].margin, found.analysis) == (Margin(), Analysis(interval=5.0))
    assert gaps.missing == ["it.slis[0].margin", "it.analysis.tolerance"]


def test_a_whole_number_is_a_float_where_one_is_wanted() -> None:
    found, _ = back(Analysis, {"type": "Analysis", "interval": 5})
    assert found.interval == 5.0
    assert type(found.interval) is float


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (Arm, [], "it: must be a Arm, is a list"),
        (Arm, {"type": "Step"}, "it: must be a Arm, says that it is 'Step'"),
        (Arm, {"type": "Arm", "deployment": "a"}, "it.service: must be there"),
        (Arm, {"type": "Arm", "deployment": 1, "service": "s"}, "it.deployment: must be a str, is 1"),
        (Arm, {"type": "Arm", "deployment": None, "service": "s"}, "it.deployment: must be a str, is nothing"),
        (
            Router,
            {"type": "Ingress"},
            f"it: must be one of {ROUTERS}, is 'Ingress'",
        ),
        (Router, 7, f"it: must be one of {ROUTERS}, is 7"),
        (Verdict, "MAYBE", "it: must be one of FAIL, PASS, WAIT, NO_DATA, INVALID, is 'MAYBE'"),
        (tuple[str, str], ["a"], "it: must hold 2 values, holds 1"),
        (tuple[str, ...], {"a": 1}, "it: must be a list, is an object"),
        (bool, 1, "it: must be a bool, is 1"),
        (float, True, "it: must be a float, is True"),
        (float, 10**400, "it: is a number too large"),
        (str, 10**400, f"it: must be a str, is 1{'0' * 39}..."),
        (str | None, ["x" * 100], "it: must be a str, is a list"),
    ],
    ids=lambda x: str(x)[:24],
)
def test_what_does_not_fit_is_said_with_its_place(kind: Any, value: object, said: str) -> None:
    with pytest.raises(Unreadable) as error:
        read(kind, value, "it", Gaps())
    assert str(error.value) == said


def test_a_long_text_is_cut_in_messages() -> None:
    with pytest.raises(Unreadable) as error:
        read(Verdict, "x" * 10_000, "it", Gaps())
    assert len(str(error.value)) < 120


def test_no_member_of_a_union_has_a_field_that_hides_its_type() -> None:
    # `plain` names the type under "type"; a field of that name overwrites it.
    for kind in (Sli, ProfileRef, SetWeight, EvidenceSeen, ManagedRoute):
        assert "type" not in {field.name for field in fields(kind)}


@RELAXED
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=3)))
def test_anything_else_is_unreadable_and_nothing_worse(value: object) -> None:
    with pytest.raises(Unreadable, match=r"^it: must be"):
        read(RolloutSpec, value, "it", Gaps())
