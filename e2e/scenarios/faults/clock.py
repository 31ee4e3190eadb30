"""`python -m e2e.scenarios.faults.clock FILE ...`: `modelrollout ...` with a wall clock that is wrong.

FILE holds by how many seconds; it is read each time, so that the clock can jump. A kernel has one wall clock for all
processes: Prometheus and the API server beside the operator would be wrong with it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from modelrollout.cli.main import main


def wrong(true: Callable[[], float], offset: Path) -> Callable[[], float]:
    """A clock that is off by the number in `offset`; right without the file."""

    def now() -> float:
        try:
            return true() + float(offset.read_text())
        except FileNotFoundError:
            return true()

    return now


def set_wrong(offset: Path, seconds: float) -> None:
    """Put the clock wrong, at once and whole: a reader sees the old number or the new one."""
    draft = offset.with_suffix(".new")
    draft.write_text(str(seconds))
    draft.replace(offset)


if __name__ == "__main__":
    time.time = wrong(time.time, Path(sys.argv[1]))
    sys.argv = ["modelrollout", *sys.argv[2:]]
    main()
