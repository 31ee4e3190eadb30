"""What the private container engine calls instead of runc: runc, without a capability that this machine does not have.

Run as `python runtime.py ARGUMENTS OF RUNC`. kind asks for privileged containers, and the engine then lists every
capability there is; where CAP_SYS_RESOURCE is missing even in the bounding set, runc could not give it and would fail.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CAPABILITY = "CAP_SYS_RESOURCE"
NUMBER = 24
FILES = {"create": ("--bundle", "-b", "config.json"), "run": ("--bundle", "-b", "config.json")}


def has_capability(status: str) -> bool:
    """Whether a `/proc/PID/status` text has the capability in its bounding set."""
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return bool(int(bounding, 16) >> NUMBER & 1)


def described(argv: Sequence[str]) -> Path | None:
    """The file that describes the process which runc is about to start; None for its other commands."""
    if "exec" in argv:
        found = _value(argv, "--process", "-p")
        return Path(found) if found else None
    for command, (long, short, name) in FILES.items():
        if command in argv:
            return Path(_value(argv, long, short) or ".") / name
    return None


def _value(argv: Sequence[str], *flags: str) -> str | None:
    for flag, following in itertools.pairwise(argv):
        if flag in flags:
            return following
    return None


def without(description: dict[str, Any]) -> dict[str, Any]:
    """A container's or process's description that no longer asks for the capability."""
    process = description.get("process", description)
    for kind, asked in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [each for each in asked if each != CAPABILITY]
    return description


def main(argv: Sequence[str]) -> None:
    """Mend the description, become runc."""
    path = described(argv)
    if path is not None and path.is_file() and not has_capability(Path("/proc/self/status").read_text()):
        path.write_text(json.dumps(without(json.loads(path.read_text()))))
    os.execvp("runc", ["runc", *argv])


if __name__ == "__main__":
    main(sys.argv[1:])
