"""What `modelrollout history` shows: how revisions ended, and every decision that is remembered."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelrollout.cli.fields import Fields
from modelrollout.cli.rollout_age import ago
from modelrollout.cli.rollout_report import decision_table, section
from modelrollout.core.wording import duration

OUTCOMES = {"Promoted": "green", "RolledBack": "red"}


def report(obj: Fields, now: float) -> RenderableType:
    """Revisions and decisions, the newest first."""
    status = obj.part("status")
    rejected = {each.text("revision") for each in status.items("rejectedRevisions")}
    parts: list[RenderableType] = [Text("REVISIONS", "bold")]
    grid = Table.grid(padding=(0, 2))
    for each in reversed(status.items("history")):
        revision, outcome = each.text("revision"), each.text("outcome") or "-"
        began, ended = each.moment("startedAt"), each.moment("endedAt")
        took = duration(max(0.0, ended - began)) if began is not None and ended is not None else "-"
        why = each.text("message") or each.text("reason")
        if revision in rejected:
            why += " (rejected: starts again only by `retry`)"
        cells = (Text(cell, no_wrap=True) for cell in (ago(ended, now), revision or "-", f"took {took}"))
        grid.add_row(*cells, Text(outcome, OUTCOMES.get(outcome, ""), no_wrap=True), Text(why))
    parts.append(grid if grid.row_count else Text("none has ended yet"))
    decisions = status.items("decisions")
    body = decision_table(reversed(decisions), now) if decisions else Text("none was taken yet")
    return Group(*parts, *section("DECISIONS", body))
