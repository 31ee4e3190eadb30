"""`make bench-scale`: what a hundred to five thousand rollouts cost, and how fast all of them go back at once.

A real API server with etcd, a real Prometheus, the operator as a process of its own. Prints a table for each size, with
an aim where there is one. Exit 1 when an aim is missed, 2 when something did not come about at all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from e2e.cluster.artifacts import BuildError
from e2e.cluster.processes import ClusterError
from e2e.cluster.prometheus import PrometheusFailed
from e2e.scale.run import Found, Plan, TooSlow, measure
from e2e.scale.seed import SeedError
from e2e.stats.tables import Cell, Table

OUT = Path("e2e-artifacts/bench-scale")


def aims(plan: Plan) -> Mapping[tuple[str, str], float]:
    """The most that a figure may be; for sizes between, those of the next larger size (`performance.md`)."""
    small = plan.rollouts <= 1000
    found: dict[tuple[str, str], float] = {
        ("at rest, restarted", "rss"): 150 if small else 350,
        ("at rest, restarted", "writes"): 0,
        ("at rest, after all that", "writes"): 0,
        ("moving", "queries_a_tick"): plan.slis * 1.1,
        ("moving", "loop_late_p99"): 0.1,
        ("all bad", "p99"): 2 if small else 10,
        ("all bad", "raised_after"): 0,
        ("all bad", "left"): 0,
        ("failover", "lease_s"): 20,
        ("failover", "raised_meanwhile"): 0,
    }
    if small:
        found |= {("at rest, restarted", "cores"): 0.05, ("moving", "cores"): 0.5}
    return found


def table(found: Found) -> Table:
    """The figures of one plan."""
    plan = found.plan
    title = f"{plan.rollouts} rollouts, {plan.slis} SLI{'s' if plan.slis > 1 else ''} each"
    note = f"Load of the machine before and after: {'; '.join(found.loads)} (one, five, fifteen minutes)."
    shown = Table(f"scale-{plan.rollouts}-{plan.slis}", title, ("", "", "measured", "aim", "met"), note=note)
    wanted = aims(plan)
    for scenario, name, value in _figures(found):
        aim = wanted.get((scenario, name))
        shown.add(scenario, name, value, aim, reached=None if aim is None else _number(value) <= aim)
    return shown


def _figures(found: Found) -> Iterator[tuple[str, str, Cell]]:
    for scenario, figures in found.figures.items():
        for name, value in figures.items():
            if isinstance(value, dict):
                text = ", ".join(f"{count} {what}" for what, count in value.items())
                yield scenario, name, text or "none"
            else:
                yield scenario, name, value


def _number(value: Cell) -> float:
    assert isinstance(value, int | float)
    return float(value)


def machine() -> str:
    """What it was measured on."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    mib = int(memory.split()[1]) // 1024
    parts = [f"Python {platform.python_version()}", f"kopf {version('kopf')}", f"kubernetes {version('kubernetes')}"]
    return f"{os.cpu_count()} processors, {mib} MiB, {', '.join(parts)}"


def main(arguments: list[str] | None = None) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--rollouts", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--slis", type=int, nargs="+", choices=(1, 4), default=[1, 4])
    parser.add_argument("--seconds", type=float, default=30.0, help="of ordinary life that are measured")
    parser.add_argument("--rest", type=float, default=30.0, help="seconds at rest that are measured, twice")
    parser.add_argument("--no-failover", action="store_true", help="leave out the killed leader")
    parser.add_argument("--patience", type=float, default=300.0, help="seconds that anything may take")
    parser.add_argument("--json", type=Path, default=OUT / "results.json", help="file of the results")
    given = parser.parse_args(arguments)
    if min(given.rollouts) < 2:
        parser.error("--rollouts must be 2 or more: one that stays and one that climbs are started by the operator")
    print(machine(), flush=True)
    results: list[dict[str, Any]] = []
    missed: list[str] = []
    for rollouts in given.rollouts:
        for slis in given.slis:
            plan = Plan(
                rollouts,
                slis,
                seconds=given.seconds,
                rest=given.rest,
                failover=not given.no_failover,
                patience=given.patience,
            )
            try:
                with tempfile.TemporaryDirectory(prefix="modelrollout-scale-") as directory:
                    found = measure(plan, Path(directory))
            except (BuildError, ClusterError, PrometheusFailed, SeedError, TooSlow) as error:
                print(f"error: {rollouts} rollouts, {slis} SLIs: {error}", file=sys.stderr)
                return 2
            shown = table(found)
            print(shown.markdown(), flush=True)
            missed += [f"{shown.name}: {row}" for row in shown.missed]
            results.append({"rollouts": rollouts, "slis": slis, "loads": found.loads, "figures": found.figures})
            given.json.parent.mkdir(parents=True, exist_ok=True)
            given.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    print("\n".join(["aims missed:", *missed]) if missed else "every aim reached")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
