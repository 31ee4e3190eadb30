"""What the operator needs to know of an HTTPRoute, in little memory. Pure.

Two things that mean the same compare equal here although their JSON differs: values the server fills in by default are
put in, and the order of a match's headers is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from modelrollout.adapters.kube.buckets import ANYBODY, weight_of
from modelrollout.adapters.kube.digests import canonical, digest
from modelrollout.adapters.kube.ownership import (
    APPLIED,
    KUBECTL_APPLIED,
    Owned,
    known,
)
from modelrollout.adapters.kube.resources import Body
from modelrollout.core.model import Weight

EXPRESSION = "RegularExpression"
GATEWAY_GROUP = "gateway.networking.k8s.io"
DEFAULT_WEIGHT = 1
RULE_PARTS = frozenset({"name", "matches", "backendRefs"})
BACKEND_PARTS = frozenset({"group", "kind", "name", "namespace", "port", "weight"})


@dataclass(frozen=True, slots=True)
class Backend:
    """One backendRef. `service` is None for anything but a core Service of the route's namespace."""

    service: str | None
    port: int | None
    weight: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A header that is compared with a regular expression, by its place among the matches of a rule.

    `weight`: what the expression says, if it is one for buckets.
    """

    match: int
    header: int
    name: str
    weight: Weight | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `matches`: digest of what it matches, whatever weights its expressions say.

    `plain`: no filters, timeouts or other additions.
    """

    name: str | None
    matches: str
    backends: tuple[Backend, ...]
    plain: bool
    expressions: tuple[Expression, ...] = ()

    @property
    def total(self) -> int:
        """Sum of all weights."""
        return sum(backend.weight for backend in self.backends)

    def find(self, service: str) -> tuple[int, ...]:
        """Positions of that Service among the backends."""
        return tuple(index for index, backend in enumerate(self.backends) if backend.service == service)

    def has_pair(self, first: str, second: str) -> bool:
        """Whether both Services are among the backends."""
        return bool(self.find(first)) and bool(self.find(second))


@dataclass(frozen=True, slots=True)
class Answer:
    """What one controller said about one parent at the route's present generation; `reason` tells why not."""

    parent: str
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RouteView(Owned):
    """An HTTPRoute as stored.

    `parents`, `hostnames` and `Rule.matches` are comparable with those of `httproute_shape.Shape`; `applied` are
    digests of the parts that we wrote last. `answers` leaves out what was said about older generations.
    """

    uid: str
    applied: tuple[str, ...]
    annotations: tuple[str, ...]
    parents: tuple[str, ...]
    hostnames: tuple[str, ...]
    rules: tuple[Rule, ...]
    answers: tuple[Answer, ...]


def route_view(body: Body) -> RouteView:
    """The view of an HTTPRoute body."""
    metadata = body.get("metadata") or {}
    spec = body.get("spec") or {}
    about = known(metadata)
    namespace, generation = about["namespace"], about["generation"]
    annotations = metadata.get("annotations") or {}
    return RouteView(
        **about,
        uid=str(metadata.get("uid", "")),
        applied=tuple(intern(mark) for mark in str(annotations.get(APPLIED, "")).split()),
        annotations=tuple(sorted(a for a in annotations if a not in (APPLIED, KUBECTL_APPLIED))),
        parents=tuple(intern(parent_key(parent, namespace)) for parent in spec.get("parentRefs") or ()),
        hostnames=tuple(str(host) for host in spec.get("hostnames") or ()),
        rules=tuple(_rule(rule, namespace) for rule in spec.get("rules") or ()),
        answers=tuple(_answers((body.get("status") or {}).get("parents") or (), namespace, generation)),
    )


def parent_key(parent: Mapping[str, Any], namespace: str) -> str:
    """One string per parentRef; equal for equal meaning."""
    group = parent.get("group", GATEWAY_GROUP)
    kind = parent.get("kind") or "Gateway"
    where = parent.get("namespace") or namespace
    section, port = parent.get("sectionName") or "", parent.get("port") or ""
    return f"{group}/{kind}/{where}/{parent.get('name', '')}/{section}/{port}"


def parent_name(key: str) -> str:
    """How messages call a parent."""
    _, kind, namespace, name, section, _ = key.split("/")
    return f"{kind} {namespace}/{name}" + (f" listener {section}" if section else "")


def matches_key(matches: Iterable[Mapping[str, Any]]) -> str:
    """Digest of a rule's matches; equal for equal meaning, and for any two regular expressions of one header."""
    return digest(sorted(canonical(_match(match)) for match in matches) or [canonical(_match({}))])


def accepted(view: RouteView, parents: Iterable[str]) -> tuple[bool | None, str]:
    """Whether every one of these parents has taken this generation, and which has not and why.

    None while one has not answered. Answers of other controllers for older generations count for nothing.
    """
    waiting = False
    for parent in parents:
        said = [answer for answer in view.answers if answer.parent == parent]
        if not said:
            waiting = True
        elif not any(answer.accepted for answer in said):
            return False, f"{parent_name(parent)} did not accept the route: {said[0].reason}"
    return (None if waiting else True), ""


def local_service(ref: Mapping[str, Any], namespace: str) -> str | None:
    """Name of the Service that a backendRef means, if it is one of this namespace."""
    is_service = (ref.get("group") or "") == "" and (ref.get("kind") or "Service") == "Service"
    return str(ref.get("name", "")) if is_service and (ref.get("namespace") or namespace) == namespace else None


def _rule(rule: Mapping[str, Any], namespace: str) -> Rule:
    refs = rule.get("backendRefs") or ()
    return Rule(
        name=rule.get("name"),
        matches=intern(matches_key(rule.get("matches") or ())),
        backends=tuple(
            Backend(_interned(local_service(ref, namespace)), ref.get("port"), int(ref.get("weight", DEFAULT_WEIGHT)))
            for ref in refs
        ),
        plain=set(rule) <= RULE_PARTS and all(set(ref) <= BACKEND_PARTS for ref in refs),
        expressions=tuple(_expressions(rule.get("matches") or ())),
    )


def _expressions(matches: Iterable[Mapping[str, Any]]) -> Iterable[Expression]:
    for index, match in enumerate(matches):
        for place, header in enumerate(match.get("headers") or ()):
            value = str(header.get("value", ""))
            if header.get("type") == EXPRESSION and value != ANYBODY:
                yield Expression(index, place, intern(str(header["name"])), weight_of(value))


def _interned(name: str | None) -> str | None:
    return None if name is None else intern(name)


def _match(match: Mapping[str, Any]) -> dict[str, Any]:
    path = match.get("path") or {}
    full: dict[str, Any] = {k: v for k, v in match.items() if k not in ("path", "headers") and v}
    full["path"] = {"type": path.get("type") or "PathPrefix", "value": path.get("value") or "/"}
    headers = [(str(h["name"]).lower(), h.get("type") or "Exact", _value(h)) for h in match.get("headers") or ()]
    return full | ({"headers": sorted(headers)} if headers else {})


def _value(header: Mapping[str, Any]) -> str:
    # Those of ours change with the weight, and a rule is still the same rule. The one for all buckets never changes.
    value = str(header.get("value", ""))
    return "" if header.get("type") == EXPRESSION and value != ANYBODY else value


def _answers(parents: Iterable[Mapping[str, Any]], namespace: str, generation: int) -> Iterable[Answer]:
    for entry in parents:
        found = {
            condition.get("type"): condition
            for condition in entry.get("conditions") or ()
            if condition.get("observedGeneration") == generation
        }
        wanted = [found.get(kind) for kind in ("Accepted", "ResolvedRefs")]
        key = parent_key(entry.get("parentRef") or {}, namespace)
        bad = next((c for c in wanted if c is not None and c.get("status") == "False"), None)
        if bad is not None:
            yield Answer(key, False, f"{bad['type']} is False, reason {bad.get('reason', '')}")
        elif all(c is not None and c.get("status") == "True" for c in wanted):
            yield Answer(key, True, "")
