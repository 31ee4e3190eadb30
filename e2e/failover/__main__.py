"""`python -m e2e.failover [--times 5] [--only killed] [--json FILE]`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from e2e.audited import writes
from e2e.cluster.embedded import EmbeddedCluster
from e2e.failover.figures import HEADER, Figures, figures, rows, wrong
from e2e.failover.runs import Play
from e2e.installed import HOME, Release, prepare
from e2e.scenarios.rollouts.plays import V2

KINDS = ("killed", "lost", "frozen", "upgraded")


def measure(times: int, kinds: Sequence[str]) -> list[Figures]:
    """Every kind so many times, on a cluster of its own."""
    cluster = EmbeddedCluster(f"failover-{os.getpid()}", ephemeral=True, scrape="2s")
    cluster.up("full")
    found: list[Figures] = []
    try:
        prepare(cluster)
        release = Release(cluster)
        play = Play(cluster, release, Path(tempfile.mkdtemp(prefix="failover-")))
        load = play.open()
        release.install(namespaces=[play.stage.namespace], scrape="2s")
        for number in range(1, times + 1):
            for kind in kinds:
                run = getattr(play, kind)()
                found.append(figures(run, writes(cluster.audit(), home=HOME), load.records(), candidate=V2))
                print(f"{kind} {number}: {json.dumps(dataclasses.asdict(found[-1]))}", flush=True)
        load.stop()
    finally:
        cluster.down()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 1 when something came out that must not be."""
    parser = argparse.ArgumentParser(prog="python -m e2e.failover", description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", choices=KINDS, action="append")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    found = measure(args.times, args.only or KINDS)
    for row in (HEADER, ["---"] * len(HEADER), *rows(found)):
        print(f"| {' | '.join(row)} |")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps([dataclasses.asdict(each) for each in found], indent=1) + "\n")
    told = [text for each in found for text in wrong(each)]
    for text in told:
        print(f"missed: {text}", file=sys.stderr)
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
