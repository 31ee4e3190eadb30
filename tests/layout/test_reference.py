"""Everything that the operator can say is in the reference: a word that is not explained there fails here."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from modelrollout import errors
from modelrollout.catalog import builtin
from modelrollout.catalog.page import main
from modelrollout.core.model import ActionVerb, BurnAction, Outcome, Phase, Verdict
from modelrollout.core.observation import Attribution, NoDataCause
from modelrollout.core.reasons import ROLLBACK_REASONS, ConditionType, EventReason, Reason
from modelrollout.shell.config import Settings
from tests.layout.documents import DOCS, ROOT

REFERENCE = DOCS / "reference"
PACKAGE = ROOT / "operator" / "modelrollout"

METRIC = re.compile(r"[\"'](modelrollout_[a-z0-9_]+)[\"']")
FLAG = re.compile(r"[\"'](--[a-z][a-z0-9-]+)[\"']")
ROW = re.compile(r"^\| `(?P<word>[^`]+)` \|(?P<rest>.*)\|$", re.MULTILINE)


def rows(page: str) -> dict[str, list[str]]:
    """Rows of the tables of a page whose first cell is one word in backticks."""
    text = (REFERENCE / page).read_text()
    return {m["word"]: [cell.strip() for cell in m["rest"].split("|")] for m in ROW.finditer(text)}


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("conditions.md", ConditionType),
        ("reasons.md", Reason),
        ("events.md", EventReason),
        ("phases.md", Phase),
        ("phases.md", Verdict),
    ],
    ids=lambda x: x if isinstance(x, str) else x.__name__,
)
def test_every_word_has_a_row(page: str, words: type[StrEnum]) -> None:
    found = rows(page)
    assert [word.value for word in words if word.value not in found] == []
    assert [word for word, cells in found.items() if not all(cells)] == [], "a row with an empty cell"


def test_no_row_explains_a_word_that_is_gone() -> None:
    assert set(rows("reasons.md")) - {r.value for r in Reason} == set()
    assert set(rows("conditions.md")) - {c.value for c in ConditionType} == set()
    assert set(rows("events.md")) - {e.value for e in EventReason} == set()
    phases = {p.value for p in Phase} | {v.value for v in Verdict} | {c.value for c in NoDataCause}
    assert set(rows("phases.md")) - phases - {a.value for a in Attribution} == set()


def test_small_vocabularies_are_explained() -> None:
    text = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    words = [*NoDataCause, *Attribution, *ActionVerb, *Outcome, *BurnAction]
    assert [word.value for word in words if f"`{word.value}`" not in text] == []


def test_rollback_reasons_are_marked() -> None:
    marked = {word for word, cells in rows("reasons.md").items() if cells[0] == "rolls back"}
    assert marked == {reason.value for reason in ROLLBACK_REASONS}


def test_errors_are_explained() -> None:
    known = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert known == set(rows("errors.md"))


def in_code(pattern: re.Pattern[str], *folders: str) -> set[str]:
    sources = [path for folder in folders for path in (PACKAGE / folder).rglob("*.py")]
    return {word for path in sources for word in pattern.findall(path.read_text())}


def missing(words: set[str], page: Path) -> set[str]:
    """Counters are exposed with `_total`, whatever they are called in code."""
    text = page.read_text() if page.exists() else ""
    return {word for word in words if not re.search(rf"`{re.escape(word)}(_total)?[`{{ =<]", text)}


def test_metrics_are_documented() -> None:
    words = in_code(METRIC, "runtime", "shell")
    assert len(words) > 15
    assert missing(words, REFERENCE / "metrics.md") == set()


def test_flags_are_documented() -> None:
    words = in_code(FLAG, "shell", "cli") | {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert "--kubeconfig" in words
    assert missing(words, REFERENCE / "flags.md") & missing(words, REFERENCE / "cli.md") == set()


def test_profiles_are_documented() -> None:
    text = (REFERENCE / "profiles.md").read_text()
    files = list((PACKAGE / "catalog" / "data").glob("*.toml"))
    profiles = builtin().profiles
    assert len(files) == len(profiles), "a file is a profile"
    assert {path.stem for path in files} == set(profiles), "called like its server"
    names = [f"{server}/{sli}" for server, profile in profiles.items() for sli in profile.slis]
    assert [name for name in names if f"`{name}`" not in text] == []
    assert main(["--check", str(REFERENCE / "profiles.md")]) == 0


def test_every_profile_says_where_its_names_come_from() -> None:
    assert [server for server, profile in builtin().profiles.items() if not profile.sources] == []
