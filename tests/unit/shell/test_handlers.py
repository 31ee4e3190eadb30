"""How kopf is used: as a watcher that keeps no body longer than it takes to hand it over."""

from __future__ import annotations

from modelrollout.shell.handlers import registry, settings
from modelrollout.shell.sync import WATCHED


def test_kopf_holds_no_event_back_until_every_kind_is_listed() -> None:
    # With an index kopf keeps each listed body until all kinds are listed: 150 MiB at a thousand rollouts.
    made = registry(WATCHED, lambda *_: None, inside=False, started=lambda: None)
    assert made._indexing.get_all_handlers() == []
    assert len(made._watching.get_all_handlers()) == len(WATCHED)


def test_kopf_lets_bodies_go_soon() -> None:
    made = settings()
    assert made.queueing.idle_timeout <= 0.1, "a worker keeps the last body of its object so long"
    assert made.watching.chunk_size is not None
    assert 0 < made.watching.chunk_size <= 100, "seven kinds are listed at once"
