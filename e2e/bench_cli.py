"""`make bench-cli`: how long people wait for the command line, with a thousand rollouts on a real API server.

Every command is a process of its own, as somebody types it. Wall time is what is waited for; processor time (user and
system, with that of kubectl) stands beside it, because it does not depend on what else the machine does. Of a command
that asks the cluster, the same question by kubectl alone is taken off: the aim is about what comes on top of it.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from e2e.bench import Figure
from e2e.cluster import programs
from e2e.cluster.apiserver import ApiServer, apiserver

ROOT = Path(__file__).resolve().parents[1]
NAMESPACE, NAME = "serving", "m0"
RECORDED = ROOT / "tests" / "unit" / "cli" / "recorded" / "7-shared.json"
RAW = "/apis/modelrollout.dev/v1alpha1/modelrollouts"
CHUNK = 250
BUSY = 0.5
"""Other work per core (load average of a minute) beyond which wall times say nothing about the program."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is typed. `beneath`: the same question by kubectl alone; `aim`: seconds of wall time on top of it."""

    name: str
    argv: Sequence[str]
    aim: float | None = None
    beneath: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one run: waited for, and of processors."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Result:
    """Of one command: the smallest cost of its runs, the middle wall time, and the smallest cost of kubectl alone."""

    command: Command
    smallest: Cost
    median: float
    beneath: Cost

    @property
    def figure(self) -> Figure:
        """The wall time beyond kubectl's, against the aim."""
        return Figure(self.command.name, self.smallest.wall - self.beneath.wall, self.command.aim, 2)


def commands() -> Sequence[Command]:
    """Those with an aim first (ux.md, CLI)."""
    ours, one = "modelrollout", ("-n", NAMESPACE)
    kubectl = ("kubectl", "get", "modelrollouts.modelrollout.dev", NAME, *one, "-o", "json")
    return (
        Command("--help", (ours, "--help"), 0.15),
        Command("get", (ours, "get", NAME, *one), 0.4, kubectl),
        Command("list -A", (ours, "list", "-A"), 1.0, ("kubectl", "get", "--raw", RAW)),
        Command("status", (ours, "status", NAME, *one), None, kubectl),
        Command("explain", (ours, "explain", NAME, *one), None, kubectl),
        Command("diff", (ours, "diff", NAME, "legacy", *one), None, kubectl),
        Command("version --client", (ours, "version", "--client")),
        Command("completion of a name", ("kubectl_complete-modelrollout", "get", *one, "m99")),
        Command("doctor", (ours, "doctor", *one)),
    )


def measured(command: Command, run: Callable[[Sequence[str]], Cost], times: int) -> Result:
    """So many runs, one after the other; kubectl's alone between them, so that both see the same machine."""
    own, beneath = [], [Cost(0.0, 0.0)] * (0 if command.beneath else 1)
    for _ in range(times):
        own.append(run(command.argv))
        if command.beneath:
            beneath.append(run(command.beneath))
    return Result(command, least(own), median(each.wall for each in own), least(beneath))


def least(costs: Sequence[Cost]) -> Cost:
    """The smallest of each: what else runs only ever adds."""
    return Cost(min(each.wall for each in costs), min(each.processor for each in costs))


def busy(load: float, cores: int) -> str:
    """Why wall times are not to be believed; empty when they are."""
    if load <= BUSY * cores:
        return ""
    return f"load {load:.1f} on {cores} cores: wall times are not the program's, look at processor time"


def table(results: Sequence[Result], *, judged: bool) -> str:
    """A row per command, in seconds. `judged`: whether wall times are held against the aims."""
    heads = ("command", "wall", "median", "processor", "kubectl", "on top", "aim")
    rows: list[tuple[str, ...]] = [heads]
    for each in results:
        figure = each.figure
        verdict = ("missed" if figure.missed else "reached") if judged else "not judged"
        aim = "" if figure.aim is None else f"{figure.aim:g} {verdict}"
        numbers = (each.smallest.wall, each.median, each.smallest.processor, each.beneath.wall, figure.value)
        rows.append((each.command.name, *(f"{number:.2f}" for number in numbers), aim))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return "".join(
        "  ".join(
            cell.ljust(size) if i == 0 else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        + "\n"
        for row in rows
    )


class Typist:
    """Somebody at a shell, with kubectl first in PATH."""

    def __init__(self, kubeconfig: Path, home: Path) -> None:
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("KUBE")},
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "PATH": f"{programs.kubernetes()}:{Path(sys.executable).parent}:/usr/bin:/bin",
        }

    def types(self, argv: Sequence[str]) -> Cost:
        """Run it to its end. Raises RuntimeError when it breaks; findings of doctor are none."""
        before, began = _children(), time.perf_counter()
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, check=False)
        cost = Cost(time.perf_counter() - began, _children() - before)
        if done.returncode not in ((0, 1) if "doctor" in argv else (0,)) or not done.stdout:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr[-400:]}")
        return cost


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rollouts(count: int) -> Sequence[Mapping[str, Any]]:
    """Recorded rollouts in mid-step, with their status."""
    obj = json.loads(RECORDED.read_text())["object"]
    made = []
    for index in range(count):
        each = copy.deepcopy(obj)
        each["metadata"] = {"name": f"m{index}", "namespace": NAMESPACE}
        made.append(each)
    return made


def fill(server: ApiServer, count: int) -> None:
    """Create the rollouts; the status is written apart, as the API server wants it."""
    server.kubectl("create", "namespace", NAMESPACE)
    made = rollouts(count)
    for start in range(0, count, CHUNK):
        chunk = {"apiVersion": "v1", "kind": "List", "items": made[start : start + CHUNK]}
        server.kubectl("create", "-f", "-", input_text=json.dumps(chunk))
        server.kubectl("apply", "--server-side", "--subresource=status", "-f", "-", input_text=json.dumps(chunk))
        print(f"  {min(start + CHUNK, count)} of {count} rollouts", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 when an aim is missed on a machine that is not busy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1000)
    parser.add_argument("--times", type=int, default=7, help="runs of each command")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as home, apiserver(crds=[programs.gateway_api_crds()]) as server:
        server.install_crds(ROOT / "crds")
        fill(server, asked.rollouts)
        why = busy(os.getloadavg()[0], os.cpu_count() or 1)
        typist = Typist(server.kubeconfig, Path(home))
        typist.types(commands()[0].argv)
        results = [measured(each, typist.types, asked.times) for each in commands()]
    print(table(results, judged=not why), end="")
    print(why or f"load {os.getloadavg()[0]:.1f}")
    if asked.json:
        asked.json.write_text(json.dumps({"busy": why, "results": [asdict(each) for each in results]}, indent=2) + "\n")
    return 0 if why else int(any(each.figure.missed for each in results))


if __name__ == "__main__":
    sys.exit(main())
