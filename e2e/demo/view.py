"""The live view in a terminal, and plain lines without one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from e2e.demo.look import Look, Sli

_PHASE_STYLE = {
    "Progressing": "cyan",
    "Promoted": "bold green",
    "RollingBack": "bold red",
    "RolledBack": "bold red",
    "Paused": "yellow",
    "Invalid": "yellow",
}


QUIET = 5.0
"""Seconds after which a line is printed although nothing has changed but the counts."""


class View:
    """Draws each look. With a terminal the picture is redrawn in place; else a line is printed when it changes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._last: tuple[object, ...] = ()
        self._spoken: set[tuple[object, ...]] = set()
        self._begun = self._said = time.monotonic()

    @contextmanager
    def act(self, title: str) -> Iterator[None]:
        """Frame one rollout."""
        self.console.rule(f"[bold]{title}")
        self._begun, self._last = time.monotonic(), ()
        if not self.console.is_terminal:
            yield
            return
        with Live(console=self.console, refresh_per_second=4, transient=False) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def show(self, look: Look) -> None:
        """Draw or print one moment."""
        if self._live is not None:
            self._live.update(picture(look, time.monotonic() - self._begun))
            return
        for decision in look.decisions:
            key = (decision.get("at"), decision.get("action"))
            if key not in self._spoken:
                self._spoken.add(key)
                self._say(f"{decision.get('action')}: {decision.get('message')}")
        face = (look.phase, look.reason, look.wanted, None if look.measured is None else round(look.measured, -1))
        if face != self._last or time.monotonic() - self._said >= QUIET:
            self._last = face
            self._say(line(look))

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self.console.print(f"  {self._clock()}  {text}", markup=False, soft_wrap=True)

    def _clock(self) -> str:
        return f"{time.monotonic() - self._begun:5.1f}s"


def line(look: Look) -> str:
    """One moment in one line."""
    measured = "-" if look.measured is None else f"{look.measured:.1f} %"
    parts = [f"{look.phase} step {look.step}", f"wanted {look.wanted:g} %", f"measured {measured}"]
    for sli in look.slis:
        burning = "" if sli.burn is None else f", burns {sli.burn:.1f}x"
        parts.append(f"{sli.name} {_ratio(sli.candidate)}{burning}")
    return ", ".join(parts)


def picture(look: Look, seconds: float) -> Panel:
    """One moment as a panel: weights as bars, a row per SLI, the newest decisions in words."""
    weights = Table.grid(padding=(0, 1))
    weights.add_column(width=9)
    weights.add_column(width=42)
    weights.add_column(justify="right", width=8)
    weights.add_row("wanted", ProgressBar(total=100, completed=look.wanted, width=40), f"{look.wanted:g} %")
    measured = look.measured
    weights.add_row(
        "measured",
        ProgressBar(total=100, completed=measured or 0, width=40, complete_style="magenta"),
        "-" if measured is None else f"{measured:.1f} %",
    )
    decisions = Text()
    for item in look.decisions[-4:]:
        decisions.append(f"{item.get('action', ''):<9}", style="bold")
        decisions.append(f"{item.get('message', '')}\n")
    style = _PHASE_STYLE.get(look.phase, "white")
    title = f"[{style}]{look.phase}[/] step {look.step}  {seconds:.0f} s"
    return Panel(Group(weights, slis(look.slis), decisions), title=title, title_align="left", border_style=style)


def slis(items: tuple[Sli, ...]) -> Table:
    """Bad and all events of both arms since the step began."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("SLI", "verdict", "legacy bad", "candidate bad", "burn", "budget spent"):
        table.add_column(name, justify="left" if name in ("SLI", "verdict") else "right", min_width=9)
    for sli in items:
        table.add_row(
            sli.name,
            sli.verdict,
            _ratio(sli.legacy),
            _ratio(sli.candidate),
            "-" if sli.burn is None else f"{sli.burn:.1f}x",
            "-" if sli.spent is None else f"{100 * sli.spent:.2f} %",
        )
    return table


def _ratio(pair: tuple[int, int]) -> str:
    bad, total = pair
    return f"{bad}/{total} ({100 * bad / total:.1f} %)" if total else "no events"
