"""Results of finished jobs on disk: an interrupted run goes on where it stopped.

A result belongs to the source code that made it, the arguments included; after a change of either it is made anew.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import e2e.stats
import modelrollout.core
import modelrollout.stats

PACKAGES = (e2e.stats, modelrollout.core, modelrollout.stats)


def code(folders: Sequence[Path] = ()) -> str:
    """A fingerprint of the source that results depend on; by default this package, the statistics and their types."""
    found = sha256()
    for folder in folders or [Path(package.__file__ or "").parent for package in PACKAGES]:
        for path in sorted(folder.glob("*.py")):
            found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Parts:
    """Results in `folder`, of source with the fingerprint `made_by`."""

    folder: Path
    made_by: str

    def known(self, *job: object) -> Any:
        """What this job (its name and arguments) has found; None when it has not been done."""
        path = self._path(job)
        # Own files only: nothing else writes into the folder of results.
        return pickle.loads(path.read_bytes()) if path.exists() else None

    def keep(self, result: Any, *job: object) -> None:
        """Store it whole or not at all."""
        path = self._path(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".new")
        unfinished.write_bytes(pickle.dumps(result))
        unfinished.replace(path)

    def _path(self, job: tuple[object, ...]) -> Path:
        return self.folder / (sha256(repr((self.made_by, job)).encode()).hexdigest()[:32] + ".pickle")
