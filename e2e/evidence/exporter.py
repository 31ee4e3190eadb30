"""Serves the counters of all pods, a few thousand at once; the pods of a rollout are in several shards."""

from __future__ import annotations

import argparse

from e2e.evidence.fleet import Pod, pods
from e2e.scale.counters import SHARDS, Counters, serve, template

REQUESTS = 20.0
"""A second and rollout, both arms."""


def shard(members: list[Pod], seed: int) -> Counters:
    """Counters of some pods, all four SLIs of each, both arms alike."""
    templates = [template(pod.namespace, pod.name, 4) for pod in members]
    return Counters(templates, [pod.share * REQUESTS for pod in members], slis=4, seed=seed)


def main(rollouts: int) -> None:
    """Serve until killed."""
    members: list[list[Pod]] = [[] for _ in range(SHARDS)]
    for index in range(rollouts):
        for number, pod in enumerate(pods(index)):
            members[(index * 7 + number) % SHARDS].append(pod)
    serve([shard(each, seed) for seed, each in enumerate(members)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, required=True)
    main(parser.parse_args().rollouts)
