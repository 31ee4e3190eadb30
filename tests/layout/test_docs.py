"""The documentation is true: links lead somewhere, YAML is accepted, commands exist and are listed for e2e runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelrollout.api import v1alpha1
from modelrollout.api.convert import to_source, to_spec
from modelrollout.api.profile import to_profile
from modelrollout.api.reading import parse
from modelrollout.core.observation import SpecProblem
from tests.layout.documents import DOCS, ROOT, anchors, blocks, commands, links, name_of, pages, prose, resources

SMALLEST = ROOT / "examples" / "smallest.yaml"
LISTED = ("kubectl ", "k ", "m ", "helm ", "python -m ", ".venv/bin/")
WEASEL = re.compile(r"\b(simply|easily|just works|seamless\w*)\b", re.IGNORECASE)


def test_there_are_pages_of_every_kind() -> None:
    kinds = {page.parent.relative_to(DOCS).parts[0] for page in pages() if DOCS in page.parents and page.parent != DOCS}
    assert kinds == {"tutorial", "how-to", "explanation", "reference", "runbooks"}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_resolve(page: Path) -> None:
    for target in links(page):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert ROOT in there.parents or there == ROOT, f"{target} leaves the project"
        assert there.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(there), f"{target}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for target in links(page):
            path = target.partition("#")[0]
            if path and not re.match(r"[a-z]+://", path):
                todo.append((page.parent / path).resolve())
    assert [name_of(page) for page in pages() if page not in seen] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_tone(page: Path) -> None:
    assert WEASEL.findall(prose(page)) == []


def problem(obj: dict[str, Any]) -> SpecProblem | None:
    metadata = {"namespace": "default", "uid": "u", **obj["metadata"]}
    metadata.setdefault("name", metadata.get("generateName", "") + "x")
    whole = {**obj, "metadata": metadata}
    found: object
    match obj["kind"]:
        case "ModelRollout":
            found = to_spec(whole, strict=True)
        case "MetricSource":
            found = to_source(whole, strict=True)
        case "RolloutAction":
            found = parse(v1alpha1.ActionSpec, whole, strict=True)
        case "SliProfile":
            found = to_profile(whole, strict=True)
        case other:
            raise AssertionError(f"unknown kind {other}")
    return found if isinstance(found, SpecProblem) else None


def test_yaml_of_the_docs_is_accepted() -> None:
    found = list(resources())
    assert {obj["kind"] for _, obj in found} == {"ModelRollout", "MetricSource", "RolloutAction", "SliProfile"}
    assert [(name_of(page), answer.problem) for page, obj in found if (answer := problem(obj))] == []


def test_a_wrong_object_would_be_noticed() -> None:
    obj = yaml.safe_load(SMALLEST.read_text())
    obj["spec"]["nonsense"] = 1
    assert problem(obj) is not None


def test_action_examples_are_accepted() -> None:
    found = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "examples" / "actions").glob("*.yaml"))]
    assert {obj["spec"]["action"] for obj in found} == {"Abort", "Promote", "Pause", "Resume", "Approve", "Retry"}
    assert [answer.problem for obj in found if (answer := problem(obj))] == []


def test_readme_shows_the_smallest_example() -> None:
    shown = [yaml.safe_load(b.text) for b in blocks(ROOT / "README.md") if b.language == "yaml"]
    assert yaml.safe_load(SMALLEST.read_text()) in shown


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_targets_exist() -> None:
    used = {word for _, text in commands() for word in re.findall(r"^make ([a-z0-9-]+)", text)}
    used |= {word for page in pages() for word in re.findall(r"`make ([a-z0-9-]+)`", prose(page))}
    assert {"demo", "demo-down", "test", "e2e", "lint"} <= used
    assert used - make_targets() == set()


def test_commands_are_listed() -> None:
    listed = tomllib.loads((DOCS / "commands.toml").read_text())
    assert set(listed) == {"demo", "tutorials", "read", "write", "operator", "helm", "offline"}
    everything = [command for group in listed.values() for command in group]
    assert len(everything) == len(set(everything)), "a command is listed twice"
    used = {text for _, text in commands() if text.startswith(LISTED)}
    assert used - set(everything) == set(), "documented but not in docs/commands.toml"
    assert set(everything) - used == set(), "in docs/commands.toml but not documented"


def test_files_named_by_commands_exist() -> None:
    for page, text in commands():
        for path in re.findall(r"(?:-f|--filename)[ =]([\w./-]+)", text):
            if path != "-":
                assert (ROOT / path).exists(), f"{name_of(page)}: {text}"
