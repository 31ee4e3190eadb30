"""Pages about rollouts, as they were looked at once: `python -m tests.unit.cli.test_pages` writes them anew.

The objects are recorded ones (`scenes.py`); each page is a pure function of the object, the time, the width and whether
there are colours.
"""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest

from modelrollout.api.convert import to_spec
from modelrollout.api.scalars import parse_duration
from modelrollout.api.status_codec import decode, encode
from modelrollout.cli import history_report, rollout_report
from modelrollout.cli.explain import explained, text
from modelrollout.cli.fields import Fields, seconds
from modelrollout.cli.list_report import table
from modelrollout.cli.screen import as_text, colours
from modelrollout.cli.waits import WAITS
from modelrollout.core.model import RolloutSpec
from modelrollout.core.reasons import Reason
from tests.layout.documents import DOCS, blocks
from tests.unit.cli.scenes import SCENES, kept, scene

PAGES = Path(__file__).parent / "pages"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def get(name: str, width: int, colour: bool) -> str:
    obj, now = scene(name)
    return as_text(rollout_report.report(Fields(obj), now, width=width), width=width, colour=colour)


def history(name: str, width: int, colour: bool) -> str:
    obj, now = scene(name)
    return as_text(history_report.report(Fields(obj), now), width=width, colour=colour)


def explain(name: str, width: int, colour: bool) -> str:
    obj, now = scene(name)
    return text(explained(obj, now), width=width, colour=colour)


def listed(name: str, width: int, colour: bool) -> str:
    found = [scene(each) for each in SCENES]
    objects = []
    for index, (obj, _) in enumerate(found):
        objects.append(Fields({**obj, "metadata": {**obj["metadata"], "name": list(SCENES)[index]}}))
    now = max(at for _, at in found)
    return table(objects, now, width=width, colour=colour, everywhere=name == "everywhere")


KINDS = {"get": get, "history": history, "explain": explain, "list": listed}
SHOWN = [
    *(("get", name, width, False) for name in ("1-errors", "7-shared", "8-low-traffic") for width in (60, 80, 120)),
    *(("get", "5-tier", width, True) for width in (60, 80, 120)),
    *(("history", name, width, False) for name in ("1-errors", "promoted") for width in (60, 80, 120)),
    *(("explain", name, 80, False) for name in SCENES),
    *(("explain", "1-errors", width, True) for width in (60, 120)),
    *(("list", "everywhere", width, colour) for width in (60, 80, 120) for colour in (False, True)),
]


def file(kind: str, name: str, width: int, colour: bool) -> Path:
    return PAGES / kind / f"{name}-{width}{'-colour' if colour else ''}.txt"


def test_explain_says_what_is_counted_and_that_a_threshold_was_rounded() -> None:
    obj, now = scene("7-shared")
    slis = [{**each, "countedFrom": "x_bucket up to 300ms"} for each in obj["status"]["slis"]]
    note = "slis[x]: threshold 320ms is no bucket boundary of x; 300ms is used"
    shown = text(
        explained({**obj, "status": {**obj["status"], "slis": slis, "notes": [note]}}, now), width=100, colour=False
    )
    told = shown[shown.index("WHAT IS COUNTED, AND NOTES") : shown.index("WHAT COMES NEXT")]
    assert f"{slis[0]['name']}: x_bucket up to 300ms." in told
    assert f"{note}." in " ".join(told.split())


@pytest.mark.parametrize(("kind", "name", "width", "colour"), SHOWN)
def test_page(kind: str, name: str, width: int, colour: bool) -> None:
    shown = KINDS[kind](name, width, colour)
    assert shown == file(kind, name, width, colour).read_text()
    if not colour:
        assert "\x1b" not in shown


@pytest.mark.parametrize(("kind", "name", "width", "colour"), SHOWN)
def test_no_line_is_too_long_but_a_command(kind: str, name: str, width: int, colour: bool) -> None:
    lines = ESCAPE.sub("", KINDS[kind](name, width, colour)).splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith("    kubectl ")] == []


@pytest.mark.parametrize("name", list(SCENES))
def test_the_recorded_objects_are_such_as_the_operator_writes_them(name: str) -> None:
    obj, _ = scene(name)
    status = decode(obj["status"])
    assert status is not None
    assert dict(kept(encode(status))) == obj["status"]
    assert isinstance(to_spec(obj, strict=True), RolloutSpec)


def test_there_is_no_page_too_many() -> None:
    assert set(PAGES.rglob("*.txt")) == {file(*each) for each in SHOWN}


@pytest.mark.parametrize("name", ["1-errors", "5-tier"])
def test_colours_change_nothing_but_colours(name: str) -> None:
    for kind in ("get", "explain"):
        bare = ESCAPE.sub("", KINDS[kind](name, 80, True))
        assert [line.rstrip() for line in bare.splitlines()] == KINDS[kind](name, 80, False).splitlines()


class Terminal(StringIO):
    """Text that is shown to somebody."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environment", "wanted"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, file: StringIO, environment: dict[str, str], wanted: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colours(file) is wanted


EMPTY = {"metadata": {"name": "fraud", "namespace": "serving", "generation": 1}, "status": {"observedGeneration": -1}}


def test_what_is_not_known_is_a_dash_with_its_reason_and_never_zero() -> None:
    page = as_text(rollout_report.report(Fields(EMPTY), 0.0, width=80), width=80, colour=False)
    assert "Phase      - (no operator has looked at it yet: is one running?)" in page
    assert "Candidate  -: - (no weight was set or read yet)" in page
    assert "Revision   -" in page
    assert not re.search(r"\b0 %", page)
    assert text(explained(EMPTY, 0.0), width=200, colour=False).startswith(
        "WHERE IT STANDS\n  - No operator has looked at this version yet: its status is empty."
    )


def test_a_version_that_nobody_has_seen_is_said_to_be_so() -> None:
    obj, now = scene("promoted")
    newer = {**obj, "metadata": {**obj["metadata"], "generation": 2}}
    page = as_text(rollout_report.report(Fields(newer), now, width=120), width=120, colour=False)
    assert "the operator has not seen the newest version of this object yet" in page
    assert explained(newer, now)[0][0] == "BEWARE"
    row = table([Fields(newer)], now, width=None, colour=False, everywhere=False).splitlines()[1]
    assert "NotSeenYet" in row


def test_text_of_others_steers_no_terminal() -> None:
    obj, now = scene("1-errors")
    evil = {**obj, "status": {**obj["status"], "message": "bad\x1b[2J\x07", "phase": "Paused\x1b[31m"}}
    page = as_text(rollout_report.report(Fields(evil), now, width=120), width=120, colour=False)
    page += table([Fields(evil)], now, width=None, colour=True, everywhere=True)
    assert "\x1b" not in page
    assert "\\x1b[2J\\x07" in page


@pytest.mark.parametrize("junk", [None, [], "x", {"slis": {"a": 1}, "step": 3, "budget": [None, 1], "conditions": "x"}])
def test_a_garbled_status_breaks_no_page(junk: object) -> None:
    obj, now = scene("1-errors")
    garbled = Fields({**obj, "status": junk})
    assert "serving/fraud" in as_text(rollout_report.report(garbled, now, width=80), width=80, colour=False)
    assert as_text(history_report.report(garbled, now), width=80, colour=False).startswith("REVISIONS\nnone has ended")
    assert len(table([garbled], now, width=None, colour=False, everywhere=True).splitlines()) == 2


@pytest.mark.parametrize("written", ["90s", "1h30m", "1.5m", "250ms", "30d"])
def test_durations_are_read_as_the_operator_reads_them(written: str) -> None:
    assert seconds(written) == parse_duration(written)


def test_what_is_no_duration_is_none() -> None:
    assert [seconds(each) for each in ("", "5", "s", "1 h", "-1s", "1y")] == [None] * 6


def test_the_how_to_shows_such_a_page() -> None:
    (shown,) = (block.text for block in blocks(DOCS / "how-to" / "follow-a-rollout.md") if not block.language)
    assert shown.rstrip() == explain("7-shared", 80, colour=False).rstrip()


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason in WAITS])
def test_a_wait_is_explained_beyond_its_message(reason: Reason) -> None:
    obj, now = scene("7-shared")
    shown = dict(explained({**obj, "status": {**obj["status"], "reason": reason.value, "message": "m"}}, now))
    assert list(shown["WHAT IT WAITS FOR"]) == ["m.", WAITS[reason]]


def test_a_way_back_that_is_blocked_says_by_what() -> None:
    obj, now = scene("7-shared")
    stuck = {**obj["status"], "phase": "RollingBack", "reason": "RollbackBlocked", "message": "legacy has no pods"}
    shown = dict(explained({**obj, "status": stuck}, now))
    assert list(shown["WHAT IT WAITS FOR"]) == ["legacy has no pods.", WAITS[Reason.ROLLBACK_BLOCKED]]


def test_a_share_that_is_not_known_is_not_told_as_zero() -> None:
    obj, now = scene("7-shared")
    unknown = {name: value for name, value in obj["status"].items() if name != "weight"}
    shown = dict(explained({**obj, "status": unknown}, now))
    assert shown["WHERE IT STANDS"][0] == (
        "fraud-v8 is at step 2 of 4 and has an unknown share of the traffic, fraud-v7 has the rest."
    )


def test_every_reason_that_can_hold_a_rollout_has_an_explanation() -> None:
    page = (DOCS / "reference" / "reasons.md").read_text()
    holding = re.findall(r"^\| `(\w+)` \| (?:waits|pauses|holds|counts anew|starts over) \|", page, re.MULTILINE)
    assert len(holding) > 15
    assert [word for word in holding if word not in WAITS] == []


if __name__ == "__main__":
    for each in SHOWN:
        file(*each).parent.mkdir(parents=True, exist_ok=True)
        file(*each).write_text(KINDS[each[0]](*each[1:]))
