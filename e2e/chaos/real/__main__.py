"""`python -m e2e.chaos.real`: the operator's process on a real API server, by plan. Exit 1: a broken promise."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.chaos.faults import BadPlan
from e2e.chaos.real.campaign import Asked, Campaign, Verdict, made
from e2e.chaos.real.drive import WORKLOADS
from e2e.chaos.real.families import FAMILIES
from e2e.chaos.real.faults import Needs, parse
from e2e.chaos.real.figures import Tally
from e2e.chaos.real.story import story
from e2e.chaos.real.witness import Blind
from e2e.chaos.real.world import worlds
from e2e.cluster.apiserver import ApiServer, apiserver
from e2e.cluster.artifacts import BuildError
from e2e.cluster.processes import ClusterError
from e2e.cluster.programs import gateway_api_crds
from modelrollout.errors import RolloutError

CRDS = Path(__file__).parents[3] / "crds"
ALL = "all"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.real", description=__doc__)
    parser.add_argument("plan", nargs="*", help="plans to run again, as a failure prints them; one alone is told")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="only these")
    parser.add_argument(
        "--family", action="append", choices=(*FAMILIES, ALL), help="these (crash), or all; may be repeated"
    )
    parser.add_argument("--plans", type=int, help="only so many of each family, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin no new plan after that long")
    parser.add_argument("--parallel", type=int, default=4, help="runs side by side")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds more for a slow machine to revert")
    parser.add_argument("--logs", type=Path, help="where the operators' logs go; without it they are not kept")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args(argv)
    try:
        again = [Asked(parse(line), "again") for line in args.plan]
    except BadPlan as error:
        print(error, file=sys.stderr)
        return 2
    for asked in again:
        if asked.plan.workload not in WORKLOADS:
            there = ", ".join(WORKLOADS)
            print(f"there is no workload {asked.plan.workload}; there are {there}", file=sys.stderr)
            return 2
    if args.parallel < 1:
        print(f"--parallel is {args.parallel}: at least one run must go on", file=sys.stderr)
        return 2
    tally = Tally(args.parallel, args.patience)
    crds = [CRDS, gateway_api_crds()]
    try:
        with tempfile.TemporaryDirectory() as scratch, apiserver(crds=crds) as server:
            code = asyncio.run(_run(server, crds, args.logs or Path(scratch), args, again, tally))
    except KeyboardInterrupt:
        print("stopped: nothing runs any more", file=sys.stderr)
        code = 130
    except (ClusterError, BuildError, Blind, RolloutError) as error:  # of the suite itself, not of the operator
        print(error, file=sys.stderr)
        code = 3
    for row in tally.table():
        print(row)
    print(tally.total())
    if args.json:
        args.json.write_text(json.dumps(tally.plain(), indent=1) + "\n")
    return code


async def _run(
    server: ApiServer, crds: Sequence[Path], directory: Path, args: argparse.Namespace, again: list[Asked], tally: Tally
) -> int:
    campaign = Campaign(args.patience)
    names = list(dict.fromkeys(a.plan.workload for a in again)) or args.workload or list(WORKLOADS)
    async with worlds(Needs.SERVER, server, crds, directory=directory, parallel=args.parallel) as found:
        print(f"reference runs of {', '.join(names)}", flush=True)
        for verdict in await campaign.references(found, names):
            _note(verdict, tally)
    if tally.broken:
        print("a reference run itself breaks promises: nothing to compare with", file=sys.stderr)
        return 1
    families = list(FAMILIES) if ALL in (args.family or ()) else list(dict.fromkeys(args.family or ["crash"]))
    plans = again or made(campaign.writes, families, count=args.plans, seed=args.seed)
    tally.asked = len(plans)
    print(f"{len(plans)} plans, {args.parallel} at once", flush=True)
    until = tally.begun + 60 * args.minutes if args.minutes else None
    for needs in Needs:
        mine = [asked for asked in plans if asked.plan.needs is needs]
        if not mine or (until is not None and time.monotonic() >= until):
            continue
        print(f"{len(mine)} of them with {needs}", flush=True)
        async with worlds(needs, server, crds, directory=directory, parallel=min(args.parallel, len(mine))) as found:
            async for verdict in campaign.verdicts(found, mine, until=until):
                _note(verdict, tally)
    if len(again) == 1 and campaign.last is not None:
        for row in story(campaign.last):
            print(row)
    return 1 if tally.broken else 0


def _note(verdict: Verdict, tally: Tally) -> None:
    tally.verdicts.append(verdict)
    back = "".join(f", back after {x:.1f} s" for x in verdict.back)
    taken = "".join(f", taken over after {x:.1f} s" for x in verdict.takeovers)
    down = "" if verdict.reverted is None else f", at 0 % after {verdict.reverted:.1f} s"
    missed = ", it never came to that" if verdict.missed else ""
    word = "VIOLATED" if verdict.violations else "kept"
    line = f"{verdict.plan} ({verdict.took:.0f} s, {verdict.writes} writes{back}{taken}{down}{missed})"
    print(f"{time.monotonic() - tally.begun:6.0f} s  {word} {line}", flush=True)
    for violation in verdict.violations[:4]:
        print(f"  {violation.oracle}: {violation.text[:600]}")
    if verdict.violations:
        print(f"  again: python -m e2e.chaos.real '{verdict.plan}'", flush=True)


if __name__ == "__main__":
    sys.exit(main())
