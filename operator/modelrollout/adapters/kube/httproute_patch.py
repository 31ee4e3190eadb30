"""The one JSON Patch that changes weights of an HTTPRoute that the operator made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.adapters.kube.httproute import Expression, RouteView
from modelrollout.adapters.kube.pinned import patch
from modelrollout.adapters.kube.projection import HTTPROUTE
from modelrollout.adapters.kube.reader import Reader
from modelrollout.adapters.kube.resources import Body

NO_GATEWAY_API = (
    "this cluster does not serve HTTPRoute (gateway.networking.k8s.io/v1): install the Gateway API CRDs and a gateway"
)


@dataclass(frozen=True, slots=True)
class Change:
    """A new weight for the Service at one position."""

    rule: int
    backend: int
    service: str
    weight: int


@dataclass(frozen=True, slots=True)
class Expressed:
    """A new expression for the header at the place that `expression` has in a rule."""

    rule: int
    expression: Expression
    value: str


async def set_weights(
    reader: Reader, view: RouteView, changes: Sequence[Change], expressed: Sequence[Expressed] = ()
) -> RouteView:
    """Write all the weights at once, if the route is still the one in `view`. Raises what `pinned.patch` does."""
    operations: list[Body] = []
    for each in expressed:
        path = f"/spec/rules/{each.rule}/matches/{each.expression.match}/headers/{each.expression.header}"
        operations.append({"op": "test", "path": f"{path}/name", "value": each.expression.name})
        operations.append({"op": "replace", "path": f"{path}/value", "value": each.value})
    for change in changes:
        path = f"/spec/rules/{change.rule}/backendRefs/{change.backend}"
        operations.append({"op": "test", "path": f"{path}/name", "value": change.service})
    for change in changes:
        path = f"/spec/rules/{change.rule}/backendRefs/{change.backend}"
        # `add` sets a member whether or not it is there.
        operations.append({"op": "add", "path": f"{path}/weight", "value": change.weight})
    return await patch(reader, HTTPROUTE, view, operations)
