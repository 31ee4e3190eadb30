"""Looking up names: answers, failures, a name server that is silent, and one that comes back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from modelrollout.adapters.prom import names
from modelrollout.adapters.prom.names import Names

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 9090))]
MOVED = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 9090))]


class Resolver:
    """Answers as `says`; without it stands still until the test is over."""

    def __init__(self) -> None:
        self.says: Any = FOUND
        self.asked = 0
        self.over = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> Any:
        self.asked += 1
        if self.says is None:
            self.over.wait(10)
            raise socket.gaierror("too late")
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.over.set()
    for thread in threading.enumerate():
        if thread.name.startswith("names-"):
            thread.join(5)


def ask(known: Names, within: float = 5.0) -> Any:
    return known.addresses("prometheus.monitoring", 9090, within=within)


def test_every_connection_gets_a_fresh_answer(resolver: Resolver) -> None:
    known = Names(resolver)
    assert ask(known) == FOUND
    resolver.says = MOVED
    assert ask(known) == MOVED


@pytest.mark.parametrize("failure", [socket.gaierror("unknown"), OSError("broken"), UnicodeError("label too long")])
def test_a_name_that_is_not_there_is_told(resolver: Resolver, failure: Exception) -> None:
    resolver.says = failure
    with pytest.raises(socket.gaierror):
        ask(Names(resolver))


def test_nobody_waits_longer_than_asked(resolver: Resolver) -> None:
    resolver.says = None
    with pytest.raises(TimeoutError):
        ask(Names(resolver), within=0.01)


@pytest.mark.parametrize("failing", [None, socket.gaierror("server failed")])
def test_the_last_answer_stands_in_for_one_that_does_not_come(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, failing: Exception | None
) -> None:
    monkeypatch.setattr(names, "GRACE", 0.01)
    known = Names(resolver)
    ask(known)
    resolver.says = failing
    assert ask(known) == FOUND
    monkeypatch.setattr(names, "KEEP", 0.0)
    with pytest.raises((TimeoutError, socket.gaierror)):
        ask(known, within=0.01)


def test_bug_a_name_server_that_was_silent_held_every_thread_long_after_its_return(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Names(resolver)
    resolver.says = None
    with pytest.raises(TimeoutError):
        ask(known, within=0.01)
    resolver.says = FOUND
    monkeypatch.setattr(names, "PATIENCE", 0.0)
    assert ask(known) == FOUND


def test_a_silent_name_server_is_not_asked_without_end(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Names(resolver)
    resolver.says = None
    for _ in range(3):
        with pytest.raises(TimeoutError):
            ask(known, within=0.001)
    assert resolver.asked == 1
    monkeypatch.setattr(names, "PATIENCE", 0.0)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            ask(known, within=0.001)
    assert resolver.asked == names.MOST
