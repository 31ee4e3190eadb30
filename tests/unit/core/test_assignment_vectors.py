"""The published places are what every language finds: this package, the recipe in JavaScript, the one in Go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modelrollout.core.assignment import bucket, is_candidates, place
from modelrollout.core.model import Weight
from tests.layout.documents import ROOT

PLACE = ROOT / "examples" / "assignment"
FILE = PLACE / "vectors.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())["vectors"]
RECIPES = {
    "node": (["bucket.mjs", str(FILE)], PLACE),
    "go": (["run", ".", str(FILE)], PLACE / "go"),
}
ARMS = {True: "candidate", False: "legacy"}


@pytest.mark.parametrize("vector", VECTORS, ids=[each["bucket"] for each in VECTORS])
def test_published_vectors(vector: dict[str, Any]) -> None:
    unit, key = vector["unit"], vector["key"]
    assert f"{place(unit, key):016x}" == vector["place"]
    assert f"{bucket(unit, key):04d}" == vector["bucket"]
    found = {text: ARMS[is_candidates(unit, key, Weight(round(float(text) * 100)))] for text in vector["arms"]}
    assert found == vector["arms"]


def test_the_vectors_reach_the_ends() -> None:
    assert {"0000", "9999"} <= {each["bucket"] for each in VECTORS}
    assert {0, 127, 128, 129} <= {len(each["unit"].encode()) for each in VECTORS}, "where blocks of the hash end"
    assert {1, 64} <= {len(each["key"].encode()) for each in VECTORS}
    assert all(set(each["arms"]) >= {"0", "0.01", "50", "99.99", "100"} for each in VECTORS)


@pytest.mark.parametrize("program", list(RECIPES))
@pytest.mark.timeout(180)  # Go compiles at its first run
def test_recipes_find_the_same(program: str, tmp_path: Path) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine: that recipe is not run")
    argv, place_of_it = RECIPES[program]
    env = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false"}
    done = subprocess.run([program, *argv], cwd=place_of_it, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, []), done.stderr
    assert done.stdout == f"{len(VECTORS)} vectors agree\n"
    wrong = tmp_path / "vectors.json"
    wrong.write_text(json.dumps({"vectors": [{**VECTORS[0], "arms": {"50": "legacy"}}]}))
    other = subprocess.run(
        [program, *argv[:-1], str(wrong)], cwd=place_of_it, env=env, capture_output=True, check=False
    )
    assert other.returncode == 1, "a recipe that checks nothing would agree with everything"


def test_the_library_function_needs_nothing_but_python() -> None:
    code = "import modelrollout.core.assignment, json, sys; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    tops = {name.partition(".")[0] for name in json.loads(said)}
    outside = tops - sys.stdlib_module_names - {"__main__", "modelrollout"}
    # What the environment itself imports at its start is no need of ours.
    bare = subprocess.run(
        [sys.executable, "-c", "import json, sys; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert outside - {name.partition(".")[0] for name in json.loads(bare)} == set()
