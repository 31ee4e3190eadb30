"""Whole rollouts as Argo CD, kstatus and Flux see them: the reference libraries themselves say what that is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.gitops.readers import KUSTOMIZATION, Unjudged, View, expressions, program, views
from e2e.gitops.scripts import stories
from e2e.gitops.stories import Seen, record
from e2e.gitops.table import LEAVING, PAGE, UNSEEN, Judged, conditions, differs, explained, judged, page, situation
from modelrollout.core.model import Phase

# The first run builds the program.
pytestmark = [pytest.mark.kstatus, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Judged]:
    return judged(tmp_path_factory.mktemp("kstatus"))


def each(found: list[Judged]) -> Iterator[tuple[Judged, Seen, View]]:
    for one in found:
        for seen, view in zip(one.recording.versions, one.views, strict=True):
            yield one, seen, view


def told(one: Judged, seen: Seen) -> str:
    status = seen.obj.get("status") or {}
    return (
        f"{one.recording.story.name}, blocking {one.recording.blocking}: {situation(seen.obj)} {status.get('reason')}"
    )


def test_a_blocking_rollout_is_never_current_before_its_work_is_done(found: list[Judged]) -> None:
    current = [(one, seen) for one, seen, view in each(found) if view.kstatus == "Current" and one.recording.blocking]
    assert len(current) > 20
    assert [told(one, seen) for one, seen in current if not seen.done] == []


def test_argocd_and_the_expressions_never_take_a_rollout_for_done_before_it_is(found: list[Judged]) -> None:
    early = [told(one, seen) for one, seen, view in each(found) if view.argocd == "Healthy" and not seen.done]
    early += [told(one, seen) for one, seen, view in each(found) if view.flux == "Current" and not seen.done]
    assert early == []


def test_a_version_that_the_operator_has_not_seen_is_in_progress_to_all(found: list[Judged]) -> None:
    unseen = [view for _, seen, view in each(found) if situation(seen.obj) == UNSEEN]
    assert len(unseen) >= 2 * len(stories())
    assert set(unseen) == {View("Progressing", "InProgress", "InProgress")}


@pytest.mark.parametrize("name", sorted(stories()))
def test_a_story_comes_to_its_end(found: list[Judged], name: str) -> None:
    blocking, default = (one for one in found if one.recording.story.name == name)
    story = stories()[name]
    for one in (blocking, default):
        assert one.recording.gone is (story.end == "")
    if not story.end:
        assert {one.views[-1].kstatus for one in (blocking, default)} == {"Terminating"}
        return
    assert blocking.views[-1].kstatus == story.end
    # Without `blocking` nobody waits for people or for the cluster.
    assert default.views[-1].kstatus == ("Current" if story.waits else story.end)
    assert {one.views[-1].flux for one in (blocking, default)} == {story.end}
    assert (story.end == "InProgress") is bool(story.waits), "an end in progress must say whom it waits for"


def test_the_three_differ_only_where_the_page_says_so(found: list[Judged]) -> None:
    open_ones = {
        (told(one, seen), view)
        for one, seen, view in each(found)
        if differs(view) and not explained(situation(seen.obj), one.recording.blocking, view)
    }
    assert open_ones == set()


def test_every_phase_is_in_the_stories(found: list[Judged]) -> None:
    seen = {situation(seen.obj) for _, seen, _ in each(found)}
    assert {phase.value for phase in Phase} | {UNSEEN, LEAVING} <= seen


def test_stalled_and_reconciling_are_never_true_together(found: list[Judged]) -> None:
    both = [told(one, seen) for one, seen, _ in each(found) if _together(seen.obj)]
    assert both == []


def _together(obj: dict[str, Any]) -> bool:
    known = conditions(obj)
    return known.get("Stalled") == known.get("Reconciling") == "True"


def test_the_page_is_what_is_observed(found: list[Judged]) -> None:
    assert PAGE.read_text() == page(found), "run `make gitops` and commit the result"


def test_bug_a_new_object_without_a_status_was_current(tmp_path: Path) -> None:
    new = copy.deepcopy(record("promote", True).versions[0].obj)
    assert new["status"] == {"observedGeneration": -1}
    bare = {key: value for key, value in new.items() if key != "status"}
    with_status, without = (views([new], tmp_path)[0], _kstatus(bare, tmp_path))
    assert (with_status.kstatus, without) == ("InProgress", "Current")


def test_bug_reconciling_beside_stalled_hid_it_from_kstatus(tmp_path: Path) -> None:
    stalled = copy.deepcopy(record("route-refused", True).versions[-1].obj)
    assert _kstatus(stalled, tmp_path) == "Failed"
    for condition in stalled["status"]["conditions"]:
        if condition["type"] == "Reconciling":
            condition["status"] = "True"
    assert _kstatus(stalled, tmp_path) == "InProgress"


def _kstatus(obj: dict[str, Any], tmp_path: Path) -> str:
    return program([obj], tmp_path)[0]["kstatus"]


def test_the_example_waits_by_the_expressions_that_are_tested() -> None:
    spec = yaml.safe_load(KUSTOMIZATION.read_text())["spec"]
    assert spec["wait"] is True
    assert spec["healthCheckExprs"] == [expressions()]


def test_a_field_that_flux_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e2e.gitops.readers.expressions", lambda: expressions() | {"progressing": "true"})
    with pytest.raises(Unjudged, match="progressing"):
        program([], tmp_path)
