"""VirtualServices of the suites, and what is read back from them."""

from __future__ import annotations

from modelrollout.adapters.kube.resources import VIRTUAL_SERVICES, Body
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube

NAME = "fraud"


def to(host: str, weight: int | None = None, *, port: int | None = PORT, subset: str | None = None) -> Body:
    """One destination."""
    target: Body = {"host": host}
    target |= {} if port is None else {"port": {"number": port}}
    target |= {} if subset is None else {"subset": subset}
    return {"destination": target} | ({} if weight is None else {"weight": weight})


def route(*destinations: Body, **more: object) -> Body:
    return {"route": list(destinations), **more}


def pair(legacy: int | None = 100, candidate: int | None = 0, **more: object) -> Body:
    return route(to(LEGACY, legacy), to(CANDIDATE, candidate), **more)


def subsets(host: str = "fraud", first: str = "v7", second: str = "v8", **more: object) -> Body:
    return route(to(host, 100, subset=first, port=80), to(host, 0, subset=second, port=80), **more)


async def virtual_service(kube: Kube, *routes: Body, host: str = "fraud.example.com") -> Body:
    """One that somebody else owns."""
    spec = {"hosts": [host], "gateways": ["infra/public"], "http": list(routes)}
    return await kube.create(VIRTUAL_SERVICES, NAME, {"spec": spec})


def weights(body: Body) -> list[list[tuple[str, int]]]:
    """Host or subset and weight of every destination, route by route."""
    return [
        [
            (entry["destination"].get("subset", entry["destination"]["host"]), entry.get("weight", 0))
            for entry in found.get("route", ())
        ]
        for found in body["spec"]["http"]
    ]


def without_weights(body: Body) -> object:
    """Everything in the spec but the weights."""
    routes = [
        found | {"route": [{k: v for k, v in entry.items() if k != "weight"} for entry in found.get("route", ())]}
        for found in body["spec"]["http"]
    ]
    return {**body["spec"], "http": routes}
