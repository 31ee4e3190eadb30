"""Pod templates by revision, found in the cluster: Deployments as they are, and ReplicaSets of what they were.

A revision is a hash of a template and a model, so a template proves itself: whichever gives the hash is the one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from modelrollout.adapters.kube.projection import template_hash
from modelrollout.cli.complaints import clean
from modelrollout.core.revision import revision_hash

POD_HASH = "pod-template-hash"
"""The label that the Deployment controller adds to a template when it makes a ReplicaSet of it."""

Model = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class Template:
    """A pod template. `pods`: value of the label of the pods that run it; None where that is not known."""

    deployment: str
    body: Mapping[str, Any]
    pods: str | None

    @property
    def images(self) -> dict[str, str]:
        """Image as written, by container."""
        found = (self.body.get("spec") or {}).get("containers") or ()
        return {clean(str(each.get("name"))): clean(str(each.get("image"))) for each in found}


def templates(deployments: Iterable[Mapping[str, Any]], sets: Iterable[Mapping[str, Any]]) -> Iterator[Template]:
    """Templates of all Deployments and of the ReplicaSets that Deployments own, as they are stored in Deployments."""
    for each in sets:
        meta, body = each.get("metadata") or {}, deepcopy((each.get("spec") or {}).get("template") or {})
        owner = next((o for o in meta.get("ownerReferences") or () if o.get("kind") == "Deployment"), None)
        labels = (body.get("metadata") or {}).get("labels") or {}
        if owner is not None:
            yield Template(str(owner.get("name")), body, labels.pop(POD_HASH, None))
    for each in deployments:
        name = str((each.get("metadata") or {}).get("name"))
        yield Template(name, (each.get("spec") or {}).get("template") or {}, None)


def of_revision(found: Sequence[Template], revision: str, models: Iterable[Model]) -> tuple[Template, Model] | None:
    """The template that this revision ran, with the model that it was said to serve; None when it is not there."""
    for model in dict.fromkeys(models):
        for each in found:
            if revision_hash(template_hash(each.body), *model) == revision:
                return each, model
    return None


def of_deployment(found: Sequence[Template], name: str) -> Template | None:
    """The template that the Deployment has now, with its pods' label where a ReplicaSet tells it."""
    now = next((each for each in found if each.deployment == name and each.pods is None), None)
    if now is None:
        return None
    return next((each for each in found if each.deployment == name and each.pods and each.body == now.body), now)


def digests(pods: Iterable[Mapping[str, Any]], template: Template) -> dict[str, str]:
    """Image digests by container, of the pods that run this template; several where a tag has moved meanwhile."""
    found: dict[str, dict[str, None]] = {}
    for pod in pods:
        labels = (pod.get("metadata") or {}).get("labels") or {}
        if template.pods is None or labels.get(POD_HASH) != template.pods:
            continue
        for each in (pod.get("status") or {}).get("containerStatuses") or ():
            digest = str(each.get("imageID") or "").rpartition("@")[2]
            if digest:
                found.setdefault(clean(str(each.get("name"))), {})[clean(digest)] = None
    return {name: ", ".join(each) for name, each in found.items()}
