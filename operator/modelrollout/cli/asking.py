"""Questions to the cluster whose refusals are answers: what may not be read is said so, and the rest goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from modelrollout.cli import screen
from modelrollout.cli.complaints import Cause, Complaint
from modelrollout.cli.kubectl import Kubectl

SLOW = 5.0
"""Seconds after which is told what is being asked."""
Body = Mapping[str, Any]


class Asking:
    """kubectl, asked one question after the other; after `SLOW` seconds each is told on stderr before its answer."""

    def __init__(
        self, kubectl: Kubectl, *, say: Callable[[str], None] = screen.note, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.kubectl = kubectl
        self._say, self._clock, self._began = say, clock, clock()

    def text(self, what: str, *args: str, text: str | None = None) -> str | Complaint:
        """What `kubectl ARGS` prints. `what`: the question, for people."""
        with self._told(what):
            try:
                return self.kubectl.call(*args, text=text)
            except Complaint as problem:
                return problem

    def items(self, what: str, *args: str) -> Sequence[Body] | Complaint:
        """The objects that `kubectl get ARGS` finds; none where the kind is not served."""
        answer = self.text(what, "get", *args, "--output=json")
        if isinstance(answer, Complaint):
            return () if answer.cause is Cause.NO_CRD else answer
        found = list(bodies(answer))
        if len(found) == 1 and isinstance(found[0].get("items"), list):
            return [each for each in found[0]["items"] if isinstance(each, dict)]
        return found

    def raw(self, what: str, path: str) -> Body | Complaint | None:
        """The answer to GET of this path; None when there is no such path."""
        answer = self.text(what, "get", "--raw", path)
        if isinstance(answer, Complaint):
            return None if answer.cause is Cause.NO_CRD else answer
        return next(bodies(answer), None)

    def headers(self, what: str) -> str | Complaint:
        """What kubectl logs of an answer of the server, its headers among it. Never to be printed."""
        with self._told(what):
            try:
                return self.kubectl.logged("get", "--raw", "/version", "-v=8")
            except Complaint as problem:
                return problem

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        left = max(0.0, self._began + SLOW - self._clock())
        timer = threading.Timer(left, self._say, [f"asking for {what} ..."])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def bodies(text: str) -> Iterator[Body]:
    """The JSON objects of a text, one after the other, as kubectl prints several."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at >= len(text):
            return
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(found, dict):
            yield found
