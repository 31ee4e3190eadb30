"""Contract of `LeaseStore`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.adapters.kube.lease import KubeLeaseStore
from modelrollout.adapters.kube.resources import LEASES
from modelrollout.core.model import Epoch
from modelrollout.errors import Conflict
from modelrollout.ports import LeaseRecord
from tests.contract.kube.harness import Kube

NAME = "modelrollout-leader"
FIRST = LeaseRecord("pod-a_1", Epoch(1), 15.0, "2026-01-01T00:00:00.000000Z", "")


def lease_store(kube: Kube) -> KubeLeaseStore:
    return KubeLeaseStore(kube.client, kube.namespace, NAME)


class LeaseSuite:
    async def test_none_at_first_then_what_was_written(self, kube: Kube) -> None:
        store = lease_store(kube)
        assert await store.read() is None
        written = await store.write(FIRST, create=True)
        assert written == replace(FIRST, resource_version=written.resource_version)
        assert await store.read() == written
        assert await lease_store(kube).read() == written

    async def test_two_creators_one_wins(self, kube: Kube) -> None:
        await lease_store(kube).write(FIRST, create=True)
        with pytest.raises(Conflict):
            await lease_store(kube).write(replace(FIRST, holder="pod-b_2"), create=True)

    async def test_a_renewal_needs_the_version_it_was_read_at(self, kube: Kube) -> None:
        mine, theirs = lease_store(kube), lease_store(kube)
        first = await mine.write(FIRST, create=True)
        assert await theirs.read() == first
        renewed = await mine.write(replace(first, renewed="2026-01-01T00:00:02.000000Z"), create=False)
        assert renewed.renewed == "2026-01-01T00:00:02.000000Z"
        taken = replace(first, holder="pod-b_2", transitions=Epoch(2))
        with pytest.raises(Conflict):
            await theirs.write(taken, create=False)
        after = await theirs.write(replace(taken, resource_version=renewed.resource_version), create=False)
        assert (after.holder, after.transitions) == ("pod-b_2", Epoch(2))

    async def test_released_it_has_no_holder(self, kube: Kube) -> None:
        store = lease_store(kube)
        held = await store.write(FIRST, create=True)
        free = await store.write(replace(held, holder="", duration=1.0), create=False)
        assert (free.holder, free.transitions, free.duration) == ("", Epoch(1), 1.0)
        assert await lease_store(kube).read() == free

    async def test_acquired_is_when_the_holder_changed(self, kube: Kube) -> None:
        store = lease_store(kube)
        held = await store.write(FIRST, create=True)
        held = await store.write(replace(held, renewed="2026-01-01T00:00:02.000000Z"), create=False)
        assert (await kube.get(LEASES, NAME))["spec"]["acquireTime"] == FIRST.renewed
        later = replace(held, holder="pod-b_2", transitions=Epoch(2), renewed="2026-01-01T00:00:09.000000Z")
        await store.write(later, create=False)
        assert (await kube.get(LEASES, NAME))["spec"]["acquireTime"] == later.renewed

    async def test_labels_of_others_stay(self, kube: Kube) -> None:
        store = lease_store(kube)
        await store.write(FIRST, create=True)
        await kube.edit(LEASES, NAME, {"metadata": {"labels": {"team": "platform"}}})
        record = await store.read()
        assert record is not None
        await store.write(replace(record, renewed="2026-01-01T00:00:02.000000Z"), create=False)
        assert (await kube.get(LEASES, NAME))["metadata"]["labels"] == {"team": "platform"}

    async def test_a_lease_that_somebody_deleted_is_a_conflict(self, kube: Kube) -> None:
        store = lease_store(kube)
        held = await store.write(FIRST, create=True)
        await kube.other.delete(LEASES, kube.namespace, NAME)
        with pytest.raises(Conflict):
            await store.write(held, create=False)
        assert await store.read() is None
