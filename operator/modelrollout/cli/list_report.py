"""What `modelrollout list` prints: one line per rollout. Built by hand, a thousand must not be felt."""

from __future__ import annotations

from collections.abc import Sequence

from modelrollout.cli.fields import Fields, looked_at
from modelrollout.cli.rollout_age import ago
from modelrollout.cli.screen import PHASES

GAP = 2
SPARE = ("CANDIDATE", "AGE", "REASON", "BURN", "VERDICT")
"""Columns that a narrow terminal loses, the first ones first."""
CODES = {"green": "32", "yellow": "33", "red": "31", "cyan": "36", "dim": "2"}


def table(found: Sequence[Fields], now: float, *, width: int | None, colour: bool, everywhere: bool) -> str:
    """Rollouts by namespace and name. `width` None: as wide as it gets."""
    heads = ("NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "BURN", "REASON", "CANDIDATE", "AGE")
    rows = sorted((_row(each, now) for each in found), key=lambda row: row[:2])
    columns = [[head, *(row[i] for row in rows)] for i, head in enumerate(heads)]
    if not everywhere:
        columns = columns[1:]
    columns = _fitting(columns, width)
    sizes = [max(map(len, column)) for column in columns]
    styled = next(i for i, column in enumerate(columns) if column[0] == "PHASE")
    lines = []
    for cells in zip(*columns, strict=True):
        shown = [cell.ljust(size) for cell, size in zip(cells, sizes, strict=True)]
        if colour and cells[styled] in PHASES:
            code = CODES[PHASES[cells[styled]]]
            shown[styled] = f"\x1b[{code}m{shown[styled]}\x1b[0m"
        lines.append((" " * GAP).join(shown).rstrip())
    return "".join(f"{line}\n" for line in lines)


def _fitting(columns: list[list[str]], width: int | None) -> list[list[str]]:
    """Those columns that fit, without the spare ones as far as it must be."""
    spare = iter(SPARE)
    while width is not None and sum(max(map(len, column)) + GAP for column in columns) - GAP > width:
        name = next(spare, None)
        if name is None:
            break
        columns = [column for column in columns if column[0] != name]
    return columns


def _row(obj: Fields, now: float) -> tuple[str, ...]:
    meta, status = obj.part("metadata"), obj.part("status")
    summary, reason, phase = status.part("summary"), status.text("reason"), status.text("phase")
    if phase and not looked_at(obj):
        reason = "NotSeenYet"
    return (
        meta.text("namespace"),
        meta.text("name"),
        phase or "-",
        summary.text("step") or "-",
        summary.text("weight") or "-",
        summary.text("verdict") or "-",
        summary.text("burn") or "-",
        reason or ("NotSeenYet" if not phase else "-"),
        obj.part("spec", "candidate").text("deployment") or "-",
        ago(meta.moment("creationTimestamp"), now, ending=""),
    )
