"""The form that a rollout's canary Ingress should have, how a stored one differs, and the body that mends it. Pure.

It has those paths of the users' Ingress that send to legacy, with the candidate's Service as backend. Paths and
annotations that others added stay. Ours is what is asked for now, and by digests of what was written last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelrollout.adapters.kube.digests import digest
from modelrollout.adapters.kube.ingress import (
    CANARY,
    HEADER,
    HEADER_VALUE,
    TOTAL,
    WEIGHT,
    IngressView,
    PathKey,
    path_of,
    where,
)
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.ownership import APPLIED, labels, owner_reference
from modelrollout.adapters.kube.resources import INGRESSES, Body
from modelrollout.adapters.kube.weights import scale_for, split_down
from modelrollout.core.model import ZERO, RolloutSpec, Weight

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything that the canary should have, but for the weight. `main`: the users' Ingress."""

    name: str
    namespace: str
    main: str
    class_name: str | None
    keys: tuple[PathKey, ...]
    service: str
    port: int
    header: Header | None


def shape_of(spec: RolloutSpec, main: IngressView, keys: tuple[PathKey, ...]) -> Shape:
    """The shape that the spec asks for beside this Ingress, which serves legacy at these paths."""
    return Shape(
        name=route_name(spec.key.name),
        namespace=spec.key.namespace,
        main=main.name,
        class_name=main.class_name,
        keys=keys,
        service=spec.candidate.service,
        port=spec.port,
        header=header_of(spec),
    )


def header_of(spec: RolloutSpec) -> Header | None:
    """Name and value of the header whose requests always go to the candidate."""
    for segment in spec.traffic.segments:
        for header in segment.headers:
            return header.name, header.value
    return None


def flaws(shape: Shape, view: IngressView, uid: str) -> tuple[str, ...]:
    """What should be there and is not, or is left from before."""
    return tuple(_flaws(shape, view, uid))


def additions(shape: Shape, view: IngressView) -> tuple[str, ...]:
    """What others have added; it is left alone."""
    return tuple(_additions(shape, view))


def settings(spec: RolloutSpec, weight: Weight, *, segments: bool, view: IngressView | None) -> dict[str, str | None]:
    """The annotations that carry this weight; None for one that must go.

    A header rule of somebody else stays, unless the segment's own takes its place.
    """
    total = scale_for(spec, weight)
    found: dict[str, str | None] = {WEIGHT: str(split_down(weight, total)[1]), TOTAL: str(total)}
    header, stored = header_of(spec), view.canary.header if view is not None and view.canary is not None else None
    if segments and header is not None:
        return found | {HEADER: header[0], HEADER_VALUE: header[1]}
    if stored is not None and view is not None and (stored == header or _mark(stored) in view.applied):
        return found | {HEADER: None, HEADER_VALUE: None}
    return found


def canary_body(
    shape: Shape, spec: RolloutSpec, weight: Weight, current: Body | None, view: IngressView | None
) -> Body:
    """The whole canary to create, or the merge patch that mends `current` (seen as `view`)."""
    metadata: Body = {
        "labels": labels(spec),
        "annotations": {
            CANARY: "true",
            APPLIED: " ".join(sorted(_marks(shape))),
            **settings(spec, weight, segments=weight > ZERO, view=view),
        },
        "ownerReferences": [*_other_owners(current, spec), owner_reference(spec)],
    }
    body: Body = {"spec": {"ingressClassName": shape.class_name, "rules": _rules(shape, current, view)}}
    if view is not None:
        return body | {"metadata": metadata | {"resourceVersion": view.resource_version}}
    body |= {"apiVersion": INGRESSES.api_version, "kind": INGRESSES.kind}
    return body | {"metadata": metadata | {"name": shape.name, "namespace": shape.namespace}}


def _other_owners(current: Body | None, spec: RolloutSpec) -> list[Body]:
    owners = ((current or {}).get("metadata") or {}).get("ownerReferences") or ()
    return [owner for owner in owners if owner.get("uid") != spec.uid]


def _rules(shape: Shape, current: Body | None, view: IngressView | None) -> list[Body]:
    applied = view.applied if view is not None else ()
    by_host: dict[str, list[Body]] = {}
    for host, path, kind in shape.keys:
        entry: Body = {
            "pathType": kind,
            "backend": {"service": {"name": shape.service, "port": {"number": shape.port}}},
        }
        by_host.setdefault(host, []).append(entry | ({"path": path} if path else {}))
    for rule in ((current or {}).get("spec") or {}).get("rules") or ():
        host = str(rule.get("host") or "")
        for stored in (rule.get("http") or {}).get("paths") or ():
            key = path_of(host, stored).key
            if key not in shape.keys and _mark(key) not in applied:
                by_host.setdefault(host, []).append(stored)
    return [({"host": host} if host else {}) | {"http": {"paths": paths}} for host, paths in by_host.items()]


def _mark(part: PathKey | Header) -> str:
    return ("p" if len(part) == 3 else "h") + digest(list(part))


def _marks(shape: Shape) -> Iterator[str]:
    yield from (_mark(key) for key in shape.keys)
    if shape.header is not None:
        yield _mark(shape.header)


def _flaws(shape: Shape, view: IngressView, uid: str) -> Iterator[str]:
    if uid not in view.owned:
        yield "the canary Ingress has lost its owner"
    if not view.is_canary:
        yield f"annotation {CANARY} is not true: nginx does not take it for a canary"
    if view.class_name != shape.class_name:
        yield f"its class is {view.class_name}, that of Ingress {shape.main} is {shape.class_name}"
    stored = {path.key: path for path in view.paths}
    for key in shape.keys:
        path = stored.get(key)
        if path is None:
            yield f"{where(key)} is missing"
        elif (path.service, path.port) != (shape.service, shape.port):
            yield f"{where(key)} does not send to {shape.service} at port {shape.port}"
    if any(key not in shape.keys and _mark(key) in view.applied for key in stored):
        yield f"a path is left that Ingress {shape.main} no longer sends to legacy"
    header = view.canary.header if view.canary is not None else None
    if header is not None and header != shape.header and _mark(header) in view.applied:
        yield "the header of an earlier spec is left"


def _additions(shape: Shape, view: IngressView) -> Iterator[str]:
    for path in view.paths:
        if path.key not in shape.keys and _mark(path.key) not in view.applied:
            yield where(path.key)
    stored = view.canary.header if view.canary is not None else None
    own = stored is not None and (stored == shape.header or _mark(stored) in view.applied)
    yield from (f"annotation {name}" for name in view.annotations if not (own and name in (HEADER, HEADER_VALUE)))
