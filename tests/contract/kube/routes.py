"""HTTPRoutes of the suites, and what is read back from them."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.core.observation import Route, RouteSeen, RouteUnusable
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube


def backend(name: str, weight: int | None = None, *, port: int = PORT, **more: object) -> Body:
    return {"name": name, "port": port, **({} if weight is None else {"weight": weight}), **more}


def rule(*backends: Body, path: str = "/", **more: object) -> Body:
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": list(backends), **more}


def pair(legacy: int | None = 100, candidate: int | None = 0, *, path: str = "/", **more: object) -> Body:
    return rule(backend(LEGACY, legacy), backend(CANDIDATE, candidate), path=path, **more)


async def shop(kube: Kube, *rules: Body) -> Body:
    """A route "shop" that somebody else owns."""
    spec = {"parentRefs": [{"name": "public", "namespace": "infra"}], "rules": list(rules)}
    return await kube.create(HTTPROUTES, "shop", {"spec": spec})


def weights(route: Body) -> list[list[tuple[str, int]]]:
    """Service and weight of every backend, rule by rule."""
    return [[(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] for rule in route["spec"]["rules"]]


def without_weights(route: Body) -> object:
    """Everything in the spec but the weights."""
    rules = [
        {**rule, "backendRefs": [{k: v for k, v in ref.items() if k != "weight"} for ref in rule["backendRefs"]]}
        for rule in route["spec"]["rules"]
    ]
    return {**route["spec"], "rules": rules}


def seen(route: Route) -> RouteSeen:
    assert isinstance(route, RouteSeen), route
    return route


def problem(route: Route) -> str:
    assert isinstance(route, RouteUnusable), route
    return route.problem


def answered(
    parents: Sequence[Body], generation: int, *, accepted: bool = True, controller: str = "example.com/gateway"
) -> Body:
    """The `status` of a gateway that has looked at this generation."""
    conditions = [
        {
            "type": kind,
            "status": "True" if accepted or kind == "ResolvedRefs" else "False",
            "reason": "Accepted" if accepted else "NoMatchingListenerHostname",
            "message": "said by the gateway",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {"parents": [{"parentRef": p, "controllerName": controller, "conditions": conditions} for p in parents]}
