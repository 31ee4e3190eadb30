"""A share of pods: two Deployments behind one Service, and all that makes their pods come and go.

Played here: the Deployments' controller with its rolling update, kubelets whose pods take some seconds to become ready,
and who writes EndpointSlices.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import ceil

from e2e.chaos.clock import START
from e2e.chaos.planes import Plane, Stand
from e2e.chaos.pod_counts import ARMS, SERVICE, SLICE, counts
from e2e.chaos.pod_traffic import PodTraffic
from e2e.chaos.scene import CANDIDATE, LEGACY, NAMESPACE, PORT, People, workload
from e2e.chaos.traffic import BEFORE
from modelrollout.adapters.kube.resources import DEPLOYMENTS, SERVICES, SLICES, Body

LABELS = {"model": SERVICE}
CONTROLLER = "deployment-controller"
SEEN = 0.1
"""Seconds after which the controller has seen a Deployment."""
LEAVES = 0.3
"""Seconds after which a pod that is told to end is out of the Service."""
STARTS = (4.0, 7.0)
"""Seconds that a pod takes to become ready."""
PART = 4
"""One pod in so many may be missing, or too many, in a rolling update."""


@dataclass(slots=True)
class _Pod:
    name: str
    deployment: str
    template: str
    started: bool = False
    """Whether its model is loaded."""
    leaving: bool = False


class PodPlane(Plane):
    """`legacy`: pods that it begins with."""

    def __init__(self, stand: Stand, legacy: int) -> None:
        self._stand = stand
        self._legacy = legacy
        self._traffic = self.traffic = PodTraffic(NAMESPACE)
        self._pods: list[_Pod] = []
        self._serial = 0
        self.unready: set[str] = set()
        """Deployments none of whose pods is ready, although they run."""
        self.stuck: set[str] = set()
        """Deployments whose pods never come up."""

    @property
    def takes_back(self) -> bool:
        # Legacy's pods are started by the revert itself.
        return True

    def furnish(self) -> None:
        people = self._stand.people
        ports = [{"name": "http", "port": PORT}]
        people.create(SERVICES, SERVICE, {"spec": {"selector": LABELS, "ports": ports}})
        for name, count in ((LEGACY, self._legacy), (CANDIDATE, 0)):
            body = workload(name, "one")
            body["spec"]["replicas"] = count
            body["spec"]["template"]["metadata"]["labels"] |= LABELS
            people.create(DEPLOYMENTS, name, body)
            for _ in range(count):
                self._start(name, "example/model:one", START - BEFORE).started = True
        people.create(SLICES, SLICE, self._slice())
        self._told(START - BEFORE)

    async def play(self) -> None:
        async for event in self._stand.server.watch(DEPLOYMENTS, since="0"):
            name = event["object"]["metadata"]["name"]
            if name in ARMS:
                self._later(SEEN, lambda name=name: self._reconcile(name))

    def serve(self, arm: str, endpoints: int) -> None:
        name = LEGACY if arm == "legacy" else CANDIDATE
        (self.unready.discard if endpoints else self.unready.add)(name)
        self._told(self._stand.clock.now())

    def deploy(self, template: str) -> None:
        known = self._stand.people.get(DEPLOYMENTS, CANDIDATE)
        assert known is not None
        pod = known["spec"]["template"]
        containers = [{**pod["spec"]["containers"][0], "image": f"example/model:{template}"}]
        patch = {"template": {"spec": {"containers": containers}}}
        self._stand.people.patch(DEPLOYMENTS, CANDIDATE, {"spec": patch})

    def end(self) -> Body:
        return {"wanted": counts(self._stand.people)}

    # --- the controller and the kubelets ------------------------------------------------------------------------------

    def _later(self, seconds: float, what: object) -> None:
        assert callable(what)
        asyncio.get_running_loop().call_later(seconds, what)

    def _reconcile(self, name: str) -> None:
        body = self._stand.people.get(DEPLOYMENTS, name)
        if body is None:
            return
        wanted = body["spec"]["replicas"]
        template = body["spec"]["template"]["spec"]["containers"][0]["image"]
        living = [pod for pod in self._pods if pod.deployment == name and not pod.leaving]
        new, old = [p for p in living if p.template == template], [p for p in living if p.template != template]
        room = ceil(wanted / PART) if old else 0
        for _ in range(min(wanted - len(new), wanted + room - len(living))):
            pod = self._start(name, template, self._stand.clock.now())
            self._later(self._stand.rng.uniform(*STARTS), lambda pod=pod: self._up(pod))
        # The controller takes those first that serve nobody, then the youngest.
        spare = sorted(new, key=lambda pod: pod.started)[: max(0, len(new) - wanted)]
        ready = sum(pod.started for pod in living)
        for pod in sorted(old, key=lambda pod: pod.started):
            if not pod.started or ready > wanted - wanted // PART:
                spare.append(pod)
                ready -= pod.started
        for pod in spare:
            pod.leaving = True
            self._later(LEAVES, lambda pod=pod: self._gone(pod))
        self._say(name)

    def _start(self, deployment: str, template: str, at: float) -> _Pod:
        self._serial += 1
        pod = _Pod(f"{deployment}-5d9c7b6f4-{self._serial:05d}", deployment, template)
        self._pods.append(pod)
        self._traffic.begin(at, pod.name, ARMS[deployment])
        return pod

    def _up(self, pod: _Pod) -> None:
        if pod.leaving or pod.deployment in self.stuck:
            return
        pod.started = True
        self._told(self._stand.clock.now())
        self._reconcile(pod.deployment)

    def _gone(self, pod: _Pod) -> None:
        self._pods.remove(pod)
        now = self._stand.clock.now()
        self._told(now)
        self._traffic.end(now, pod.name)

    def _ready(self, pod: _Pod) -> bool:
        return pod.started and pod.deployment not in self.unready

    def _told(self, now: float) -> None:
        """Users and the slice follow the pods."""
        self._traffic.ready(now, {pod.name for pod in self._pods if self._ready(pod)})
        people = People(self._stand.server, CONTROLLER)
        endpoints = self._slice()["endpoints"]
        known = people.get(SLICES, SLICE)
        if known is not None and known["endpoints"] != endpoints:
            people.patch(SLICES, SLICE, {"endpoints": endpoints})

    def _slice(self) -> Body:
        return {
            "metadata": {"labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": [f"10.0.{int(pod.name[-5:]) // 250}.{int(pod.name[-5:]) % 250 + 1}"],
                    "conditions": {"ready": self._ready(pod)},
                    "targetRef": {"kind": "Pod", "name": pod.name},
                }
                for pod in self._pods
            ],
        }

    def _say(self, name: str) -> None:
        """The Deployment's status, when it has changed."""
        people = People(self._stand.server, CONTROLLER)
        body = people.get(DEPLOYMENTS, name)
        if body is None:
            return
        template = body["spec"]["template"]["spec"]["containers"][0]["image"]
        living = [pod for pod in self._pods if pod.deployment == name and not pod.leaving]
        ready = sum(map(self._ready, living))
        status = {
            "observedGeneration": body["metadata"]["generation"],
            "replicas": len(living),
            "updatedReplicas": sum(pod.template == template for pod in living),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if {key: body["status"].get(key) for key in status} != status:
            people.patch(DEPLOYMENTS, name, {"status": status}, part="status")
