"""Bugs that the suite must find: each still fits the code, and the code still compiles with it."""

from __future__ import annotations

import pytest

from e2e.chaos.seeded import PACKAGE, SEEDED, DoesNotFit, Seeded, applied


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda seeded: seeded.name)
def test_each_fits_the_code_and_leaves_it_a_program(seeded: Seeded) -> None:
    text = (PACKAGE / seeded.file).read_text()
    changed = applied(seeded, text)
    assert changed != text
    compile(changed, seeded.file, "exec")


def test_there_are_at_least_twenty_with_names_of_their_own() -> None:
    assert len({seeded.name for seeded in SEEDED}) == len(SEEDED) >= 20


def test_a_pattern_that_does_not_fit_is_told() -> None:
    with pytest.raises(DoesNotFit, match=r"x has 0 places for it, not 1"):
        applied(Seeded("a bug", "x", "abc", ""), "nothing of it")
