"""TraefikServices of the suites, and what is read back from them."""

from __future__ import annotations

from modelrollout.adapters.kube.resources import TRAEFIK_SERVICES, Body
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube

NAME = "fraud"


def part(name: str, weight: int | None = None, *, port: int | str | None = PORT, **more: object) -> Body:
    """One weighted entry."""
    found: Body = {"name": name, **more} | ({} if port is None else {"port": port})
    return found | ({} if weight is None else {"weight": weight})


def pair(legacy: int | None = 100, candidate: int | None = 0, **more: object) -> tuple[Body, Body]:
    return part(LEGACY, legacy, **more), part(CANDIDATE, candidate, **more)  # type: ignore[arg-type]  # of `more`


async def traefik_service(kube: Kube, *parts: Body, **more: object) -> Body:
    """One that somebody else owns."""
    return await kube.create(TRAEFIK_SERVICES, NAME, {"spec": {"weighted": {"services": list(parts), **more}}})


def weights(body: Body) -> list[tuple[str, int]]:
    """Name and weight of every entry."""
    return [(found["name"], found.get("weight", 1)) for found in body["spec"]["weighted"]["services"]]


def without_weights(body: Body) -> object:
    """Everything in the spec but the weights."""
    weighted = body["spec"]["weighted"]
    services = [{k: v for k, v in found.items() if k != "weight"} for found in weighted["services"]]
    return {**body["spec"], "weighted": {**weighted, "services": services}}
