"""The report in a real browser: it asks for nothing, complains of nothing, fits, and says in tables what it draws.

Skipped where there is no Chromium (`$CHROMIUM`, or one on PATH).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import browser
from modelrollout.cli.fields import Fields
from modelrollout.cli.report_facts import facts
from modelrollout.cli.report_html import html
from tests.unit.cli.scenes import scene

PROGRAM = browser.found()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium on this machine: what a browser does with a report is not tried"
)
SHOWN = ("1-errors", "3-late-labels", "8-low-traffic", "promoted")
WIDTHS = (390, 1280)
READABLE = 9.0
"""Pixels of the smallest letters."""
CONTRAST = 4.5
"""Of text to its ground: WCAG 2.1, AA."""

FAINT = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const part = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * part(r / 255) + .7152 * part(g / 255) + .0722 * part(b / 255);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const each of document.querySelectorAll('h1,h2,p,strong,th,td,caption,figcaption,li,text')) {
    const style = getComputedStyle(each);
    const ink = light(parts(each.tagName === 'text' ? style.fill : style.color)), paper = light(ground(each));
    const ratio = (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
    if (each.textContent.trim() && ratio < %s) faint.push(`${each.tagName} ${ratio.toFixed(1)} ${each.textContent}`);
  }
  return faint;
})()"""
"""Words that do not stand out."""

SMALLEST = """Math.min(...[...document.querySelectorAll('svg text')].map(each =>
  parseFloat(getComputedStyle(each).fontSize) * each.getScreenCTM().a))"""
TURNS = "document.querySelector('figure + .scroll').querySelectorAll('tbody tr').length"
DRAWN = """[...document.querySelectorAll('figure')].slice(1).map(
  each => [...each.querySelectorAll('.strong')].map(name => name.textContent))"""
TOLD = """[...[...document.querySelectorAll('figure ~ .scroll')].find(each => each.textContent.includes('Verdict'))
  .querySelectorAll('tbody tr')].map(row => row.cells[0].textContent)"""
"""SLIs: of the charts after the first, and of the table beside them."""


@pytest.fixture(scope="module")
def page() -> Iterator[browser.Page]:
    assert PROGRAM is not None
    with browser.page(PROGRAM) as made:
        yield made


@pytest.fixture
def report(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of the report of a scene."""
    obj, now = scene(request.param)
    path = tmp_path / "report.html"
    path.write_text(html(facts(Fields(obj), now)))
    return browser.address(path)


@pytest.mark.parametrize("report", SHOWN, indirect=True)
def test_it_asks_for_nothing_and_complains_of_nothing(page: browser.Page, report: str) -> None:
    page.open(report)
    assert page.requests == [report]
    assert page.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("report", SHOWN, indirect=True)
def test_the_page_fits_and_its_letters_can_be_read(page: browser.Page, report: str, width: int) -> None:
    page.open(report, width=width)
    assert page.value("innerWidth") == width
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value(SMALLEST) >= READABLE


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("report", SHOWN, indirect=True)
def test_every_word_stands_out_from_its_ground(page: browser.Page, report: str, dark: bool) -> None:
    page.open(report, dark=dark)
    assert page.value("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert page.value(FAINT % CONTRAST) == []


@pytest.mark.parametrize("report", SHOWN, indirect=True)
def test_what_is_drawn_stands_in_a_table_too(page: browser.Page, report: str) -> None:
    page.open(report)
    charts = page.value("document.querySelectorAll('figure svg').length")
    assert charts >= 2
    marks = page.value("document.querySelector('figure').querySelectorAll('.mark').length")
    assert marks == page.value(TURNS) > 0
    told = set(page.value(TOLD))
    assert all(names and set(names) <= told for names in page.value(DRAWN))
    images = [
        node
        for node in page.ask("Accessibility.getFullAXTree")["nodes"]
        if node.get("role", {}).get("value") == "image"
    ]
    assert [bool(node["name"]["value"]) for node in images] == [True] * charts


def test_a_page_that_does_all_of_this_is_found_out(page: browser.Page, tmp_path: Path) -> None:
    """The checks above see what they look for."""
    path = tmp_path / "bad.html"
    path.write_text(
        '<!doctype html><img src="beside.png"><script>console.error("oh"); throw new Error("no")</script>'
        '<p style="color:#aaa">faint</p><div style="width:3000px">wide</div>'
    )
    page.open(browser.address(path), width=390)
    assert page.requests == [browser.address(path), browser.address(tmp_path / "beside.png")]
    for word in ("oh", "Uncaught", "ERR_FILE_NOT_FOUND"):
        assert any(word in each for each in page.complaints), page.complaints
    assert page.value("document.documentElement.scrollWidth") > 390
    assert [each.split()[0] for each in page.value(FAINT % CONTRAST)] == ["P"]
