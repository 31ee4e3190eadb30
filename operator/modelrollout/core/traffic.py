"""Which router carries the weights of a rollout, and which requests always go to the candidate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """Exact match of one request header."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Requests that carry all these headers go to the candidate from the first step on."""

    headers: tuple[HeaderMatch, ...]


@dataclass(frozen=True, slots=True)
class ParentRef:
    """The Gateway (or one listener of it) that a managed route attaches to."""

    name: str
    namespace: str | None = None
    section_name: str | None = None


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """Path and headers that a managed route serves; an absent path means every path."""

    path_type: str | None = None
    path_value: str | None = None
    headers: tuple[HeaderMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class ManagedRoute:
    """An HTTPRoute that the operator creates and owns."""

    parent_refs: tuple[ParentRef, ...]
    hostnames: tuple[str, ...] = ()
    matches: tuple[RouteMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class AdoptRoute:
    """Two weights in one rule of an HTTPRoute that others own."""

    name: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class IngressNginx:
    """A canary Ingress that the operator creates and owns beside `ingress`, which others own."""

    ingress: str


@dataclass(frozen=True, slots=True)
class Subsets:
    """What the owner of a DestinationRule calls the two arms."""

    legacy: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Istio:
    """Two weights in one http route of a VirtualService that others own.

    `subsets` None: the arms are told apart by the hosts of their Services.
    """

    virtual_service: str
    route: str | None = None
    subsets: Subsets | None = None


@dataclass(frozen=True, slots=True)
class Traefik:
    """Two weights in a TraefikService that others own."""

    service: str


@dataclass(frozen=True, slots=True)
class Replicas:
    """No router: a share of the pods behind `service`, which takes those of both Deployments, `total` together.

    `asked`: what the steps say, hundredths of a percent; the steps themselves have the shares that pods can make.
    """

    service: str
    total: int
    asked: tuple[int, ...] = ()


Router = ManagedRoute | AdoptRoute | IngressNginx | Istio | Traefik | Replicas
Adopting = AdoptRoute | Istio | Traefik
"""Those that never make or shape an object."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """How requests reach the arms. `settle`: the data plane follows a weight within this time.

    `bucket_header`: callers name the user's bucket (`core.assignment`) in it, and those below the weight are the
    candidate's; requests without it are split by the weight.
    """

    router: Router
    segments: tuple[Segment, ...] = ()
    settle: float = 5.0
    bucket_header: str | None = None
