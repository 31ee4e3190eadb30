"""The form that a managed HTTPRoute should have, how a stored one differs, and the body that mends it. Pure.

Other people may add to our route: rules, hostnames, parents, filters, backends, annotations. Those stay. What is ours
is known by what the spec asks for now, and by digests of what we wrote last, kept in an annotation: a hostname that
was taken out of the spec goes, one that a person added stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelrollout.adapters.kube.digests import digest
from modelrollout.adapters.kube.httproute import RouteView, Rule, local_service, matches_key, parent_key
from modelrollout.adapters.kube.httproute_rules import Part, RuleShape, rules_of
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.ownership import APPLIED, labels, owner_reference
from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.adapters.kube.weights import scale_for, split_down
from modelrollout.core.model import ZERO, ManagedRoute, RolloutSpec, Weight


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything a managed route should have, but for the weights. The last rule is that for all other requests."""

    name: str
    namespace: str
    parents: tuple[Body, ...]
    parent_keys: tuple[str, ...]
    hostnames: tuple[str, ...]
    rules: tuple[RuleShape, ...]
    arms: tuple[str, str]
    port: int

    @property
    def segment_keys(self) -> frozenset[str]:
        """Keys of the segment rules."""
        return self.keys(Part.SEGMENT)

    def keys(self, part: Part) -> frozenset[str]:
        """Keys of the rules for these requests."""
        return frozenset(rule.key for rule in self.rules if rule.part is part)

    def holds(self, rule: Rule) -> bool:
        """Whether a stored rule has both arms at the right port."""
        return all(any(b.service == arm and b.port == self.port for b in rule.backends) for arm in self.arms)


def shape_of(spec: RolloutSpec, route: ManagedRoute) -> Shape:
    """The shape that the spec asks for. Raises what `rules_of` does."""
    parents = tuple(_parent(parent.name, parent.namespace, parent.section_name) for parent in route.parent_refs)
    return Shape(
        name=route_name(spec.key.name),
        namespace=spec.key.namespace,
        parents=parents,
        parent_keys=tuple(parent_key(parent, spec.key.namespace) for parent in parents),
        hostnames=route.hostnames,
        rules=rules_of(spec, route),
        arms=(spec.legacy.service, spec.candidate.service),
        port=spec.port,
    )


def flaws(shape: Shape, view: RouteView, uid: str) -> tuple[str, ...]:
    """What the spec asks for and the route does not have, or has left from an earlier spec."""
    return tuple(_flaws(shape, view, uid))


def additions(shape: Shape, view: RouteView) -> tuple[str, ...]:
    """What others have added to the route; it is left alone."""
    return tuple(_additions(shape, view))


def own_rules(shape: Shape, view: RouteView) -> tuple[tuple[int, Part], ...]:
    """Positions of the rules whose weights are ours, each with the requests that it is for.

    Rules left from an earlier spec count as long as they hold both arms: their traffic must go back as well.
    """
    keys = {rule.key: rule.part for rule in shape.rules}
    return tuple(
        (index, keys.get(rule.matches, Part.REST))
        for index, rule in enumerate(view.rules)
        if rule.has_pair(*shape.arms) and (rule.matches in keys or "r" + rule.matches in view.applied)
    )


def route_body(shape: Shape, spec: RolloutSpec, weight: Weight, current: Body | None, view: RouteView | None) -> Body:
    """The whole route for server-side apply, with what others added to `current` (seen as `view`) kept."""
    applied = view.applied if view else ()
    kept = (current or {}).get("spec") or {}
    metadata: Body = {
        "name": shape.name,
        "namespace": shape.namespace,
        "labels": labels(spec),
        "annotations": {APPLIED: " ".join(sorted(_marks(shape)))},
        "ownerReferences": [owner_reference(spec)],
    }
    if view is not None:
        metadata["resourceVersion"] = view.resource_version
    foreign_parents = [
        parent
        for parent in kept.get("parentRefs") or ()
        if (key := parent_key(parent, shape.namespace)) not in shape.parent_keys and "p" + digest(key) not in applied
    ]
    foreign_hosts = [
        host
        for host in kept.get("hostnames") or ()
        if host not in shape.hostnames and "h" + digest(host) not in applied
    ]
    return {
        "apiVersion": HTTPROUTES.api_version,
        "kind": HTTPROUTES.kind,
        "metadata": metadata,
        "spec": {
            "parentRefs": [*shape.parents, *foreign_parents],
            **({"hostnames": [*shape.hostnames, *foreign_hosts]} if shape.hostnames or foreign_hosts else {}),
            "rules": _rules(shape, spec, weight, kept.get("rules") or [], applied),
        },
    }


def _rules(
    shape: Shape, spec: RolloutSpec, weight: Weight, stored: list[Body], applied: tuple[str, ...]
) -> list[dict[str, Any]]:
    left = [(matches_key(rule.get("matches") or ()), rule) for rule in stored]
    rules = []
    for rule in shape.rules:
        found = next((pair for pair in left if pair[0] == rule.key), None)
        if found is not None:
            left.remove(found)
        given = rule.part.given(weight, segments=weight > ZERO)
        written = _rule(shape, given, spec, found[1] if found else {}, applied)
        rules.append({**written, "matches": rule.at(weight)})
    keys = {rule.key for rule in shape.rules}
    return rules + [rule for key, rule in left if key in keys or "r" + key not in applied]


def _rule(shape: Shape, weight: Weight, spec: RolloutSpec, stored: Body, applied: tuple[str, ...]) -> Body:
    backends = []
    refs = stored.get("backendRefs") or []
    for arm, number in zip(shape.arms, split_down(weight, scale_for(spec, weight)), strict=True):
        same = (r for r in refs if local_service(r, shape.namespace) == arm and r.get("port") == shape.port)
        added = {k: v for k, v in next(same, {}).items() if k == "filters"}
        backends.append({"kind": "Service", "name": arm, "port": shape.port, "weight": number} | added)
    for ref in refs:
        service = local_service(ref, shape.namespace)
        # Without a record of what we wrote, a backend that is no arm counts as a former arm: kept, it would go on
        # taking its share of the traffic.
        if service not in shape.arms and applied and "b" + digest(service) not in applied:
            backends.append(ref)
    return {**stored, "backendRefs": backends}


def _marks(shape: Shape) -> Iterator[str]:
    yield from ("p" + digest(key) for key in shape.parent_keys)
    yield from ("h" + digest(host) for host in shape.hostnames)
    yield from ("r" + rule.key for rule in shape.rules)
    yield from ("b" + digest(arm) for arm in shape.arms)


def _flaws(shape: Shape, view: RouteView, uid: str) -> Iterator[str]:
    if uid not in view.owned:
        yield "the route has lost its owner"
    if not set(shape.parent_keys) <= set(view.parents):
        yield "a parent of spec.traffic.managedRoute.parentRefs is missing"
    if not set(shape.hostnames) <= set(view.hostnames):
        yield "a hostname of spec.traffic.managedRoute.hostnames is missing"
    for rule in shape.rules:
        if not any(stored.matches == rule.key and shape.holds(stored) for stored in view.rules):
            arms = " and ".join(shape.arms)
            yield f"{rule.part.value} is missing or lacks one of the backends {arms} at port {shape.port}"
    yield from _leftovers(shape, view)
    if shape.keys(Part.BELOW):
        first = dict.fromkeys(rule.key for rule in shape.rules if rule.part is not Part.REST)
        if list(dict.fromkeys(rule.matches for rule in view.rules if rule.matches in first)) != list(first):
            yield "the rules for segments and buckets are not in their order"


def _leftovers(shape: Shape, view: RouteView) -> Iterator[str]:
    keys = {rule.key for rule in shape.rules}
    if any(p not in shape.parent_keys and "p" + digest(p) in view.applied for p in view.parents):
        yield "a parent is left from an earlier spec"
    if any(h not in shape.hostnames and "h" + digest(h) in view.applied for h in view.hostnames):
        yield "a hostname is left from an earlier spec"
    for rule in view.rules:
        if rule.matches not in keys and "r" + rule.matches in view.applied:
            yield "a rule is left from an earlier spec"
        elif rule.matches in keys and any(
            b.service not in shape.arms and "b" + digest(b.service) in view.applied for b in rule.backends
        ):
            yield "a backend is left from an earlier spec"


def _additions(shape: Shape, view: RouteView) -> Iterator[str]:
    keys = {rule.key for rule in shape.rules}
    for parent in view.parents:
        if parent not in shape.parent_keys and "p" + digest(parent) not in view.applied:
            yield "a parent that is not ours"
    for host in view.hostnames:
        if host not in shape.hostnames and "h" + digest(host) not in view.applied:
            yield f"hostname {host}"
    for index, rule in enumerate(view.rules):
        if rule.matches not in keys and "r" + rule.matches not in view.applied:
            yield f"rule {index}"
        elif not rule.plain:
            yield f"filters or other settings on rule {index}"
        if rule.matches in keys:
            others = (b for b in rule.backends if b.service not in shape.arms)
            if any("b" + digest(b.service) not in view.applied for b in others):
                yield f"another backend in rule {index}"
    yield from (f"annotation {name}" for name in view.annotations)


def _parent(name: str, namespace: str | None, section: str | None) -> Body:
    body: Body = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}
    if namespace:
        body["namespace"] = namespace
    if section:
        body["sectionName"] = section
    return body
