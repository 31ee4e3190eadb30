"""`modelrollout lint`: what the API server would refuse is found offline, in the line where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modelrollout.cli.lines import documents
from modelrollout.cli.lint import check
from modelrollout.cli.main import app
from tests.layout.documents import ROOT

CORPUS = ROOT / "tests" / "apiserver" / "corpus"
BAD, GOOD = sorted((CORPUS / "bad").glob("*.yaml")), sorted((CORPUS / "good").glob("*.yaml"))
WRONG = """\
# two objects and a stranger
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud, namespace: serving}
spec:
  legacy: {deployment: fraud-v7}
  candidate:
    deployment: fraud-v8
    deploymnt: fraud-v8
  traffic:
    managedRoute:
      parentRefs: [{name: public}]
  steps:
  - {weight: 5}
  - weight: 200
  slis:
  - {name: errors, profile: modelrollout/errors, objective: "99"}
---
apiVersion: v1
kind: List
items:
- apiVersion: modelrollout.dev/v1alpha1
  kind: RolloutAction
  metadata: {generateName: fraud-}
  spec:
    rollout: fraud
    action: Explode
"""


def run(*arguments: str | Path, typed: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["lint", *map(str, arguments)], input=typed)
    return done.exit_code, done.stdout, done.stderr


def noted(path: Path) -> str:
    """The field that the API server blames, from the file's comment."""
    return next(
        line.removeprefix("# field: ") for line in path.read_text().splitlines() if line.startswith("# field: ")
    )


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_the_api_server_refuses_is_found_in_the_part_that_it_blames(path: Path) -> None:
    count, found = check("x", path.read_text())
    assert (count, bool(found)) == (1, True)
    lines = len(path.read_text().splitlines())
    assert all(1 <= each.line <= lines and each.problem for each in found)
    top = noted(path).partition("[")[0].split(".")[:2]
    assert any(each.field.partition("[")[0].split(".")[: len(top)] == top or each.field == "spec" for each in found)


@pytest.mark.parametrize("path", [*GOOD, *sorted((ROOT / "examples").glob("*.yaml"))], ids=lambda path: path.stem)
def test_what_is_fine_is_left_alone(path: Path) -> None:
    found = check("x", path.read_text())[1]
    # It names a profile of some cluster; the server, which has none, takes it.
    unknown = path.stem == "longest-names"
    assert [each for each in found if not unknown or "is no built-in profile" not in each.problem] == []


def test_each_problem_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(WRONG)
    code, out, err = run(file)
    assert (code, err) == (5, "")
    lines = out.splitlines()
    assert lines[0] == f'{file}:13: ModelRollout "fraud": spec.candidate.deploymnt: unknown field'
    assert lines[1].startswith(f'{file}:19: ModelRollout "fraud": spec.steps[1].weight: must be more than 0')
    assert lines[2].startswith(f'{file}:31: RolloutAction "fraud-": spec.action: ')
    assert len(lines) == 3


def test_a_field_that_is_absent_is_looked_for_where_it_should_be() -> None:
    (document,) = documents("a: 1\nspec:\n  steps:\n  - {weight: 1}\n  - weight: 2\n")
    assert [document.line(path) for path in ("spec.steps[1].weight", "spec.steps[1].x", "spec.steps[7]", "b")] == [
        5,
        5,
        3,
        1,
    ]


def test_for_programs_and_from_stdin() -> None:
    code, out, _ = run("-", "-o", "json", typed=WRONG)
    found = json.loads(out)
    assert (code, found["objects"], len(found["problems"])) == (5, 2, 3)
    assert found["problems"][0] == {
        "file": "stdin",
        "line": 13,
        "kind": "ModelRollout",
        "name": "fraud",
        "field": "spec.candidate.deploymnt",
        "problem": "unknown field",
    }


def test_a_good_file(tmp_path: Path) -> None:
    assert run(ROOT / "examples" / "smallest.yaml") == (0, "nothing is wrong in 1 of our objects\n", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1\nb: 2\n", "x:2: is no YAML: "),
        ("&a [*a", "x:1: is no YAML: "),
        ("[" * 5000, "is no YAML: nested too deeply"),
        (
            "kind: ModelRollout\nmetadata: {name: a}\n",
            'x:1: ModelRollout "a": apiVersion: must be modelrollout.dev/v1alpha1',
        ),
        ("apiVersion: modelrollout.dev/v1\nkind: ModelRollout\n", "apiVersion: must be modelrollout.dev/v1alpha1"),
        (
            "apiVersion: modelrollout.dev/v1alpha1\nkind: Rollout\nmetadata: {name: a}\n",
            "x:2: Rollout \"a\": kind: 'Rollout' is",
        ),
        (
            "apiVersion: modelrollout.dev/v1alpha1\nkind: ModelRollout\nmetadata: 3\n",
            'x:3: ModelRollout "": metadata.name: must',
        ),
        (
            "apiVersion: modelrollout.dev/v1alpha1\nkind: MetricSource\nmetadata: {name: a}\nspec: [1]\n",
            "x:4: MetricSource",
        ),
    ],
)
def test_other_errors(text: str, told: str) -> None:
    from modelrollout.cli.lint import sentence

    assert any(told in sentence(each) for each in check("x", text)[1]), check("x", text)


def test_files_that_hold_nothing_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({"kind": "ConfigMap", "apiVersion": "v1"}))
    code, _, err = run(tmp_path / "other.yaml")
    assert code == 1
    assert err.startswith("error: no ModelRollout, MetricSource, RolloutAction, SliProfile in ")
    code, _, err = run(tmp_path / "nothing.yaml")
    assert (code, err) == (
        1,
        f"error: {tmp_path / 'nothing.yaml'}: No such file or directory; name a manifest that can be read\n",
    )
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert run(tmp_path / "bytes")[0] == 1
