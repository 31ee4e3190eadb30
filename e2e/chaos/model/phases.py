"""`python -m e2e.chaos.model.phases --write`: which phase follows which, from the search through small rollouts.

The first states of every configuration are expanded, each with all that may happen to it; what the stored phase became
is drawn and listed in docs/reference/phases.md. `--check`: fail when the page is not current. About 15 s.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from e2e.chaos.model.configs import CONFIGS, Config
from e2e.chaos.model.explorer import Explorer
from e2e.chaos.model.state import State, canonical, key
from modelrollout.core.model import Phase

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "phases.md"
BEGIN, END = "<!-- Written by `make phases`. -->", "<!-- End of what `make phases` writes. -->"
STATES = 150
"""Of each configuration. Four times as many add one transition, of an object whose status was wiped."""

NEW = ""
"""The phase before the first status."""
WORDS = {
    (Phase.IDLE, Phase.PREFLIGHT): "new revision",
    (Phase.PREFLIGHT, Phase.PROGRESSING): "all checks true",
    (Phase.PREFLIGHT, Phase.PAUSED): "approval, pause",
    (Phase.PREFLIGHT, Phase.ROLLING_BACK): "pods not ready in time",
    (Phase.PROGRESSING, Phase.PROMOTED): "last step passed",
    (Phase.PROGRESSING, Phase.PAUSED): "must wait",
    (Phase.PROGRESSING, Phase.ROLLING_BACK): "harm, Abort",
    (Phase.PROGRESSING, Phase.PREFLIGHT): "newer revision",
    (Phase.PAUSED, Phase.PROGRESSING): "wait is over",
    (Phase.PAUSED, Phase.ROLLING_BACK): "harm, Abort",
    (Phase.ROLLING_BACK, Phase.ROLLED_BACK): "route shows 0",
    (Phase.ROLLED_BACK, Phase.PREFLIGHT): "new revision, Retry",
    (Phase.PROMOTED, Phase.PREFLIGHT): "new revision",
    (Phase.PROMOTED, Phase.ROLLING_BACK): "Abort",
}
"""What stands on an arrow; arrows without words are told by their reasons in the table."""

Transitions = dict[tuple[str, str], set[str]]
"""Reasons of the later status by (phase before, phase after)."""


def transitions(configs: Iterable[Config] = CONFIGS, states: int = STATES) -> Transitions:
    """What the stored phase became, in one write or a crash between two, for each of the first `states` states."""
    found: Transitions = {}
    for config in configs:
        explorer = Explorer(config)
        known = [explorer.start()]
        seen = {key(known[0])}
        for number in range(states):
            if number >= len(known):
                break
            for outcome in explorer.moves(known[number]):
                _note(found, known[number], outcome.after)
                if key(outcome.after) not in seen:
                    seen.add(key(outcome.after))
                    known.append(canonical(outcome.after))
    return found


def _note(found: Transitions, before: State, after: State) -> None:
    if after.status is None or after.gone:
        return
    first = before.status.phase if before.status is not None and before.status.revision else NEW
    if first != after.status.phase and (first or after.status.revision):
        found.setdefault((first, after.status.phase), set()).add(str(after.status.reason))


def diagram(found: Mapping[tuple[str, str], set[str]]) -> str:
    """Mermaid. Invalid is left out (it is entered from anywhere before the end), and so is what passes RollingBack."""
    lines = ["stateDiagram-v2"]
    for before, after in sorted(found, key=_order):
        direct = after == Phase.ROLLED_BACK and (before, Phase.ROLLING_BACK) in found
        if Phase.INVALID in (before, after) or direct:
            continue
        words = WORDS.get((Phase(before), Phase(after))) if before else None
        lines.append(f"  {before or '[*]'} --> {after}" + (f": {words}" if words else ""))
    return "\n".join(lines)


def table(found: Mapping[tuple[str, str], set[str]]) -> str:
    """A row for each pair of phases with the reasons that were seen."""
    rows = ["| from | to | with reason |", "|---|---|---|"]
    for before, after in sorted(found, key=_order):
        reasons = " ".join(f"`{reason}`" for reason in sorted(found[before, after]) if reason)
        rows.append(f"| {f'`{before}`' if before else '(new)'} | `{after}` | {reasons or '-'} |")
    return "\n".join(rows)


def _order(pair: tuple[str, str]) -> tuple[int, int]:
    places = [NEW, *Phase]
    return places.index(pair[0]), places.index(pair[1])


def section(found: Mapping[tuple[str, str], set[str]]) -> str:
    """What stands between the marks of the page."""
    told = f"The first {STATES} states of each of {len(CONFIGS)} configurations:"
    return f"{BEGIN}\n\n{told}\n\n```mermaid\n{diagram(found)}\n```\n\n{table(found)}\n\n{END}"


def page(text: str, found: Mapping[tuple[str, str], set[str]]) -> str:
    """The page with its section made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{section(found)}{after}"


def main(arguments: list[str] | None = None) -> int:
    """1 when the page is not current."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.model.phases", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the page")
    mode.add_argument("--check", action="store_true", help="compare the page")
    given = parser.parse_args(arguments)
    stored = PAGE.read_text()
    current = page(stored, transitions())
    if given.write:
        PAGE.write_text(current)
    elif stored != current:
        print(f"{PAGE.name} is not current: run `make phases` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
