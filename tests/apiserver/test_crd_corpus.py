"""What the CRDs accept and refuse, on a real API server, and that Python agrees with it.

A file of `corpus/bad` says in comments which field must be blamed (`field:`) and what the API server says (`says:`).
Unknown fields count: they are asked for with strict field validation, as kubectl does.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiException

from modelrollout.api import crd, v1alpha1
from modelrollout.api.profile import to_profile
from modelrollout.api.reading import parse
from modelrollout.api.rules import VALIDATIONS, ApiModel
from modelrollout.core.observation import SpecProblem
from tests.apiserver.conftest import Resources

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(900)]

CORPUS = Path(__file__).parent / "corpus"
EXAMPLES = Path(__file__).parents[2] / "examples"
# Other people's kinds among the examples are applied by tests/apiserver/docs.
OURS = [path for path in sorted(EXAMPLES.glob("*.yaml")) if "modelrollout.dev/v1alpha1" in path.read_text()]
GOOD = sorted((CORPUS / "good").glob("*.yaml")) + OURS
BAD = sorted((CORPUS / "bad").glob("*.yaml"))
SPECS: dict[str, type[ApiModel]] = {
    "ModelRollout": v1alpha1.RolloutSpec,
    "MetricSource": v1alpha1.SourceSpec,
    "RolloutAction": v1alpha1.ActionSpec,
    "SliProfile": v1alpha1.SliProfileSpec,
}


def objects(path: Path) -> list[dict[str, Any]]:
    found = [obj for obj in yaml.safe_load_all(path.read_text()) if obj]
    for obj in found:
        if "namespace" in obj["metadata"]:
            obj["metadata"]["namespace"] = "default"
    return found


def notes(path: Path) -> dict[str, str]:
    lines = (line[2:].split(": ", 1) for line in path.read_text().splitlines() if line.startswith("# "))
    return {words[0]: words[1] for words in lines if len(words) == 2}


def refusal(resources: Resources, obj: dict[str, Any]) -> str:
    with pytest.raises(ApiException) as refused:
        resources.create(obj, dry_run=True)
    assert refused.value.status in (400, 422)
    return str(json.loads(refused.value.body or "{}")["message"])


def rules(node: Any) -> Iterator[Mapping[str, str]]:
    if isinstance(node, dict):
        yield from node.get(VALIDATIONS, ())
        for child in node.values():
            yield from rules(child)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_accepts(resources: Resources, path: Path) -> None:
    for obj in objects(path):
        stored = resources.create(obj, dry_run=True)
        assert not isinstance(parse(SPECS[obj["kind"]], obj, strict=True), SpecProblem)
        # Nothing is dropped and nothing is added: no defaults in the CRD.
        assert stored["spec"] == _without_nulls(obj["spec"])


def _without_nulls(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nulls(value) for key, value in node.items() if value is not None}
    return [_without_nulls(item) for item in node] if isinstance(node, list) else node


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_refuses(resources: Resources, path: Path) -> None:
    (obj,) = objects(path)
    expected = notes(path)
    message = refusal(resources, obj)
    assert expected["field"] in message
    assert expected.get("says", "") in message


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_python_refuses_the_same(path: Path) -> None:
    (obj,) = objects(path)
    # A profile's rules are also about its name.
    named = obj["kind"] == "SliProfile"
    problem = to_profile(obj, strict=True) if named else parse(SPECS[obj["kind"]], obj, strict=True)
    assert isinstance(problem, SpecProblem)
    assert notes(path)["field"] in problem.problem


def test_every_rule_refuses_something(resources: Resources) -> None:
    said = "\n".join(refusal(resources, obj) for path in BAD for obj in objects(path))
    wanted = {rule["message"] for kind in crd.KINDS for rule in rules(crd.definition(kind))}
    transitions = {rule.message for rule in v1alpha1.ActionSpec.RULES}
    assert {message for message in wanted - transitions if message not in said} == set()
    assert "evaluating rule" not in said, "a rule broke instead of saying no"


def test_an_action_is_immutable(resources: Resources) -> None:
    (action,) = objects(CORPUS / "good" / "action-smallest.yaml")
    resources.create(action)
    with pytest.raises(ApiException) as refused:
        resources.patch("RolloutAction", "fraud-abort", {"spec": {"action": "Promote"}})
    assert "an action can't be changed" in str(refused.value.body)
    resources.patch("RolloutAction", "fraud-abort", {"metadata": {"labels": {"seen": "true"}}})
