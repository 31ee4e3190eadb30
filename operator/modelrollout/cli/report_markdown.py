"""A report as Markdown, for a pull request, an issue or a postmortem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from modelrollout.cli.report_facts import Facts, labels, when

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")
BAR = 25
"""Characters of a full bar."""


def markdown(told: Facts) -> str:
    """The whole text."""
    lines = [f"# {plain(told.headline)}", "", *([plain(told.message), ""] if told.message else [])]
    lines += table(("", ""), told.facts)
    lines += _incident(told)
    lines += ["## Course", "", *_course(told)]
    lines += ["## Evidence", "", *_evidence(told)]
    lines += _section("Error budget", ("SLI", "spent", "allowed", "share", "gone in"), told.budget)
    lines += _section("Steps", ("step", "candidate", "at least", "approval"), told.steps)
    lines += _section("Revisions", ("revision", "outcome", "began", "ended", "why"), told.history)
    lines += _section("Conditions", ("condition", "status", "reason", "message"), told.conditions)
    if told.notes:
        lines += ["## Notes", "", *(f"- {plain(note)}" for note in told.notes), ""]
    return "\n".join(lines).rstrip() + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table and an empty line."""
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(map(plain, row))} |" for row in rows),
        "",
    ]


def _incident(told: Facts) -> list[str]:
    revert = told.revert
    if revert is None:
        return []
    rows = (
        ("decided", when(revert.opened)),
        ("all users on legacy", when(revert.closed)),
        ("that took", revert.lasted),
        ("candidate had", f"{revert.weight} %"),
    )
    return ["## Incident", "", f"{plain(revert.reason)}: {plain(revert.message)}", "", *table(("", ""), rows)]


def _course(told: Facts) -> list[str]:
    if not told.turns:
        return ["No decision has been taken for this revision.", ""]
    lines = []
    if told.course and told.began is not None:
        lines.append("```text")
        for at, weight in told.course:
            bar = "#" * round(BAR * min(100.0, max(0.0, weight)) / 100)
            lines.append(f"{when(at)[11:19]}  {bar:<{BAR}}  {weight:g} %")
        lines += ["```", ""]
    rows = [
        (str(number), when(turn.at), after, turn.action, turn.reason, turn.message)
        for number, (turn, after) in enumerate(zip(told.turns, labels(told.turns, told.began), strict=True), 1)
    ]
    return lines + table(("", "time", "after", "decision", "reason", "why"), rows)


def _evidence(told: Facts) -> list[str]:
    if not told.slis:
        return ["Nothing has been judged yet.", ""]
    rows = [
        (x.name, x.verdict, x.candidate, x.legacy, x.compared, x.bound, x.odds, x.samples, x.burn)
        for x in (each.line for each in told.slis)
    ]
    heads = ("SLI", "verdict", "candidate bad", "legacy bad", "ratio", "margin", "odds", "samples", "burn")
    said = [f"- {plain(text)}" for text in told.said]
    return [*table(heads, rows), *said, *([""] if said else [])]


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"## {title}", "", *table(heads, rows)] if rows else []
