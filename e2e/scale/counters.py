"""Counters of many pods, served as some targets: `/metrics/<shard>`.

Every shard is scraped at a moment of its own, as pods are. Series carry the labels of their pods, `up` among them, as
they would have them if each pod were a target (the scrape configuration says `honor_labels`). Requests are Poisson, bad
ones binomial. Counters move on when they are looked at, by what the whole time since the last look would have brought.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt

SHARDS = 20
ERRORS, FALLBACKS, WRONG = 0.002, 0.005, 0.05
LATENCIES = {"0.1": 0.6, "0.3": 0.98, "1.0": 0.999, "+Inf": 1.0}
"""Share of good answers up to a boundary."""


def template(namespace: str, pod: str, slis: int) -> str:
    """The exposition of one pod with a place for each counter, in the order of `Counters._advance`."""
    labels = f'namespace="{namespace}",pod="{pod}",instance="{pod}:8080",job="models",container="model"'
    first = f'up{{{labels}}} 1\nrequests_total{{{labels},code="200"}} %d\nrequests_total{{{labels},code="500"}} %d\n'
    if slis == 1:
        return first
    buckets = "".join(f'latency_seconds_bucket{{{labels},le="{le}"}} %d\n' for le in LATENCIES)
    return (
        f"{first}{buckets}"
        f"latency_seconds_count{{{labels}}} %d\n"
        f"predictions_total{{{labels}}} %d\n"
        f"predictions_fallback_total{{{labels}}} %d\n"
        f'predictions_labeled_total{{{labels},correct="true"}} %d\n'
        f'predictions_labeled_total{{{labels},correct="false"}} %d\n'
    )


class Counters:
    """One shard: a row for each pod, of so many requests a second. Lock it to change rates, bad shares or pods."""

    def __init__(self, templates: Sequence[str], rates: Sequence[float], *, slis: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._slis = slis
        self._rates = np.array(rates)
        self._bad = np.full(len(templates), ERRORS)
        self._templates = list(templates)
        self._template = "".join(templates)
        columns = 2 if slis == 1 else 7 + len(LATENCIES)
        self._counts: npt.NDArray[np.int64] = np.zeros((len(templates), columns), dtype=np.int64)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def text(self) -> bytes:
        """The exposition now."""
        with self._lock:
            self._catch_up()
            return f"{self._template % tuple(self._counts.ravel().tolist())}{self._remark()}".encode()

    def _remark(self) -> str:
        """Further lines, of the same moment."""
        return ""

    def _replace(self, row: int, template: str) -> None:
        """Another pod begins at 0, and its series are others."""
        self._counts[row] = 0
        self._templates[row] = template
        self._template = "".join(self._templates)

    def _catch_up(self) -> None:
        now = time.monotonic()
        self._advance(now - self._looked)
        self._looked = now

    def _advance(self, seconds: float) -> None:
        rng = self._rng
        events = rng.poisson(self._rates * seconds)
        bad = rng.binomial(events, self._bad)
        good = events - bad
        columns = [good, bad]
        if self._slis > 1:
            slower = good
            shares = list(LATENCIES.values())
            # From the largest bucket down: each holds a part of the one above it.
            held = []
            for upper, share in zip([1.0, *shares[:0:-1]], shares[::-1], strict=True):
                slower = rng.binomial(slower, share / upper)
                held.append(slower)
            wrong = rng.binomial(events, WRONG)
            columns += [*held[::-1], good, events, rng.binomial(events, FALLBACKS), events - wrong, wrong]
        self._counts += np.stack(columns, axis=1)


def serve(shards: Sequence[Counters], posted: Callable[[str, Mapping[str, str]], None] | None = None) -> None:
    """Serve until killed; prints the port first. `posted` is called with path and parameters of a POST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(shards[int(self.path.rsplit("/", 1)[1])].text())

        def do_POST(self) -> None:
            assert posted is not None
            url = urlsplit(self.path)
            posted(url.path, {name: values[0] for name, values in parse_qs(url.query).items()})
            self._answer(b"done\n")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # the default of 5 drops connections of a busy minute

    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
