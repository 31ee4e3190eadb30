"""Label selectors, read as the API server reads them (tests/apiserver/shell/test_shards.py asks one)."""

from __future__ import annotations

import pytest

from modelrollout.adapters.kube.selector import EVERYTHING, LabelSelector

OBJECTS = {
    "none": {},
    "a": {"team": "a"},
    "b": {"team": "b"},
    "empty": {"team": ""},
    "full": {"team": "a", "example.com/tier": "x", "legacy": "yes"},
}
SELECTORS = {
    "": {"none", "a", "b", "empty", "full"},
    "team=a": {"a", "full"},
    "team == a": {"a", "full"},
    "team=": {"empty"},
    "team!=a": {"none", "b", "empty"},
    "team": {"a", "b", "empty", "full"},
    "!team": {"none"},
    "team in (a, b)": {"a", "b", "full"},
    "team in (a,b),!legacy": {"a", "b"},
    "team notin (a,b)": {"none", "empty"},
    "example.com/tier in (x)": {"full"},
    "team=a,example.com/tier=x,legacy": {"full"},
}


@pytest.mark.parametrize("text", SELECTORS, ids=lambda text: text or "everything")
def test_what_a_selector_selects(text: str) -> None:
    selector = LabelSelector.parse(text)
    assert {name for name, labels in OBJECTS.items() if selector.matches(labels)} == SELECTORS[text]


@pytest.mark.parametrize(
    "text", ["team=a=b", "team in a", "team in (a", "=a", "team=a,,legacy", "-x=a", "team>3", "a b", "team=a b"]
)
def test_what_no_selector_is_is_told_with_its_part(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no label requirement: write it as kubectl get -l takes it"):
        LabelSelector.parse(text)


def test_without_a_selector_everything_is_selected() -> None:
    assert LabelSelector.parse(" ") == EVERYTHING
    assert all(map(EVERYTHING.matches, OBJECTS.values()))
