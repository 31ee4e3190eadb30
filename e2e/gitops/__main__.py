"""`python -m e2e.gitops --write`: play all stories and write the page; `--check`: fail when it is not current."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from e2e.gitops.table import PAGE, judged, page


def main() -> int:
    """1 when the page is not current."""
    parser = argparse.ArgumentParser(prog="python -m e2e.gitops", description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write the page")
    mode.add_argument("--check", action="store_true", help="compare the page")
    options = parser.parse_args()
    # What the operator logs when it is refused is part of the stories.
    logging.getLogger().addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as directory:
        text = page(judged(Path(directory)))
    if options.write:
        PAGE.write_text(text)
        return 0
    if PAGE.read_text() != text:
        print(f"{PAGE} is not current: run `make gitops` and commit the result", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
