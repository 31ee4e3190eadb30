"""`python -m e2e.chaos.model`: explores all states of small rollouts, prints a table. Exit 1 on any violation.

`--quick`: the first states of each configuration (20 s). Without: each until it is complete, or for `--seconds`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from e2e.chaos.model.configs import CONFIGS, Config
from e2e.chaos.model.explorer import Explorer, Graph
from e2e.chaos.model.liveness import Futures, searched
from e2e.chaos.model.report import Row, document, row, table, told
from e2e.chaos.model.walk import walk

QUICK_STATES, QUICK_WALK = 120, 500
FULL_STATES, FULL_WALK = 400_000, 50_000
PROGRESS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Explore; 1 when anything was violated."""
    given = _parser().parse_args(arguments)
    configs = [c for c in CONFIGS if not given.config or c.name in given.config]
    unknown = set(given.config or ()) - {c.name for c in CONFIGS}
    if unknown:
        print(
            f"--config {', '.join(sorted(unknown))}: not one of {', '.join(c.name for c in CONFIGS)}", file=sys.stderr
        )
        return 2
    if given.replay is not None:
        return _replayed(configs, given.replay)
    rows = [_explored(config, given) for config in configs]
    print(table(rows))
    for violation in (v for r in rows for v in r.violations):
        print(f"\n{told(violation)}")
    if given.json:
        Path(given.json).write_text(json.dumps(document(rows, given.seed), indent=1) + "\n")
    return 1 if any(r.violations for r in rows) else 0


def _explored(config: Config, given: argparse.Namespace) -> Row:
    began = last = time.monotonic()

    def progress(graph: Graph, number: int) -> None:
        nonlocal last
        if time.monotonic() - last > PROGRESS:
            last = time.monotonic()
            left = len(graph.states) - number
            text = f"{config.name}: {number:,} states, {left:,} waiting, {last - began:.0f} s"
            print(text, file=sys.stderr, flush=True)

    limit = QUICK_STATES if given.quick else FULL_STATES
    graph = searched(config, limit=limit, seconds=given.seconds, visit=progress)
    steps = given.walk if given.walk is not None else (QUICK_WALK if given.quick else FULL_WALK)
    return row(config.name, graph, walk(config, transitions=steps, seed=given.seed), given.seed)


def _replayed(configs: list[Config], path: str) -> int:
    if len(configs) != 1:
        print("--replay needs one --config", file=sys.stderr)
        return 2
    moves = tuple(int(move) for move in path.split(",") if move)
    explorer = Explorer(configs[0])
    lines, _ = explorer.played(moves)
    for i, line in enumerate(lines, 1):
        print(f"{i:2} {line}")
    found, end = explorer.judged(moves)
    found += tuple(Futures(explorer).faults(end))
    for sentence in found:
        print(f"   !! {sentence}")
    return 1 if found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.model", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="the first states of each configuration")
    size.add_argument("--full", action="store_true", help="all of them (the default)")
    parser.add_argument("--config", action="append", help="only this configuration (may be given again)")
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time for one configuration (60)")
    parser.add_argument("--walk", type=int, help="random moves after the search of each configuration")
    parser.add_argument("--seed", type=int, default=1, help="of the random walk (1)")
    parser.add_argument("--replay", help="play a way again: numbers of moves, with commas")
    parser.add_argument("--json", help="write the figures to this file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
