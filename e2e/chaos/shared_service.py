"""The carrier of a share of pods: two Deployments behind one Service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from e2e.chaos import pod_oracles
from e2e.chaos.apiserver.objects import Version
from e2e.chaos.carriers import AWAY, Carrier, Tracker
from e2e.chaos.planes import Stand
from e2e.chaos.pod_counts import SERVICE, PodTracker, counts, share
from e2e.chaos.pods import LABELS, LEAVES, STARTS, PodPlane
from e2e.chaos.scene import CANDIDATE, LEGACY, PORT, People
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SERVICES, Body


@dataclass(frozen=True)
class SharedService(Carrier):
    """A share of `total` pods behind one Service; `legacy`: those that it has at first (None: all)."""

    total: int = 10
    legacy: int | None = None
    resource, name = DEPLOYMENTS, CANDIDATE
    slack: ClassVar[float] = 2.0
    way_back: ClassVar[float] = 2 * (STARTS[1] + LEAVES) + 1.0
    more_writes: ClassVar[int] = 30
    """The status tells of pods as they come and go: a fault that ends a rollout otherwise brings all of them again."""
    rounding: ClassVar[float] = 0.005

    @property
    def blurs(self) -> tuple[tuple[str, ...], ...]:
        """Numbers that are wanted and pods that are ready come by watches of their own."""
        return ("deployments",), ("modelrollouts",), ("endpointslices",)

    @property
    def traffic(self) -> Body:
        return {"replicas": {"service": SERVICE, "total": self.total}}

    def made(self) -> Body | None:
        return None

    def wrong(self, body: Body) -> str:
        """Numbers are looked at with the pods that are ready."""
        return ""

    def beyond(self, version: Version, allowed: float) -> str:
        return pod_oracles.beyond(version, self.total, allowed)

    def hurt(self, history: Sequence[Version]) -> Iterator[tuple[Version, str, str]]:
        return pod_oracles.hurt(history, self.total)

    def weight(self, body: Body | None) -> float | None:
        """No object tells the share."""
        return None

    def stored(self, people: People) -> float | None:
        return share(*counts(people))

    def by_hand(self, people: People, percent: int) -> None:
        """Somebody scales both, to a share a little smaller."""
        candidate = self.total * percent // 100
        for name, count in ((LEGACY, self.total - candidate), (CANDIDATE, candidate)):
            people.patch(DEPLOYMENTS, name, {"spec": {"replicas": count}})

    def take_away(self, people: People) -> float:
        """Somebody deletes the Service: nobody finds the model, and its owner puts it back."""
        people.delete(SERVICES, SERVICE)
        return AWAY

    def put_back(self, people: People) -> None:
        if people.get(SERVICES, SERVICE) is None:
            people.create(SERVICES, SERVICE, {"spec": {"selector": LABELS, "ports": [{"name": "http", "port": PORT}]}})

    def tracker(self) -> Tracker:
        return PodTracker(self.total)

    def plane(self, stand: Stand) -> PodPlane:
        return PodPlane(stand, self.total if self.legacy is None else self.legacy)
