"""`python -m e2e.chaos.mutate`: plants each known bug in a copy of the operator and runs the suite over it.

Exit code 1 when more than one of them stays unseen. Prints which level saw which.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.chaos.seeded import PACKAGE, SEEDED, Seeded, applied

ROOT = PACKAGE.parents[1]
MISSED = 1
NONE = Seeded("none", "__init__.py", "__version__", "__version__")
LIMIT = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Plant, run, report."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chaos.mutate", description=__doc__)
    parser.add_argument("--plans", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="bugs whose name has this in it")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    rows: list[dict[str, str]] = []
    level, how = seen(NONE, args)
    if level:
        # Otherwise everything would be seen, and the check could not fail.
        print(f"the code as it is fails already: {level} {how}", file=sys.stderr)
        return 1
    for number, seeded in enumerate(SEEDED, 1):
        if args.only not in seeded.name:
            continue
        begun = time.monotonic()
        level, how = seen(seeded, args)
        files = ", ".join(dict.fromkeys(file for file, _, _ in seeded.edits))
        rows.append({"bug": seeded.name, "file": files, "level": level, "how": how})
        took = f"({time.monotonic() - begun:.0f} s)"
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1))
        print(f"{number:3} of {len(SEEDED)}  {seeded.name:52} {level or 'UNSEEN':6} {how} {took}", flush=True)
    caught = sum(1 for row in rows if row["level"])
    print(f"{caught} of {len(rows)} seeded bugs seen")
    return 0 if len(rows) - caught <= MISSED else 1


def seen(seeded: Seeded, args: argparse.Namespace) -> tuple[str, str]:
    """The first level that sees the bug and what it says; empty when none does."""
    with tempfile.TemporaryDirectory(prefix="seeded-") as folder:
        home = Path(folder) / "operator"
        shutil.copytree(PACKAGE.parent, home, ignore=shutil.ignore_patterns("__pycache__"))
        for file, text in applied(seeded, PACKAGE).items():
            (home / PACKAGE.name / file).write_text(text)
        plans = ["--plans", str(args.plans), "--seed", str(args.seed), "--workers", str(args.workers), "--first"]
        for level, command in (("L1", ["e2e.chaos", *plans]), ("L0", ["e2e.chaos.model", "--quick"])):
            code, said = _run(command, home)
            if code:
                return level, said
    return "", ""


def _run(command: Sequence[str], home: Path) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(home)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return 1, "did not come to an end"
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    telling = (line for line in lines if line.startswith("VIOLATED") or "fails" in line)
    told = next(telling, lines[-1] if lines else "")
    # No traceback: its paths are those of a copy that is gone.
    return done.returncode, told.partition(r"\n")[0].strip()[:160]


if __name__ == "__main__":
    sys.exit(main())
