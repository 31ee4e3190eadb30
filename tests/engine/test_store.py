"""What is known of each rollout: own writes count as seen, lists prune ghosts, doubts are read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.core.model import Epoch, Key
from modelrollout.core.status import RolloutStatus
from modelrollout.errors import Gone
from modelrollout.ports import RolloutObject
from modelrollout.runtime.store import Store
from tests.engine.api import Api, FakeRollouts
from tests.engine.world import spec_named


def stage(*names: str) -> tuple[Api, Store, list[RolloutObject]]:
    api = Api()
    objects = [api.objects[api.create(spec_named(name))] for name in names]
    store = Store(FakeRollouts(api))
    for obj in objects:
        store.put(obj)
    return api, store, objects


def test_an_echo_older_than_our_own_write_is_ignored() -> None:
    _, store, [obj] = stage("a")
    written = replace(obj, resource_version="999")
    assert store.put(written)
    assert not store.put(obj)
    assert not store.put(written)
    assert store.peek(obj.key) == written


def test_a_recreated_object_replaces_the_old_one_whatever_its_version() -> None:
    _, store, [obj] = stage("a")
    reborn = replace(obj, uid="other", resource_version="5")
    assert store.put(reborn)
    assert store.peek(obj.key) == reborn


async def test_a_list_that_lags_brings_nothing_back_that_was_deleted() -> None:
    api, store, [obj] = stage("a")
    del api.objects[obj.key]
    store.forget(obj.key)
    store.put(obj)
    with pytest.raises(Gone):
        await store.read(obj.key)
    assert store.peek(obj.key) is None


async def test_news_of_the_object_that_a_recreated_one_replaced_are_asked_for() -> None:
    api, store, [old] = stage("a")
    reborn = api.objects[old.key] = replace(old, uid="other", resource_version="999")
    store.put(reborn)
    store.put(old)
    assert await store.read(old.key) == reborn
    assert not store.doubted(old.key)


@pytest.mark.parametrize("version", ["1", "999"])
async def test_a_rollout_that_does_come_back_is_read_once(version: str) -> None:
    # Of another shard, in a newer version; with a restored etcd, in an older one.
    api, store, [obj] = stage("a")
    back = api.objects[obj.key] = replace(obj, resource_version=version)
    store.forget(obj.key)
    store.put(back)
    for _ in range(2):
        assert await store.read(obj.key) == back
    assert api.reads == 1


async def test_a_rollout_that_was_forgotten_and_is_read_at_once_is_not_read_twice() -> None:
    api, store, [obj] = stage("a")
    store.forget(obj.key)
    for _ in range(2):
        await store.read(obj.key)
    assert api.reads == 1


def test_only_the_last_that_went_away_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelrollout.runtime.store.GRAVES", 1)
    _, store, objects = stage("a", "b")
    for obj in objects:
        store.forget(obj.key)
    for obj in objects:
        store.put(obj)
    assert [store.doubted(obj.key) for obj in objects] == [False, True]


async def test_a_known_object_is_read_from_memory_and_a_doubted_one_from_the_server() -> None:
    api, store, [obj] = stage("a")
    await store.read(obj.key)
    assert api.reads == 0
    api.objects[obj.key] = replace(obj, generation=9, resource_version="1")
    store.doubt(obj.key)
    assert (await store.read(obj.key)).generation == 9
    assert not store.doubted(obj.key)
    await store.read(obj.key)
    assert api.reads == 1


async def test_an_object_that_the_server_has_not_is_forgotten() -> None:
    api, store, [obj] = stage("a")
    del api.objects[obj.key]
    store.doubt(obj.key)
    with pytest.raises(Gone):
        await store.read(obj.key)
    assert store.peek(obj.key) is None


def test_the_last_valid_spec_is_kept_for_the_same_object_only() -> None:
    _, store, [obj] = stage("a")
    broken = replace(obj, spec=None, resource_version="999")
    store.put(broken)
    assert store.valid_spec(broken) == obj.spec
    assert store.valid_spec(replace(broken, uid="other")) is None


def test_a_list_tells_what_the_watch_missed() -> None:
    _, store, [a, b, c] = stage("a", "b", "c")
    new = replace(a, key=Key("serving", "new"), uid="new")
    newer = replace(b, resource_version="999", generation=2)
    before = frozenset(store)
    late = replace(a, key=Key("serving", "late"), uid="late")
    store.put(late)
    drift = store.reconcile([a, newer, new], before)
    assert (drift.missing, drift.ghosts, drift.stale) == ((new.key,), (c.key,), (b.key,))
    assert drift.count == 3
    assert set(store) == {a.key, b.key, new.key, late.key}
    assert store.peek(b.key) == newer


def test_a_list_older_than_our_own_write_does_not_undo_it() -> None:
    _, store, [obj] = stage("a")
    written = replace(obj, resource_version="999", generation=2)
    store.put(written)
    assert store.reconcile([obj], frozenset(store)).count == 0
    assert store.peek(obj.key) == written


def test_a_list_that_began_after_a_doubt_answers_it() -> None:
    _, store, [a, b, c] = stage("a", "b", "c")
    before = frozenset(store)
    store.doubt(a.key)
    store.doubt(b.key)
    raised = store.doubts
    store.doubt(c.key)
    store.put(replace(b, resource_version="999"))
    store.reconcile([a, b, c], before, raised)
    # The list has another version of b than is known, and began before anybody doubted c.
    assert [store.doubted(obj.key) for obj in (a, b, c)] == [False, True, True]
    store.reconcile([a, b, c], before)
    assert store.doubted(c.key)


def test_the_highest_epoch_of_all_without_nonsense() -> None:
    _, store, objects = stage("a", "b", "c")
    assert store.epoch == 0
    for obj, epoch in zip(objects, (4, 7, 2**62), strict=True):
        store.put(replace(obj, resource_version="999", status=RolloutStatus(leader_epoch=Epoch(epoch))))
    assert store.epoch == 7
