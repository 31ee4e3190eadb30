"""Serves the counters of all pods, a few thousand at once: `/metrics/<shard>` is scraped as one target.

Every shard is scraped at a moment of its own, as pods are. Series carry the labels of their pods, `up` among them, as
they would have them if each pod were a target (the scrape configuration says `honor_labels`). Requests are Poisson, bad
ones binomial, both arms alike.
"""

from __future__ import annotations

import argparse
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e.evidence.fleet import Pod, pods

SHARDS = 20
REQUESTS = 20.0
"""A second and rollout, both arms."""
ERRORS, FALLBACKS, WRONG = 0.002, 0.005, 0.05
LATENCIES = {"0.1": 0.6, "0.3": 0.98, "1.0": 0.999, "+Inf": 1.0}
"""Share of good answers up to a boundary."""
LATEST = 1.0
"""Share of predictions whose label arrives."""


def template(pod: Pod) -> str:
    """The exposition of one pod with a place for each counter, in the order of `Shard._advance`."""
    labels = f'namespace="{pod.namespace}",pod="{pod.name}",instance="{pod.name}:8080",job="models",container="model"'
    buckets = "".join(f'latency_seconds_bucket{{{labels},le="{le}"}} %d\n' for le in LATENCIES)
    return (
        f"up{{{labels}}} 1\n"
        f'requests_total{{{labels},code="200"}} %d\n'
        f'requests_total{{{labels},code="500"}} %d\n'
        f"{buckets}"
        f"latency_seconds_count{{{labels}}} %d\n"
        f"predictions_total{{{labels}}} %d\n"
        f"predictions_fallback_total{{{labels}}} %d\n"
        f'predictions_labeled_total{{{labels},correct="true"}} %d\n'
        f'predictions_labeled_total{{{labels},correct="false"}} %d\n'
    )


class Shard:
    """Counters of some pods; moved on by the time between two looks."""

    def __init__(self, members: list[Pod], seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._rates = np.array([pod.share * REQUESTS for pod in members])
        self._template = "".join(template(pod) for pod in members)
        self._counts: npt.NDArray[np.int64] = np.zeros((len(members), 7 + len(LATENCIES)), dtype=np.int64)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def text(self) -> bytes:
        """The exposition now."""
        with self._lock:
            now = time.monotonic()
            self._advance(now - self._looked)
            self._looked = now
            return (self._template % tuple(self._counts.ravel().tolist())).encode()

    def _advance(self, seconds: float) -> None:
        rng = self._rng
        events = rng.poisson(self._rates * seconds)
        bad = rng.binomial(events, ERRORS)
        good = events - bad
        columns = [good, bad]
        slower = good
        shares = list(LATENCIES.values())
        # From the largest bucket down: each holds a part of the one above it.
        held = []
        for upper, share in zip([1.0, *shares[:0:-1]], shares[::-1], strict=True):
            slower = rng.binomial(slower, share / upper)
            held.append(slower)
        labelled = rng.binomial(events, LATEST)
        wrong = rng.binomial(labelled, WRONG)
        columns += [*held[::-1], good, events, rng.binomial(events, FALLBACKS), labelled - wrong, wrong]
        self._counts += np.stack(columns, axis=1)


def serve(rollouts: int) -> None:
    """Serve until killed; prints the port first."""
    members: list[list[Pod]] = [[] for _ in range(SHARDS)]
    for index in range(rollouts):
        for number, pod in enumerate(pods(index)):
            members[(index * 7 + number) % SHARDS].append(pod)
    shards = [Shard(each, seed) for seed, each in enumerate(members)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = shards[int(self.path.rsplit("/", 1)[1])].text()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, required=True)
    serve(parser.parse_args().rollouts)
