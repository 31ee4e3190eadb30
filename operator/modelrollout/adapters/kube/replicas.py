"""Router `replicas`: no router at all, but a share of the pods behind one Service.

Two Deployments are scaled by their `scale` subresource and nothing else of them is written. A weight takes several
writes with pods to wait for between them (`core.pods` has the order); each call writes what may be written now, and
what is left shows in `RouteSeen.pods`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from modelrollout.adapters.kube.endpoints import ready_endpoints, slices_of
from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.projection import (
    DEPLOYMENT,
    SCALER,
    SERVICE,
    DeploymentView,
    ScalerView,
    ServiceView,
    scaler_view,
)
from modelrollout.adapters.kube.promptly import Promptly
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SCALERS
from modelrollout.core.model import Arm, Replicas, RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteSeen, RouteUnusable
from modelrollout.core.pods import Pods, towards, weight_of
from modelrollout.errors import ApiUnavailable, Bug, Conflict, Denied, Gone, StaleRead

FIELD = "spec.traffic.replicas"
MAX_DETAIL = 300
TRIES = 3
"""Writes of a count: a Deployment's version moves with every pod that becomes ready, which is no change of its spec."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The two Deployments, their pods and what is about them."""

    legacy: DeploymentView
    candidate: DeploymentView
    service: ServiceView
    pods: Pods
    scalers: tuple[ScalerView, ...]

    @property
    def identity(self) -> str:
        """What moves when somebody changes one of the two Deployments, and not when their pods come and go."""
        return "/".join(f"{uid}:{generation}" for uid, generation in (self.legacy.identity, self.candidate.identity))


class ReplicasRouter:
    """See `routing.Router`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The share that the two Deployments want. RouteUnusable while one of them or the Service is missing."""
        sight = await self._look(spec, fresh=fresh)
        return sight if isinstance(sight, RouteUnusable) else _seen(spec, sight)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """There is nothing to make."""
        raise Bug("the Deployments belong to somebody else", subject=f"ModelRollout {spec.key}")

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Write the counts that may be written now on the way to this share, the Deployments being as `seen`.

        Conflict when that takes so long that it must be decided again.
        """
        promptly = Promptly()
        sight = await self._look(spec, fresh=False)
        if not isinstance(sight, RouteUnusable) and sight.identity != seen.resource_version:
            sight = await self._look(spec, fresh=True)
        if isinstance(sight, RouteUnusable):
            raise Gone(sight.problem, subject=f"ModelRollout {spec.key}")
        if sight.identity != seen.resource_version:
            raise Conflict("the Deployments changed since they were read", subject=f"ModelRollout {spec.key}")
        if seen.pods is not None:
            # What was decided on may have been read past a watch that tells nothing.
            sight = replace(sight, pods=seen.pods)
        for attempt in range(1, TRIES + 1):
            wanted = towards(sight.pods, weight)
            if wanted == sight.pods.counts or (attempt > 1 and promptly.late):
                break
            legacy, candidate = wanted
            # One that grows goes first, whichever it is.
            changes = [(spec.legacy, sight.legacy, legacy), (spec.candidate, sight.candidate, candidate)]
            for arm, view, count in sorted(changes, key=lambda change: change[2] < change[1].wanted):
                if count != view.wanted:
                    await self._scale(spec, arm, view, count, promptly)
            looked = await self._look(spec, fresh=True)
            if isinstance(looked, RouteUnusable):
                return looked
            sight = looked
        return _seen(spec, sight)

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Nothing is owned: the pods stay as they are."""

    async def _look(self, spec: RolloutSpec, *, fresh: bool) -> Sight | RouteUnusable:
        namespace, name = spec.key.namespace, replicas(spec).service
        service = await self._reader.read(SERVICE, namespace, name, fresh=fresh)
        legacy = await self._reader.read(DEPLOYMENT, namespace, spec.legacy.deployment, fresh=fresh)
        candidate = await self._reader.read(DEPLOYMENT, namespace, spec.candidate.deployment, fresh=fresh)
        if service is None:
            return RouteUnusable(f'Service "{name}" not found in namespace {namespace}: create it, or correct {FIELD}')
        if legacy is None or candidate is None:
            missing = spec.candidate if legacy is not None else spec.legacy
            return RouteUnusable(f'Deployment "{missing.deployment}" not found in namespace {namespace}: create it')
        port = next((known.name for known in service.ports if known.port == spec.port), None)
        slices = [] if port is None else await slices_of(self._reader, namespace, name, fresh=fresh)
        ready = [ready_endpoints(slices, port or "", deployment=arm.deployment) for arm in _arms(spec)]
        pods = Pods(replicas(spec).total, legacy.wanted, candidate.wanted, *ready)
        # What an autoscaler would do counts before the first raise; a revert asks for nothing more than it needs.
        return Sight(legacy, candidate, service, pods, await self._scalers(spec, fresh=fresh and not candidate.wanted))

    async def _scalers(self, spec: RolloutSpec, *, fresh: bool) -> tuple[ScalerView, ...]:
        """Autoscalers of the two Deployments; none where the operator may not look."""
        namespace, names = spec.key.namespace, [arm.deployment for arm in _arms(spec)]
        cache = self._reader.cache
        if cache.live(SCALERS.kind):
            found = []
            for name in (one for deployment in names for one in cache.scalers(namespace, deployment)):
                try:
                    view = cache.find(SCALER, namespace, name)
                except StaleRead:
                    continue
                found += [] if view is None else [view]
            return tuple(found)
        if not fresh:
            return ()
        try:
            listing = await self._reader.client.list_all(SCALERS, namespace)
        except (Denied, NotServed):
            return ()
        return tuple(view for view in map(scaler_view, listing.items) if view.target in names)

    async def _scale(self, spec: RolloutSpec, arm: Arm, view: DeploymentView, count: int, promptly: Promptly) -> None:
        """Scale one Deployment, if its spec is still as in `view`. Conflict otherwise, and when it is late."""
        namespace, name = spec.key.namespace, arm.deployment
        reader = self._reader
        for attempt in range(1, TRIES + 1):
            promptly.check(DEPLOYMENTS.subject(namespace, name))
            patch = {"metadata": {"resourceVersion": view.resource_version}, "spec": {"replicas": count}}
            try:
                await reader.client.merge_patch(DEPLOYMENTS, namespace, name, patch, subresource="scale")
                reader.doubt(DEPLOYMENT, namespace, name)
                return
            except Conflict:
                newest = await reader.read(DEPLOYMENT, namespace, name, fresh=True)
                if newest is None:
                    raise Gone("the Deployment is gone", subject=DEPLOYMENTS.subject(namespace, name)) from None
                if newest.identity != view.identity or attempt == TRIES:
                    for one in _arms(spec):
                        reader.doubt(DEPLOYMENT, namespace, one.deployment)
                    raise
                view = newest
            except ApiUnavailable:
                reader.doubt(DEPLOYMENT, namespace, name)
                raise
            except Denied as error:
                raise Denied(
                    f"{FIELD}: the operator may not scale this Deployment ({error.message}): install the chart with"
                    f" routers.replicas=true, or grant what examples/rbac.yaml says for namespace {namespace}",
                    subject=DEPLOYMENTS.subject(namespace, name),
                ) from error
            except Gone:
                reader.cache.vanished(DEPLOYMENTS.kind, namespace, name)
                raise


def replicas(spec: RolloutSpec) -> Replicas:
    """The router of this spec. Bug for any other."""
    router = spec.traffic.router
    if not isinstance(router, Replicas):
        raise Bug("the spec has no replicas", subject=f"ModelRollout {spec.key}")
    return router


def _arms(spec: RolloutSpec) -> tuple[Arm, Arm]:
    return spec.legacy, spec.candidate


def _seen(spec: RolloutSpec, sight: Sight) -> RouteSeen:
    wrong = next(_problems(spec, sight), "")
    weight = weight_of(sight.pods)
    return RouteSeen(
        weight=weight,
        segments=weight,
        resource_version=sight.identity,
        accepted=not wrong,
        exact=sight.pods.legacy + sight.pods.candidate == sight.pods.total,
        detail=wrong[:MAX_DETAIL],
        pods=sight.pods,
    )


def _problems(spec: RolloutSpec, sight: Sight) -> Iterator[str]:
    name, namespace, total = replicas(spec).service, spec.key.namespace, sight.pods.total
    here = f'Service "{name}" in namespace {namespace}'
    for arm, view in zip(_arms(spec), (sight.legacy, sight.candidate), strict=True):
        missing = [f"{key}={value}" for key, value in sight.service.selector if (key, value) not in view.labels]
        if missing or not sight.service.selector:
            lack = f"they lack {', '.join(missing)}" if missing else "it has no selector"
            yield (
                f'{here} ({FIELD}.service) does not take the pods of Deployment "{arm.deployment}", {lack}: select by'
                " labels that the pods of both have"
            )
    if sight.service.sticky:
        yield (
            f"{here} has sessionAffinity ClientIP, which keeps callers with their pod whatever the numbers: set it to"
            " None, or use managedRoute"
        )
    for scaler in sight.scalers:
        yield (
            f'HorizontalPodAutoscaler "{scaler.name}" in namespace {namespace} scales Deployment "{scaler.target}" too,'
            " and would undo every share: delete it for the rollout, or use managedRoute"
        )
    if sight.pods.candidate == 0 and sight.pods.legacy > total:
        yield (
            f'Deployment "{spec.legacy.deployment}" in namespace {namespace} has {sight.pods.legacy} replicas, more'
            f" than {FIELD}.total ({total}), so that the rollout would take pods away: set total to"
            f" {sight.pods.legacy}, or scale the Deployment to {total}"
        )
