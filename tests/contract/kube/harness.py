"""What a contract suite works with: the adapters on one API server, and somebody else with rights of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import NAMESPACES, Body, Resource
from modelrollout.core.model import (
    AdoptRoute,
    Arm,
    Key,
    ManagedRoute,
    ParentRef,
    ProfileRef,
    RolloutSpec,
    RouteMatch,
    Router,
    Segment,
    Sli,
    Step,
    Traffic,
    Weight,
)

LEGACY, CANDIDATE, PORT = "fraud-v7", "fraud-v8", 8080
MANAGED = ManagedRoute(
    (ParentRef("public", "infra", "http"),), ("fraud.example.com",), (RouteMatch("PathPrefix", "/predict"),)
)


@dataclass
class Kube:
    """`client` and `cache` are the operator's, `other` is a person with kubectl; all in one fresh namespace."""

    client: KubeClient
    other: KubeClient
    namespace: str
    cache: ObjectCache

    @property
    def reader(self) -> Reader:
        return Reader(self.client, self.cache)

    async def create(self, resource: Resource, name: str, body: Body) -> Body:
        """Create it as somebody else; `body` may have metadata of its own. A status is written afterwards."""
        metadata = {"name": name, **body.get("metadata", {})}
        status = body.get("status")
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body, "metadata": metadata}
        stored = await self.other.create(resource, self.namespace, full)
        return stored if status is None else await self.edit(resource, name, {"status": status}, subresource="status")

    async def edit(self, resource: Resource, name: str, patch: Body, *, subresource: str = "") -> Body:
        """Merge-patch it as somebody else."""
        return await self.other.merge_patch(resource, self.namespace, name, patch, subresource=subresource)

    async def change(self, resource: Resource, name: str, *operations: Body) -> Body:
        """JSON-patch it as somebody else."""
        return await self.other.json_patch(resource, self.namespace, name, operations)

    async def get(self, resource: Resource, name: str) -> Body:
        """As stored now."""
        return await self.other.get(resource, self.namespace, name)

    def spec(
        self,
        router: Router = MANAGED,
        *,
        name: str = "fraud",
        uid: str = "2c0c1f9e-0000-4000-8000-000000000001",
        weights: tuple[int, ...] = (100, 500, 10_000),
        segments: tuple[Segment, ...] = (),
        legacy: str = LEGACY,
        candidate: str = CANDIDATE,
        port: int = PORT,
    ) -> RolloutSpec:
        return RolloutSpec(
            key=Key(self.namespace, name),
            uid=uid,
            generation=1,
            legacy=Arm(legacy, legacy),
            candidate=Arm(candidate, candidate),
            port=port,
            traffic=Traffic(router, segments),
            steps=tuple(Step(Weight(weight), 60.0, 600.0) for weight in weights),
            slis=(Sli("availability", ProfileRef("modelrollout", "errors"), 0.001),),
        )

    def adopting(self, rule: str | None = None, **changes: Any) -> RolloutSpec:
        return self.spec(AdoptRoute("shop", rule), **changes)


@asynccontextmanager
async def connected(kubeconfig: Path, namespace: str) -> AsyncIterator[Kube]:
    """The harness over the server of this kubeconfig, in a new namespace of that name."""
    async with (
        await KubeClient.connect(kubeconfig) as client,
        await KubeClient.connect(kubeconfig, manager="somebody-else") as other,
    ):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        await other.create(NAMESPACES, "", body)
        yield Kube(client, other, namespace, ObjectCache())
