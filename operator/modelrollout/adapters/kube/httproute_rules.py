"""The rules that a managed HTTPRoute should have, in their order: what they match and whom they serve. Pure.

First the segments, then users by their bucket, last everything else. A request with a bucket matches two rules for
buckets; the Gateway API takes the first one of a route then. One without goes by the weights: sent to legacy as a
whole, such callers would be in one arm only, and the arms would be compared on different users.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from modelrollout.adapters.kube.buckets import ANYBODY, NOBODY, below
from modelrollout.adapters.kube.httproute import EXPRESSION, Rule, matches_key
from modelrollout.adapters.kube.resources import Body
from modelrollout.core.model import FULL, ZERO, HeaderMatch, ManagedRoute, RolloutSpec, RouteMatch, Weight
from modelrollout.errors import SpecError


class Part(Enum):
    """Which requests a rule of ours is for; the value is how messages call it."""

    SEGMENT = "a segment rule"
    BELOW = "the rule for buckets below the weight"
    OTHERS = "the rule for the other buckets"
    REST = "the rule for all other requests"

    def given(self, weight: Weight, *, segments: bool) -> Weight:
        """The candidate's share of these requests at a weight; `segments`: those are on."""
        match self:
            case Part.SEGMENT:
                return FULL if segments else ZERO
            case Part.BELOW:
                # At 0 legacy takes them twice over: by the weights, and because no bucket is below.
                return FULL if weight > ZERO else ZERO
            case Part.OTHERS:
                return ZERO
            case Part.REST:
                return weight


@dataclass(frozen=True, slots=True)
class RuleShape:
    """One rule of ours: what it matches, as JSON and as key. Expressions of `Part.BELOW` follow the weight."""

    matches: tuple[Body, ...]
    key: str
    part: Part

    def at(self, weight: Weight) -> list[Body]:
        """What it matches at this weight."""
        return [_expressed(match, weight) for match in self.matches] if self.part is Part.BELOW else list(self.matches)


def rules_of(spec: RolloutSpec, route: ManagedRoute) -> tuple[RuleShape, ...]:
    """The rules that the spec asks for; the last one is that for all other requests.

    SpecError when a segment can't match anything, or would be all of the traffic.
    """
    matches = route.matches or (RouteMatch(),)
    rest = _rule(Part.REST, [_match(match, match.headers) for match in matches])
    segments = [_segment(matches, segment.headers, index) for index, segment in enumerate(spec.traffic.segments)]
    if any(rule.key == rest.key for rule in segments):
        raise SpecError(
            "a segment asks for headers that every route match asks for already: it would be all of the traffic",
            field="spec.traffic.segments",
        )
    return (*segments, *_buckets(matches, spec.traffic.bucket_header), rest)


def users_share(rules: list[tuple[Rule, Weight]], others: Weight) -> Weight:
    """The candidate's share of requests with a bucket: `rules` are those for buckets below, each with its share.

    `others`: its share of the other buckets. Rounded up; an expression that says no weight counts as all buckets.
    """
    shares = [(_weight(rule), share) for rule, share in rules] or [(ZERO, ZERO)]
    return Weight(max(-(-(weight * share + (FULL - weight) * others) // FULL) for weight, share in shares))


def _weight(rule: Rule) -> Weight:
    return max((FULL if e.weight is None else e.weight for e in rule.expressions), default=FULL)


def _buckets(matches: tuple[RouteMatch, ...], header: str | None) -> Iterator[RuleShape]:
    if header is None:
        return
    for part, expression in ((Part.BELOW, NOBODY), (Part.OTHERS, ANYBODY)):
        bodies = [_match(match, match.headers) for match in matches]
        for body in bodies:
            wanted = {"type": EXPRESSION, "name": header, "value": expression}
            body["headers"] = [*body.get("headers", ()), wanted]
        yield _rule(part, bodies)


def _expressed(match: Body, weight: Weight) -> Body:
    headers: list[dict[str, Any]] = match["headers"]
    return {**match, "headers": [h | {"value": below(weight)} if h["type"] == EXPRESSION else h for h in headers]}


def _rule(part: Part, matches: list[dict[str, Any]]) -> RuleShape:
    return RuleShape(tuple(matches), matches_key(matches), part)


def _segment(matches: tuple[RouteMatch, ...], headers: tuple[HeaderMatch, ...], index: int) -> RuleShape:
    joined = [(match, _joined(match.headers, headers)) for match in matches]
    bodies = [_match(match, both) for match, both in joined if both is not None]
    if not bodies:
        raise SpecError(
            f"segment {index} can never match: its headers contradict those of every route match",
            field=f"spec.traffic.segments[{index}]",
        )
    return _rule(Part.SEGMENT, bodies)


def _joined(first: tuple[HeaderMatch, ...], second: tuple[HeaderMatch, ...]) -> tuple[HeaderMatch, ...] | None:
    """Both sets of headers; None when they ask for two values of one header. The API allows each name once."""
    known = {header.name.lower(): header.value for header in first}
    if any(known.get(header.name.lower(), header.value) != header.value for header in second):
        return None
    return first + tuple(header for header in second if header.name.lower() not in known)


def _match(match: RouteMatch, headers: tuple[HeaderMatch, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {"path": {"type": match.path_type or "PathPrefix", "value": match.path_value or "/"}}
    if headers:
        body["headers"] = [{"type": "Exact", "name": header.name, "value": header.value} for header in headers]
    return body
