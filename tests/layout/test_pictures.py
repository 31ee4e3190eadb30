"""Pictures of the docs: each is shown, described in words, and small enough for everybody who clones."""

from __future__ import annotations

import re

from e2e.report_picture import LARGEST, PICTURE
from tests.layout.documents import DOCS, pages, prose

SHOWN = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+)\)")
WORDS = 5
"""Of a description, for those who do not see the picture."""


def test_pictures_are_there_shown_described_and_small() -> None:
    found = [(page, match) for page in pages() for match in SHOWN.finditer(prose(page))]
    assert {(page.parent / match["target"]).resolve() for page, match in found} == set(DOCS.rglob("*.png"))
    assert PICTURE in set(DOCS.rglob("*.png"))
    assert [match["words"] for _, match in found if len(match["words"].split()) < WORDS] == []
    for path in DOCS.rglob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG\r\n"), path
        assert path.stat().st_size <= LARGEST, path
