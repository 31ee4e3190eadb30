"""The commands of the documentation that need no cluster, run as a reader would, in a checkout with the files named."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.layout.documents import DOCS, ROOT
from tests.unit.cli.test_replay_data import counts
from tests.unit.sim.test_journal import under_way, written

OFFLINE: list[str] = tomllib.loads((DOCS / "commands.toml").read_text())["offline"]
LIMIT = 60.0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "examples"):
        (place / name).symlink_to(ROOT / name)
    (place / "journal.jsonl").write_text(json.dumps(written(under_way())) + "\n")
    counts(place / "counts.csv", total=20000)
    return place


@pytest.mark.parametrize("command", OFFLINE)
def test_a_documented_command_does_what_the_page_says(command: str, checkout: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", command], cwd=checkout, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{command}\n{done.stdout}\n{done.stderr}"
    assert done.stdout
