"""What was explored, as a table, as JSON for the report page, and the way to each violation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from e2e.chaos.model.explorer import Graph, Violation
from e2e.chaos.model.walk import Walked


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration: how much of it was seen. `walked`: transitions of the random walk, `looks` at futures."""

    config: str
    states: int
    transitions: int
    depth: int
    complete: bool
    seconds: float
    walked: int
    looks: int
    violations: tuple[Violation, ...]

    @property
    def rate(self) -> float:
        """Transitions a second, with the checks of every state's futures."""
        return self.transitions / self.seconds if self.seconds else 0.0


LAST = 20
"""Moves of a way that are shown: those of the random walk are long."""

HEAD = ("configuration", "states", "transitions", "depth", "space", "per s", "walked", "futures", "violations")


def row(name: str, graph: Graph, walked: Walked, seed: int) -> Row:
    """The figures of one configuration."""
    found = list(graph.violations)
    for sentence, way in walked.faults:
        replay = f"python -m e2e.chaos.model --config {name} --walk {walked.transitions} --seed {seed}"
        found.append(Violation(name, sentence, (), way, way[-1], replay))
    return Row(
        name,
        len(graph.states),
        graph.transitions,
        max(graph.depths),
        graph.complete,
        graph.seconds,
        walked.transitions,
        len(graph.states) + walked.looks,
        tuple(found),
    )


def table(rows: Sequence[Row]) -> str:
    """Columns of plain text, the sum at the end."""
    lines = [HEAD, *(_cells(r) for r in rows), _sum(rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) if i in (0, 4) else cell.rjust(width) for i, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(line, widths, strict=True)] for line in lines)
    )


def _cells(r: Row) -> tuple[str, ...]:
    numbers = (f"{r.states:,}", f"{r.transitions:,}", str(r.depth), "complete" if r.complete else "cut")
    return (r.config, *numbers, f"{r.rate:,.0f}", f"{r.walked:,}", f"{r.looks:,}", str(len(r.violations)))


def _sum(rows: Sequence[Row]) -> tuple[str, ...]:
    seconds = sum(r.seconds for r in rows)
    moves = sum(r.transitions for r in rows)
    whole = sum(r.complete for r in rows)
    return (
        "all",
        f"{sum(r.states for r in rows):,}",
        f"{moves:,}",
        str(max((r.depth for r in rows), default=0)),
        f"{whole} of {len(rows)} complete",
        f"{moves / seconds if seconds else 0:,.0f}",
        f"{sum(r.walked for r in rows):,}",
        f"{sum(r.looks for r in rows):,}",
        str(sum(len(r.violations) for r in rows)),
    )


def told(violation: Violation) -> str:
    """A violation with its shortest way and the command that plays it again."""
    lines = [f"{violation.config}: {violation.sentence}"]
    numbered = [f"  {i:2} {move}" for i, move in enumerate(violation.moves, 1)]
    lines += numbered[-LAST:]
    return "\n".join([*lines, f"  again: {violation.command}"])


def document(rows: Sequence[Row], seed: int) -> dict[str, object]:
    """The same for programs."""
    return {"level": "L0", "seed": seed, "configurations": [asdict(r) | {"rate": round(r.rate)} for r in rows]}
