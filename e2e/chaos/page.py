"""`python -m e2e.chaos.page`: the measured page of the documentation, out of the figures that the levels wrote."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PAGE = Path("docs/explanation/faults-measured.md")
Figures = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Read the figures, write the page."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.page", description=__doc__)
    parser.add_argument("--plans", type=Path, action="append", required=True, help="written by e2e.chaos --json")
    parser.add_argument("--states", type=Path, help="written by e2e.chaos.model --json")
    parser.add_argument("--seeded", type=Path, help="written by e2e.chaos.mutate --json")
    parser.add_argument("--real", type=Path, action="append", default=[], help="written by e2e.chaos.real --json")
    parser.add_argument("--on", required=True, help="date and machine, in words")
    parser.add_argument("--out", type=Path, default=PAGE)
    args = parser.parse_args(argv)
    runs = [json.loads(path.read_text()) for path in args.plans]
    states = json.loads(args.states.read_text()) if args.states else None
    seeded = json.loads(args.seeded.read_text()) if args.seeded else None
    real = [json.loads(path.read_text()) for path in args.real]
    args.out.write_text("\n".join(page(runs, states, seeded, args.on, real)) + "\n")
    print(f"{args.out} written")
    return 0


def page(
    runs: Sequence[Figures],
    states: Figures | None,
    seeded: Sequence[Figures] | None,
    on: str,
    real: Sequence[Figures] = (),
) -> Iterator[str]:
    """Its lines."""
    yield "# Fault suite, measured"
    yield ""
    yield "Written by `python -m e2e.chaos.page` from what the levels of the [fault suite](fault-suite.md) counted."
    yield f"{on}. What was broken before, and what became of it: [earlier runs](faults-earlier.md)."
    yield ""
    yield "## Plans in virtual time"
    yield ""
    yield "| seed | plans | requests | versions checked | virtual hours | seconds | promises broken |"
    yield "|---|---|---|---|---|---|---|"
    for run in runs:
        yield _row(run["seed"], run, str(len(run["failed"])))
    if len(runs) > 1:
        yield _row("all", _sum(runs), str(sum(len(run["failed"]) for run in runs)))
    for title, key in (("family", "families"), ("workload", "workloads")):
        yield ""
        yield f"| {title} | plans |"
        yield "|---|---|"
        for name, count in sorted(_counted(runs, key).items()):
            yield f"| `{name}` | {count:,} |"
    broken = [failed for run in runs for failed in run["failed"]]
    if broken:
        yield ""
        yield "Broken promises, each with its plan:"
        yield ""
        for failed in broken:
            yield f"- `{failed['plan']}`: {failed['violations'][0].splitlines()[0]}"
    if real:
        yield from _real(real)
    if states is not None:
        yield from _states(states)
    if seeded is not None:
        yield from _seeded(seeded)


def _row(name: object, run: Figures, broken: str) -> str:
    counts = (run["plans"], run["requests"], run["versions"], run["virtual"] / 3600, run["took"])
    return f"| {name} | {' | '.join(f'{value:,.0f}' for value in counts)} | {broken} |"


def _sum(runs: Sequence[Figures]) -> Figures:
    return {key: sum(run[key] for run in runs) for key in ("plans", "requests", "versions", "virtual", "took")}


def _counted(runs: Sequence[Figures], key: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for run in runs:
        for name, count in run[key].items():
            # `crash+before` and `fail+409+once` are counted with their family.
            found[name.partition("+")[0]] += count
    return found


def _real(real: Sequence[Figures]) -> Iterator[str]:
    yield ""
    yield "## The operator's process on a real API server"
    for run in real:
        yield ""
        minutes = f"{run['seconds'] / 60:.0f} minutes with {run['parallel']} runs side by side"
        patience = f"; reverts may take {run['patience']:g} s longer than promised" if run["patience"] else ""
        yield f"{run['date']}, commit {run['commit']}: {run['plans']:,} of {run['asked']:,} plans, {minutes}{patience}."
        yield ""
        yield "| workload | family | plans | writes | versions checked | promises broken |"
        yield "|---|---|---|---|---|---|"
        for row in run["rows"]:
            counts = f"{row['plans']:,} | {row['writes']:,} | {row['checks']:,} | {row['violated']}"
            yield f"| {row['workload']} | `{row['family']}` | {counts} |"
        broken = [each for each in run["runs"] if each["violations"]]
        if broken:
            yield ""
            yield "Broken promises, each with its plan:"
            yield ""
        for each in broken:
            yield f"- `{each['plan']}`: {each['violations'][0].splitlines()[0]}"


def _states(states: Figures) -> Iterator[str]:
    yield ""
    yield "## States of the decision"
    yield ""
    yield "| rollouts like | states | transitions | depth | space | moves of the random walk | broken |"
    yield "|---|---|---|---|---|---|---|"
    for row in states["configurations"]:
        space = "complete" if row["complete"] else "cut"
        counts = f"{row['states']:,} | {row['transitions']:,} | {row['depth']} | {space} | {row['walked']:,}"
        yield f"| {row['config']} | {counts} | {len(row['violations'])} |"


def _seeded(rows: Sequence[Figures]) -> Iterator[str]:
    caught = sum(1 for row in rows if row["level"])
    yield ""
    yield "## Seeded bugs"
    yield ""
    yield f"Mistakes put into a copy of the operator one by one (`make chaos-seeded`): {caught} of {len(rows)} seen."
    yield ""
    yield "| mistake | in | seen by |"
    yield "|---|---|---|"
    for row in rows:
        told = f"{row['level']}: {row['how']}" if row["level"] else "**not seen**"
        yield f"| {row['bug']} | `{row['file']}` | {told.replace('|', '/')} |"


if __name__ == "__main__":
    sys.exit(main())
