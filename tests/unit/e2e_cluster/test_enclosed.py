"""The end of what runs in namespaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.cluster import enclosed
from e2e.cluster.engine import PrivateEngine
from e2e.cluster.layout import Layout


def test_ctrl_c_while_it_is_removed_leaves_no_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))
    removed: list[Layout] = []

    def clean(layout: Layout) -> None:
        removed.append(layout)
        if len(removed) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(enclosed, "clean", clean)
    with pytest.raises(KeyboardInterrupt):
        PrivateEngine("demo").close()
    assert len(removed) == 2
