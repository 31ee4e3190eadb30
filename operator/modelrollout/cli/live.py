"""`modelrollout get -w`: the page drawn over itself on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from modelrollout.cli import screen
from modelrollout.cli.fields import Fields
from modelrollout.cli.kubectl import ROLLOUTS
from modelrollout.cli.watching import Lost, Seen, follow

if TYPE_CHECKING:
    from modelrollout.cli.kubectl import Kubectl


def show(kubectl: Kubectl, name: str) -> None:
    """Show the rollout until it is deleted or the user ends it. Raises Complaint."""
    if screen.interactive():
        _page(kubectl, name)
    else:
        _lines(kubectl, name)


def _lines(kubectl: Kubectl, name: str) -> None:
    from modelrollout.cli.reads import standing

    last = ""
    for seen in follow(kubectl, ROLLOUTS, name):
        if isinstance(seen, Lost):
            screen.note(f"{seen.text}; trying again")
        elif seen is not None and seen.gone:
            screen.put(f"{name}: deleted\n")
            return
        elif seen is not None:
            line = standing(Fields(seen.obj))
            if line != last:
                screen.put(f"{line}\n")
            last = line


def _page(kubectl: Kubectl, name: str) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from modelrollout.cli.rollout_report import report

    colour = screen.colours(sys.stdout)
    console = Console(highlight=False, markup=False, emoji=False, no_color=not colour)
    newest, lost = Seen({}), ""
    with Live(console=console, auto_refresh=False) as live:
        for seen in follow(kubectl, ROLLOUTS, name):
            if isinstance(seen, Lost):
                lost = seen.text
            elif seen is not None:
                newest, lost = seen, ""
            page = report(Fields(newest.obj), time.time(), width=console.width)
            told = "deleted" if newest.gone else f"{lost}; trying again" if lost else ""
            live.update(Group(page, Text(told, "yellow")) if told else page, refresh=True)
            if newest.gone:
                return
