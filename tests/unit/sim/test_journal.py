"""A journal read back and decided again: what comes out the same, what differs, and lines that are none."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.cli.journal_report import Summary, as_json, as_text
from modelrollout.core.model import Phase, Verdict
from modelrollout.ports import RolloutObject
from modelrollout.runtime.gather import Gathered
from modelrollout.runtime.record import entry as line_of
from modelrollout.sim import journal
from modelrollout.sim.journal import Entry, Unread, entries
from modelrollout.sim.redecide import Again, again
from tests.scene import World


def written(world: World) -> dict[str, Any]:
    """The line that the operator writes for what the world decides next."""
    obj = RolloutObject(world.spec.key, "u1", "1", 1, 0.0, False, True, world.spec, None, world.status)
    observation = world.observe()
    line = line_of(Gathered(obj, world.spec, observation), world.decide(), world.now)
    found: dict[str, Any] = json.loads(json.dumps(line))
    return found


def under_way() -> World:
    world = World()
    world.settle()
    world.run(20)
    assert world.state.phase is Phase.PROGRESSING
    return world


WALKED = under_way()


def read(*lines: dict[str, Any]) -> list[Entry | Unread]:
    return list(entries(io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))))


def decided(line: dict[str, Any]) -> Again:
    (found,) = read(line)
    assert isinstance(found, Entry), found
    result = again(found)
    assert isinstance(result, Again), result
    return result


def test_a_line_holds_what_was_decided_upon() -> None:
    world = under_way()
    (found,) = read(written(world))
    assert isinstance(found, Entry)
    assert (found.spec, found.status, found.observation) == (world.spec, world.status, world.observe())
    assert (found.decision, found.now, found.key, found.line) == (world.decide(), world.now, "serving/fraud", 1)


def test_the_same_inputs_give_the_same_decision() -> None:
    world = World()
    for _ in range(30):
        assert decided(written(world)).differences == ()
        world.settle()
        world.now += 5.0
    world.verdict = Verdict.FAIL
    assert decided(written(world)).differences == ()


@pytest.mark.parametrize(
    ("tamper", "field", "acts"),
    [
        (lambda d: d["status"].update(phase="RollingBack"), "status.phase", True),
        (lambda d: d["status"].update(weight=9999), "status.weight", True),
        (lambda d: d.update(intent={"type": "AddFinalizer"}), "intent", True),
        (lambda d: d["status"]["step"].update(index=7), "status.step.index", True),
        (lambda d: d["status"].update(message="all is well"), "status.message", False),
        (lambda d: d.update(wake_at=1.0), "wake_at", False),
        (lambda d: d["status"]["conditions"][0].update(status="Maybe"), "status.conditions[Ready].status", False),
    ],
)
def test_a_tampered_decision_differs_in_that_field(
    tamper: Callable[[dict[str, Any]], None], field: str, acts: bool
) -> None:
    line = written(under_way())
    tamper(line["decision"])
    (difference,) = decided(line).differences
    assert (difference.field, difference.acts) == (field, acts)


def test_tampered_evidence_changes_the_decision() -> None:
    world = under_way()
    line = written(world)
    line["observation"]["evidence"]["slis"][0]["verdict"] = "FAIL"
    differences = {each.field: each for each in decided(line).differences}
    assert (differences["status.phase"].taken, differences["status.phase"].now) == ("Progressing", "RollingBack")
    assert differences["status.phase"].acts


def test_an_item_that_is_gone_or_new_is_said_once() -> None:
    line = written(under_way())
    gone = line["decision"]["status"]["conditions"].pop()
    (difference,) = decided(line).differences
    assert (difference.field, difference.only) == (f"status.conditions[{gone['type']}]", "now")
    line["decision"]["status"]["conditions"].append(gone)
    line["decision"]["announcements"] = [{"type": "Announcement", "severity": "Normal", "reason": "x", "message": "y"}]
    (difference,) = decided(line).differences
    assert (difference.field, difference.only) == ("announcements[0]", "taken")


def test_another_order_is_a_difference() -> None:
    line = written(under_way())
    line["decision"]["status"]["conditions"].reverse()
    (difference,) = decided(line).differences
    assert difference.field == "order of status.conditions"
    assert difference.taken == difference.now[::-1]


def test_fields_of_other_versions_are_no_differences() -> None:
    line = written(under_way())
    line["decision"]["status"]["mood"] = "good"
    del line["decision"]["status"]["notes"]
    found = decided(line)
    assert found.differences == ()
    assert found.entry.unknown == ("decision.status.mood",)
    assert found.entry.missing == ("decision.status.notes",)


def test_a_rollout_that_could_not_be_read_is_replayed_too() -> None:
    world = under_way()
    line = written(world)
    line["spec"], line["status"] = None, None
    result = decided(line)
    assert {each.field for each in result.differences} >= {"status.phase"}
    assert isinstance(result.entry, Entry)
    assert (result.entry.spec, result.entry.status) == (None, None)


def test_inputs_that_break_the_decision_are_said() -> None:
    line = written(under_way())
    line["spec"]["steps"] = []
    (found,) = read(line)
    assert isinstance(found, Entry)
    result = again(found)
    assert isinstance(result, Unread)
    assert result.line == 1
    assert result.problem.startswith("can't be decided again: ")


def lines(raw: bytes) -> list[tuple[int, str]]:
    return [(each.line, each.problem if isinstance(each, Unread) else "read") for each in entries(io.BytesIO(raw))]


def test_lines_that_are_none_are_said_with_their_number() -> None:
    good = json.dumps(written(under_way())).encode()
    newer = json.dumps({"v": 99, "key": "serving/fraud"}).encode()
    raw = b"\n".join(
        [b"garbage", b"", good, b"[1]", b'{"a": 1}', newer, b'{"v": 1, "key": "a/b"}', b"\xff\xfe", good[:50]]
    )
    assert lines(raw) == [
        (1, "is no JSON"),
        (3, "read"),
        (4, "must be an object, is a list"),
        (5, "has no version `v`, so it is no line of a journal"),
        (6, "has format 99; this program reads up to 1: use a newer one"),
        (7, "code: must be there"),
        (8, "is no JSON"),
        (9, "is no JSON (it has no end: the operator may have been writing it)"),
    ]


def test_a_line_without_end_takes_no_memory_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LONGEST", 1 << 20)
    good = json.dumps(written(under_way())).encode()
    found = lines(b'"' + b"x" * (5 << 20) + b'"\n' + good)
    assert found == [(1, "is longer than 1 MiB, so it is no line of a journal"), (2, "read")]


def test_deep_nesting_is_no_crash() -> None:
    assert lines(b"[" * 200_000) == [(1, "is no JSON (it has no end: the operator may have been writing it)")]


def test_an_empty_journal_has_no_lines() -> None:
    assert lines(b"") == []


def test_a_status_may_be_absent() -> None:
    world = World()
    line = written(world)
    assert line["status"] is None
    assert decided(line).entry.status is None


WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "name", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        yield (*path, name)
        yield from places(each, (*path, name))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_a_line_holds_nothing_is_raised(data: st.DataObject) -> None:
    line = written(WALKED)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(places(line), key=str)))
        holder: Any = line
        for name in path[:-1]:
            holder = holder[name]
        if data.draw(st.booleans()):
            holder[path[-1]] = data.draw(WILD)
        else:
            del holder[path[-1]]
    for found in read(line):
        result = again(found) if isinstance(found, Entry) else found
        text = list(as_text([result], Summary("x"), all_of_them=True))
        assert text
        json.loads("".join(as_json([result], Summary("x"), all_of_them=True)))
