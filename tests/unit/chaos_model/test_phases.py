"""The drawing of the phases is what the search sees, and stands in the page as it is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.chaos.model import phases
from e2e.chaos.model.configs import CONFIGS
from e2e.chaos.model.phases import BEGIN, END, NEW, PAGE, WORDS, Transitions, diagram, page, table, transitions
from modelrollout.core.model import Phase

pytestmark = pytest.mark.timeout(300)
"""The search takes a dozen seconds of a core that has nothing else to do."""


@pytest.fixture(scope="module")
def found() -> Transitions:
    return transitions()


def test_the_page_is_current(found: Transitions) -> None:
    text = PAGE.read_text()
    assert text == page(text, found), "run `make phases` and commit the result"


def test_every_word_stands_on_an_arrow_that_is_seen(found: Transitions) -> None:
    assert {pair for pair in WORDS if pair not in found} == {(Phase.IDLE, Phase.PREFLIGHT)}, "Idle is not explored"


def test_what_must_never_follow_is_not_seen(found: Transitions) -> None:
    """No rejected revision gets on without its Preflight, and only what had all users is promoted."""
    assert {after for before, after in found if before == Phase.ROLLED_BACK} <= {Phase.PREFLIGHT, Phase.ROLLING_BACK}
    assert {before for before, after in found if after == Phase.PROMOTED} <= {NEW, Phase.PROGRESSING, Phase.PAUSED}
    assert {after for before, after in found if before == Phase.ROLLING_BACK} == {Phase.ROLLED_BACK}


def test_a_few_states_are_drawn_with_their_words_and_listed_with_their_reasons() -> None:
    few = {
        ("", "Preflight"): {"Preflight"},
        ("Preflight", "Invalid"): {"RefNotFound"},
        ("Progressing", "RollingBack"): {"SliFailed", "Aborted"},
        ("Progressing", "RolledBack"): {"Aborted"},
    }
    assert diagram(few).splitlines() == [
        "stateDiagram-v2",
        "  [*] --> Preflight",
        "  Progressing --> RollingBack: harm, Abort",
    ]
    assert "| `Progressing` | `RollingBack` | `Aborted` `SliFailed` |" in table(few).splitlines()
    assert "| `Preflight` | `Invalid` | `RefNotFound` |" in table(few).splitlines()


def test_an_older_page_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older = tmp_path / "phases.md"
    older.write_text(f"before\n{BEGIN}\nolder\n{END}\nafter\n")
    monkeypatch.setattr(phases, "PAGE", older)
    monkeypatch.setattr(phases, "transitions", lambda: transitions(CONFIGS[:1], 5))
    assert phases.main(["--check"]) == 1
    assert "run `make phases`" in capsys.readouterr().err
    assert phases.main(["--write"]) == 0
    assert phases.main(["--check"]) == 0
    assert older.read_text().startswith("before\n")
    assert older.read_text().endswith("after\n")
