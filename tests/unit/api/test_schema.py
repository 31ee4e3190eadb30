"""The generator: every CRD is structural and bounded, and models that can't be told are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from modelrollout.api import crd
from modelrollout.api.rules import VALIDATIONS, ApiModel, Rule
from modelrollout.api.schema import ALLOWED, SchemaError, structural
from modelrollout.api.status_decode import INITIAL
from tests.structural import drawn

DEFINITIONS = {kind.name: crd.definition(kind) for kind in crd.KINDS}
PARTS = [(kind, part) for kind in crd.KINDS for part in ("spec", "status") if part == "spec" or kind.status]


def part_schema(kind: str, part: str) -> dict[str, Any]:
    version = DEFINITIONS[kind]["spec"]["versions"][0]
    found = version["schema"]["openAPIV3Schema"]["properties"][part]
    assert isinstance(found, dict)
    return found


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}.{keyword}")


NODES = [found for kind, part in PARTS for found in nodes(part_schema(kind.name, part), f"{kind.name}.{part}")]


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_every_node_is_structural_and_bounded(path: str, node: dict[str, Any]) -> None:
    # The one default: what readers see before the first write.
    assert set(node) - ALLOWED == ({"default"} if path == "ModelRollout.status" else set())
    assert node.get("default", INITIAL) == INITIAL
    kind = node.get("type")
    assert (kind is None) == bool(node.get("x-kubernetes-int-or-string"))
    if kind == "string" and "enum" not in node:
        assert "maxLength" in node
    if kind is None:
        assert "maxLength" in node
    if kind == "array":
        assert "maxItems" in node
        assert set(node.get("x-kubernetes-list-map-keys", ())) <= set(node["items"].get("required", ()))
    if kind == "object":
        assert ("properties" in node) != ("additionalProperties" in node)
        assert "properties" in node or "maxProperties" in node
        assert set(node.get("required", ())) <= set(node.get("properties", node))
    assert kind != "number", "no floats in the API"
    # The server reads bounds as doubles; what a double can't hold overflows.
    assert all(abs(node.get(bound, 0)) < 2**53 for bound in ("minimum", "maximum"))


@pytest.mark.parametrize(("path", "node"), NODES, ids=[path for path, _ in NODES])
def test_every_field_is_described(path: str, node: dict[str, Any]) -> None:
    for name, child in node.get("properties", {}).items():
        assert child.get("description", "").endswith("."), f"{path}.{name}"


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=[f"{kind.name}.{part}" for kind, part in PARTS])
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None, max_examples=60)
@given(data=st.data())
def test_python_takes_what_the_schema_takes(kind: crd.Kind, part: str, data: st.DataObject) -> None:
    value = data.draw(drawn(part_schema(kind.name, part)))
    model = kind.spec if part == "spec" else kind.status
    assert model is not None
    # Only a rule, which the API server has too, may say no.
    assert refusals(model, value) <= {"rule", "weight", "growth"}


def refusals(model: type[BaseModel], value: object) -> set[str]:
    """Types of the errors that the model finds; none when it takes the value."""
    try:
        model.model_validate(value, extra="forbid")
    except ValidationError as error:
        return {found["type"] for found in error.errors()}
    return set()


class Leaf(ApiModel):
    """A leaf."""

    RULES = (Rule("self.size == 1", "must be one"),)

    size: int = Field(description="Of the leaf.")


def test_references_are_inlined_with_rules_and_own_words() -> None:
    class Tree(BaseModel):
        leaf: Leaf | None = Field(default=None, description="Its leaf.")
        other: Leaf

    told = structural(Tree)
    assert told["properties"]["leaf"] == {
        "description": "Its leaf.",
        "type": "object",
        "required": ["size"],
        "properties": {"size": {"description": "Of the leaf.", "type": "integer"}},
        VALIDATIONS: [{"rule": "self.size == 1", "message": "must be one"}],
    }
    assert told["properties"]["other"]["description"] == "A leaf."
    assert told["required"] == ["other"]


def test_constants_and_exclusive_bounds_are_told_the_openapi_way() -> None:
    class Toy(BaseModel):
        only: Literal["a"]
        above: Annotated[int, Field(gt=0, lt=9)]

    told = structural(Toy)["properties"]
    assert told["only"]["enum"] == ["a"]
    assert told["above"] == {
        "type": "integer",
        "exclusiveMaximum": True,
        "exclusiveMinimum": True,
        "maximum": 9,
        "minimum": 0,
    }


class Endless(BaseModel):
    child: Endless | None = None


class Union(BaseModel):
    either: int | str


class Defaulted(BaseModel):
    size: int = 3


class Anything(BaseModel):
    free: Any


class Tuple(BaseModel):
    pair: tuple[int, int]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Endless, "Endless.child: Endless contains itself"),
        (Union, "Union.either: is a union"),
        (Defaulted, "Defaulted.size: has a default"),
        (Anything, "Anything.free: has no type"),
        (Tuple, "Tuple.pair: prefixItems can't be told"),
    ],
)
def test_refuses_what_is_not_structural(model: type[BaseModel], said: str) -> None:
    with pytest.raises(SchemaError) as refused:
        structural(model)
    assert said in str(refused.value)
