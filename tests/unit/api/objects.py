"""The examples as objects, and what becomes of changed ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from modelrollout.api.convert import to_spec
from modelrollout.core import model
from modelrollout.core.observation import SpecProblem

EXAMPLES = Path(__file__).parents[3] / "examples"
FULL, SOURCE, ACTION = yaml.safe_load_all((EXAMPLES / "full.yaml").read_text())
SMALLEST = yaml.safe_load((EXAMPLES / "smallest.yaml").read_text())
ISTIO = yaml.safe_load((EXAMPLES / "istio.yaml").read_text())
TRAEFIK = yaml.safe_load((EXAMPLES / "traefik.yaml").read_text())
NGINX = yaml.safe_load((EXAMPLES / "ingress-nginx.yaml").read_text())
REPLICAS = yaml.safe_load((EXAMPLES / "replicas.yaml").read_text())
ADOPT = yaml.safe_load((EXAMPLES / "adopt-route.yaml").read_text())
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def spec_of(obj: dict[str, Any]) -> model.RolloutSpec:
    spec = to_spec(obj, strict=True)
    assert isinstance(spec, model.RolloutSpec), spec
    return spec


def changed(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    out = copy.deepcopy(obj)
    node: Any = out["spec"]
    parents: list[Any] = [int(part) if part.isdigit() else part for part in path.split(".")]
    last = parents.pop()
    for part in parents:
        node = node[part] if isinstance(node, list) else node.setdefault(part, {})
    node[last] = value
    return out


def problem_of(obj: dict[str, Any], *, strict: bool = False) -> str:
    found = to_spec(obj, strict=strict)
    assert isinstance(found, SpecProblem)
    assert found.reason == "InvalidSpec"
    return found.problem
