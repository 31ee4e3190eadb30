"""`make bench-stats`: prints a table per question and writes them as JSON and markdown. Exit 1 when a target is missed.

Everything but the processor time is seeded: the same number of runs gives the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from e2e.stats import budget, cost, edge, exact, power, quiet, type_one
from e2e.stats.jobs import Question, run
from e2e.stats.tables import Table

FULL, QUICK = 10_000, 1_000


def questions(runs: int) -> list[Question]:
    """All questions, longest jobs first."""
    return [
        edge.question(runs),
        type_one.question(runs),
        budget.question(runs),
        quiet.QUESTION,
        power.QUESTION,
        exact.QUESTION,
        cost.QUESTION,
    ]


def main(arguments: list[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="make bench-stats", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rollouts a row, some minutes; else {FULL}")
    parser.add_argument("--runs", type=int, help="rollouts a row")
    parser.add_argument("--only", help="questions, comma separated: edge, type-1, budget, quiet, power, exact, cost")
    parser.add_argument("--out", type=Path, default=Path("e2e-artifacts/bench-stats"), help="folder of the results")
    given = parser.parse_args(arguments)
    runs = given.runs or (QUICK if given.quick else FULL)
    asked = questions(runs)
    if given.only:
        names = given.only.split(",")
        if unknown := set(names) - {question.name for question in asked}:
            parser.error(f"--only: no question is called {', '.join(sorted(unknown))}")
        asked = [question for question in asked if question.name in names]
    began = time.monotonic()
    tables = run(asked, runs)
    took = time.monotonic() - began
    print("\n".join(table.markdown() for table in tables))
    write(given.out, tables, runs=runs, took=took)
    missed = [f"{table.name}: {row}" for table in tables for row in table.missed]
    print(f"{runs} runs, {took:.0f} s, results in {given.out}")
    print("\n".join(["targets missed:", *missed]) if missed else "every target reached")
    return 1 if missed else 0


def write(folder: Path, tables: list[Table], *, runs: int, took: float) -> None:
    """`results.json` and `results.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"runs": runs, "seconds": round(took), "tables": {table.name: table.as_json() for table in tables}}
    (folder / "results.json").write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    (folder / "results.md").write_text("\n".join(table.markdown() for table in tables))


if __name__ == "__main__":
    sys.exit(main())
