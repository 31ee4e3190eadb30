"""A plan as tables for people or as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf, isfinite
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelrollout.core.model import FULL, RolloutSpec, Sli
from modelrollout.core.outlook import (
    Detection,
    Detector,
    Proof,
    RolloutOutlook,
    StepOutlook,
    budget_left,
    least,
    margin_words,
)
from modelrollout.core.wording import LONG, duration, percent, share
from modelrollout.stats.detection import allowance

Planned = tuple[RolloutSpec, RolloutOutlook]

GUARD = "a guard: counts without a total prove nothing, hold the step at odds of 10 : 1 for harm, and take no rate"
PIPE_WIDTH = 120
DIGITS = 6
_SHORT = {Detector.BURN: ("burn tier",), Detector.HARD_GUARD: ("hard guard",), Detector.BUDGET: ("budget share",)}
"""What a cell says of detectors other than the comparison."""


def as_json(planned: Sequence[Planned], file: TextIO) -> None:
    """One object; fields are only ever added. Numbers have six digits, null stands for never, none, unknown."""
    json.dump({"rollouts": [_rollout(spec, outlook) for spec, outlook in planned]}, file, indent=2)
    file.write("\n")


def as_text(planned: Sequence[Planned], file: TextIO) -> None:
    """Tables; colours only on a terminal and without NO_COLOR."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=max(console.width, PIPE_WIDTH))
    for place, (spec, outlook) in enumerate(planned):
        if place:
            console.print()
        _print(console, spec, outlook)


def _print(console: Console, spec: RolloutSpec, outlook: RolloutOutlook) -> None:
    console.print(Text.assemble((str(outlook.key), "bold"), f": {_whole(outlook, spec)}"))
    console.print(_steps(outlook))
    slis = {sli.name: sli for sli in spec.slis}
    for name in [proof.sli for proof in outlook.steps[0].proofs]:
        mine = [(step, proof) for step in outlook.steps for proof in step.proofs if proof.sli == name]
        console.print(Text.assemble((name, "bold"), f": {_load(slis[name], mine[0][1])}"))
        console.print(_proofs(mine))
        console.print("  worse than legacy: time until the rollback, bad events until then (average / 9 of 10)")
        console.print(_detections(mine))
        console.print(f"  {_worst(spec, slis[name], mine)}\n")
    for name in _guards(spec):
        console.print(Text.assemble((name, "bold"), f": {GUARD}\n"))
    for text in _warnings(spec, outlook):
        console.print(Text.assemble(("would not start: ", "bold yellow"), text))
    for text in outlook.refusals:
        console.print(Text.assemble(("not provable: ", "bold red"), text))
    if not outlook.refusals:
        console.print("every margin is provable in time")


def _guards(spec: RolloutSpec) -> list[str]:
    return [sli.name for sli in spec.slis if sli.critical and sli.allowed is None]


def _warnings(spec: RolloutSpec, outlook: RolloutOutlook) -> list[str]:
    slis = {sli.name: sli for sli in spec.slis}
    found = (budget_left(spec, slis[proof.sli], proof.load) for proof in outlook.steps[0].proofs)
    return [text for text in found if text]


def _whole(outlook: RolloutOutlook, spec: RolloutSpec) -> str:
    approvals = sum(step.approval for step in spec.steps)
    waits = f", and {approvals} approval{'s' if approvals > 1 else ''}" if approvals else ""
    return f"takes {_time(outlook.seconds)} if the candidate is as good as legacy{waits}"


def _steps(outlook: RolloutOutlook) -> Table:
    table = _table("step", "weight", "takes", "at least", "at most", "candidate requests", "decided by")
    for step in outlook.steps:
        table.add_row(
            f"{step.index + 1}/{len(outlook.steps)}",
            f"{percent(step.weight)} %",
            _time(step.seconds),
            duration(step.shortest),
            duration(step.limit),
            _count(step.requests),
            step.decider or "minDuration",
        )
    return table


def _load(sli: Sli, proof: Proof) -> str:
    load = proof.load
    return f"{load.rate:g} requests/s, legacy {share(load.share)} bad, {share(sli.allowed)} allowed"


def _proofs(mine: Sequence[tuple[StepOutlook, Proof]]) -> Table:
    table = _table("step", "margin", "requests for a PASS", "takes", "in time", "smallest ratio", "smallest difference")
    for step, proof in mine:
        compared = proof.margin is not None
        table.add_row(
            f"{percent(step.weight)} %",
            margin_words(proof.margin) if proof.margin else "burn tiers only",
            _count(proof.needed),
            _time(proof.seconds),
            "yes" if proof.provable else Text("no", "bold red"),
            _least(proof.least_ratio, 3) if compared else "",
            _least(proof.least_difference, 2) if compared else "",
        )
    return table


def _detections(mine: Sequence[tuple[StepOutlook, Proof]]) -> Table:
    """Per step and regression: mean and 90 % time, and the bad events it costs."""
    table = _table("worse", *(_size(each) for each in mine[0][1].detections))
    for step, proof in mine:
        table.add_row(f"{percent(step.weight)} %", *(_cell(each) for each in proof.detections))
    return table


def _size(found: Detection) -> str:
    return "dead" if found.ratio is None else f"{found.ratio:g}x"


def _cell(found: Detection) -> str:
    if found.seconds is None or found.late is None or found.harm is None or found.late_harm is None:
        return "-"
    times = f"{_time(found.seconds)} / {_time(found.late)}"
    return "\n".join([times, f"{_count(found.harm)} / {_count(found.late_harm)}", *_SHORT.get(found.by, ())])


def _worst(spec: RolloutSpec, sli: Sli, mine: Sequence[tuple[StepOutlook, Proof]]) -> str:
    found = [(each.late_harm, each, step) for step, proof in mine for each in proof.detections if each.late_harm]
    share_of = f"this rollout's share of the budget: {_count(allowance(spec, sli, mine[0][1].load))}"
    if not found:
        return share_of
    worst, each, step = max(found, key=lambda one: one[0])
    return (
        f"bad events until the rollback: at most {_count(worst)} ({_size(each)} at {percent(step.weight)} %, 9 of 10); "
        f"{share_of}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=True)
    for column in columns:
        table.add_column(column, justify="left" if column in ("step", "margin", "decided by", "worse") else "right")
    return table


def _time(seconds: float) -> str:
    return duration(seconds) if seconds <= LONG else "over a year" if seconds < inf else "never"


def _count(value: float) -> str:
    if not isfinite(value):
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _least(value: float | None, digits: int) -> str:
    return "none" if value is None else least(value, digits)


def _rollout(spec: RolloutSpec, outlook: RolloutOutlook) -> dict[str, Any]:
    slis = {sli.name: sli for sli in spec.slis}
    return {
        "rollout": str(outlook.key),
        "provable": not outlook.refusals,
        "seconds": _number(outlook.seconds),
        "notProvable": list(outlook.refusals),
        "wouldNotStart": _warnings(spec, outlook),
        "slis": [
            {
                "name": proof.sli,
                "rate": _number(proof.load.rate),
                "errorRate": _number(proof.load.share),
                "allowed": _number(slis[proof.sli].allowed),
                "provable": proof.sli not in outlook.unprovable,
                "budgetShareBadEvents": _number(allowance(spec, slis[proof.sli], proof.load)),
            }
            for proof in outlook.steps[0].proofs
        ],
        "guards": _guards(spec),
        "steps": [_step(step) for step in outlook.steps],
    }


def _step(step: StepOutlook) -> dict[str, Any]:
    return {
        "index": step.index,
        "weightPercent": _number(100 * step.weight / FULL),
        "seconds": _number(step.seconds),
        "minSeconds": _number(step.shortest),
        "maxSeconds": _number(step.limit),
        "candidateRequests": _number(step.requests),
        "decidedBy": step.decider,
        "slis": [_proof(proof) for proof in step.proofs],
    }


def _proof(proof: Proof) -> dict[str, Any]:
    margin = proof.margin
    return {
        "name": proof.sli,
        "margin": None if margin is None else {"ratio": margin.ratio, "difference": _number(margin.difference)},
        "candidateRequests": _number(proof.needed),
        "seconds": _number(proof.seconds),
        "provable": proof.provable,
        "smallestRatio": _number(proof.least_ratio),
        "smallestDifference": _number(proof.least_difference),
        "regressions": [
            {
                "times": found.ratio,
                "errorRate": _number(found.share),
                "by": None if found.by is Detector.NOTHING else found.by.value,
                "seconds": _number(found.seconds),
                "secondsP90": _number(found.late),
                "excessBadEvents": _number(found.harm),
                "excessBadEventsP90": _number(found.late_harm),
            }
            for found in proof.detections
        ],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not isfinite(value) else float(f"{value:.{DIGITS}g}")
