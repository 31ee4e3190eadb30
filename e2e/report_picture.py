"""`python -m e2e.report_picture`: the picture of a report that the docs show, taken in a real Chromium."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from e2e import browser
from e2e.stage import ROOT
from modelrollout.cli.fields import Fields
from modelrollout.cli.report_facts import facts
from modelrollout.cli.report_html import html
from tests.unit.cli.scenes import scene

PICTURE = ROOT / "docs" / "how-to" / "report.png"
WIDTH, HEIGHT = 1000, 1160
LARGEST = 150_000
"""Bytes of a picture that everybody who clones gets."""


def main() -> int:
    """Write the picture; exit code 1 without a browser."""
    program = browser.found()
    if program is None:
        print(
            "no Chromium on PATH nor in $CHROMIUM: install one, on Debian `apt-get install chromium`", file=sys.stderr
        )
        return 1
    obj, now = scene("1-errors")
    with tempfile.TemporaryDirectory() as folder, browser.page(program) as page:
        path = Path(folder, "report.html")
        path.write_text(html(facts(Fields(obj), now)))
        page.open(browser.address(path), width=WIDTH)
        taken = page.picture(width=WIDTH, height=HEIGHT)
    if len(taken) > LARGEST:
        print(f"{len(taken):,} bytes, {LARGEST:,} at most: show less of the page", file=sys.stderr)
        return 1
    PICTURE.write_bytes(taken)
    return 0


if __name__ == "__main__":
    sys.exit(main())
