"""An operator that can be asked what its memory holds: `python -m e2e.scale.census FILE run ...`.

SIGUSR2 makes it write FILE anew: blocks that Python has handed out, bytes that the C library has handed out and those
it keeps, and the number of objects by type that Python's collector knows. It stands still for that, a tenth of a
second for some hundred thousand objects. All else is `modelrollout run`.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from modelrollout.cli.main import main as operator_main

MIB = 1024.0 * 1024.0
MOST = 400
"""Types that are told, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Census:
    """What was counted. `blocks`: of Python's own allocator, in use. Bytes as MiB: `used` by, and `kept` free in, the C
    library's heaps; `mapped`: handed out one by one. `types`: objects by type, those the collector follows.
    """

    blocks: int
    used: float
    kept: float
    mapped: float
    types: Mapping[str, int]

    @classmethod
    def read(cls, path: Path) -> Census | None:
        """The last one that was written; None without."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None


class _Info(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks"),
            "keepcost",
        )
    )


def count() -> Census:
    """Count now."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Info
    info = mallinfo2()
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Census(
        sys.getallocatedblocks(),
        round(info.uordblks / MIB, 2),
        round(info.fordblks / MIB, 2),
        round(info.hblkhd / MIB, 2),
        dict(types.most_common(MOST)),
    )


def grown(before: Census, after: Census, most: int = 12) -> list[tuple[str, int, int]]:
    """Types of which there are more than before, by how many, the most first: (type, before, after)."""
    pairs = [(name, before.types.get(name, 0), number) for name, number in after.types.items()]
    return sorted((p for p in pairs if p[2] > p[1]), key=lambda p: p[1] - p[2])[:most]


def main() -> None:
    """Run the operator with the signal."""
    out = Path(sys.argv.pop(1))

    def write(_signal: int, _frame: object) -> None:
        made = out.with_suffix(".new")
        made.write_text(json.dumps(asdict(count())))
        os.replace(made, out)

    signal.signal(signal.SIGUSR2, write)
    operator_main()


if __name__ == "__main__":
    main()
