"""What the operator needs to know of a TraefikService, in little memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from modelrollout.adapters.kube.ownership import Owned, known
from modelrollout.adapters.kube.resources import Body

DEFAULT_WEIGHT = 1
"""What Traefik gives an entry without one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One weighted entry. `service` None: no Service of this namespace. `port` None: given by name, or not at all."""

    service: str | None
    port: int | None
    weight: int


@dataclass(frozen=True, slots=True)
class TraefikServiceView(Owned):
    """A TraefikService as stored. `parts` None: it does not split by weights. `sticky`: a cookie binds users to one."""

    parts: tuple[Part, ...] | None
    sticky: bool

    def find(self, service: str) -> tuple[int, ...]:
        """Positions of that Service among the entries."""
        return tuple(place for place, part in enumerate(self.parts or ()) if part.service == service)


def traefik_service_view(body: Body) -> TraefikServiceView:
    """The view of a TraefikService body."""
    about = known(body.get("metadata") or {})
    namespace = about["namespace"]
    weighted = (body.get("spec") or {}).get("weighted")
    return TraefikServiceView(
        **about,
        parts=None if weighted is None else tuple(_part(part, namespace) for part in weighted.get("services") or ()),
        sticky=bool(((weighted or {}).get("sticky") or {}).get("cookie") is not None),
    )


def _part(part: Mapping[str, Any], namespace: str) -> Part:
    local = (part.get("kind") or "Service") == "Service" and (part.get("namespace") or namespace) == namespace
    port = part.get("port")
    weight = part.get("weight")
    return Part(
        service=intern(str(part.get("name", ""))) if local else None,
        port=port if isinstance(port, int) else None,
        # Older CRDs have no minimum.
        weight=DEFAULT_WEIGHT if weight is None else max(int(weight), 0),
    )
