"""What the operator needs to know of a VirtualService, in little memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from modelrollout.adapters.kube.ownership import Owned, known
from modelrollout.adapters.kube.resources import Body

Headers = frozenset[tuple[str, str]]
"""Names and values."""
NO_HEADERS: Headers = frozenset()


@dataclass(frozen=True, slots=True)
class Destination:
    """One destination of an http route. `port` None: the host's only one. An absent weight is 0."""

    host: str
    subset: str | None
    port: int | None
    weight: int


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One http route; without destinations when it redirects, delegates or answers itself.

    `headers`: the exact values that each of its matches asks for, by names in lower case; None when matches differ in
    them, or ask for more than exact values.
    """

    name: str | None
    destinations: tuple[Destination, ...]
    headers: Headers | None


@dataclass(frozen=True, slots=True)
class VirtualServiceView(Owned):
    """A VirtualService as stored. `errors`: codes of what Istio's analysis calls an error at this generation."""

    routes: tuple[HttpRoute, ...]
    errors: tuple[str, ...]


def virtual_service_view(body: Body) -> VirtualServiceView:
    """The view of a VirtualService body."""
    about = known(body.get("metadata") or {})
    return VirtualServiceView(
        **about,
        routes=tuple(_route(route) for route in (body.get("spec") or {}).get("http") or ()),
        errors=tuple(_errors(body.get("status") or {}, about["generation"])),
    )


def means(host: str, service: str, namespace: str) -> bool:
    """Whether a destination's host is this Service of this namespace.

    Istio completes a name without dots by the namespace of the VirtualService, and takes any other as it is: what lies
    between the two forms it would not find.
    """
    prefix = f"{service}.{namespace}.svc."
    return host == service or (host.startswith(prefix) and host != prefix)


def _route(route: Mapping[str, Any]) -> HttpRoute:
    name = route.get("name")
    return HttpRoute(
        name=None if not name else intern(str(name)),
        destinations=tuple(_destination(entry) for entry in route.get("route") or ()),
        headers=_headers(route.get("match") or ()),
    )


def _headers(matches: Iterable[Mapping[str, Any]]) -> Headers | None:
    asked = {_exact(match.get("headers") or {}) for match in matches}
    return NO_HEADERS if not asked else asked.pop() if len(asked) == 1 else None


def _exact(headers: Mapping[str, Any]) -> Headers | None:
    values = {name: (wanted or {}).get("exact") for name, wanted in headers.items()}
    if None in values.values():
        return None
    return frozenset((intern(name.lower()), intern(str(value))) for name, value in values.items()) or NO_HEADERS


def _destination(entry: Mapping[str, Any]) -> Destination:
    target = entry.get("destination") or {}
    subset, port = target.get("subset"), (target.get("port") or {}).get("number")
    return Destination(
        host=intern(str(target.get("host", ""))),
        subset=None if not subset else intern(str(subset)),
        port=None if not port else int(port),
        # The CRD has no minimum; what Istio refuses may stand where its webhook is off.
        weight=max(int(entry.get("weight") or 0), 0),
    )


def _errors(status: Mapping[str, Any], generation: int) -> Iterable[str]:
    # An integer or a string in the CRD; istiod writes it only where writing statuses is switched on.
    if str(status.get("observedGeneration", "")) != str(generation):
        return
    for message in status.get("validationMessages") or ():
        if message.get("level") == "ERROR":
            kind = message.get("type") or {}
            # Codes only: the rest may quote whatever stands in somebody's object.
            yield f"{kind.get('code', '')} {kind.get('name', '')}".strip()[:80]
