"""What `make bench-scale` makes of what it saw."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.scale.__main__ import aims, table
from e2e.scale.figures import quantile, raised_after, read_at
from e2e.scale.process import Numbers
from e2e.scale.run import Found, Plan
from e2e.scale.witness import Audit, Weighed, writes

PLAN = Plan(1000, 1, seconds=1, rest=1)


def test_a_tick_is_read_a_second_after_its_end_and_its_end_is_inside_it() -> None:
    assert read_at(1000.1) == 1006.0
    assert read_at(1005.0) == 1006.0


def test_only_more_weight_after_the_moment_counts() -> None:
    before = [Weighed(1.0, 0.25), Weighed(9.0, 0.3), Weighed(11.0, 0.0)]
    after = [Weighed(1.0, 0.25), Weighed(10.5, 0.3), Weighed(11.0, 0.0)]
    assert raised_after({1: before, 2: after}, {1: 10.0, 2: 10.0}) == 1


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.99) == 4.0
    assert quantile([1.0], 0.5) == 1.0


def test_a_histogram_since_a_moment() -> None:
    name = "x_bucket"
    edges = {"0.1": (5.0, 6.0), "0.5": (5.0, 14.0), "+Inf": (5.0, 15.0)}
    before = Numbers({(name, (("le", le),)): values[0] for le, values in edges.items()})
    after = Numbers({(name, (("le", le),)): values[1] for le, values in edges.items()})
    assert after.quantile("x", 0.5, before) == 0.5
    assert after.quantile("x", 0.99, before) == float("inf")


def event(verb: str, resource: str, agent: str, stage: str = "ResponseComplete") -> str:
    return json.dumps({"verb": verb, "objectRef": {"resource": resource}, "userAgent": agent, "stage": stage})


def test_the_audit_log_is_read_on_from_where_it_was_left_and_only_the_operator_counts(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    log.write_text(event("patch", "old", "modelrollout-operator/1") + "\n")
    audit = Audit(log)
    with log.open("a") as out:
        out.write(event("patch", "httproutes", "modelrollout-operator/1") + "\n")
        out.write(event("update", "leases", "modelrollout-operator/1") + "\n")
        out.write(event("patch", "httproutes", "scale-seed/1") + "\n")
        out.write(event("watch", "httproutes", "kopf/1.45", "ResponseStarted") + "\n")
        out.write('{"half a li')
    found = audit.requests()
    assert found == {("patch", "httproutes"): 1, ("update", "leases"): 1}
    assert writes(found) == 1, "the Lease aside"


def test_a_figure_above_its_aim_is_missed() -> None:
    found = Found(PLAN, ["1 1 1"], {"all bad": {"p99": 3.4, "left": 0, "requests": {"patch httproutes": 3}}})
    assert table(found).missed == ["all bad p99"]
    assert "3 patch httproutes" in table(found).markdown()


def test_five_thousand_have_aims_of_their_own() -> None:
    large = aims(Plan(5000, 1, seconds=1, rest=1))
    assert (large["at rest, restarted", "rss"], large["all bad", "p99"]) == (350, 10)
    assert ("moving", "cores") not in large
