"""`modelrollout report`: what is in the files, that they load nothing, and what it says to nonsense.

`python -m tests.unit.cli.test_report` writes the Markdown pages anew.
"""

from __future__ import annotations

import copy
import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelrollout.cli import report as command
from modelrollout.cli.fields import Fields
from modelrollout.cli.main import app
from modelrollout.cli.report_facts import Facts, facts
from modelrollout.cli.report_html import html
from modelrollout.cli.report_markdown import markdown
from modelrollout.cli.report_svg import ratios, shares, staircase
from tests.unit.cli.scenes import SCENES, scene

PAGES = Path(__file__).parent / "pages" / "report"
SHOWN = ("1-errors", "6-prometheus-down", "8-low-traffic", "promoted")
VOID = {"meta", "circle", "rect", "path"}
HOSTILE = '<script src="https://x.example/a.js">|`*[a](https://x.example)\u202e\x1b[31m'


def told(name: str) -> Facts:
    obj, now = scene(name)
    return facts(Fields(obj), now)


@pytest.mark.parametrize("name", SHOWN)
def test_markdown_page(name: str) -> None:
    assert markdown(told(name)) == (PAGES / f"{name}.md").read_text()


def test_there_is_no_markdown_page_too_many() -> None:
    assert {each.stem for each in PAGES.iterdir()} == set(SHOWN)


class Page(HTMLParser):
    """Tags of a page, with what they refer to; the texts of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("name", SCENES)
def test_the_page_is_whole_and_loads_nothing(name: str) -> None:
    text = html(told(name))
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "a", "use", "image"} & set(page.tags)
    assert not {"src", "href", "srcset", "action", "xlink:href", "style"} & {each for each, _ in page.attributes}
    assert not re.search(r"url\(|@import|https?:", text)
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


@pytest.mark.parametrize("name", SCENES)
def test_what_the_charts_show_is_in_words_and_tables_too(name: str) -> None:
    seen = told(name)
    text = html(seen)
    assert text.count("<svg") == text.count('role="img" aria-label="') == text.count("<title>") - 1
    cells = Page(text).words
    for turn in seen.turns:
        assert turn.message in cells
    for sli in seen.slis:
        assert {sli.line.name, sli.line.candidate, sli.line.legacy, sli.line.compared} <= set(cells)


def test_a_long_sentence_is_there_once() -> None:
    obj, _ = scene("1-errors")
    message = obj["status"]["message"]
    for made in (html(told("1-errors")), markdown(told("1-errors"))):
        assert made.count(message.replace("'", "&#x27;")) + made.count(message) <= 2, (
            "of the incident, and its decision"
        )


def test_the_staircase_goes_up_with_the_decisions_and_down_with_the_revert() -> None:
    seen = told("1-errors")
    assert [weight for _, weight in seen.course] == [5.0, 25.0, 25.0, 0.0]
    drawn = staircase(seen)
    assert drawn.count('class="mark"') == len(seen.turns) == 3
    assert "0 % after 3:26" in drawn
    assert seen.revert is not None
    assert seen.end == seen.revert.closed


def test_a_rollout_under_way_is_drawn_until_now() -> None:
    seen = told("6-prometheus-down")
    assert seen.end == seen.now
    assert seen.revert is None


def test_a_revert_that_is_not_over_says_so() -> None:
    obj, now = scene("1-errors")
    obj = copy.deepcopy(obj)
    del obj["status"]["incident"]["closedAt"]
    seen = facts(Fields(obj), now)
    assert "not over yet" in html(seen)
    assert seen.course[-1][1] == 25.0


def test_the_incident_and_decisions_of_an_earlier_revision_are_not_this_one_s() -> None:
    obj, now = scene("1-errors")
    obj = copy.deepcopy(obj)
    obj["status"]["revision"] = "newer"
    seen = facts(Fields(obj), now)
    assert (seen.revert, seen.turns) == (None, ())
    assert "No decision has been taken for this revision" in html(seen)
    assert seen.history[0][0] == "1d51f1f1b4"


def test_a_ratio_beyond_the_scale_has_an_arrow_and_one_within_has_none() -> None:
    far, near = told("1-errors"), told("promoted")
    assert ratios(far.slis).count("l6 5l-6 5") == 2
    assert "l6 5l-6 5" not in ratios(near.slis)
    assert "l-6 5l6 5" not in ratios(near.slis)


def test_nothing_counted_is_no_chart_and_no_zero() -> None:
    seen = told("no-requests")
    assert (shares(seen.slis), ratios(seen.slis)) == ("", "")
    assert all(sli.candidate is None for sli in seen.slis)


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"metadata": [], "spec": 1, "status": "x"},
        {"status": {"phase": 1, "slis": [1, {}], "decisions": [{}], "incident": {"revision": ""}, "budget": {}}},
        {"status": {"revision": "r", "decisions": [{"revision": "r", "at": "never", "weight": "1e999"}]}},
        {"status": {"slis": [{"name": "a", "candidate": {"total": 0, "bad": 0}, "ratio": {"value": "0", "low": "0"}}]}},
        {"spec": {"steps": [{}], "slis": [{"name": "a", "objective": "x"}]}, "status": {"slis": [{"name": "a"}]}},
    ],
)
def test_an_object_that_lacks_everything_makes_a_report(obj: dict[str, Any]) -> None:
    seen = facts(Fields(obj), 1.8e9)
    assert Page(html(seen)).open == []
    assert markdown(seen).startswith("# ")


def test_hostile_words_are_words() -> None:
    obj, now = scene("1-errors")
    text = json.dumps(obj)
    for word in ("fraud-v8", "errors", "BudgetBurn"):
        text = text.replace(word, json.dumps(HOSTILE)[1:-1])
    seen = facts(Fields(json.loads(text)), now)
    page = Page(html(seen))
    assert "script" not in page.tags
    assert not {"src", "href"} & {name for name, _ in page.attributes}
    assert any('<script src="https://x.example/a.js">' in word for word in page.words)
    made = markdown(seen)
    assert "\x1b" not in made + html(seen)
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[a|(?<!\\)`\\\*", made)
    rows = [line for line in made.splitlines() if line.startswith("| 1 |")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows[:1])


def run(*args: str, given: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["report", *args], input=given)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "fraud.json"
    path.write_text(json.dumps(scene("1-errors")[0]))
    return path


def test_markdown_is_printed_and_files_are_written(stored: Path, tmp_path: Path) -> None:
    code, out, _ = run("--file", str(stored))
    assert code == 0
    assert out.startswith("# Revision 1d51f1f1b4 of serving/fraud was rolled back\n")
    page, text = tmp_path / "a.html", tmp_path / "a.md"
    code, out, err = run("--file", str(stored), "--html", str(page), "--markdown", str(text))
    assert (code, out) == (0, "")
    assert f"written: {page}" in err
    assert page.read_text().startswith("<!doctype html>")
    assert text.read_text().startswith("# Revision 1d51f1f1b4")
    assert stat.S_IMODE(page.stat().st_mode) & 0o044, "others may read it, as any file that a program writes"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.html", "a.md", "fraud.json"]


def test_it_reads_standard_input() -> None:
    code, out, _ = run("--file", "-", given=json.dumps(scene("promoted")[0]))
    assert code == 0
    assert "was promoted" in out


@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        ((), None, "give either NAME or --file"),
        (("fraud", "--file", "-"), "{}", "give either NAME or --file"),
        (("--file", "-"), "kind: ModelRollout", "standard input: is no JSON"),
        (("--file", "-"), "[" * 100_000, "standard input: is no JSON"),
        (("--file", "-"), '{"kind": "List"}', "kind is 'List', wanted one ModelRollout"),
        (("--file", "-"), "[1]", "kind is 'None', wanted one ModelRollout"),
        (("--file", "/nowhere/x.json"), None, "/nowhere/x.json: can't be read: No such file or directory"),
    ],
)
def test_what_it_can_t_read_is_named(args: tuple[str, ...], given: str | None, said: str) -> None:
    code, out, err = run(*args, given=given)
    assert (code, out) == (2, "")
    assert said in err


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    monkeypatch.setattr(command, "LARGEST", 2**10)
    code, _, err = run("--file", str(stored))
    assert code == 2
    assert "which no ModelRollout is" in err


def test_a_place_that_can_t_be_written_is_named(stored: Path) -> None:
    code, _, err = run("--file", str(stored), "--html", "/nowhere/x.html")
    assert code == 1
    assert "/nowhere/x.html: can't be written: No such file or directory" in err


if __name__ == "__main__":
    PAGES.mkdir(parents=True, exist_ok=True)
    for each in SHOWN:
        (PAGES / f"{each}.md").write_text(markdown(told(each)))
