"""What the contract of all routers must know of one kind of router: the one class by which a router joins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.resources import (
    DEPLOYMENTS,
    HTTPROUTES,
    INGRESSES,
    TRAEFIK_SERVICES,
    VIRTUAL_SERVICES,
    Body,
    Resource,
)
from modelrollout.adapters.kube.routing import KubeRouting
from modelrollout.core.model import IngressNginx, Istio, Replicas, RolloutSpec, Traefik, Weight
from modelrollout.core.observation import RouteSeen
from tests.contract.kube import ingresses, pods, traefik_services, virtual_services
from tests.contract.kube.harness import CANDIDATE, LEGACY, Kube
from tests.contract.kube.routes import backend, pair, rule, seen, shop, weights, without_weights


class Stage(ABC):
    """One rollout with this kind of router, and a person beside it.

    `resource`, `name`: the object that carries the weights. `made`: the operator makes it and owns it.
    """

    resource: Resource
    name: str
    made: bool

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.routing = KubeRouting(kube.reader)

    @abstractmethod
    async def users(self) -> None:
        """Make what users must have before the rollout begins."""

    @abstractmethod
    def spec(self, **changes: Any) -> RolloutSpec:
        """The rollout; `changes` as `Kube.spec` takes them."""

    @abstractmethod
    def weights(self, body: Body) -> tuple[int, int]:
        """What the stored object gives legacy and candidate."""

    @abstractmethod
    def without_weights(self, body: Body) -> object:
        """Everything in it that a change of weight must leave alone."""

    @abstractmethod
    async def by_hand(self, legacy: int, candidate: int) -> None:
        """Give the arms these weights as somebody else."""

    @abstractmethod
    async def foreign_rule(self) -> None:
        """Add traffic of another kind to the object as somebody else."""

    async def begin(self, weight: int, **changes: Any) -> RouteSeen:
        """The route as the operator makes or finds it, with the candidate at this weight."""
        spec = self.spec(**changes)
        if self.made:
            return seen(await self.routing.shape(spec, Weight(weight)))
        found = await self.routing.observe(spec, fresh=True)
        return seen(await self.routing.set_weight(spec, found, Weight(weight), segments=False))

    async def stored(self) -> Body:
        """The object that carries the weights, as stored now."""
        return await self.kube.get(self.resource, self.name)

    async def mine(self) -> list[Body]:
        """Every other object of that kind: those of the users."""
        listing = await self.kube.other.list_all(self.resource, self.kube.namespace)
        return [body for body in listing.items if body["metadata"]["name"] != self.name]

    async def annotate(self) -> None:
        """Add an annotation as somebody else."""
        await self.kube.edit(self.resource, self.name, {"metadata": {"annotations": {"note": "x"}}})


class ManagedStage(Stage):
    """`managedRoute`."""

    resource, name, made = HTTPROUTES, route_name("fraud"), True

    async def users(self) -> None:
        """Nothing."""

    def spec(self, **changes: Any) -> RolloutSpec:
        return self.kube.spec(**changes)

    def weights(self, body: Body) -> tuple[int, int]:
        return of_pair(body)

    def without_weights(self, body: Body) -> object:
        return without_weights(body), body["metadata"].get("labels"), body["metadata"].get("annotations")

    async def by_hand(self, legacy: int, candidate: int) -> None:
        await http_weights(self, 0, legacy, candidate)

    async def foreign_rule(self) -> None:
        extra = rule(backend("debug", 1), path="/debug")
        await self.kube.change(self.resource, self.name, {"op": "add", "path": "/spec/rules/-", "value": extra})


class AdoptedStage(ManagedStage):
    """`adoptRoute`: a route of somebody else with a rule of its own in front."""

    name, made = "shop", False

    async def users(self) -> None:
        await shop(self.kube, rule(backend("web", 3), path="/shop"), pair(100, 0, path="/predict"))

    def spec(self, **changes: Any) -> RolloutSpec:
        return self.kube.adopting(**changes)

    async def by_hand(self, legacy: int, candidate: int) -> None:
        await http_weights(self, 1, legacy, candidate)


class IngressStage(Stage):
    """`ingressNginx`: the users' Ingress sends one path to legacy, another one elsewhere."""

    resource, name, made = INGRESSES, ingresses.CANARY, True

    async def users(self) -> None:
        await ingresses.ingress_class(self.kube)
        await ingresses.legacy_service(self.kube)
        await ingresses.main(self.kube)

    def spec(self, **changes: Any) -> RolloutSpec:
        return self.kube.spec(IngressNginx("fraud"), **changes)

    def weights(self, body: Body) -> tuple[int, int]:
        found = ingresses.settings(body)
        weight, total = int(found["canary-weight"]), int(found["canary-weight-total"])
        return total - weight, weight

    def without_weights(self, body: Body) -> object:
        moved = ("canary-weight", "canary-weight-total")
        annotations = {k: v for k, v in body["metadata"]["annotations"].items() if not k.endswith(moved)}
        return body["spec"], body["metadata"]["labels"], annotations

    async def by_hand(self, legacy: int, candidate: int) -> None:
        named = {"canary-weight": candidate, "canary-weight-total": legacy + candidate}
        await self.set(**{name.replace("-", "_"): str(value) for name, value in named.items()})

    async def set(self, **annotations: str | None) -> None:
        """Change annotations of ours as somebody else."""
        named = {f"{ingresses.NGINX}/{name.replace('_', '-')}": value for name, value in annotations.items()}
        await self.kube.edit(self.resource, self.name, {"metadata": {"annotations": named}})

    async def foreign_rule(self) -> None:
        extra = {"host": "debug.example.com", "http": {"paths": [ingresses.path("debug", "/")]}}
        await self.kube.change(self.resource, self.name, {"op": "add", "path": "/spec/rules/-", "value": extra})


class IstioStage(Stage):
    """`istio`: a VirtualService of somebody else with an http route of its own in front."""

    resource, name, made = VIRTUAL_SERVICES, virtual_services.NAME, False

    async def users(self) -> None:
        web = virtual_services.route(virtual_services.to("web", 0), name="web")
        await virtual_services.virtual_service(self.kube, web, virtual_services.pair(100, 0))

    def spec(self, **changes: Any) -> RolloutSpec:
        return self.kube.spec(Istio(self.name), **changes)

    def weights(self, body: Body) -> tuple[int, int]:
        legacy, candidate = virtual_services.weights(body)[1]
        return legacy[1], candidate[1]

    def without_weights(self, body: Body) -> object:
        found = virtual_services.without_weights(body)
        return found, body["metadata"].get("labels"), body["metadata"].get("annotations")

    async def by_hand(self, legacy: int, candidate: int) -> None:
        changes = [
            {"op": "add", "path": f"/spec/http/1/route/{place}/weight", "value": weight}
            for place, weight in enumerate((legacy, candidate))
        ]
        await self.kube.change(self.resource, self.name, *changes)

    async def foreign_rule(self) -> None:
        extra = virtual_services.route(virtual_services.to("debug", 0), name="debug", timeout="3s")
        await self.kube.change(self.resource, self.name, {"op": "add", "path": "/spec/http/-", "value": extra})


class TraefikStage(Stage):
    """`traefik`: a TraefikService of somebody else."""

    resource, name, made = TRAEFIK_SERVICES, traefik_services.NAME, False

    async def users(self) -> None:
        await traefik_services.traefik_service(self.kube, *traefik_services.pair(100, 0))

    def spec(self, **changes: Any) -> RolloutSpec:
        return self.kube.spec(Traefik(self.name), **changes)

    def weights(self, body: Body) -> tuple[int, int]:
        (_, legacy), (_, candidate) = traefik_services.weights(body)
        return legacy, candidate

    def without_weights(self, body: Body) -> object:
        found = traefik_services.without_weights(body)
        return found, body["metadata"].get("labels"), body["metadata"].get("annotations")

    async def by_hand(self, legacy: int, candidate: int) -> None:
        changes = [
            {"op": "add", "path": f"/spec/weighted/services/{place}/weight", "value": weight}
            for place, weight in enumerate((legacy, candidate))
        ]
        await self.kube.change(self.resource, self.name, *changes)

    async def foreign_rule(self) -> None:
        extra = {"name": "errors", "port": 80}
        change = {"op": "add", "path": "/spec/weighted/services/0/strategy", "value": "p2c"}
        failover = {"service": extra, "fallback": extra, "errors": {"status": ["500"]}}
        await self.kube.change(
            self.resource, self.name, change, {"op": "add", "path": "/spec/failover", "value": failover}
        )


class ReplicasStage(Stage):
    """`replicas`: a hundred pods, of which one is one percent; they are ready as soon as they are wanted."""

    resource, name, made = DEPLOYMENTS, CANDIDATE, False

    def __init__(self, kube: Kube) -> None:
        super().__init__(kube)
        self.routing = pods.Followed(kube.reader, kube)

    async def users(self) -> None:
        await pods.users(self.kube)

    def spec(self, **changes: Any) -> RolloutSpec:
        made = self.kube.spec(Replicas(pods.SERVICE, 100), **changes)
        legacy = replace(made.legacy, service=pods.SERVICE)
        return replace(made, legacy=legacy, candidate=replace(made.candidate, service=pods.SERVICE))

    def weights(self, body: Body) -> tuple[int, int]:
        count = body["spec"]["replicas"]
        return 100 - count, count

    def without_weights(self, body: Body) -> object:
        spec = {key: value for key, value in body["spec"].items() if key != "replicas"}
        return spec, body["metadata"].get("labels"), (body["metadata"].get("annotations") or {}).get("note")

    async def mine(self) -> list[Body]:
        """Nothing but the two Deployments; of legacy's only the count is ours."""
        return []

    async def by_hand(self, legacy: int, candidate: int) -> None:
        for name, count in ((LEGACY, legacy), (CANDIDATE, candidate)):
            await self.kube.edit(self.resource, name, {"spec": {"replicas": count}})

    async def foreign_rule(self) -> None:
        await self.annotate()

    async def annotate(self) -> None:
        """A change of the pods, as somebody else: one of the metadata alone concerns nobody."""
        note = {"spec": {"template": {"metadata": {"annotations": {"note": "x"}}}}}
        await self.kube.edit(self.resource, self.name, note)


def of_pair(route: Body) -> tuple[int, int]:
    """The weights in the only rule with both arms."""
    [(legacy, candidate)] = [
        (dict(found)[LEGACY], dict(found)[CANDIDATE])
        for found in weights(route)
        if {name for name, _ in found} >= {LEGACY, CANDIDATE}
    ]
    return legacy, candidate


async def http_weights(stage: Stage, at: int, legacy: int, candidate: int) -> None:
    path = f"/spec/rules/{at}/backendRefs"
    await stage.kube.change(
        stage.resource,
        stage.name,
        {"op": "replace", "path": f"{path}/0/weight", "value": legacy},
        {"op": "replace", "path": f"{path}/1/weight", "value": candidate},
    )
