"""The tutorials on late labels and on language models: every command of their pages, with what the pages show.

Only the bringing up is shared: both are played on one cluster, one after the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.embedded import EmbeddedCluster
from e2e.cluster.provider import Cluster
from e2e.installed import Release, prepare
from e2e.scenarios.reader import Reader, sections
from e2e.stage import ROOT, Stage
from e2e.tutorials.__main__ import NAME
from e2e.tutorials.scenes import SCENES, on

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs("embedded")]

PAGES = ROOT / "docs" / "tutorial"
BRING_UP = ".venv/bin/python -m e2e.tutorials"
END = f".venv/bin/python -m e2e.cluster down --name {NAME}"
WAIT, LOOK = 600.0, 120.0
"""Seconds that a command may wait for a rollout, and within which a look must show what the page does."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    made = EmbeddedCluster(f"tutorials-{os.getpid()}", ephemeral=True)
    made.up("full")
    try:
        prepare(made)
        on(made)
        Release(made).install(namespaces=list(SCENES), scrape="1s")
        yield made
    finally:
        made.down()


@pytest.mark.parametrize(
    ("tutorial", "page", "ends"),
    [
        ("labels", "delayed-labels.md", [["tumour", "Promoted", "tumour-v2"]]),
        ("llm", "llm-server.md", [["chat", "Promoted", "chat-v2"]]),
    ],
)
def test_tutorial(cluster: Cluster, tmp_path: Path, tutorial: str, page: str, ends: list[list[str]]) -> None:
    path = PAGES / page
    (first, _), *parts = sections(path)
    assert first == ["make venv", f"{BRING_UP} {tutorial}"]
    assert parts.pop()[0] == [END]
    stage = Stage(cluster, tutorial, tmp_path)
    load = SCENES[tutorial](stage)
    try:
        reader = Reader(path, cluster.name, named=NAME)
        for commands, shown in parts:
            if not commands:
                continue
            if shown:
                # Only what a rollout is waited for with takes longer.
                waits = any(" wait " in each for each in commands)
                reader.reads(commands, shown, seconds=WAIT if waits else LOOK)
            else:
                for command in commands:
                    reader.types(command)
        found = json.loads(stage.kubectl("get", "modelrollouts", "-o", "json"))["items"]
        assert [
            [e["metadata"]["name"], e["status"]["phase"], e["spec"]["candidate"]["deployment"]] for e in found
        ] == ends
        assert stage.route_weights() == [[0, 100]]
        (legacy_first, *_, promoted) = found[0]["status"]["decisions"]
        assert (legacy_first["action"], promoted["action"]) == ("Raise", "Promote")
        assert [e["outcome"] for e in found[0]["status"]["history"]] == ["RolledBack", "Promoted"]
    finally:
        load.stop(grace_s=15)
