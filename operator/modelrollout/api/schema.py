"""From what pydantic says about a model to a structural schema that the API server takes.

References are inlined, "or null" becomes "optional", single constants become enumerations, exclusive bounds are told
the OpenAPI 3.0 way, noise is dropped. Whatever can't be expressed (unions, recursion, unknown keywords, defaults) is
refused here and not by the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from modelrollout.api.rules import LIST_KEYS, LIST_TYPE, VALIDATIONS

INT_OR_STRING = "x-kubernetes-int-or-string"

ALLOWED = frozenset(
    {
        "additionalProperties",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        INT_OR_STRING,
        LIST_KEYS,
        LIST_TYPE,
        VALIDATIONS,
    }
)
"""Keywords that may appear in our CRDs: a subset of what a structural schema admits."""

_ORDER = ("description", "type", INT_OR_STRING, "format", "enum")


class SchemaError(ValueError):
    """The model can't be told as a structural schema; the message has the path of the culprit."""


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model. Raises SchemaError."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _Builder(raw.get("$defs", {})).build(raw, model.__name__, ())


class _Builder:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def build(self, raw: Mapping[str, Any], path: str, inside: tuple[str, ...]) -> dict[str, Any]:
        node, inside = self._resolved(dict(raw), path, inside)
        if node.pop("default", None) is not None:
            # A default in the CRD is stored in every object and could never change again.
            raise SchemaError(f"{path}: has a default; defaults belong in convert")
        for noise in ("title", "$defs"):
            node.pop(noise, None)
        if node.get("additionalProperties") is False:
            del node["additionalProperties"]
        if "const" in node:
            node["enum"] = [node.pop("const")]
        _tell_exclusive(node)
        unknown = sorted(set(node) - ALLOWED)
        if unknown:
            raise SchemaError(f"{path}: {', '.join(unknown)} can't be told in a structural schema")
        if "type" not in node and not node.get(INT_OR_STRING):
            raise SchemaError(f"{path}: has no type")
        self._children(node, path, inside)
        return _sorted(node)

    def _resolved(
        self, node: dict[str, Any], path: str, inside: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """`node` without "or null" and references; what stands beside them wins, rules of both are kept."""
        while "anyOf" in node or "$ref" in node:
            if "anyOf" in node:
                real = [arm for arm in node.pop("anyOf") if arm.get("type") != "null"]
                if len(real) != 1:
                    raise SchemaError(f"{path}: is a union; use one optional member per variant and a rule")
                target = dict(real[0])
            else:
                name = node.pop("$ref").removeprefix("#/$defs/")
                if name in inside:
                    raise SchemaError(f"{path}: {name} contains itself")
                inside = (*inside, name)
                target = dict(self._definitions[name])
            rules = [*target.get(VALIDATIONS, []), *node.get(VALIDATIONS, [])]
            node = {**target, **node, **({VALIDATIONS: rules} if rules else {})}
        return node, inside

    def _children(self, node: dict[str, Any], path: str, inside: tuple[str, ...]) -> None:
        if "properties" in node:
            node["properties"] = {
                name: self.build(child, f"{path}.{name}", inside) for name, child in node["properties"].items()
            }
        for keyword, mark in (("items", "[]"), ("additionalProperties", ".*")):
            child = node.get(keyword)
            if isinstance(child, Mapping):
                node[keyword] = self.build(child, path + mark, inside)
            elif child is not None:
                raise SchemaError(f"{path}: {keyword} must be a schema")


def _tell_exclusive(node: dict[str, Any]) -> None:
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = node.get(exclusive)
        if isinstance(value, int | float) and not isinstance(value, bool):
            node[bound], node[exclusive] = value, True


def _sorted(node: dict[str, Any]) -> dict[str, Any]:
    # A stable order that reads well: what it is, then bounds, then children, then rules.
    last = ("required", "properties", "items", "additionalProperties", VALIDATIONS)
    middle = sorted(set(node) - set(_ORDER) - set(last))
    return {key: node[key] for key in (*_ORDER, *middle, *last) if key in node}
