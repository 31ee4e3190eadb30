"""`spec.traffic` as core values: the router, segments, sticky users."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.api.pods import Steps, replicas
from modelrollout.api.scalars import parse_duration
from modelrollout.api.v1alpha1 import traffic as api
from modelrollout.core import model

SETTLE = 5.0


def traffic(given: api.Traffic, asked: Steps) -> model.Traffic:
    """The router, and how requests reach it. `asked`: the steps as they were written."""
    return model.Traffic(
        router=_router(given, asked),
        segments=tuple(model.Segment(_headers(s.headers)) for s in given.segments or ()),
        settle=SETTLE if given.settle is None else parse_duration(given.settle),
        bucket_header=None if given.sticky is None else given.sticky.bucket_header,
    )


def header_problem(traffic: api.Traffic) -> str | None:
    """What is wrong with headers that are asked for in two places, or None."""
    # Gateway API: one match can't name a header twice, and a segment's headers are added to each match.
    matched = {
        h.name.lower() for m in (traffic.managed_route and traffic.managed_route.matches) or () for h in m.headers or ()
    }
    for index, segment in enumerate(traffic.segments or ()):
        for header in segment.headers:
            if header.name.lower() in matched:
                return (
                    f'spec.traffic.segments[{index}].headers: "{header.name}" is matched by managedRoute.matches too;'
                    " name it in one of the two places"
                )
    matched |= {h.name.lower() for s in traffic.segments or () for h in s.headers}
    bucket = traffic.sticky.bucket_header if traffic.sticky else ""
    if bucket.lower() in matched:
        return (
            f'spec.traffic.sticky.bucketHeader: "{bucket}" is matched by managedRoute.matches or segments too; take a'
            " header that is used for nothing else"
        )
    return None


def _router(traffic: api.Traffic, asked: Steps) -> model.Router:
    managed, adopted = traffic.managed_route, traffic.adopt_route
    if managed is not None:
        return model.ManagedRoute(
            parent_refs=tuple(model.ParentRef(p.name, p.namespace, p.section_name) for p in managed.parent_refs),
            hostnames=tuple(managed.hostnames or ()),
            matches=tuple(_route_match(m) for m in managed.matches or ()),
        )
    if adopted is not None:
        return model.AdoptRoute(adopted.name, adopted.rule)
    if traffic.ingress_nginx is not None:
        return model.IngressNginx(traffic.ingress_nginx.ingress)
    if traffic.istio is not None:
        subsets = traffic.istio.subsets
        named = None if subsets is None else model.Subsets(subsets.legacy, subsets.candidate)
        return model.Istio(traffic.istio.virtual_service, traffic.istio.route, named)
    if traffic.traefik is not None:
        return model.Traefik(traffic.traefik.service)
    assert traffic.replicas is not None, "the rule of Traffic admits exactly one router"
    return replicas(traffic.replicas, asked)


def _route_match(match: api.RouteMatch) -> model.RouteMatch:
    path = match.path
    return model.RouteMatch(
        path_type=(path.type or "PathPrefix") if path else None,
        path_value=path.value if path else None,
        headers=_headers(match.headers),
    )


def _headers(headers: Sequence[api.HeaderMatch] | None) -> tuple[model.HeaderMatch, ...]:
    return tuple(model.HeaderMatch(h.name, h.value) for h in headers or ())
