"""Which Ingresses stand in the way of a canary: by the Service that they send to, and canaries by their host.

A namespace may hold thousands of Ingresses, and each look at a rollout asks for the two or three that matter to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelrollout.adapters.kube.ingress import IngressView

Place = tuple[str, str]
Mark = tuple[str, bool, str]
"""Namespace; whether of canaries; their host, or the Service of the others."""


class IngressIndex:
    """Kept up to date with every Ingress stored or dropped."""

    def __init__(self) -> None:
        self._names: dict[Mark, tuple[str, ...]] = {}
        self._marks: dict[Place, tuple[Mark, ...]] = {}

    def store(self, place: Place, view: IngressView) -> None:
        """Take note of a stored Ingress."""
        marks = tuple(sorted(_marks(place[0], view)))
        if self._marks.get(place, ()) == marks:
            return
        self.drop(place)
        self._marks[place] = marks
        for mark in marks:
            self._names[mark] = (*self._names.get(mark, ()), place[1])

    def drop(self, place: Place) -> None:
        """Forget an Ingress."""
        for mark in self._marks.pop(place, ()):
            left = tuple(name for name in self._names[mark] if name != place[1])
            if left:
                self._names[mark] = left
            else:
                del self._names[mark]

    def near(self, namespace: str, service: str, hosts: Iterable[str]) -> tuple[str, ...]:
        """Names of the canaries of these hosts, and of the other Ingresses that send to this Service."""
        marks = ((namespace, False, service), *((namespace, True, host) for host in hosts))
        return tuple(dict.fromkeys(name for mark in marks for name in self._names.get(mark, ())))


def _marks(namespace: str, view: IngressView) -> set[Mark]:
    if view.is_canary:
        return {(namespace, True, path.key[0]) for path in view.paths}
    services = {path.service for path in view.paths} | {view.default}
    return {(namespace, False, service) for service in services if service is not None}
