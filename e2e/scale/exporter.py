"""Plays the counters of every pod: `POST /turn?from=..&to=..` turns candidates bad, `POST /order?index=..` sets one
rollout's split, badness and pods.

Both pods of a rollout are in one shard. The first scrape after a turn is the first sample that shows it, and shows it
fully (`counters`). `turned_total{shard=}` tells which scrape that was.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from e2e.scale.counters import ERRORS, SHARDS, Counters, serve, template
from e2e.scale.fleet import ARMS, CANDIDATE_SHARE, namespace_of, pod_of

REQUESTS = 40.0
"""A second and rollout, both arms: a tick holds some fifty of the candidate's, more than a guard asks for."""
TURNED = 1.0
"""Share of bad answers of a candidate that has turned."""


def shard_of(index: int) -> int:
    """Which target shows the pods of a rollout. Other than its namespace, which goes by the same number."""
    return (index // SHARDS) % SHARDS


@dataclass(frozen=True, slots=True)
class Order:
    """How a rollout's pods are from now on. `share`: the candidate's, of 1. `lives`: which pods, of both arms."""

    share: float = CANDIDATE_SHARE
    bad: bool = False
    lives: tuple[int, int] = (0, 0)


class Shard(Counters):
    """Counters of some rollouts, both pods of each."""

    def __init__(self, number: int, members: list[int], slis: int) -> None:
        rates = [rate for _ in members for rate in (REQUESTS * (1.0 - CANDIDATE_SHARE), REQUESTS * CANDIDATE_SHARE)]
        pods = [self._pod(index, version, slis) for index in members for version in ARMS]
        super().__init__(pods, rates, slis=slis, seed=number)
        self._number = number
        self._members = np.array(members, dtype=np.int64)
        self._lives = [0] * len(pods)

    @staticmethod
    def _pod(index: int, version: int, slis: int, life: int = 0) -> str:
        return template(namespace_of(index), pod_of(index, version, life), slis)

    def turn(self, first: int, last: int) -> None:
        """Candidates of these rollouts answer badly from the last scrape on."""
        with self._lock:
            chosen = (self._members >= first) & (self._members <= last)
            self._bad[1::2][chosen] = TURNED

    def order(self, index: int, order: Order) -> None:
        """What happens to a rollout, if it is here."""
        with self._lock:
            for place in np.flatnonzero(self._members == index):
                self._catch_up()
                first, second = 2 * int(place), 2 * int(place) + 1
                self._rates[first], self._rates[second] = REQUESTS * (1.0 - order.share), REQUESTS * order.share
                self._bad[second] = TURNED if order.bad else ERRORS
                for row, version, life in zip((first, second), ARMS, order.lives, strict=True):
                    if self._lives[row] != life:
                        self._lives[row] = life
                        self._replace(row, self._pod(index, version, self._slis, life))

    def _remark(self) -> str:
        turned = int((self._bad[1::2] >= TURNED).sum())
        return f'turned_total{{shard="{self._number}"}} {turned}\n'


def main(rollouts: int, slis: int) -> None:
    """Serve until killed."""
    members: list[list[int]] = [[] for _ in range(SHARDS)]
    for index in range(rollouts):
        members[shard_of(index)].append(index)
    shards = [Shard(number, each, slis) for number, each in enumerate(members)]

    def posted(path: str, asked: Mapping[str, str]) -> None:
        if path == "/order":
            index, lives = int(asked["index"]), (int(asked["legacy"]), int(asked["candidate"]))
            shards[shard_of(index)].order(index, Order(float(asked["share"]), asked["bad"] == "1", lives))
        else:
            for shard in shards:
                shard.turn(int(asked["from"]), int(asked["to"]))

    serve(shards, posted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, required=True)
    parser.add_argument("--slis", type=int, required=True)
    given = parser.parse_args()
    main(given.rollouts, given.slis)
