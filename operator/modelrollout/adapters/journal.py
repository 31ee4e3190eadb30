"""Where decisions are kept for replay: JSON lines in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


class FileJournal:
    """`Journal` of JSON lines.

    At `max_bytes` the file becomes `<path>.1` and a new one is begun, so that at most twice that is kept. A line that
    can't be written is counted in `lost` and dropped: a full disk must not stop a rollback.
    """

    def __init__(self, path: Path, *, max_bytes: int = 16 * 1024 * 1024) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.lost = 0

    def append(self, entry: Mapping[str, object]) -> None:
        """Add an entry as one line; never raises."""
        try:
            line = json.dumps(entry, separators=(",", ":"), default=str) + "\n"
            self._turn_over(len(line))
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except (OSError, TypeError, ValueError):
            self.lost += 1

    def _turn_over(self, more: int) -> None:
        if self._path.exists() and self._path.stat().st_size + more > self._max_bytes:
            os.replace(self._path, self._path.with_name(self._path.name + ".1"))
