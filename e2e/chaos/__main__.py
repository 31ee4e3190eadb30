"""`python -m e2e.chaos`: many plans, or one of them again. Exit code 1 when a promise was broken."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.chaos.campaign import Tally, campaign, chosen, judge, reference
from e2e.chaos.faults import BadPlan, parse
from e2e.chaos.story import story
from e2e.chaos.workloads import workloads

EVERY = 5.0
SHOWN = 20


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos", description=__doc__)
    parser.add_argument("plan", nargs="?", help="one plan to run again, as a failure prints it")
    parser.add_argument("--plans", type=int, default=1000, help="how many (0: every single fault, and as many pairs)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workload", action="append", choices=list(workloads()), help="only these")
    parser.add_argument("--family", default="", help="only plans whose text has this in it")
    parser.add_argument("--minutes", type=float, help="begin no new plan after that long")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", action="store_true", help="stop at the first broken promise")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args(argv)
    if args.plan:
        return _again(args.plan)
    return _many(args)


def _again(line: str) -> int:
    try:
        plan = parse(line)
    except BadPlan as error:
        print(error, file=sys.stderr)
        return 2
    for row in story(plan):
        print(row)
    verdict = judge(plan)
    for violation in verdict.violations:
        print(f"VIOLATED {violation.oracle}: {violation.text}")
    print(f"{plan}: {'violated' if verdict.violations else 'all promises kept'}")
    return 1 if verdict.violations else 0


def _many(args: argparse.Namespace) -> int:
    names = args.workload or list(workloads())
    begun = shown = time.monotonic()
    print(f"reference runs of {len(names)} workloads", flush=True)
    for name in names:
        run = reference(name)
        if run.rest is None or run.errors:
            print(f"{name}: the reference run itself fails: {run.errors or run.end}", file=sys.stderr)
            return 1
    todo = [p for p in chosen(names, seed=args.seed, count=args.plans or None) if args.family in str(p)]
    print(f"{len(todo)} plans, seed {args.seed}, {args.workers} processes", flush=True)
    tally = Tally()
    until = begun + 60 * args.minutes if args.minutes else None
    for verdict in campaign(todo, workers=args.workers, until=until):
        tally.add(verdict)
        if verdict.violations:
            _complain(verdict.plan, [f"{v.oracle}: {v.text}" for v in verdict.violations], len(tally.failed))
            if args.first:
                break
        if time.monotonic() - shown > EVERY:
            shown = time.monotonic()
            rate = tally.plans / (shown - begun)
            print(f"  {tally.plans} of {len(todo)} plans, {len(tally.failed)} violated, {rate:.1f}/s", flush=True)
    tally.took = time.monotonic() - begun
    print(
        f"{tally.plans} plans, {tally.requests} requests, {tally.versions} versions of objects checked, "
        f"{tally.virtual / 3600:.0f} h of virtual time in {tally.took:.0f} s, {len(tally.failed)} violated"
    )
    if args.json:
        args.json.write_text(json.dumps(tally.plain() | {"seed": args.seed, "asked": len(todo)}, indent=1))
    return 1 if tally.failed else 0


def _complain(plan: str, found: Sequence[str], number: int) -> None:
    if number > SHOWN:
        return
    print(f"VIOLATED {plan}")
    for line in found[:4]:
        print(f"  {line[:600]}")
    print(f"  again: python -m e2e.chaos '{plan}'", flush=True)


if __name__ == "__main__":
    sys.exit(main())
