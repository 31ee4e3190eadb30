"""What `modelrollout simulate` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modelrollout.core.wording import percent, share
from modelrollout.sim.chart import Chart
from modelrollout.sim.draw_text import clock, text
from modelrollout.sim.drive import Course
from modelrollout.sim.outcome import Outcome, Result, Share, decisions
from modelrollout.sim.scenario import ArmName

WORDS = {
    Outcome.PROMOTED: "promoted after {}",
    Outcome.REVERTED: "rolled back after {}",
    Outcome.PAUSED: "paused when the scenario ended at {}",
    Outcome.UNFINISHED: "still on its way when the scenario ended at {}",
    Outcome.INVALID: "could not start within {}",
}


def headline(result: Result) -> str:
    """How it ended, in a few words."""
    return WORDS[result.outcome].format(clock(result.seconds))


def one_as_text(course: Course, title: str, drawn: Chart) -> str:
    """Decisions as a table, what users met, and the chart."""
    lines = [title, course.status.message, ""]
    rows = [("TIME", "WEIGHT", "DECISION", "REASON", "WHY")]
    rows += [(clock(at), f"{percent(r.weight)} %", r.action, r.reason, r.message) for at, r in decisions(course)]
    lines += table(rows) if len(rows) > 1 else ["no decisions"]
    lines.append("")
    for sli in course.spec.slis:
        if sli.allowed is None:
            lines.append(f"{sli.name}: virtual pods have no such events")
            continue
        arms = []
        for arm in ArmName:
            truth = course.truth[arm, sli.name]
            ratio = truth.bad / truth.total if truth.total else None
            arms.append(f"{arm} {truth.bad} bad of {truth.total} ({share(ratio)})")
        lines.append(f"{sli.name}: {', '.join(arms)}, allowed {share(sli.allowed)}")
    return "\n".join([*lines, "", text(drawn), ""])


def one_as_json(course: Course, result: Result) -> str:
    """The same for programs."""
    truth = {
        sli.name: {
            arm.value: {"total": course.truth[arm, sli.name].total, "bad": course.truth[arm, sli.name].bad}
            for arm in ArmName
        }
        for sli in course.spec.slis
        if sli.allowed is not None
    }
    made = {
        "rollout": str(course.spec.key),
        "scenario": course.scenario.name,
        "seed": result.seed,
        "outcome": result.outcome,
        "reason": result.reason,
        "message": result.message,
        "seconds": result.seconds,
        "decisions": [
            {"at": at, "action": r.action, "reason": r.reason, "weight": r.weight / 100, "message": r.message}
            for at, r in decisions(course)
        ],
        "slis": truth,
    }
    return json.dumps(made, indent=2) + "\n"


def journal_lines(course: Course) -> str:
    """One JSON line per decision that changed something, as the operator's journal has them."""
    return "".join(json.dumps(entry, separators=(",", ":"), default=str) + "\n" for entry in course.journal)


def many_as_text(name: str, runs: int, tally: Sequence[Share]) -> str:
    """Shares of the outcomes with their intervals and times."""
    rows = [("OUTCOME", "RUNS", "SHARE", "95 % INTERVAL", "MEDIAN", "P90", "REASONS")]
    for each in tally:
        reasons = ", ".join(f"{reason} {count}" for reason, count in each.reasons)
        rows.append(
            (
                each.outcome.value,
                str(each.count),
                _percent(each.share),
                f"{_percent(each.low)} to {_percent(each.high)}",
                "-" if each.median is None else clock(each.median),
                "-" if each.p90 is None else clock(each.p90),
                reasons,
            )
        )
    return "\n".join([name, "", *table(rows), ""])


def many_as_json(name: str, runs: int, tally: Sequence[Share]) -> str:
    """The same for programs; times in seconds."""
    made = {
        "name": name,
        "runs": runs,
        "outcomes": {
            each.outcome.value: {
                "runs": each.count,
                "share": each.share,
                "low": each.low,
                "high": each.high,
                "seconds": {"median": each.median, "p90": each.p90},
                "reasons": dict(each.reasons),
            }
            for each in tally
        },
    }
    return json.dumps(made, indent=2) + "\n"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; the last one as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.2f} %"
