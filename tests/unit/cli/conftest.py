"""For all tests of the command line: a kubectl that answers as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.fake import FakeKubectl


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return FakeKubectl.install(tmp_path / "bin", monkeypatch)
