"""What stands around a canary Ingress, and whether nginx will do with it what its weight says. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from modelrollout.adapters.kube.ingress import AFFINITY, CANARY, IngressView, Path, PathKey, ingress_view, where
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.projection import INGRESS, INGRESS_CLASS, SERVICE, ServicePort
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import INGRESSES
from modelrollout.core.model import IngressNginx, RolloutSpec
from modelrollout.errors import Bug, StaleRead

FIELD = "spec.traffic.ingressNginx"
CONTROLLER = "ingress-nginx"
"""In `spec.controller` of every IngressClass of this controller, whatever else its owner calls it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """`main`: the users' Ingress; `canary`: that of our name; `others`: the namespace's other ones that
    may stand in the way.

    `ports`: those of legacy's Service. `controller`: of the main Ingress's class, None when there is no such class.
    """

    main: IngressView | None
    canary: IngressView | None
    others: tuple[IngressView, ...]
    ports: tuple[ServicePort, ...]
    controller: str | None

    def serves(self, service: str, port: int) -> tuple[PathKey, ...]:
        """Where the main Ingress sends to this Service at this port."""
        names = {known.name for known in self.ports if known.port == port and known.name}
        paths: tuple[Path, ...] = self.main.paths if self.main is not None else ()
        return tuple(path.key for path in paths if path.service == service and path.port in {port, *names})


def ingress_nginx(spec: RolloutSpec) -> IngressNginx:
    """The router of this spec. Bug for any other."""
    router = spec.traffic.router
    if not isinstance(router, IngressNginx):
        raise Bug("the spec has no ingressNginx", subject=f"ModelRollout {spec.key}")
    return router


async def look(reader: Reader, spec: RolloutSpec, *, fresh: bool) -> Sight:
    """Everything of it as cached; the rollout's own two Ingresses as stored when `fresh`. Raises Denied."""
    namespace, own = spec.key.namespace, route_name(spec.key.name)
    main = await reader.read(INGRESS, namespace, ingress_nginx(spec).ingress, fresh=fresh)
    canary = await reader.read(INGRESS, namespace, own, fresh=fresh)
    service = await reader.read(SERVICE, namespace, spec.legacy.service)
    known = {view.name for view in (main, canary) if view is not None}
    hosts = {path.key[0] for path in main.paths} if main is not None else set()
    near = await _near(reader, namespace, spec.candidate.service, hosts)
    others = tuple([view for view in near if view.name not in known])
    controller = await _controller(reader, main.class_name, fresh=fresh) if main and main.class_name else None
    return Sight(main, canary, others, service.ports if service is not None else (), controller)


async def _near(reader: Reader, namespace: str, service: str, hosts: Set[str]) -> list[IngressView]:
    if reader.cache.live(INGRESSES.kind):
        found = []
        for name in reader.cache.ingresses_near(namespace, service, hosts):
            try:
                view = reader.cache.find(INGRESS, namespace, name)
            except StaleRead:
                continue  # one of our own, just written
            found += [] if view is None else [view]
        return found
    listing = await reader.client.list_all(INGRESSES, namespace)
    return [ingress_view(body) for body in listing.items]


async def _controller(reader: Reader, name: str, *, fresh: bool) -> str | None:
    # Its controller can't be changed, so that one look is enough as long as nothing is in doubt.
    view = None if fresh else reader.cache.find(INGRESS_CLASS, "", name)
    if view is None:
        view = await reader.read(INGRESS_CLASS, "", name, fresh=True)
    return None if view is None else view.controller


def problem(spec: RolloutSpec, sight: Sight) -> str | None:
    """Why nginx would not split users as the canary's weight says, with the fix; None when it would."""
    return next(_problems(spec, sight), None)


def _problems(spec: RolloutSpec, sight: Sight) -> Iterator[str]:
    main, name, namespace = sight.main, ingress_nginx(spec).ingress, spec.key.namespace
    here = f'Ingress "{name}" in namespace {namespace}'
    if main is None:
        yield f"{here} not found: create it, or correct {FIELD}.ingress"
        return
    if main.is_canary:
        yield f"{here} is a canary itself ({CANARY}): name the Ingress beside which it stands in {FIELD}.ingress"
    if main.class_name is None:
        yield f"{here} has no spec.ingressClassName, which its canary must share: name the class of ingress-nginx there"
    elif sight.controller is None:
        yield f'{here} is of class "{main.class_name}", and there is no such IngressClass: create it, or name another'
    elif CONTROLLER not in sight.controller:
        yield (
            f'{here} is of class "{main.class_name}", whose controller is {sight.controller}: canaries need'
            f" ingress-nginx; use managedRoute, or another class"
        )
    yield from _backends(spec, sight, main, here)
    for view in (main, sight.canary):
        if view is not None and view.sticky:
            yield (
                f'Ingress "{view.name}" in namespace {namespace} has annotation {AFFINITY}: nginx keeps users where'
                f" they are, whatever the weight, in a revert too; remove it, or use managedRoute"
            )


def _backends(spec: RolloutSpec, sight: Sight, main: IngressView, here: str) -> Iterator[str]:
    legacy, candidate = spec.legacy.service, spec.candidate.service
    wanted = frozenset(sight.serves(legacy, spec.port))
    if not wanted:
        found = sorted({f"{path.service}:{path.port}" for path in main.paths if path.service})
        yield (
            f'no path of {here} sends to Service "{legacy}" (spec.legacy.service) at port {spec.port}, but to'
            f" {', '.join(found) or 'none'}: set the backend to {legacy}, or name as legacy what it serves"
        )
    for view in (main, *sight.others):
        if not view.is_canary and (view.default == candidate or any(p.service == candidate for p in view.paths)):
            yield (
                f'Ingress "{view.name}" in namespace {spec.key.namespace} sends to Service "{candidate}" by itself, and'
                " nginx ignores a canary for such a Service: give the candidate one of its own (spec.candidate.service)"
            )
    for view in sight.others:
        both = sorted(wanted & {path.key for path in view.paths}) if view.is_canary else []
        if both:
            yield (
                f'Ingress "{view.name}" in namespace {spec.key.namespace} is a canary for {where(both[0])} already, and'
                f" nginx takes one: delete it, or move it elsewhere"
            )
