"""Python's cyclic garbage collector, kept away from the rounds of evidence.

An answer of some ten thousand series is a million small objects without a cycle, freed by their reference counts within
the second. Looking through all of them for cycles, again and again while they are made, takes longer than reading them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection meanwhile. May be nested and may overlap: whoever stopped it lets it go on."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
