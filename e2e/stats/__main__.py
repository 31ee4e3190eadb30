"""`make bench-stats`: prints a table per question and writes them as JSON and markdown. Exit 1 when a target is missed.

Everything but the processor time is seeded: the same number of runs gives the same figures. An interrupted run goes on
where it stopped; tables of several runs (of some questions each) come together in one folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from e2e.stats import budget, cost, edge, exact, parts, power, quiet, type_one
from e2e.stats.jobs import PROCESSES, Question, run
from e2e.stats.tables import Table

FULL, QUICK = 10_000, 1_000
NAMES = ("type-1", "edge", "budget", "power", "quiet", "exact", "cost")


ORDER = ("type-1", "found", "edge", "sweep", "burn-tiers", "policy", "ledger", "power", "late-onset", "three-way")
"""Tables as they are shown; others follow."""


def questions(runs: Mapping[str, int]) -> list[tuple[Question, int]]:
    """All questions with their rollouts a row, the quick ones first."""
    made = [
        exact.QUESTION,
        type_one.question(runs["type-1"]),
        power.QUESTION,
        quiet.QUESTION,
        budget.question(runs["budget"]),
        edge.question(runs["edge"]),
        cost.QUESTION,
    ]
    return [(question, runs[question.name]) for question in made]


def rollouts(given: str, usual: int) -> dict[str, int]:
    """Rollouts a row per question, of `2000,edge=500`: a number for all, others by name. ValueError when it is not."""
    found = dict.fromkeys(NAMES, usual)
    for part in filter(None, given.split(",")):
        name, _, number = part.rpartition("=")
        if name and name not in found:
            raise ValueError(f"no question is called {name}")
        found.update(dict.fromkeys([name] if name else NAMES, int(number)))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="make bench-stats", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rollouts a row, some minutes; else {FULL}")
    parser.add_argument("--runs", default="", help="rollouts a row: a number for all, others as in 2000,edge=500")
    parser.add_argument("--only", help=f"questions, comma separated: {', '.join(NAMES)}")
    parser.add_argument("--workers", type=int, default=PROCESSES, help="processes")
    parser.add_argument("--out", type=Path, default=Path("e2e-artifacts/bench-stats"), help="folder of the results")
    given = parser.parse_args(arguments)
    try:
        asked = questions(rollouts(given.runs, QUICK if given.quick else FULL))
    except ValueError as error:
        parser.error(f"--runs: {error}")
    if given.only:
        names = given.only.split(",")
        if unknown := set(names) - set(NAMES):
            parser.error(f"--only: no question is called {', '.join(sorted(unknown))}")
        asked = [(question, runs) for question, runs in asked if question.name in names]
    began, made_by = time.monotonic(), parts.code()
    tables: list[Table] = []

    def told(question: Question, found: list[Table]) -> None:
        tables.extend(found)
        print("\n".join(table.markdown() for table in found))
        write(given.out, found, made_by=made_by)

    run(asked, workers=given.workers, parts=parts.Parts(given.out / "parts", made_by), told=told)
    print(f"{time.monotonic() - began:.0f} s, results in {given.out}")
    if old := write(given.out, [], made_by=made_by):
        print(f"there, too, of other source code: {', '.join(old)}")
    missed = [f"{table.name}: {row}" for table in tables for row in table.missed]
    print("\n".join(["targets missed:", *missed]) if missed else "every target reached")
    return 1 if missed else 0


def write(folder: Path, tables: list[Table], *, made_by: str) -> list[str]:
    """Add to, or replace in, `results.json` and `results.md`. Names of the tables there that other code has made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    values = json.loads(path.read_text()) if path.exists() else {}
    values |= {table.name: {"code": made_by, "table": table.as_json()} for table in tables}
    rank = {name: place for place, name in enumerate(ORDER)}
    values = {name: values[name] for name in sorted(values, key=lambda name: rank.get(name, len(rank)))}
    path.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    shown = [Table.read(each["table"]).markdown() for each in values.values()]
    (folder / "results.md").write_text("\n".join(shown))
    return [name for name, each in values.items() if each["code"] != made_by]


if __name__ == "__main__":
    sys.exit(main())
