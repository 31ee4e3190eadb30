"""What is stored: resources, bodies and versions. A stored body is never changed, only replaced."""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from typing import Any, Literal

from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    EVENTS,
    HTTPROUTES,
    INGRESS_CLASSES,
    INGRESSES,
    LEASES,
    NAMESPACES,
    PROFILES,
    ROLLOUTS,
    SCALERS,
    SERVICES,
    SLICES,
    SOURCES,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Body,
    Resource,
)

Place = tuple[str, str]
"""Namespace (empty for cluster-scoped resources) and name."""

SECRETS = Resource("", "v1", "secrets", "Secret")
RESOURCES = (
    ROLLOUTS,
    ACTIONS,
    SOURCES,
    PROFILES,
    DEPLOYMENTS,
    SERVICES,
    SLICES,
    HTTPROUTES,
    INGRESSES,
    INGRESS_CLASSES,
    VIRTUAL_SERVICES,
    TRAEFIK_SERVICES,
    SCALERS,
    LEASES,
    EVENTS,
    NAMESPACES,
    SECRETS,
)
CUSTOM = frozenset({ROLLOUTS, ACTIONS, SOURCES, PROFILES, HTTPROUTES, VIRTUAL_SERVICES, TRAEFIK_SERVICES})
"""Those defined by a CRD: the server treats their status, generation and lists a little differently."""
WITH_STATUS = frozenset(
    {ROLLOUTS, ACTIONS, PROFILES, DEPLOYMENTS, HTTPROUTES, SERVICES, INGRESSES, VIRTUAL_SERVICES, SCALERS}
)
WITH_GENERATION = CUSTOM | {DEPLOYMENTS, SLICES, INGRESSES, INGRESS_CLASSES}
CONDITIONAL = CUSTOM | {LEASES}
"""Updates must say which version they are of."""
MADE_BY_UPDATE = frozenset({LEASES, SERVICES, EVENTS})
"""An update of what is not there makes it."""


@dataclass(frozen=True, slots=True)
class Version:
    """One write. `body` is None for a deletion; `before` is what was stored until then, None for a creation.

    `number`: its resourceVersion. `agent`: who wrote it. `at`: when, epoch seconds. `raw`: the object that a watch
    shows, for a deletion the last state at the deletion's resourceVersion.
    """

    number: int
    resource: Resource
    place: Place
    body: Body | None
    before: Body | None
    agent: str
    at: float
    raw: bytes

    @property
    def event(self) -> Literal["ADDED", "MODIFIED", "DELETED"]:
        """What a watch of everything calls it."""
        if self.body is None:
            return "DELETED"
        return "ADDED" if self.before is None else "MODIFIED"

    def copy(self) -> Body:
        """The object of `raw`, for the caller to keep."""
        body: Body = marshal.loads(self.raw)
        return body


def packed(body: Any) -> bytes:
    """A JSON value as bytes that `unpacked` reads; a tenth of what `copy.deepcopy` costs together."""
    return marshal.dumps(body)


def copied(body: Any) -> Any:
    """A JSON value that shares nothing with the given one. Raises ValueError for what is no JSON."""
    return marshal.loads(marshal.dumps(body))
