"""The example of a CI job runs what exists, with room for its own time limit."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.layout.documents import ROOT
from tests.layout.test_docs import make_targets

EXAMPLE = ROOT / "examples" / "ci" / "kind.yml"
TARGET = re.compile(r"\bmake ([a-z0-9-]+)")


def job() -> dict[str, Any]:
    document = yaml.safe_load(EXAMPLE.read_text())
    (found,) = document["jobs"].values()
    assert isinstance(found, dict)
    return found


def test_its_commands_are_targets_of_the_makefile() -> None:
    used = [target for step in job()["steps"] for target in TARGET.findall(step.get("run", ""))]
    assert used == ["e2e-kind"]
    assert set(used) <= make_targets()


def test_it_keeps_the_cache_that_the_makefile_uses() -> None:
    (cache,) = [step["with"]["path"] for step in job()["steps"] if "cache" in step.get("uses", "")]
    assert re.search(r"^CACHE \?= .*/modelrollout$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {path.rpartition("/")[0] for path in cache.split()} == {"~/.cache/modelrollout"}


def test_the_targets_own_limit_ends_it_before_the_jobs() -> None:
    (minutes,) = re.findall(r"^E2E_KIND_LIMIT \?= (\d+)m$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert int(minutes) + 20 <= job()["timeout-minutes"]


def test_it_may_do_nothing_but_read_the_repository() -> None:
    assert yaml.safe_load(EXAMPLE.read_text())["permissions"] == {"contents": "read"}
