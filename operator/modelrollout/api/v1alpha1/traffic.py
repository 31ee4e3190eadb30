"""`spec.traffic`: which router carries the weights."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.rules import ApiModel, Rule, UniqueBy
from modelrollout.api.scalars import DNS_SUBDOMAIN, Duration, Label, Subdomain

HeaderName = Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9!#$%&'*+.^_|~-]+$")]
HeaderValue = Annotated[str, Field(strict=True, min_length=1, max_length=256, pattern=r"^[!-~]([ -~]*[!-~])?$")]
Hostname = Annotated[
    str, Field(strict=True, min_length=1, max_length=253, pattern=r"^(\*\.)?" + DNS_SUBDOMAIN.removeprefix("^"))
]
RouteName = Annotated[str, Field(strict=True, min_length=1, max_length=253, pattern=r"^[!-~]([ -~]*[!-~])?$")]
PathValue = Annotated[
    str,
    Field(strict=True, max_length=256, pattern=r"^/([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*$"),
    Rule(
        r"!self.contains('//') && !self.lowerAscii().contains('%2f') && !self.matches('/[.]{1,2}(/|$)')",
        "must not contain //, /./, /../ or %2f, nor end in /. or /..",
        lambda text: not any(part in f"{text.lower()}/" for part in ("/./", "/../", "%2f")) and "//" not in text,
    ),
]

NGINX_NAME, NGINX_VALUE = re.compile(r"[A-Za-z0-9-]+"), re.compile(r"[A-Za-z0-9._~/:-]+")
"""What ingress-nginx takes in canary-by-header and canary-by-header-value; anything else it ignores without a word."""


class HeaderMatch(ApiModel):
    """Exact match of one request header."""

    name: HeaderName = Field(description="Header name, case-insensitive.")
    value: HeaderValue = Field(description="The header's whole value.")


class ParentRef(ApiModel):
    """A Gateway, or one listener of it."""

    name: Subdomain = Field(description="Name of the Gateway.")
    namespace: Label | None = Field(
        default=None,
        description="Namespace of the Gateway; absent: the rollout's own. Its listener must allow this namespace.",
    )
    section_name: Subdomain | None = Field(default=None, description="Name of one listener; absent: all.")


class PathMatch(ApiModel):
    """Which request paths."""

    type: Literal["Exact", "PathPrefix"] | None = Field(default=None, description="How to compare; absent: PathPrefix.")
    value: PathValue = Field(description="The path, such as /predict.")


class RouteMatch(ApiModel):
    """Requests that the managed route serves: path and headers must all match."""

    path: PathMatch | None = Field(default=None, description="Absent: every path.")
    headers: Annotated[list[HeaderMatch], Field(max_length=8), UniqueBy("name")] | None = Field(
        default=None, description="All must match."
    )


class ManagedRoute(ApiModel):
    """An HTTPRoute that the operator creates and owns; keep it out of Git."""

    parent_refs: list[ParentRef] = Field(min_length=1, max_length=8, description="Gateways that it attaches to.")
    hostnames: list[Hostname] | None = Field(default=None, max_length=16, description="Absent: those of the listeners.")
    matches: list[RouteMatch] | None = Field(
        default=None, max_length=8, description="A request is served when one of these matches; absent: every request."
    )


class AdoptRoute(ApiModel):
    """An HTTPRoute of this namespace that others own: only the two arms' weights in one rule are patched."""

    name: Subdomain = Field(description="Name of the HTTPRoute.")
    rule: Subdomain | None = Field(
        default=None, description="Name of the rule; absent: the only rule with both backends."
    )


class IngressNginx(ApiModel):
    """A canary Ingress that the operator creates beside an Ingress of this namespace, which it never writes."""

    ingress: Subdomain = Field(
        description="Name of the Ingress that sends to legacy; its class must be one of ingress-nginx."
    )


class Subsets(ApiModel):
    """Names of the two arms in a DestinationRule, which others own."""

    RULES = (
        Rule(
            "self.legacy != self.candidate",
            "candidate must differ from legacy",
            lambda s: s.legacy != s.candidate,
            path=".candidate",
        ),
    )

    legacy: Label = Field(description="Subset of legacy.")
    candidate: Label = Field(description="Subset of the candidate.")


class Istio(ApiModel):
    """A VirtualService of this namespace that others own: only the two arms' weights in one http route are patched."""

    virtual_service: Subdomain = Field(description="Name of the VirtualService.")
    route: RouteName | None = Field(
        default=None, description="Name of the http route; absent: the only one with both arms."
    )
    subsets: Subsets | None = Field(
        default=None, description="The arms are subsets of one host; absent: each is the host of its Service."
    )


class Traefik(ApiModel):
    """A TraefikService of this namespace that others own: only the two arms' weights are patched."""

    service: Subdomain = Field(description="Name of the TraefikService; it must have spec.weighted.")


MAX_PODS = 1000


class Replicas(ApiModel):
    """No router: a share of the pods behind one Service, by scaling the two Deployments."""

    service: Label = Field(description="Name of the Service whose selector takes the pods of both Deployments.")
    total: Annotated[int, Field(strict=True, ge=2, le=MAX_PODS, json_schema_extra={"format": "int32"})] = Field(
        description="Pods of both Deployments together; while a share changes there are more, by at most what starts."
    )


class Segment(ApiModel):
    """Requests with all of these headers go to the candidate from the first step on."""

    headers: Annotated[list[HeaderMatch], Field(min_length=1, max_length=8), UniqueBy("name")] = Field(
        description="All must match."
    )


class Sticky(ApiModel):
    """How a user stays with one version while the weight grows."""

    bucket_header: HeaderName = Field(
        description="Header in which callers send the user's bucket, 0000 to 9999, as modelrollout assign says it."
        " Those below the weight are the candidate's; requests without it are split by the weight."
    )


class Traffic(ApiModel):
    """How requests reach the two arms: exactly one router."""

    RULES = (
        Rule(
            "[has(self.managedRoute), has(self.adoptRoute), has(self.ingressNginx), has(self.istio), has(self.traefik),"
            " has(self.replicas)].filter(set, set).size() == 1",
            "exactly one router must be set: managedRoute, adoptRoute, ingressNginx, istio, traefik or replicas",
            lambda t: (
                [t.managed_route, t.adopt_route, t.ingress_nginx, t.istio, t.traefik, t.replicas].count(None) == 5
            ),
        ),
        Rule(
            "!has(self.replicas) || !has(self.segments) || self.segments.size() == 0",
            "replicas has no segments, because a Service does not look at requests: remove them, or use managedRoute",
            lambda t: t.replicas is None or not t.segments,
            path=".segments",
        ),
        Rule(
            "!has(self.segments) || self.segments.size() == 0 || has(self.managedRoute) || has(self.ingressNginx)"
            " || has(self.istio) || has(self.replicas)",
            "segments need managedRoute, ingressNginx or istio: an adopted HTTPRoute's or IngressRoute's matches belong"
            " to its owner",
            lambda t: not t.segments or any((t.managed_route, t.ingress_nginx, t.istio, t.replicas)),
            path=".segments",
        ),
        Rule(
            "!has(self.ingressNginx) || !has(self.segments) || self.segments.size() == 0 ||"
            " (self.segments.size() == 1 && self.segments[0].headers.size() == 1)",
            "ingressNginx takes one segment with one header, as a canary Ingress does: use managedRoute for more",
            lambda t: t.ingress_nginx is None or not t.segments or [len(s.headers) for s in t.segments] == [1],
            path=".segments",
        ),
        Rule(
            "!has(self.ingressNginx) || !has(self.segments) || self.segments.all(s, s.headers.all(h,"
            " h.name.matches('^[A-Za-z0-9-]+$') && h.value.matches('^[A-Za-z0-9._~/:-]+$')))",
            "ingress-nginx takes names of letters, digits and -, values of those and . _ ~ / :, and ignores any other"
            " header: use managedRoute for it",
            lambda t: (
                t.ingress_nginx is None
                or all(
                    NGINX_NAME.fullmatch(h.name) and NGINX_VALUE.fullmatch(h.value)
                    for s in t.segments or ()
                    for h in s.headers
                )
            ),
            path=".segments",
        ),
        Rule(
            "!has(self.sticky) || has(self.managedRoute)",
            "sticky needs managedRoute: an adopted route's matches belong to its owner, and ingress-nginx would split"
            " users above the weight once more; elsewhere callers choose the version themselves (modelrollout assign)",
            lambda t: t.sticky is None or t.managed_route is not None,
            path=".sticky",
        ),
    )

    managed_route: ManagedRoute | None = Field(default=None, description="The operator creates and owns an HTTPRoute.")
    adopt_route: AdoptRoute | None = Field(
        default=None, description="The operator patches two weights of somebody's HTTPRoute."
    )
    ingress_nginx: IngressNginx | None = Field(
        default=None, description="The operator creates a canary Ingress beside somebody's Ingress."
    )
    istio: Istio | None = Field(
        default=None, description="The operator patches two weights of somebody's VirtualService."
    )
    traefik: Traefik | None = Field(
        default=None, description="The operator patches two weights of somebody's TraefikService."
    )
    replicas: Replicas | None = Field(default=None, description="No router: shares are numbers of pods.")
    segments: list[Segment] | None = Field(
        default=None,
        max_length=8,
        description="Requests that always go to the candidate, once the first step has begun.",
    )
    sticky: Sticky | None = Field(
        default=None, description="Users keep their version while the weight grows; absent: each request is split anew."
    )
    settle: Duration | None = Field(
        default=None, description="The data plane follows a new weight within this time; absent: 5s."
    )
