"""`Workloads` port: the Deployments of the two arms, their Services and ready endpoints."""

from __future__ import annotations

from modelrollout.adapters.kube.endpoints import ready_endpoints, slices_of
from modelrollout.adapters.kube.projection import DEPLOYMENT, SERVICE, ServiceView
from modelrollout.adapters.kube.reader import Reader
from modelrollout.core.model import Arm, Replicas, RolloutSpec
from modelrollout.core.observation import Workload, WorkloadAbsent, WorkloadSeen


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
        slices = await slices_of(self._reader, namespace, arm.service, fresh=fresh)
        # Behind one Service the arms are told apart by their pods.
        only = arm.deployment if isinstance(spec.traffic.router, Replicas) else ""
        return WorkloadSeen(
            template_hash=deployment.template_hash,
            wanted=deployment.wanted,
            endpoints=ready_endpoints(slices, name, deployment=only),
            settled=deployment.settled,
        )


def _no_port(role: str, name: str, service: ServiceView, port: int) -> str:
    ports = ", ".join(str(known.port) for known in service.ports)
    has = f"its ports are {ports}: set spec.port to one of them" if ports else "it has no ports: give it one"
    return f'{role}.service "{name}" has no port {port}; {has}'
