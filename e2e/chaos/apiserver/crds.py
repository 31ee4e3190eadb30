"""The schemas of our own CRDs, compiled once for the whole process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from e2e.chaos.apiserver.refusals import cause, invalid
from e2e.chaos.apiserver.schema import Node, compiled
from modelrollout.adapters.kube.resources import ACTIONS, PROFILES, ROLLOUTS, SOURCES, Body, Resource

CRDS = Path(__file__).parents[3] / "crds"


@cache
def schemas() -> Mapping[Resource, Node]:
    """By resource, what all but `metadata` must look like."""
    return {resource: compiled(_schema(resource)) for resource in (ROLLOUTS, ACTIONS, SOURCES, PROFILES)}


def _schema(resource: Resource) -> Body:
    text = (CRDS / f"{resource.group}_{resource.plural}.yaml").read_text()
    [version] = yaml.safe_load(text)["spec"]["versions"]
    schema: Body = version["schema"]["openAPIV3Schema"]
    properties = {name: child for name, child in schema["properties"].items() if name != "metadata"}
    return {**schema, "properties": properties}


def fitted(resource: Resource, name: str, body: Body, old: Body | None) -> Body:
    """The object pruned and with defaults. What is as it was in `old` is not looked at again. Refused with 422."""
    node = schemas().get(resource)
    if node is None:
        return body
    causes: list[Body] = []
    fit: Body = node.check(body, old, (), causes)
    if resource is ACTIONS and old is not None and fit.get("spec") != old["spec"]:
        # The one rule that decides what a write may do to an object that is valid.
        causes.append(cause("Invalid", "spec", "Invalid value: an action can't be changed: create another one"))
    if causes:
        raise invalid(resource, name, causes)
    return {**fit, "metadata": body["metadata"]}
