"""How kopf is used: as a watcher that keeps no body longer than it takes to hand it over."""

from __future__ import annotations

from kopf import Body, Patch, RawBody

from modelrollout.adapters.kube.credentials import Credentials
from modelrollout.errors import Denied
from modelrollout.shell.handlers import NoMemories, registry, settings
from modelrollout.shell.sync import WATCHED


async def never() -> Credentials:
    raise Denied("nobody logs in here")


def test_kopf_holds_no_event_back_until_every_kind_is_listed() -> None:
    # With an index kopf keeps each listed body until all kinds are listed: 150 MiB at a thousand rollouts.
    made = registry(WATCHED, lambda *_: None, login=never, started=lambda: None)
    assert made._indexing.get_all_handlers() == []
    assert len(made._watching.get_all_handlers()) == len(WATCHED)


def test_kopf_lets_bodies_go_soon() -> None:
    made = settings()
    assert not list(made.watching.label_selectors)
    assert list(settings("team=a").watching.label_selectors.values()) == ["team=a"]
    assert made.queueing.idle_timeout <= 0.1, "a worker keeps the last body of its object so long"
    assert made.watching.chunk_size is not None
    assert 0 < made.watching.chunk_size <= 100, "seven kinds are listed at once"


def test_kopf_copies_no_body_for_comparisons_and_remembers_nothing_on_objects() -> None:
    storage = settings().persistence.diffbase_storage
    body, patch = Body({"metadata": {"name": "fraud"}, "spec": {"port": 8080}}), Patch()
    essence = storage.build(body=body)
    assert dict(essence) == {}
    storage.store(body=body, patch=patch, essence=essence)
    assert dict(patch) == {}
    assert storage.fetch(body=body) is None


async def test_kopf_keeps_nothing_about_objects() -> None:
    memories = NoMemories()
    body = RawBody({"metadata": {"name": "fraud", "uid": "u"}})
    assert await memories.recall(body) is not await memories.recall(body)
    assert list(memories.iter_all_memories()) == []
    assert list(memories.iter_all_daemon_memories()) == []
