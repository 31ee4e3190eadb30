"""Whether a rollout's work is done, by what is in the cluster alone: the operator's status is not asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.scene import NAME
from modelrollout.adapters.kube.resources import DEPLOYMENTS, HTTPROUTES, ROLLOUTS, Body

LAST_STEP = 14.0
"""Seconds that the last step takes at least; one less than in the stories, for the write that comes after."""


class Truth:
    """Follows all writes. `trusts`: a candidate that has all traffic needs no time at it."""

    def __init__(self, *, trusts: bool = False) -> None:
        self._trusts = trusts
        self._now = 0.0
        self._arms: tuple[str, str] = ("", "")
        self._templates: dict[str, Any] = {}
        self._shares: Mapping[str, float] = {}
        self._full: float | None = None
        """Since when this very candidate has all traffic."""

    def follow(self, version: Version) -> None:
        """One more write."""
        self._now = version.at
        before = (self._arms, self._templates.get(self._arms[1]))
        body = version.body or {}
        if version.resource is ROLLOUTS and version.place[1] == NAME and version.body is not None:
            spec = body["spec"]
            self._arms = (spec["legacy"]["deployment"], spec["candidate"]["deployment"])
        elif version.resource is DEPLOYMENTS:
            self._templates[version.place[1]] = (body.get("spec") or {}).get("template")
        elif version.resource is HTTPROUTES:
            self._shares = dict(_shares(body))
        if (self._arms, self._templates.get(self._arms[1])) != before and not self._trusts:
            # Another candidate: what its predecessor was given says nothing about it.
            self._full, self._shares = None, {}
        share = self._shares.get(self._arms[1])
        if share is None:
            return
        self._full = (self._full or version.at) if share == 100.0 else None

    @property
    def done(self) -> bool:
        """Whether users are where the spec wants them for good: all at a judged candidate, or it is legacy itself."""
        legacy, candidate = (self._templates.get(arm) for arm in self._arms)
        if candidate is not None and legacy == candidate:
            return True
        return self._full is not None and (self._trusts or self._now - self._full >= LAST_STEP)


def _shares(route: Body) -> Iterator[tuple[str, float]]:
    """Percent of the traffic for each backend of the first rule with two."""
    for rule in (route.get("spec") or {}).get("rules") or ():
        weights = {ref["name"]: int(ref.get("weight", 1)) for ref in rule.get("backendRefs") or ()}
        whole = sum(weights.values())
        if len(weights) > 1 and whole:
            yield from ((name, 100.0 * weight / whole) for name, weight in weights.items())
            return
