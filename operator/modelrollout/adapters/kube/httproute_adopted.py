"""Router `adoptRoute`: the weights of two backends in one rule of an HTTPRoute that others own. Nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass

from modelrollout.adapters.kube.failures import NotServed
from modelrollout.adapters.kube.httproute import RouteView, Rule, accepted
from modelrollout.adapters.kube.httproute_patch import NO_GATEWAY_API, Change, set_weights
from modelrollout.adapters.kube.pinned import read_at
from modelrollout.adapters.kube.projection import HTTPROUTE
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import ROLLOUTS
from modelrollout.adapters.kube.weights import scale_for, share, split, split_down
from modelrollout.core.model import ZERO, AdoptRoute, RolloutSpec, Weight
from modelrollout.core.observation import Route, RouteSeen, RouteUnusable
from modelrollout.errors import Bug, SpecError

FIELD = "spec.traffic.adoptRoute"


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the two arms are: rule, position of legacy and of candidate, and their weights."""

    rule: int
    legacy: int
    candidate: int
    weights: tuple[int, int]
    alone: bool

    @property
    def total(self) -> int:
        """What the two share."""
        return sum(self.weights)


class AdoptedRouter:
    """See `routing.Router`. Other backends of the rule keep their weights; the arms share what they have together."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def observe(self, spec: RolloutSpec, *, fresh: bool) -> Route:
        """The route; RouteUnusable when it is missing or leaves open which rule is meant."""
        router = _adopt(spec)
        try:
            view = await self._reader.read(HTTPROUTE, spec.key.namespace, router.name, fresh=fresh)
        except NotServed:
            return RouteUnusable(NO_GATEWAY_API)
        if view is None:
            return RouteUnusable(
                f'HTTPRoute "{router.name}" not found in namespace {spec.key.namespace}: create it, or correct'
                f" {FIELD}.name"
            )
        if view.owner is not None and view.owner[0] == ROLLOUTS.kind and view.owner[2] != spec.uid:
            return RouteUnusable(
                f'HTTPRoute "{router.name}" is managed by ModelRollout "{view.owner[1]}": two rollouts can\'t move the'
                f" same weights; correct {FIELD}.name, or delete one of the rollouts"
            )
        pair = locate(view, spec)
        return pair if isinstance(pair, RouteUnusable) else _seen(spec, view, pair)

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Always SpecError: the shape of an adopted route is its owner's."""
        raise SpecError(
            "an adopted route is never created or reshaped: its owner must give it a rule with both backends",
            field=FIELD,
            subject=f"ModelRollout {spec.key}",
        )

    async def set_weight(self, spec: RolloutSpec, seen: RouteSeen, weight: Weight, *, segments: bool) -> Route:
        """Set the two weights at once.

        SpecError when the arms' common weight is too small for this share, unless traffic is being taken off the
        candidate: then its part is rounded down.
        """
        view = await read_at(self._reader, HTTPROUTE, spec.key.namespace, _adopt(spec).name, seen.resource_version)
        pair = locate(view, spec)
        if isinstance(pair, RouteUnusable):
            raise SpecError(pair.problem, field=FIELD, subject=f"ModelRollout {spec.key}")
        total = scale_for(spec, weight) if pair.alone else pair.total
        numbers = split(weight, total) if total or weight == ZERO else None
        if numbers is None:
            numbers = split_down(weight, total)
            if numbers[1] >= pair.weights[1]:
                raise SpecError(_too_coarse(spec, pair), field=FIELD, subject=f"ModelRollout {spec.key}")
        arms = (spec.legacy.service, spec.candidate.service)
        places = (pair.legacy, pair.candidate)
        changes = [Change(pair.rule, *parts) for parts in zip(places, arms, numbers, strict=True)]
        written = await set_weights(self._reader, view, changes)
        found = locate(written, spec)
        return found if isinstance(found, RouteUnusable) else _seen(spec, written, found)

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Nothing to do: the route was never ours."""


def locate(view: RouteView, spec: RolloutSpec) -> Pair | RouteUnusable:
    """The rule and the two backends that the spec means, or a sentence that says what is wrong and how to mend it."""
    router = _adopt(spec)
    arms = (spec.legacy.service, spec.candidate.service)
    where = f'HTTPRoute "{view.name}" in namespace {view.namespace}'
    both = f'Services "{arms[0]}" and "{arms[1]}"'
    if spec.traffic.segments:
        return RouteUnusable(
            "spec.traffic.segments needs managedRoute: the matches of an adopted route are its owner's"
        )
    if router.rule is not None:
        rules = [index for index, rule in enumerate(view.rules) if rule.name == router.rule]
        if not rules:
            names = ", ".join(rule.name for rule in view.rules if rule.name) or "none has a name"
            return RouteUnusable(
                f'{where} has no rule named "{router.rule}" (its rules: {names}): correct {FIELD}.rule or name the rule'
            )
        if not view.rules[rules[0]].has_pair(*arms):
            return RouteUnusable(
                f'rule "{router.rule}" of {where} does not have both {both} in its backendRefs: add the missing one'
                f" (weight 0 for the candidate) or correct {FIELD}.rule"
            )
    else:
        rules = [index for index, rule in enumerate(view.rules) if rule.has_pair(*arms)]
        if not rules:
            return RouteUnusable(
                f"no rule of {where} has both {both} in its backendRefs: add the missing one (weight 0 for the"
                f" candidate) to the rule that should be steered"
            )
    if len(rules) > 1:
        return RouteUnusable(
            f"rules {', '.join(map(str, rules))} of {where} all have both {both}: set {FIELD}.rule to the name of the"
            f" one that should be steered"
        )
    return _pair(view.rules[rules[0]], rules[0], spec, where)


def _pair(rule: Rule, index: int, spec: RolloutSpec, where: str) -> Pair | RouteUnusable:
    places = []
    for field, arm in (("legacy", spec.legacy.service), ("candidate", spec.candidate.service)):
        found = rule.find(arm)
        at_port = tuple(place for place in found if rule.backends[place].port == spec.port)
        if len(found) > 1:
            return RouteUnusable(
                f'rule {index} of {where} names Service "{arm}" ({field}) {len(found)} times in its backendRefs:'
                f" leave one of them"
            )
        if not at_port:
            return RouteUnusable(
                f'rule {index} of {where} sends to Service "{arm}" ({field}) at port {rule.backends[found[0]].port},'
                f" spec.port is {spec.port}: make them the same"
            )
        places.append(at_port[0])
    legacy, candidate = places
    return Pair(
        rule=index,
        legacy=legacy,
        candidate=candidate,
        weights=(rule.backends[legacy].weight, rule.backends[candidate].weight),
        alone=len(rule.backends) == 2,
    )


def _seen(spec: RolloutSpec, view: RouteView, pair: Pair) -> RouteSeen:
    weight = share(pair.weights[1], pair.total)
    took, refused = accepted(view, view.parents)
    scale = scale_for(spec, weight) if pair.alone else pair.total
    unfit = not pair.alone and any(pair.total == 0 or split(step.weight, pair.total) is None for step in spec.steps)
    sentences = [
        *([_too_coarse(spec, pair)] if unfit else []),
        *([refused] if refused else []),
        *(["the route is being deleted"] if view.deleting else []),
    ]
    return RouteSeen(
        weight=weight,
        segments=weight,
        resource_version=view.resource_version,
        accepted=took,
        exact=0 < pair.total == scale and split(weight, scale) == pair.weights,
        detail="; ".join(sentences),
        generation=view.generation,
    )


def _too_coarse(spec: RolloutSpec, pair: Pair) -> str:
    return (
        f'the backends "{spec.legacy.service}" and "{spec.candidate.service}" of rule {pair.rule} share a weight of'
        f" {pair.total} beside other backends, too little for the steps: give them weights that add up to"
        f" {spec.scale} or a multiple of it, and the other backends in proportion"
    )


def _adopt(spec: RolloutSpec) -> AdoptRoute:
    router = spec.traffic.router
    if not isinstance(router, AdoptRoute):
        raise Bug("the spec has no adoptRoute", subject=f"ModelRollout {spec.key}")
    return router
