"""Router `ingressNginx`: a canary Ingress that the operator creates beside an Ingress of the users.

The users' Ingress is never written. Nothing about an Ingress says that nginx has taken a change of it: `accepted` means
that everything is as nginx needs it to follow the weight (`ingress_sight.problem`), and `settle` is for the rest.
"""

from __future__ import annotations

from modelrollout.adapters.kube.failures import NotServed, Rejected
from modelrollout.adapters.kube.ingress import HEADER, HEADER_VALUE, TOTAL, WEIGHT, IngressView
from modelrollout.adapters.kube.ingress_shape import Shape, additions, canary_body, flaws, settings, shape_of
from modelrollout.adapters.kube.ingress_sight import FIELD, Sight, ingress_nginx, look, problem
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.ownership import not_ours, ours
from modelrollout.adapters.kube.pinned import patch, read_at, release
from modelrollout.adapters.kube.projection import INGRESS
from modelrollout.adapters.kube.promptly import Promptly
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import INGRESSES, Body
from modelrollout.adapters.kube.weights import scale_for
from modelrollout.core.model import FULL, ZERO, RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteAbsent, RouteSeen, RouteUnusable
from modelrollout.errors import ApiUnavailable, Conflict, Denied, SpecError

MAX_DETAIL = 300


class IngressNginxRouter:
    """See `routing.Router`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The canary; RouteUnusable while there is none that could be lowered and something stands against one."""
        try:
            sight = await look(self._reader, spec, fresh=fresh)
        except (Denied, NotServed) as error:
            return _closed(spec, error)
        return _seen(spec, sight)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Create the canary, or give it what it lacks, in one write that carries the weight.

        The segment goes to the candidate as soon as it has any weight. What others added stays. Conflict when what it
        reads takes so long that it must be decided again.
        """
        name, namespace = route_name(spec.key.name), spec.key.namespace
        promptly = Promptly()
        try:
            sight = await look(self._reader, spec, fresh=True)
            current = await self._reader.fetch(INGRESS, namespace, name)
        except (Denied, NotServed) as error:
            return _closed(spec, error)
        view = None if current is None else INGRESS.project(current)
        if view is not None and not ours(view, spec):
            return _not_ours(view)
        wrong = problem(spec, sight)
        if wrong is not None or sight.main is None:
            return RouteUnusable(wrong or "")
        shape = shape_of(spec, sight.main, sight.serves(spec.legacy.service, spec.port))
        body = canary_body(shape, spec, weight, current, view)
        promptly.check(INGRESSES.subject(namespace, name))
        await self._write(shape, body, create=view is None)
        return _seen(spec, await look(self._reader, spec, fresh=False))

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Set the weight, and with `segments` the header, in one patch of annotations."""
        namespace, name = spec.key.namespace, route_name(spec.key.name)
        view = await read_at(self._reader, INGRESS, namespace, name, seen.resource_version)
        if not view.is_canary or all(path.service != spec.candidate.service for path in view.paths):
            raise Conflict("the canary has lost the candidate's backend", subject=INGRESSES.subject(namespace, name))
        written = await patch(self._reader, INGRESS, view, _operations(spec, view, weight, segments=segments))
        return _seen(spec, await look(self._reader, spec, fresh=False), canary=written)

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Take our ownerReference off, so that the canary outlives the rollout. Conflict when it is not as `seen`."""
        await release(self._reader, INGRESS, route_name(spec.key.name), spec, seen)

    async def _write(self, shape: Shape, body: Body, *, create: bool) -> IngressView:
        client = self._reader.client
        try:
            if create:
                stored = await client.create(INGRESSES, shape.namespace, body)
            else:
                stored = await client.merge_patch(INGRESSES, shape.namespace, shape.name, body)
        except Rejected as error:
            found = "; ".join(f"{field}: {message}" for field, message in error.causes) or error.message
            raise SpecError(
                f"the API server refused the canary Ingress: {found}",
                field=FIELD,
                subject=INGRESSES.subject(shape.namespace, shape.name),
            ) from error
        except (Conflict, ApiUnavailable):
            self._reader.doubt(INGRESS, shape.namespace, shape.name)
            raise
        return self._reader.written(INGRESS, stored)


def _operations(spec: RolloutSpec, view: IngressView, weight: Weight, *, segments: bool) -> list[Body]:
    """Only what differs, so that a revert is one annotation."""
    assert view.canary is not None
    header = view.canary.header or (None, None)
    stored = {
        WEIGHT: None if view.canary.weight is None else str(view.canary.weight),
        TOTAL: None if view.canary.total is None else str(view.canary.total),
        HEADER: header[0],
        HEADER_VALUE: header[1],
    }
    operations: list[Body] = []
    for name, value in settings(spec, weight, segments=segments, view=view).items():
        path = "/metadata/annotations/" + name.replace("~", "~0").replace("/", "~1")
        if value is None:
            operations += [{"op": "remove", "path": path}]
        elif stored.get(name) != value:
            operations.append({"op": "add", "path": path, "value": value})
    return operations


def _seen(spec: RolloutSpec, sight: Sight, canary: IngressView | None = None) -> Route:
    view = canary or sight.canary
    wrong = problem(spec, sight)
    if view is None:
        return RouteAbsent() if wrong is None else RouteUnusable(wrong)
    if not ours(view, spec):
        return _not_ours(view)
    weight = _weight(spec, view)
    header = view.canary.header if view.canary is not None else None
    shape = shape_of(spec, sight.main, sight.serves(spec.legacy.service, spec.port)) if sight.main else None
    segments = Weight(FULL) if shape and header == shape.header and spec.traffic.segments else weight
    if wrong is not None or shape is None:
        return _hindered(spec, sight, view, max(weight, segments), wrong or "")
    missing, added = flaws(shape, view, spec.uid), additions(shape, view)
    sentences = [
        *missing,
        *([f"added by others and left alone: {', '.join(added)}"] if added else []),
        *(["the canary Ingress is being deleted"] if view.deleting else []),
    ]
    return RouteSeen(
        weight=weight,
        segments=segments,
        resource_version=view.resource_version,
        shape_ok=not missing,
        accepted=True,
        exact=_exact(spec, view, weight),
        detail="; ".join(sentences)[:MAX_DETAIL],
        # An annotation does not count as a change of the spec: the generation tells nothing about weights.
        generation=0,
        # For a Service without endpoints nginx has no balancer, and so nothing that would look at the canary
        # (`balancer.lua`: sync_backend, get_balancer): everybody gets 503, also at 100 %.
        through_legacy=True,
    )


def _hindered(spec: RolloutSpec, sight: Sight, view: IngressView, weight: Weight, wrong: str) -> Route:
    """A canary that nginx does not follow, or not in full. What exposes users can still be lowered, never raised."""
    itself = bool(sight.serves(spec.candidate.service, spec.port)) and not sight.serves(spec.legacy.service, spec.port)
    if weight == ZERO:
        return RouteUnusable(wrong)
    after = itself and weight == FULL
    told = (
        f"Ingress {ingress_nginx(spec).ingress} sends to the candidate by itself: name it as legacy in the next release"
    )
    return RouteSeen(
        weight=Weight(FULL) if itself else weight,
        segments=Weight(FULL) if itself else weight,
        resource_version=view.resource_version,
        accepted=after,
        detail=(told if after else wrong)[:MAX_DETAIL],
        through_legacy=bool(sight.serves(spec.legacy.service, spec.port)),
    )


def _weight(spec: RolloutSpec, view: IngressView) -> Weight:
    """The candidate's largest share at any of the paths."""
    if view.canary is None or all(path.service != spec.candidate.service for path in view.paths):
        return ZERO
    return view.canary.share


def _exact(spec: RolloutSpec, view: IngressView, weight: Weight) -> bool:
    canary = view.canary
    if canary is None or canary.weight is None or canary.total != scale_for(spec, weight):
        return False
    return 0 <= canary.weight <= canary.total


def _closed(spec: RolloutSpec, error: Denied | NotServed) -> RouteUnusable:
    if isinstance(error, NotServed):
        return RouteUnusable("this cluster does not serve Ingress (networking.k8s.io/v1): use managedRoute")
    return RouteUnusable(
        f"{FIELD}: the operator may not read Ingresses and their classes ({error.message}): install the chart with"
        f" routers.ingressNginx=true, or grant what examples/rbac.yaml says for namespace {spec.key.namespace}"
    )


def _not_ours(view: IngressView) -> RouteUnusable:
    return not_ours(INGRESSES, view, "remove it, or call the rollout otherwise")
