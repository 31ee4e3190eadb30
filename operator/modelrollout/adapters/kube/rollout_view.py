"""Our own kinds as the operator sees them. Pure; conversion is `api`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.adapters.kube.projection import Kind
from modelrollout.adapters.kube.resources import ACTIONS, FINALIZER, ROLLOUTS, SOURCES, Body
from modelrollout.api.convert import action_target, to_action, to_source, to_spec
from modelrollout.api.reading import epoch
from modelrollout.api.source import Source
from modelrollout.api.status_codec import decode
from modelrollout.core.model import Key, RolloutSpec
from modelrollout.core.observation import ActionRequest, SpecProblem
from modelrollout.ports import RolloutObject
from modelrollout.runtime.resting import packed, unpacked


@dataclass(frozen=True, slots=True)
class ActionView:
    """A `RolloutAction`: `request` is None once it has a result (or can't be read); then it may be deleted one day."""

    namespace: str
    name: str
    rollout: str
    created: float
    request: ActionRequest | None


@dataclass(frozen=True, slots=True)
class SourceView:
    """A `MetricSource` as the metrics adapter takes it."""

    name: str
    source: Source | SpecProblem


def rollout_object(body: Body) -> RolloutObject:
    """The port's view of a `ModelRollout` body."""
    metadata = body["metadata"]
    spec = to_spec(body)
    return RolloutObject(
        key=Key(str(metadata["namespace"]), str(metadata["name"])),
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        generation=int(metadata.get("generation", 0)),
        created=_created(metadata),
        deleting="deletionTimestamp" in metadata,
        finalizer=FINALIZER in (metadata.get("finalizers") or ()),
        spec=spec if isinstance(spec, RolloutSpec) else None,
        problem=spec if isinstance(spec, SpecProblem) else None,
        status=decode(body.get("status")),
    )


def action_view(body: Body) -> ActionView:
    """The view of a `RolloutAction` body."""
    metadata = body["metadata"]
    target = action_target(body)
    return ActionView(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata["name"]),
        rollout=target.name if target else "",
        created=_created(metadata),
        request=to_action(body),
    )


def source_view(body: Body) -> SourceView:
    """The view of a `MetricSource` body."""
    return SourceView(str(body["metadata"]["name"]), to_source(body))


def _created(metadata: Mapping[str, object]) -> float:
    return epoch(str(metadata.get("creationTimestamp", ""))) or 0.0


ROLLOUT: Kind[RolloutObject] = Kind(ROLLOUTS, rollout_object, keep=packed, give=unpacked)
ACTION: Kind[ActionView] = Kind(ACTIONS, action_view)
SOURCE: Kind[SourceView] = Kind(SOURCES, source_view)
