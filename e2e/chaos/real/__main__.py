"""`python -m e2e.chaos.real`: crash points on a real API server, or one plan again. Exit 1: a broken promise."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.chaos.faults import BadPlan
from e2e.chaos.real.campaign import Campaign, Verdict, kind_of
from e2e.chaos.real.drive import WORKLOADS
from e2e.chaos.real.faults import Plan, parse
from e2e.chaos.real.story import story
from e2e.chaos.real.world import shared
from e2e.cluster.apiserver import apiserver
from e2e.cluster.programs import gateway_api_crds

CRDS = Path(__file__).parents[3] / "crds"


@dataclass(slots=True)
class Tally:
    """What came of all."""

    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def broken(self) -> list[Verdict]:
        """Those with violations."""
        return [v for v in self.verdicts if v.violations]

    def table(self) -> list[str]:
        """By workload and kind of fault: plans and broken ones."""
        ran: Counter[tuple[str, str]] = Counter()
        bad: Counter[tuple[str, str]] = Counter()
        for verdict in self.verdicts:
            row = (verdict.plan.workload, ", ".join(map(kind_of, verdict.plan.faults)) or "no fault")
            ran[row] += 1
            bad[row] += bool(verdict.violations)
        head = f"{'workload':12} {'fault':28} plans  violated"
        return [head, *(f"{name:12} {kind:28} {ran[name, kind]:5}  {bad[name, kind]:8}" for name, kind in sorted(ran))]


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.real", description=__doc__)
    parser.add_argument("plan", nargs="?", help="one plan to run again, as a failure prints it")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="only these")
    parser.add_argument("--family", choices=("crash", "others", "all", "pairs"), default="crash")
    parser.add_argument("--plans", type=int, help="only so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin no new plan after that long")
    parser.add_argument("--parallel", type=int, default=4, help="runs side by side")
    parser.add_argument("--patience", type=float, default=0.0, help="seconds more for a slow machine to revert")
    parser.add_argument("--logs", type=Path, help="where the operators' logs go; without it they are not kept")
    parser.add_argument("--json", type=Path, help="write the figures there")
    args = parser.parse_args(argv)
    try:
        again = parse(args.plan) if args.plan else None
    except BadPlan as error:
        print(error, file=sys.stderr)
        return 2
    if again is not None and again.workload not in WORKLOADS:
        print(f"there is no workload {again.workload}; there are {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch, apiserver(crds=[CRDS, gateway_api_crds()]) as server:
        directory = args.logs or Path(scratch)
        return asyncio.run(_run(server.kubeconfig, directory, args, again))


async def _run(kubeconfig: Path, directory: Path, args: argparse.Namespace, again: Plan | None) -> int:
    begun = time.monotonic()
    async with shared(kubeconfig, directory) as world:
        campaign = Campaign(world, parallel=args.parallel, patience=args.patience)
        names = [again.workload] if again is not None else args.workload or list(WORKLOADS)
        print(f"reference runs of {', '.join(names)}", flush=True)
        tally = Tally(await campaign.references(names))
        for verdict in tally.verdicts:
            _show(verdict, begun)
        if tally.broken:
            print("a reference run itself breaks promises: nothing to compare with", file=sys.stderr)
            return 1
        plans = (
            [again]
            if again is not None
            else campaign.plans(names, family=args.family, count=args.plans, seed=args.seed)
        )
        print(f"{len(plans)} plans, {args.parallel} at once", flush=True)
        until = begun + 60 * args.minutes if args.minutes else None
        async for verdict in campaign.verdicts(plans, until=until):
            tally.verdicts.append(verdict)
            _show(verdict, begun)
        if again is not None:
            for row in story(campaign.last):
                print(row)
    for row in tally.table():
        print(row)
    ran = len(tally.verdicts) - len(names)
    versions = sum(v.versions for v in tally.verdicts)
    print(f"{ran} of {len(plans)} plans, {versions} versions of objects checked, {len(tally.broken)} violated")
    if args.json:
        figures = {"plans": ran, "asked": len(plans), "violated": len(tally.broken), "versions": versions}
        figures |= {"seconds": round(time.monotonic() - begun), "parallel": args.parallel, "patience": args.patience}
        args.json.write_text(json.dumps(figures | {"runs": [v.plain() for v in tally.verdicts]}, indent=1))
    return 1 if tally.broken else 0


def _show(verdict: Verdict, begun: float) -> None:
    back = "".join(f", back after {x:.1f} s" for x in verdict.back)
    down = "" if verdict.reverted is None else f", at 0 % after {verdict.reverted:.1f} s"
    missed = ", its write never came" if verdict.missed else ""
    word = "VIOLATED" if verdict.violations else "kept"
    line = f"{verdict.plan} ({verdict.took:.0f} s, {verdict.writes} writes{back}{down}{missed})"
    print(f"{time.monotonic() - begun:6.0f} s  {word} {line}", flush=True)
    for violation in verdict.violations[:4]:
        print(f"  {violation.oracle}: {violation.text[:600]}")
    if verdict.violations:
        print(f"  again: python -m e2e.chaos.real '{verdict.plan}'", flush=True)


if __name__ == "__main__":
    sys.exit(main())
