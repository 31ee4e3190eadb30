"""Which backends a request gets from an HTTPRoute, by the precedence of the Gateway API; for the matches we write."""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelrollout.adapters.kube.resources import Body

Shares = dict[str, int]


def served(route: Body, headers: Mapping[str, str], path: str = "/predict") -> Shares:
    """Weights of the backends of the rule that takes this request; empty when none does.

    Longer paths first, then more headers, then the first in the route. `headers`: names in lower case.
    """
    best: tuple[int, int] | None = None
    shares: Shares = {}
    for rule in route["spec"]["rules"]:
        for match in rule.get("matches") or [{}]:
            wanted = match.get("headers") or []
            prefix = (match.get("path") or {}).get("value", "/")
            rank = (len(prefix), len(wanted))
            if path.startswith(prefix) and all(map(lambda h: _fits(h, headers), wanted)) and (not best or rank > best):
                best, shares = rank, {ref["name"]: ref["weight"] for ref in rule["backendRefs"]}
    return shares


def _fits(wanted: Body, headers: Mapping[str, str]) -> bool:
    value = headers.get(wanted["name"].lower())
    if value is None or wanted.get("type", "Exact") == "Exact":
        return bool(value == wanted["value"])
    return re.search(wanted["value"], value) is not None
