"""Rollouts at rest take little memory and lose nothing."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest

from modelrollout.adapters.kube.cache import ObjectCache
from modelrollout.adapters.kube.rollout_view import ROLLOUT
from modelrollout.api.status_codec import encode
from modelrollout.core.model import Epoch, Key, Phase
from modelrollout.core.situation import AT_REST
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import RolloutObject
from modelrollout.runtime.resting import Resting, packed, unpacked
from modelrollout.runtime.store import Store
from tests.engine.api import Api, FakeRollouts
from tests.engine.world import spec_named
from tests.unit.api.statuses import full


def stored(phase: Phase, name: str = "a") -> RolloutObject:
    api = Api()
    obj = api.objects[api.create(spec_named(name))]
    return replace(obj, status=replace(full("t" * 300), phase=phase, leader_epoch=Epoch(7)))


def alive() -> int:
    gc.collect()
    return sum(type(each) is RolloutStatus for each in gc.get_objects())


@pytest.mark.parametrize("phase", sorted(AT_REST))
def test_one_at_rest_is_kept_small_and_whole(phase: Phase) -> None:
    obj = stored(phase)
    kept = packed(obj)
    assert isinstance(kept, Resting)
    assert unpacked(kept) == obj
    assert len(kept.packed) < 16_384


@pytest.mark.parametrize("phase", sorted(set(Phase) - AT_REST))
def test_one_that_moves_is_kept_as_it_is(phase: Phase) -> None:
    obj = stored(phase)
    assert packed(obj) is obj


def test_one_without_a_status_is_kept_as_it_is() -> None:
    obj = replace(stored(Phase.IDLE), status=None)
    assert packed(obj) is obj
    assert unpacked(obj) is obj


def test_a_store_of_rollouts_at_rest_holds_no_status_and_knows_each() -> None:
    store, before = Store(FakeRollouts(Api())), alive()
    for number in range(20):
        assert store.put(stored(Phase.PROMOTED, f"m{number}"))
    assert alive() == before
    assert store.epoch == 7
    for key in store:
        found = store.peek(key)
        assert found == stored(Phase.PROMOTED, key.name)
        assert not store.put(stored(Phase.PROMOTED, key.name)), "the same again"
        glanced = store.glance(key)
        assert glanced is not None
        assert (glanced.spec, glanced.status) == (found.spec if found else None, None)


def test_one_that_begins_to_move_is_taken_in() -> None:
    store = Store(FakeRollouts(Api()))
    store.put(stored(Phase.IDLE))
    moving = replace(stored(Phase.PROGRESSING), resource_version="999")
    assert store.put(moving)
    assert store.peek(moving.key) == moving


def test_a_cache_of_rollouts_at_rest_holds_no_status_and_gives_it_back() -> None:
    cache, before = ObjectCache(), alive()
    body: dict[str, Any] = {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"namespace": "serving", "name": "a", "resourceVersion": "5"},
        "status": {**encode(full("t" * 300)), "phase": "Promoted"},
    }
    first = cache.adopt(ROLLOUT, body)
    assert first.status is not None
    assert first.status.phase is Phase.PROMOTED
    again = cache.find(ROLLOUT, first.key.namespace, first.key.name)
    assert again == first == cache.adopt(ROLLOUT, body)
    del again, first
    assert alive() == before
    assert cache.every(ROLLOUT)[0].key == Key("serving", "a")
