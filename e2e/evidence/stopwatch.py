"""Where the processor time of a tick goes: the operator's own functions, each with a stopwatch of its thread."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from modelrollout.adapters.prom import connect, parse
from modelrollout.runtime import rounds
from modelrollout.runtime.arms import Split
from modelrollout.stats import evidence
from modelrollout.stats.evidence import EvidenceTracker
from modelrollout.stats.track import SliTrack

HTTP, PARSE, ARMS = "HTTP and JSON", "samples out of the JSON", "split into rollouts and arms"
TICKS, COMPARED, READ = "counts of the ticks", "comparison moved on", "effects and what a PASS takes"
JUDGED = "verdicts"
PIECES = (HTTP, PARSE, ARMS, TICKS, COMPARED, READ, JUDGED)


class Stopwatch:
    """Seconds of processor time by piece, and what came over the wire. A piece inside another counts once, as itself.

    Of threads only the time on a processor counts, not the wait for Python's lock.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.bytes = 0
        self.series = 0
        self.samples = 0
        self._inner: dict[int, list[float]] = {}

    def timed(self, piece: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; its time, less that of timed ones it calls, goes to `piece`."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            inner = self._inner.setdefault(threading.get_ident(), [])
            inner.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time() - began
                self.seconds[piece] += took - inner.pop()
                if inner:
                    inner[-1] += took

        return run

    def _document(self, body: bytes, *, most: int) -> Any:
        self.bytes += len(body)
        return _DOCUMENT(body, most=most)

    def _matrix(self, result: object) -> Any:
        parsed = _MATRIX(result)
        self.series += len(parsed.series)
        self.samples += sum(len(one.times) for one in parsed.series)
        return parsed

    @contextmanager
    def running(self) -> Iterator[None]:
        """Watch from here on."""
        watched: tuple[tuple[Any, str, str], ...] = (
            (connect.Client, "ask", HTTP),
            (Split, "arms", ARMS),
            (rounds, "within", ARMS),
            (SliTrack, "read", TICKS),
            (evidence, "advance", COMPARED),
            (evidence, "foresee", READ),
            (EvidenceTracker, "assess", JUDGED),
        )
        patches = [patch.object(place, name, self.timed(piece, getattr(place, name))) for place, name, piece in watched]
        patches.append(patch.object(connect, "_document", self._document))
        patches.append(patch.object(parse, "matrix", self.timed(PARSE, self._matrix)))
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()


_DOCUMENT = connect._document
_MATRIX = parse.matrix
