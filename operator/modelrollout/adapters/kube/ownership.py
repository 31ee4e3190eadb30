"""Which rollout an object of a router belongs to: its owner, its labels, and what we wrote of it last. Pure.

A router that creates an object gives it the rollout as owner. A rollout that goes takes its ownerReference off and
leaves the object: traffic stays where it is. The labels tell the next rollout of that name that it may take it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from modelrollout.adapters.kube.names import label_value
from modelrollout.adapters.kube.resources import DOMAIN, ROLLOUTS, Body, Resource
from modelrollout.core.model import RolloutSpec
from modelrollout.core.observation import RouteUnusable

MANAGED_BY = "app.kubernetes.io/managed-by"
ROLLOUT_LABEL = f"{DOMAIN}/rollout"
MANAGER_LABEL = "modelrollout"
APPLIED = f"{DOMAIN}/applied"
"""Annotation with digests of the parts that we wrote last: what is in it and not in the spec is ours to remove."""
KUBECTL_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Known(TypedDict):
    """What every object says of itself, as keywords of `Owned`."""

    namespace: str
    name: str
    resource_version: str
    generation: int
    deleting: bool
    owner: tuple[str, str, str] | None
    owned: tuple[str, ...]
    managed_by: str
    rollout: str


@dataclass(frozen=True, slots=True)
class Owned:
    """What a projection has of an object that a rollout can own, or that its owner lets it steer.

    `owner`: kind, name and uid of its controller; `owned`: uids of all its owners, in order. `managed_by`, `rollout`:
    values of the two labels, empty without.
    """

    namespace: str
    name: str
    resource_version: str
    generation: int
    deleting: bool
    owner: tuple[str, str, str] | None
    owned: tuple[str, ...]
    managed_by: str
    rollout: str


def known(metadata: Mapping[str, Any]) -> Known:
    """The fields of `Owned`, from an object's metadata."""
    owners = metadata.get("ownerReferences") or ()
    return {
        "namespace": str(metadata.get("namespace", "")),
        "name": str(metadata.get("name", "")),
        "resource_version": str(metadata.get("resourceVersion", "")),
        "generation": int(metadata.get("generation", 0)),
        "deleting": "deletionTimestamp" in metadata,
        "owner": next(((o["kind"], o["name"], o["uid"]) for o in owners if o.get("controller")), None),
        "owned": tuple(str(o.get("uid", "")) for o in owners),
        "managed_by": _label(metadata, MANAGED_BY),
        "rollout": _label(metadata, ROLLOUT_LABEL),
    }


def _label(metadata: Mapping[str, Any], name: str) -> str:
    """Value of a label, empty without."""
    return str((metadata.get("labels") or {}).get(name, ""))


def labels(spec: RolloutSpec) -> dict[str, str]:
    """Labels of an object that this rollout makes."""
    return {MANAGED_BY: MANAGER_LABEL, ROLLOUT_LABEL: label_value(spec.key.name)}


def owner_reference(spec: RolloutSpec) -> Body:
    """The rollout as controller of an object. It never blocks the rollout's deletion."""
    return {
        "apiVersion": ROLLOUTS.api_version,
        "kind": ROLLOUTS.kind,
        "name": spec.key.name,
        "uid": spec.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def ours(view: Owned, spec: RolloutSpec) -> bool:
    """Whether a stored object may be managed: this rollout owns it, or an earlier one of that name released it."""
    labelled = view.managed_by == MANAGER_LABEL and view.rollout == label_value(spec.key.name)
    return spec.uid in view.owned or (labelled and view.owner is None)


def not_ours(resource: Resource, view: Owned, fix: str) -> RouteUnusable:
    """The sentence about an object of our name that somebody else has; `fix` says what to do."""
    owner = f"{view.owner[0]} {view.owner[1]} (uid {view.owner[2]})" if view.owner else "somebody else"
    return RouteUnusable(
        f'{resource.kind} "{view.name}" in namespace {view.namespace} is not this rollout\'s, it belongs to {owner}:'
        f" {fix}"
    )
