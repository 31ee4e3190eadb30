"""Contract of `Workloads`."""

from __future__ import annotations

from modelrollout.adapters.kube.resources import DEPLOYMENTS, SERVICES, SLICES, Body
from modelrollout.adapters.kube.workloads import KubeWorkloads
from modelrollout.core.observation import Workload, WorkloadAbsent, WorkloadSeen
from tests.contract.kube.harness import CANDIDATE, LEGACY, PORT, Kube

READY = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "observedGeneration": 1}


def deployment(name: str, *, image: str = "model:1", status: Body | None = None) -> Body:
    labels = {"app": name}
    container = {"name": "model", "image": image}
    return {
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
        "status": status or READY,
    }


def service(name: str, *ports: int) -> Body:
    listed = [{"name": f"p{port}", "port": port, "targetPort": 9000} for port in ports]
    return {"spec": {"selector": {"app": name}, "ports": listed}}


def endpoints(name: str, *ready: bool | None, port: str = f"p{PORT}", family: str = "IPv4", first: int = 1) -> Body:
    prefix = "10.0.0." if family == "IPv4" else "fd00::"
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": name}},
        "addressType": family,
        "ports": [{"name": port, "port": 9000, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [f"{prefix}{index}"],
                "conditions": {} if state is None else {"ready": state},
                "targetRef": {"kind": "Pod", "name": f"{name}-{index}"},
            }
            for index, state in enumerate(ready, first)
        ],
    }


async def arm(kube: Kube, name: str, *ready: bool | None) -> None:
    await kube.create(DEPLOYMENTS, name, deployment(name))
    await kube.create(SERVICES, name, service(name, PORT))
    await kube.create(SLICES, f"{name}-1", endpoints(name, *ready))


def seen(workload: Workload) -> WorkloadSeen:
    assert isinstance(workload, WorkloadSeen), workload
    return workload


def problem(workload: Workload) -> str:
    assert isinstance(workload, WorkloadAbsent), workload
    return workload.problem


class WorkloadsSuite:
    async def test_both_arms_as_they_are(self, kube: Kube) -> None:
        await arm(kube, LEGACY, True, True, True)
        await arm(kube, CANDIDATE, True, False)
        legacy, candidate = map(seen, await KubeWorkloads(kube.reader).observe(kube.spec()))
        assert (legacy.wanted, legacy.endpoints, legacy.settled) == (3, 3, True)
        assert (candidate.wanted, candidate.endpoints, candidate.settled) == (3, 1, True)
        assert legacy.template_hash != candidate.template_hash

    async def test_what_is_missing_is_told_with_the_fix(self, kube: Kube) -> None:
        workloads = KubeWorkloads(kube.reader)
        await arm(kube, LEGACY, True)
        _, candidate = await workloads.observe(kube.spec())
        assert problem(candidate) == (
            f'candidate.deployment "fraud-v8" not found in namespace {kube.namespace}: create it, or correct'
            " spec.candidate.deployment"
        )
        await kube.create(DEPLOYMENTS, CANDIDATE, deployment(CANDIDATE))
        _, candidate = await workloads.observe(kube.spec())
        assert f'candidate.service "fraud-v8" not found in namespace {kube.namespace}' in problem(candidate)
        await kube.create(SERVICES, CANDIDATE, service(CANDIDATE, 80, 9090))
        _, candidate = await workloads.observe(kube.spec())
        assert problem(candidate) == (
            'candidate.service "fraud-v8" has no port 8080; its ports are 80, 9090: set spec.port to one of them'
        )

    async def test_no_endpoints_is_none_ready(self, kube: Kube) -> None:
        await arm(kube, LEGACY)
        await arm(kube, CANDIDATE, False)
        legacy, candidate = map(seen, await KubeWorkloads(kube.reader).observe(kube.spec()))
        assert (legacy.endpoints, candidate.endpoints) == (0, 0)

    async def test_endpoints_are_counted_once_and_only_at_the_port(self, kube: Kube) -> None:
        await arm(kube, LEGACY, True, None)
        # Another slice repeats one pod, another family repeats all, another port is not the one.
        await kube.create(SLICES, "more", endpoints(LEGACY, True))
        await kube.create(SLICES, "third", endpoints(LEGACY, True, first=3))
        await kube.create(SLICES, "six", endpoints(LEGACY, True, True, family="IPv6"))
        await kube.create(SLICES, "metrics", endpoints(LEGACY, True, True, True, True, port="metrics"))
        await kube.create(SLICES, "foreign", endpoints("web", True, True, True, True))
        legacy, _ = await KubeWorkloads(kube.reader).observe(kube.spec())
        assert seen(legacy).endpoints == 3

    async def test_settled_is_said_of_the_newest_generation_and_every_replica(self, kube: Kube) -> None:
        await arm(kube, LEGACY, True)
        workloads = KubeWorkloads(kube.reader)

        async def settled(**status: int) -> bool:
            await kube.edit(DEPLOYMENTS, LEGACY, {"status": status}, subresource="status")
            legacy, _ = await workloads.observe(kube.spec(), fresh=True)
            return seen(legacy).settled

        assert not await settled(observedGeneration=0)
        assert not await settled(observedGeneration=1, updatedReplicas=2)
        assert not await settled(observedGeneration=1, updatedReplicas=3, replicas=4)
        assert await settled(observedGeneration=1, updatedReplicas=3, replicas=3)

    async def test_the_hash_is_that_of_the_template(self, kube: Kube) -> None:
        await arm(kube, LEGACY, True)
        workloads = KubeWorkloads(kube.reader)
        before = seen((await workloads.observe(kube.spec()))[0]).template_hash
        await kube.edit(DEPLOYMENTS, LEGACY, {"spec": {"replicas": 5}, "metadata": {"labels": {"a": "b"}}})
        assert seen((await workloads.observe(kube.spec(), fresh=True))[0]).template_hash == before
        path = "/spec/template/spec/containers/0/image"
        await kube.change(DEPLOYMENTS, LEGACY, {"op": "replace", "path": path, "value": "model:2"})
        assert seen((await workloads.observe(kube.spec(), fresh=True))[0]).template_hash != before

    async def test_watched_kinds_are_answered_from_the_cache(self, kube: Kube) -> None:
        await arm(kube, LEGACY, True)
        await arm(kube, CANDIDATE, True)
        for resource in (DEPLOYMENTS, SERVICES, SLICES):
            listing = await kube.client.list_all(resource, kube.namespace)
            drift, _ = kube.cache.replace_all(
                resource.kind, listing.items, resource_version=listing.resource_version, namespace=kube.namespace
            )
            assert drift == 2
        workloads = KubeWorkloads(kube.reader)
        await kube.other.delete(SLICES, kube.namespace, f"{CANDIDATE}-1")
        assert seen((await workloads.observe(kube.spec()))[1]).endpoints == 1
        assert seen((await workloads.observe(kube.spec(), fresh=True))[1]).endpoints == 0
        kube.cache.remove("EndpointSlice", kube.namespace, f"{CANDIDATE}-1")
        assert seen((await workloads.observe(kube.spec()))[1]).endpoints == 0
