"""`Workloads` port: the Deployments of the two arms, their Services and ready endpoints."""

from __future__ import annotations

from modelrollout.adapters.kube.projection import (
    DEPLOYMENT,
    SERVICE,
    SERVICE_NAME,
    SLICE,
    ServiceView,
    SliceView,
    slice_view,
)
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import SLICES
from modelrollout.core.model import Arm, RolloutSpec
from modelrollout.core.observation import Workload, WorkloadAbsent, WorkloadSeen
from modelrollout.errors import StaleRead


class KubeWorkloads:
    """See `ports.Workloads`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        """Legacy and candidate; from the cache, or as stored now when `fresh`."""
        legacy = await self._observe(spec, "legacy", spec.legacy, fresh=fresh)
        return legacy, await self._observe(spec, "candidate", spec.candidate, fresh=fresh)

    async def _observe(self, spec: RolloutSpec, role: str, arm: Arm, *, fresh: bool) -> Workload:
        namespace = spec.key.namespace
        deployment = await self._reader.read(DEPLOYMENT, namespace, arm.deployment, fresh=fresh)
        if deployment is None:
            return WorkloadAbsent(
                f'{role}.deployment "{arm.deployment}" not found in namespace {namespace}: create it, or correct'
                f" spec.{role}.deployment"
            )
        service = await self._reader.read(SERVICE, namespace, arm.service, fresh=fresh)
        if service is None:
            return WorkloadAbsent(
                f'{role}.service "{arm.service}" not found in namespace {namespace}: create it, or correct'
                f" spec.{role}.service"
            )
        name = next((port.name for port in service.ports if port.port == spec.port), None)
        if name is None:
            return WorkloadAbsent(_no_port(role, arm.service, service, spec.port))
        slices = await self._slices(namespace, arm.service, fresh=fresh)
        return WorkloadSeen(
            template_hash=deployment.template_hash,
            wanted=deployment.wanted,
            endpoints=ready_endpoints(slices, name),
            settled=deployment.settled,
        )

    async def _slices(self, namespace: str, service: str, *, fresh: bool) -> list[SliceView]:
        cache = self._reader.cache
        if not fresh and cache.live(SLICES.kind):
            try:
                found = [cache.find(SLICE, namespace, name) for name in cache.slices(namespace, service)]
                return [view for view in found if view is not None]
            except StaleRead:
                pass
        listing = await self._reader.client.list_all(SLICES, namespace, selector=f"{SERVICE_NAME}={service}")
        return [slice_view(body) for body in listing.items]


def ready_endpoints(slices: list[SliceView], port: str) -> int:
    """Different ready endpoints that serve the port of this name; a pod with two address families counts once."""
    families: dict[str, set[str]] = {}
    for view in slices:
        if port in view.ports:
            families.setdefault(view.family, set()).update(view.ready)
    return max((len(endpoints) for endpoints in families.values()), default=0)


def _no_port(role: str, name: str, service: ServiceView, port: int) -> str:
    ports = ", ".join(str(known.port) for known in service.ports)
    has = f"its ports are {ports}: set spec.port to one of them" if ports else "it has no ports: give it one"
    return f'{role}.service "{name}" has no port {port}; {has}'
