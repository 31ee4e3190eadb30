"""The objects of one rollout as people and controllers write them: manifests, and what to do to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from e2e.chaos.apiserver.server import ApiServer, Request
from e2e.chaos.traffic import METRIC, PODS
from modelrollout.adapters.kube.resources import (
    ACTIONS,
    DEPLOYMENTS,
    HTTPROUTES,
    NAMESPACES,
    SERVICES,
    SLICES,
    SOURCES,
    Body,
    Resource,
)

NAMESPACE = "serving"
NAME = "fraud"
ROUTE = "fraud-modelrollout"
LEGACY, CANDIDATE = "fraud-v7", "fraud-v8"
PORT = 8080
TICK = 5.0
OPERATORS = ("operator", "standby")
"""What the names of the operator's processes begin with."""
MERGE, JSON = "application/merge-patch+json", "application/json"


class Unexpected(Exception):
    """The API server refused what a person or a controller of the scene wrote."""


@dataclass(frozen=True, slots=True)
class People:
    """Everybody but the operator, on an API server that never fails them."""

    server: ApiServer
    agent: str = "kubectl"

    def ask(self, method: str, resource: Resource, name: str = "", *, body: Any = None, part: str = "") -> Body:
        """One request. Raises Unexpected when it is refused."""
        namespace = NAMESPACE if resource.namespaced else ""
        content = MERGE if method == "PATCH" else JSON
        path = resource.path(namespace, name, part)
        answer = self.server.handle(Request(method, path, {}, content, body, self.agent))
        if answer.code >= 300:
            raise Unexpected(f"{method} {path}: {answer.code} {answer.body}")
        found: Body = answer.body
        return found

    def create(self, resource: Resource, name: str, body: Body) -> Body:
        """Create an object; its status is written afterwards."""
        metadata = {"name": name, **body.get("metadata", {})}
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
        status = full.pop("status", None)
        made = self.ask("POST", resource, body=full)
        return made if status is None else self.patch(resource, name, {"status": status}, part="status")

    def get(self, resource: Resource, name: str) -> Body | None:
        """An object, or None."""
        place = (NAMESPACE if resource.namespaced else "", name)
        return self.server.store.look(resource, place)

    def patch(self, resource: Resource, name: str, patch: Body, *, part: str = "") -> Body:
        """Merge-patch an object or its status."""
        return self.ask("PATCH", resource, name, body=patch, part=part)

    def delete(self, resource: Resource, name: str) -> None:
        """Delete an object, if it is there."""
        if self.get(resource, name) is not None:
            self.ask("DELETE", resource, name, body={})

    def act(self, verb: str, serial: int) -> str:
        """Create a RolloutAction; its name."""
        name = f"{NAME}-{verb.lower()}-{serial}"
        self.create(ACTIONS, name, {"spec": {"rollout": NAME, "action": verb, "reason": "fault suite"}})
        return name

    def scale(self, deployment: str, template: str, *, endpoints: int = PODS) -> None:
        """Give a Deployment a template and ready endpoints, as its controllers would have it in the end."""
        known = self.get(DEPLOYMENTS, deployment)
        spec = {"spec": {"template": _template(deployment, template)}}
        stored = self.create(DEPLOYMENTS, deployment, workload(deployment, template)) if known is None else {}
        stored = stored or self.patch(DEPLOYMENTS, deployment, spec)
        ready = {name: endpoints for name in ("readyReplicas", "availableReplicas")}
        whole = {"observedGeneration": stored["metadata"]["generation"], "replicas": PODS, "updatedReplicas": PODS}
        self.patch(DEPLOYMENTS, deployment, {"status": whole | ready}, part="status")
        self.serve(deployment, endpoints)

    def serve(self, deployment: str, endpoints: int) -> None:
        """So many of the Deployment's pods are ready behind its Service."""
        body = slice_of(deployment, endpoints)
        if self.get(SLICES, f"{deployment}-1") is None:
            self.create(SLICES, f"{deployment}-1", body)
        else:
            self.patch(SLICES, f"{deployment}-1", {"endpoints": body["endpoints"]})

    def accept_route(self, name: str) -> None:
        """The gateway's controller says that an HTTPRoute is accepted as it stands."""
        route = self.get(HTTPROUTES, name)
        if route is not None and _heard(route) != route["metadata"]["generation"]:
            parents = [_parent(ref, route) for ref in route["spec"].get("parentRefs") or ()]
            self.patch(HTTPROUTES, name, {"status": {"parents": parents}}, part="status")


def furnish_ground(people: People) -> None:
    """What any rollout needs: its namespace and a source of metrics."""
    people.create(NAMESPACES, NAMESPACE, {})
    people.create(SOURCES, "default", {"spec": {"prometheus": {"address": "http://127.0.0.1:9090"}, **SOURCE}})


def furnish_arms(people: People) -> None:
    """Two Deployments, each with a Service and ready endpoints of its own."""
    for deployment in (LEGACY, CANDIDATE):
        ports = {"selector": {"app": deployment}, "ports": [{"name": "http", "port": PORT}]}
        people.create(SERVICES, deployment, {"spec": ports})
        people.scale(deployment, "one")


SOURCE: Body = {"arms": {"by": "pod"}, "scrapeInterval": "5s"}


def rollout(**changes: Any) -> Body:
    """A ModelRollout of three steps, whose margins are wide enough for a pass within some ticks."""
    spec: Body = {
        "legacy": {"deployment": LEGACY},
        "candidate": {"deployment": CANDIDATE},
        "port": PORT,
        "traffic": {"managedRoute": {"parentRefs": [{"name": "public"}], "hostnames": ["fraud.example.com"]}},
        "steps": [{"weight": 10}, {"weight": 50}, {"weight": 100}],
        "stepDefaults": {"minDuration": "15s", "maxDuration": "30m"},
        "slis": [
            {
                "name": "availability",
                "counts": {"total": {"metric": METRIC}, "bad": {"metric": METRIC, "match": {"code": "500"}}},
                "objective": "99",
                "margin": {"ratio": "2.0", "difference": "0.05"},
            }
        ],
        "analysis": {"interval": f"{TICK:g}s", "warmup": "5s"},
    }
    return {"spec": spec | changes}


def workload(name: str, template: str) -> Body:
    """A Deployment."""
    spec = {"replicas": PODS, "selector": {"matchLabels": {"app": name}}, "template": _template(name, template)}
    return {"spec": spec}


def _template(name: str, template: str) -> Body:
    container = {"name": "model", "image": f"example/model:{template}"}
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}


def slice_of(deployment: str, endpoints: int) -> Body:
    """An EndpointSlice of a Service."""
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": deployment}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [f"10.0.{len(deployment)}.{n + 1}"], "conditions": {"ready": n < endpoints}}
            for n in range(PODS)
        ],
    }


def pair_of(route: Body) -> tuple[int, int] | None:
    """Weights of legacy and candidate, by the first rule that has both arms; None without such a rule."""
    for rule in route.get("spec", {}).get("rules") or ():
        weights = {ref["name"]: int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or ()}
        if {LEGACY, CANDIDATE} <= set(weights):
            return weights[LEGACY], weights[CANDIDATE]
    return None


def weight_of(route: Body | None) -> float | None:
    """The candidate's share in an HTTPRoute in percent, by the first rule that has both arms; None without a route."""
    pair = None if route is None else pair_of(route)
    return None if pair is None else percent_of(*pair)


def percent_of(legacy: int, candidate: int) -> float | None:
    """The candidate's share by two weights; None when there is nothing to share."""
    return 100.0 * candidate / (legacy + candidate) if legacy + candidate else None


def _heard(route: Body) -> int | None:
    parents = (route.get("status") or {}).get("parents") or ()
    return next((p["conditions"][0]["observedGeneration"] for p in parents), None)


def _parent(ref: Body, route: Body) -> Body:
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": kind,
            "message": "",
            "observedGeneration": route["metadata"]["generation"],
            "lastTransitionTime": "2027-01-15T08:00:00Z",
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {"parentRef": ref, "controllerName": "example.com/gateway", "conditions": conditions}
