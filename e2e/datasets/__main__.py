"""`python -m e2e.datasets`: replay the data sets and print what came of each.

Ends with 1 when one comes out otherwise than what is known about it, or too many of the random splits do.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from e2e.datasets.cases import ODD, Outcome, cases, play


def main() -> int:
    """Play all cases, or those whose names hold a text, on all cores."""
    parser = argparse.ArgumentParser(prog="python -m e2e.datasets", description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--splits", type=int, default=20, help="ways to divide one airline's planes at random")
    parser.add_argument("--verbose", action="store_true", help="print every decision")
    options = parser.parse_args()
    chosen = [n for n, case in enumerate(cases(options.splits)) if options.only in case.name]
    if not chosen:
        parser.error(f"no case holds {options.only!r}")
    begun = time.monotonic()
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor() as pool:
        for outcome in pool.map(play, chosen, [options.splits] * len(chosen)):
            outcomes.append(outcome)
            print(f"[{len(outcomes)}/{len(chosen)}, {time.monotonic() - begun:.0f} s]", file=sys.stderr)
            print(told(outcome), flush=True)
            if options.verbose:
                print(outcome.report)
    wrong = [outcome for outcome in outcomes if not outcome.right]
    odd = [outcome for outcome in wrong if outcome.chance]
    print(f"{len(outcomes) - len(wrong)} of {len(outcomes)} as known; random splits that were reverted: {len(odd)}")
    return 1 if len(wrong) > len(odd) or len(odd) > ODD else 0


def told(outcome: Outcome) -> str:
    """One case in a few lines."""
    sides = (("candidate", outcome.shares.candidate), ("legacy", outcome.shares.legacy))
    arms = ", ".join(f"{name} {100 * bad / max(total, 1):.2f} % of {total:.0f} bad" for name, (total, bad) in sides)
    end = "not reverted" if outcome.reverted is None else f"reverted after {outcome.ticks} {outcome.unit}"
    lines = [
        f"{'ok   ' if outcome.right else 'WRONG'} {outcome.name} ({outcome.known}): {end}",
        f"      in all: {arms}",
    ]
    if outcome.reverted is not None:
        lines.append(f"      {outcome.reverted.reason}: {outcome.reverted.message}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
