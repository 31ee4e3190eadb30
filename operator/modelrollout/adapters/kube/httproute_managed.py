"""Router `managedRoute`: an HTTPRoute that the operator creates and owns."""

from __future__ import annotations

from modelrollout.adapters.kube.buckets import below
from modelrollout.adapters.kube.failures import NotServed, Rejected
from modelrollout.adapters.kube.httproute import RouteView, Rule, accepted, route_view
from modelrollout.adapters.kube.httproute_patch import NO_GATEWAY_API, Change, Expressed, set_weights
from modelrollout.adapters.kube.httproute_rules import Part, users_share
from modelrollout.adapters.kube.httproute_shape import Shape, additions, flaws, own_rules, route_body, shape_of
from modelrollout.adapters.kube.names import route_name
from modelrollout.adapters.kube.ownership import not_ours, ours
from modelrollout.adapters.kube.pinned import read_at, release
from modelrollout.adapters.kube.projection import HTTPROUTE
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import HTTPROUTES, Body
from modelrollout.adapters.kube.weights import scale_for, share, split, split_down
from modelrollout.core.model import FULL, ZERO, ManagedRoute, RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteAbsent, RouteSeen, RouteUnusable
from modelrollout.core.wording import percent
from modelrollout.errors import ApiUnavailable, Bug, Conflict, SpecError

FIELD = "spec.traffic.managedRoute"
MAX_DETAIL = 300
USERS = (Part.BELOW, Part.OTHERS, Part.REST)


class ManagedRouter:
    """See `routing.Router`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The route; foreign parts and unmet wishes are told in `detail`."""
        try:
            shape = shape_of(spec, _managed(spec))
        except SpecError as error:
            return RouteUnusable(f"{error.field}: {error.message}")
        try:
            view = await self._reader.read(HTTPROUTE, shape.namespace, shape.name, fresh=fresh)
        except NotServed:
            return RouteUnusable(NO_GATEWAY_API)
        return RouteAbsent() if view is None else _seen(spec, shape, view)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Create the route, or give it what it lacks, in one write that carries the weight.

        Segments go to the candidate as soon as it has any weight. What others added stays.
        """
        shape = shape_of(spec, _managed(spec))
        try:
            current = await self._reader.fetch(HTTPROUTE, shape.namespace, shape.name)
        except NotServed:
            return RouteUnusable(NO_GATEWAY_API)
        view = None if current is None else route_view(current)
        if view is not None and not ours(view, spec):
            return _not_ours(view)
        body = route_body(shape, spec, weight, current, view)
        return _seen(spec, shape, await self._apply(shape, body, force=view is not None))

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Set the weights of all our rules at once, and say them in expressions; segments go to one arm as a whole."""
        shape = shape_of(spec, _managed(spec))
        view = await read_at(self._reader, HTTPROUTE, shape.namespace, shape.name, seen.resource_version)
        changes: list[Change] = []
        expressed: list[Expressed] = []
        for index, part in own_rules(shape, view):
            rule = view.rules[index]
            changes += _changes(shape, index, rule, _numbers(spec, part.given(weight, segments=segments)))
            if part is Part.BELOW:
                expressed += [Expressed(index, each, below(weight)) for each in rule.expressions]
        if not changes:
            raise Conflict("the route has lost the rules with both backends", subject=_subject(shape))
        return _seen(spec, shape, await set_weights(self._reader, view, changes, expressed))

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Take our ownerReference off, so that the route outlives the rollout. Conflict when it is not as `seen`."""
        await release(self._reader, HTTPROUTE, route_name(spec.key.name), spec, seen)

    async def _apply(self, shape: Shape, body: Body, *, force: bool) -> RouteView:
        try:
            # Not forced when there is none yet: a route that somebody creates at this moment is a conflict then.
            stored = await self._reader.client.apply(HTTPROUTES, shape.namespace, shape.name, body, force=force)
        except Rejected as error:
            found = "; ".join(f"{field}: {message}" for field, message in error.causes) or error.message
            raise SpecError(
                f"the API server refused the route: {found}", field=FIELD, subject=_subject(shape)
            ) from error
        except (Conflict, ApiUnavailable):
            self._reader.doubt(HTTPROUTE, shape.namespace, shape.name)
            raise
        return self._reader.written(HTTPROUTE, stored)


def _seen(spec: RolloutSpec, shape: Shape, view: RouteView) -> Route:
    if not ours(view, spec):
        return _not_ours(view)
    weight = max(_on(shape, view, Part.REST), _of_users(shape, view))
    segments = _on(shape, view, Part.SEGMENT) if shape.segment_keys else weight
    missing, added = flaws(shape, view, spec.uid), additions(shape, view)
    missing = missing or _uneven(shape, view)
    took, refused = accepted(view, shape.parent_keys)
    sentences = [
        *missing,
        *([f"added by others and left alone: {', '.join(added)}"] if added else []),
        *([refused] if refused else []),
        *(["the route is being deleted"] if view.deleting else []),
    ]
    return RouteSeen(
        weight=weight,
        segments=segments,
        resource_version=view.resource_version,
        shape_ok=not missing,
        accepted=took,
        exact=all(_exact(spec, shape, view.rules[index], part) for index, part in own_rules(shape, view)),
        detail="; ".join(sentences)[:MAX_DETAIL],
        generation=view.generation,
    )


def _on(shape: Shape, view: RouteView, part: Part) -> Weight:
    """The candidate's largest share in any rule for these requests."""
    return max((_share(shape, rule) for rule in view.rules if rule.matches in shape.keys(part)), default=ZERO)


def _of_users(shape: Shape, view: RouteView) -> Weight:
    keys = shape.keys(Part.BELOW)
    rules = [(rule, _share(shape, rule)) for rule in view.rules if rule.matches in keys]
    return users_share(rules, _on(shape, view, Part.OTHERS)) if keys else ZERO


def _uneven(shape: Shape, view: RouteView) -> tuple[str, ...]:
    """What is wrong when users and all other requests do not get the same share. Of the rules that `route_body` writes:
    it mends no second ones, whose weights are put back as those of others are.
    """
    if not shape.keys(Part.BELOW):
        return ()
    first = {part: next(rule for rule in view.rules if rule.matches in shape.keys(part)) for part in USERS}
    below, others, rest = (_share(shape, first[part]) for part in USERS)
    users = users_share([(first[Part.BELOW], below)], others)
    if users == rest:
        return ()
    return (f"users by their bucket get {percent(users)} % and all other requests {percent(rest)} %",)


def _share(shape: Shape, rule: Rule) -> Weight:
    """The candidate's share in a rule; of the whole rule where legacy has no part in it."""
    return share(*_parts(shape, rule))


def _parts(shape: Shape, rule: Rule) -> tuple[int, int]:
    legacy, candidate = (sum(rule.backends[i].weight for i in rule.find(arm)) for arm in shape.arms)
    return candidate, (legacy + candidate if rule.find(shape.arms[0]) else rule.total)


def _exact(spec: RolloutSpec, shape: Shape, rule: Rule, part: Part) -> bool:
    candidate, total = _parts(shape, rule)
    weight = share(candidate, total)
    if part in (Part.BELOW, Part.OTHERS):
        return total > 0 and weight in (ZERO, FULL)
    return total == scale_for(spec, weight) and split(weight, total) == (total - candidate, candidate)


def _numbers(spec: RolloutSpec, weight: Weight) -> tuple[int, int]:
    return split_down(weight, scale_for(spec, weight))


def _changes(shape: Shape, index: int, rule: Rule, numbers: tuple[int, int]) -> list[Change]:
    changes = []
    for arm, number in zip(shape.arms, numbers, strict=True):
        places = rule.find(arm)
        # A second reference to the same Service is not ours, but it would go on feeding that arm: it gets nothing.
        main = next((place for place in places if rule.backends[place].port == shape.port), places[0])
        changes += [Change(index, place, arm, number if place == main else 0) for place in places]
    return changes


def _not_ours(view: RouteView) -> RouteUnusable:
    return not_ours(HTTPROUTES, view, "remove it, or steer it with spec.traffic.adoptRoute")


def _managed(spec: RolloutSpec) -> ManagedRoute:
    router = spec.traffic.router
    if not isinstance(router, ManagedRoute):
        raise Bug("the spec has no managedRoute", subject=f"ModelRollout {spec.key}")
    return router


def _subject(shape: Shape) -> str:
    return HTTPROUTES.subject(shape.namespace, shape.name)
