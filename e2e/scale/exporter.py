"""Plays the counters of every pod: `/metrics/<shard>` is scraped as one target, `POST /turn?from=..&to=..` turns
candidates bad, `POST /order?index=..` sets one rollout's split, badness and pods.

Every shard is scraped at a moment of its own, as pods are, and both pods of a rollout are in one shard. Counters move
on when they are scraped, by what the whole time since the last scrape would have brought: so the first scrape after a
turn is the first sample that shows it, and shows it fully. `turned_total{shard=}` tells which scrape that was.
"""

from __future__ import annotations

import argparse
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import numpy.typing as npt

from e2e.scale.fleet import CANDIDATE_SHARE, namespace_of, pod_of

SHARDS = 20
REQUESTS = 40.0
"""A second and rollout, both arms: a tick holds some fifty of the candidate's, more than a guard asks for."""
ERRORS, FALLBACKS, WRONG = 0.002, 0.005, 0.05
TURNED = 1.0
"""Share of bad answers of a candidate that has turned."""
LATENCIES = {"0.1": 0.6, "0.3": 0.98, "1.0": 0.999, "+Inf": 1.0}
"""Share of good answers up to a boundary."""


def shard_of(index: int) -> int:
    """Which target shows the pods of a rollout. Other than its namespace, which goes by the same number."""
    return (index // SHARDS) % SHARDS


@dataclass(frozen=True, slots=True)
class Order:
    """How a rollout's pods are from now on. `share`: the candidate's, of 1. `lives`: which pods, of both arms."""

    share: float = CANDIDATE_SHARE
    bad: bool = False
    lives: tuple[int, int] = (0, 0)


def template(index: int, version: int, slis: int, life: int = 0) -> str:
    """The exposition of one pod with a place for each counter, in the order of `Shard._advance`."""
    pod = pod_of(index, version, life)
    labels = f'namespace="{namespace_of(index)}",pod="{pod}",instance="{pod}:8080",job="models",container="model"'
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


class Shard:
    """Counters of some rollouts, both pods of each; moved on by the time between two looks."""

    def __init__(self, number: int, members: list[int], slis: int) -> None:
        self._rng = np.random.default_rng(number)
        self._number = number
        self._slis = slis
        self._members = np.array(members, dtype=np.int64)
        rates = (REQUESTS * (1.0 - CANDIDATE_SHARE), REQUESTS * CANDIDATE_SHARE)
        self._rates = np.array([rate for _ in members for rate in rates])
        self._bad = np.full(2 * len(members), ERRORS)
        self._lives = [0] * (2 * len(members))
        self._pods = [template(index, version, slis) for index in members for version in (1, 2)]
        self._template = "".join(self._pods)
        columns = 2 if slis == 1 else 7 + len(LATENCIES)
        self._counts: npt.NDArray[np.int64] = np.zeros((2 * len(members), columns), dtype=np.int64)
        self._looked = time.monotonic()
        self._lock = threading.Lock()

    def turn(self, first: int, last: int) -> None:
        """Candidates of these rollouts answer badly from the last scrape on."""
        with self._lock:
            chosen = (self._members >= first) & (self._members <= last)
            self._bad[1::2][chosen] = TURNED

    def order(self, index: int, order: Order) -> None:
        """What happens to a rollout, if it is here. A new pod begins at 0, and its series are others."""
        with self._lock:
            for place in np.flatnonzero(self._members == index):
                self._catch_up()
                first, second = 2 * int(place), 2 * int(place) + 1
                self._rates[first], self._rates[second] = REQUESTS * (1.0 - order.share), REQUESTS * order.share
                self._bad[second] = TURNED if order.bad else ERRORS
                for row, version, life in ((first, 1, order.lives[0]), (second, 2, order.lives[1])):
                    if self._lives[row] != life:
                        self._lives[row] = life
                        self._counts[row] = 0
                        self._pods[row] = template(index, version, self._slis, life)
                self._template = "".join(self._pods)

    def _catch_up(self) -> None:
        now = time.monotonic()
        self._advance(now - self._looked)
        self._looked = now

    def text(self) -> bytes:
        """The exposition now."""
        with self._lock:
            self._catch_up()
            turned = int((self._bad[1::2] >= TURNED).sum())
            body = self._template % tuple(self._counts.ravel().tolist())
            return f'{body}turned_total{{shard="{self._number}"}} {turned}\n'.encode()

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


def serve(rollouts: int, slis: int) -> None:
    """Serve until killed; prints the port first."""
    members: list[list[int]] = [[] for _ in range(SHARDS)]
    for index in range(rollouts):
        members[shard_of(index)].append(index)
    shards = [Shard(number, each, slis) for number, each in enumerate(members)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(shards[int(self.path.rsplit("/", 1)[1])].text())

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/order":
                lives = (int(asked["legacy"]), int(asked["candidate"]))
                order = Order(float(asked["share"]), asked["bad"] == "1", lives)
                index = int(asked["index"])
                shards[shard_of(index)].order(index, order)
            else:
                for shard in shards:
                    shard.turn(int(asked["from"]), int(asked["to"]))
            self._answer(b"done\n")

        def _answer(self, body: bytes) -> None:
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
    parser.add_argument("--slis", type=int, required=True)
    given = parser.parse_args()
    serve(given.rollouts, given.slis)
