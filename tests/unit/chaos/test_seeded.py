"""Bugs that the suite must find: each still fits the code, and the code still compiles with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.chaos.seeded import PACKAGE, SEEDED, DoesNotFit, Seeded, applied


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda seeded: seeded.name)
def test_each_fits_the_code_and_leaves_it_a_program(seeded: Seeded) -> None:
    for file, changed in applied(seeded, PACKAGE).items():
        assert changed != (PACKAGE / file).read_text()
        compile(changed, file, "exec")


def test_there_are_at_least_twenty_with_names_of_their_own() -> None:
    assert len({seeded.name for seeded in SEEDED}) == len(SEEDED) >= 20


def test_a_pattern_that_does_not_fit_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing of it")
    with pytest.raises(DoesNotFit, match=r"x has 0 places for it, not 1"):
        applied(Seeded("a bug", "x", "abc", ""), tmp_path)


def test_a_bug_of_two_files_is_in_both(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("abc")
    (tmp_path / "y").write_text("def")
    assert applied(Seeded("a bug", "x", "b", "-", (("y", "e", "+"),)), tmp_path) == {"x": "a-c", "y": "d+f"}
