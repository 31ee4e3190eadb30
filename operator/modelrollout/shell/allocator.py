"""The C library's allocator, kept from holding on to memory that nobody uses. Does nothing where it is not glibc's.

A full list of everything takes some MiB for a moment, and each thread that asks Prometheus has a heap of its own. What
they leave free is not given back by itself: an operator grew by 2 MiB with every outage of the API server.
"""

from __future__ import annotations

import ctypes
from functools import cache

M_ARENA_MAX = -8
HEAPS = 2
"""For all threads together, instead of eight for each processor (mallopt(3))."""


def tame() -> bool:
    """Few heaps from now on; whether the allocator knows the setting. To be called before threads are started."""
    library = _glibc()
    return library is not None and bool(library.mallopt(M_ARENA_MAX, HEAPS))


def trim() -> bool:
    """Give back what is free; whether there was anything (malloc_trim(3)). Takes some milliseconds."""
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0))


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except OSError:
        return None
