"""Numbers of pods, as they are read from the objects: wanted by two Deployments, and ready behind one Service."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e.chaos.apiserver.objects import Version
from e2e.chaos.scene import CANDIDATE, LEGACY, People
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SLICES
from modelrollout.core.pods import Pods

SERVICE = "fraud"
SLICE = f"{SERVICE}-1"
ARMS = {LEGACY: "legacy", CANDIDATE: "candidate"}
"""Deployments, and what their pods are."""


def counts(people: People) -> tuple[int, int]:
    """What the two Deployments want, legacy first."""
    legacy, candidate = [people.get(DEPLOYMENTS, name) or {"spec": {}} for name in (LEGACY, CANDIDATE)]
    return legacy["spec"].get("replicas", 0), candidate["spec"].get("replicas", 0)


def share(legacy: int, candidate: int) -> float:
    """The candidate's share of the wanted pods, percent."""
    return 100.0 * candidate / (legacy + candidate) if candidate else 0.0


@dataclass(slots=True)
class PodTracker:
    """The pods of both arms at one point of a history: wanted, and ready behind the Service."""

    total: int
    wanted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ARMS, 0))
    serving: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ARMS, 0))

    def take(self, version: Version) -> float | None:
        """The candidate's share of what is wanted, after a version that says what is wanted."""
        name = version.place[1]
        if version.resource is SLICES and name == SLICE and version.body is not None:
            pods = [e["targetRef"]["name"] for e in version.body["endpoints"] if e["conditions"]["ready"]]
            self.serving = {arm: sum(pod.startswith(f"{arm}-") for pod in pods) for arm in ARMS}
        if version.resource is not DEPLOYMENTS or name not in ARMS:
            return None
        self.wanted[name] = 0 if version.body is None else int(version.body["spec"]["replicas"])
        return share(self.wanted[LEGACY], self.wanted[CANDIDATE])

    @property
    def pods(self) -> Pods:
        """As the operator calls them."""
        return Pods(self.total, *self.wanted.values(), *self.serving.values())
