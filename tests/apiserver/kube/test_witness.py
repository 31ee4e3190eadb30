"""The witness of the fault suite on a real API server: what it has not been shown it finds in the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from e2e.chaos.real.upstream import Upstream
from e2e.chaos.real.witness import Forgotten, Sight, Witness
from e2e.cluster.apiserver import ApiServer
from modelrollout.adapters.kube.resources import LEASES, ROLLOUTS, Resource
from tests.contract.kube.server_reads_suite import lease
from tests.contract.kube.server_writes_suite import fraud
from tests.contract.kube.wire import Wire

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(300)]

Known = list[tuple[int, str, str, bool]]


class Forgetful(Witness):
    """Its first watches wait for `goes_on`, and are told then that the server has forgotten."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, (LEASES, ROLLOUTS))
        self.goes_on = asyncio.Event()
        self._told: set[Resource] = set()

    async def _watch(self, resource: Resource, version: str) -> str:
        await self.goes_on.wait()
        if resource not in self._told:
            self._told.add(resource)
            raise Forgotten
        return await super()._watch(resource, version)


@asynccontextmanager
async def upstream(server: ApiServer) -> AsyncIterator[Upstream]:
    made = Upstream.of(server.kubeconfig)
    try:
        yield made
    finally:
        await made.close()


async def shown(witness: Witness, namespace: str, count: int) -> Known:
    """What it has seen of a namespace, as soon as that is so many events."""
    sights, enough = witness.seen[namespace], asyncio.Event()

    def look(_: Sight | None = None) -> None:
        if len(sights) >= count:
            enough.set()

    witness.listeners[namespace] = look
    look()
    async with asyncio.timeout(30):
        await enough.wait()
    return sorted((sight.number, sight.resource.plural, sight.name, sight.body is None) for sight in sights)


async def test_bug_a_witness_went_blind_when_an_api_server_filled_its_caches_anew(
    server: ApiServer, wire: Wire
) -> None:
    """As after etcd had lost its quorum: a run of the process then stood still for its whole time, by what it saw."""
    async with upstream(server) as way:
        plain, forgetful = Witness(way, (LEASES, ROLLOUTS)), Forgetful(way)
        await plain.start()
        await forgetful.start()
        await lease(wire, "a")
        for at in range(3):
            await wire.merge(LEASES, "a", {"metadata": {"labels": {"at": str(at)}}})
        await lease(wire, "b")
        await fraud(wire)
        await wire.delete(LEASES, "b")
        forgetful.goes_on.set()
        await wire.merge(ROLLOUTS, "fraud", {"metadata": {"labels": {"at": "last"}}})
        right = await shown(plain, wire.namespace, 8)
        assert await shown(forgetful, wire.namespace, 8) == right
        await plain.stop()
        await forgetful.stop()
    assert [gone for _, _, _, gone in right].count(True) == 1
    assert forgetful.latest.keys() == plain.latest.keys()
