"""How the end-to-end tests compare what a page shows with what was printed: what may differ, and what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.scenarios.reader import sections, shown_by

PAGE = """# A page

```sh
make venv
k() { kubectl "$@"; }
k get mr
```

```text
shown
```

```sh
k() { kubectl "$@"; }
```

```text
of nothing
```

```sh
k wait
```
"""


def test_a_page_is_read_block_by_block_with_what_it_shows(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    assert list(sections(path)) == [(["make venv", "k get mr"], "shown\n"), ([], "of nothing\n"), (["k wait"], "")]


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a b\nc", "a  b c\n", True),
        ("a\n\nb\n...\n", "a\n\n  b\n\nc\n", True),
        ("Raise 25", "Raise 100", False),
        ("21.4 % of 266 bad", "9 % of 1,266 bad", True),
        ("21.4 % of 266 bad", "- % of 266 bad", False),
        ("accuracy: ... candidate 1 %", "accuracy: candidate 2 %", True),
        ("accuracy: ... candidate 1 %", "accuracy: burns; candidate 2 %", True),
        ("accuracy: ... candidate 1 %", "latency: candidate 2 %", False),
        ("WHERE\n...", "WHERE it stands\nand more", True),
        ("WHERE\n...", "", False),
        ("a (b)", "a b", False),
    ],
)
def test_numbers_beside_percents_and_line_breaks_may_differ(shown: str, printed: str, same: bool) -> None:
    assert shown_by(shown, printed) is same
