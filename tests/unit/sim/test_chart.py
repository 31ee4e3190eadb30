"""Charts: what is on them, as text and as SVG, also when there is nothing to show."""

from __future__ import annotations

import re
import struct
import sys
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import pytest

from modelrollout.core.model import Margin, Verdict, Weight
from modelrollout.core.observation import ArmCounts, EvidenceSeen, Odds, SliAssessment
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import SpecError
from modelrollout.ports import ArmsByPod, SourceSpec
from modelrollout.sim import draw_svg
from modelrollout.sim.chart import Chart, Limit, Line, Mark, Panel, Role, chart
from modelrollout.sim.draw_svg import png, svg
from modelrollout.sim.draw_text import clock, text
from modelrollout.sim.drive import Course, Look, simulate
from modelrollout.sim.scenario import BOTH, ArmName, Change, Onset, Scenario
from modelrollout.sim.traffic import Constant
from tests.scene import make_spec
from tests.unit.sim.test_streams import ERRORS

SPEC = make_spec(slis=(ERRORS,))
SVG = "{http://www.w3.org/2000/svg}"
SMALL = Chart(
    "fraud: promoted",
    120.0,
    (
        Panel(
            "candidate's share of traffic",
            1.0,
            (Line("candidate", Role.CANDIDATE, ((0.0, 0.0), (30.0, 0.05), (60.0, 0.5), (120.0, 0.5)), steps=True),),
            percent=True,
        ),
        Panel(
            "errors: bad share",
            0.02,
            (
                Line("legacy", Role.LEGACY, ((15.0, 0.0), (45.0, 0.0))),
                Line("candidate", Role.CANDIDATE, ((15.0, 0.0), (45.0, 0.02), (75.0, None))),
            ),
            (Limit("objective", 0.01),),
            percent=True,
        ),
    ),
    (Mark(30.0, "Raise", "Progressing", "2.7"), Mark(119.0, "Promote", "Promoted", "100")),
)
DRAWN = """\
          candidate's share of traffic [c candidate]
    100 %|
         |
         |          cccccccccc
         |     ccccc
      0 %|ccccc
          errors: bad share [l legacy, c candidate, - objective]
      2 %|       ccccc
         |
         |--------------------
         |
      0 %|  *****lllllllllllll
     time+-----^-------------!
          0:00            2:00
          ^ Raise, ! Promote"""


@cache
def course() -> Course:
    sick = Change("errors", (ArmName.CANDIDATE,), Onset(weight=Weight(2500)), difference=0.3)
    scenario = Scenario(traffic=Constant(200.0), changes=(sick,), duration=1800.0)
    return simulate(SPEC, scenario, source=SourceSpec("default", ArmsByPod(), 5.0), film=True)


def empty() -> Course:
    return Course(SPEC, Scenario(), RolloutStatus())


def test_text() -> None:
    assert text(SMALL, width=20, rows=5) == DRAWN


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (90_061, "25:01:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_panels_of_a_rollout() -> None:
    drawn = chart(course(), "fraud")
    weight, shares, evidence = drawn.panels
    (line,) = weight.lines
    assert [value for _, value in line.points][:3] == [0.0, 0.05, 0.25]
    assert [line.role for line in shares.lines] == [Role.LEGACY, Role.CANDIDATE]
    assert shares.limits == (Limit("objective", 0.01),)
    sick = [value for _, value in shares.lines[1].points if value is not None]
    assert max(sick) > 0.1
    assert max(value for _, value in shares.lines[0].points if value is not None) < 0.05
    assert evidence.lines
    assert [mark.action for mark in drawn.marks] == ["Raise", "Raise", "Rollback"]
    assert drawn.end == course().ended


def test_odds_are_shown_as_shares_of_their_limits() -> None:
    odds = Odds(worse=2.0, worse_limit=4.0, fine=6.0, fine_limit=3.0, margin=Margin())
    sli = SliAssessment("errors", True, Verdict.WAIT, ArmCounts(1, 0), ArmCounts(1, 0), 0.01, odds=odds)
    counts = {(arm, "errors"): (0, 0) for arm in BOTH}
    look = Look(5.0, Weight(500), RolloutStatus().phase, EvidenceSeen(0.0, 5.0, (sli,)), counts)
    panel = chart(replace(empty(), looks=[look], ended=10.0), "x").panels[2]
    assert {line.name: line.points for line in panel.lines} == {"worse": ((5.0, 0.5),), "fine": ((5.0, 2.0),)}
    assert panel.limits == (Limit("decides", 1.0),)
    assert panel.high >= 2.0


def test_nothing_to_show_is_said() -> None:
    drawn = chart(empty(), "nothing")
    assert [panel.note for panel in drawn.panels] == ["nothing happened", "no requests", "no evidence yet"]
    shown = text(drawn)
    assert "(no requests)" in shown
    assert "no decisions" in shown
    words = [each.text for each in ElementTree.fromstring(svg(drawn)).iter(f"{SVG}text")]
    assert {"nothing happened", "no requests", "no evidence yet", "no decisions"} <= set(words)


def test_svg() -> None:
    root = ElementTree.fromstring(svg(chart(course(), "fraud <& others>")))
    title, summary = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text == "fraud <& others>"
    assert summary is not None
    assert (summary.text or "").count(";") == 2, "the decisions in words"
    words = [each.text or "" for each in root.iter(f"{SVG}text")]
    assert {"legacy", "candidate", "objective", "errors: bad share"} <= set(words)
    assert [word for word in words if word.startswith("3  ")], "every decision has a row"
    assert [word for word in words if word.startswith("1  0:00  Raise, ")], "with the weight"
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for each in root.iter(f"{SVG}text"):
        assert 0 <= float(each.attrib["x"]) <= width
        assert 0 <= float(each.attrib["y"]) <= height


def test_lines_are_told_apart_without_colour() -> None:
    root = ElementTree.fromstring(svg(SMALL))
    strokes = {each.attrib["stroke"]: each.attrib.get("stroke-dasharray") for each in root.iter(f"{SVG}path")}
    legacy, candidate = strokes["#1d4ed8"], strokes["#c2410c"]
    assert legacy != candidate


def test_a_png_is_twice_as_large_and_has_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    painted = png(SMALL)
    root = ElementTree.fromstring(svg(SMALL))
    assert painted[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", painted[16:24]) == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    wordless = re.sub(r"<text.*?</text>", "", svg(SMALL))
    monkeypatch.setattr(draw_svg, "svg", lambda _: wordless)
    assert len(png(SMALL)) < 0.8 * len(painted), "without words it is much smaller"


def test_png_without_resvg_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(SpecError, match=r"run `python -m pip install resvg-py`, or write --svg and convert it"):
        png(SMALL)


def test_png_without_a_font_says_so_instead_of_drawing_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_svg, "TEXT", 'font-family="No Such Font"')
    with pytest.raises(SpecError, match=r"PNG needs a font on this machine"):
        png(SMALL)
