"""What is no release is said in words, before anything is built; no helm needed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from e2e import release
from e2e.release import SUMS, main, problems, sums, uncommitted

GOOD: dict[str, Any] = {
    "version": "0.1.0",
    "chart": {"version": "0.1.0", "appVersion": "0.1.0"},
    "changelog": "## Unreleased\n\n## 0.1.0 - 2026-11-22\n\n### Added\n\n- All of it.\n\n## 0.0.1\n\n- Less.\n",
    "uncommitted": [],
}
DEV = "0.1.0.dev0"
MORE = [f"file-{number}" for number in range(7)]


def test_a_release_has_no_problem() -> None:
    assert list(problems(**GOOD)) == []
    assert list(problems(**GOOD | {"changelog": "## [0.1.0] - 2026-11-22\n- All of it.\n"})) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"version": DEV},
            ["operator/modelrollout/__init__.py: __version__ is '0.1.0.dev0': set a version such as 0.1.0"],
        ),
        (
            {"chart": {"version": "0.0.9", "appVersion": "0.1.0"}},
            ["charts/modelrollout/Chart.yaml: version is '0.0.9': set it to '0.1.0', the operator's"],
        ),
        (
            {"chart": {"version": "0.1.0"}},
            ["charts/modelrollout/Chart.yaml: appVersion is None: set it to '0.1.0', the operator's"],
        ),
        (
            {"changelog": "# Changes\n\n## Unreleased\n\n- All of it.\n"},
            ["CHANGELOG.md: no section '## 0.1.0': put what is under 'Unreleased' there"],
        ),
        (
            {"changelog": "## 0.1.0-rc1\n- All of it.\n\n## 0.1.01\n- Other.\n"},
            ["CHANGELOG.md: no section '## 0.1.0': put what is under 'Unreleased' there"],
        ),
        (
            {"changelog": "## 0.1.0\n\n### Added\n\n## 0.0.1\n\n- Less.\n"},
            ["CHANGELOG.md: section '## 0.1.0' lists nothing: say what changed"],
        ),
        ({"uncommitted": ["a.py"]}, ["not committed: a.py: commit, or take it away"]),
        (
            {"uncommitted": MORE},
            ["not committed: file-0, file-1, file-2, file-3, file-4 and 2 more: commit, or take it away"],
        ),
    ],
)
def test_what_is_no_release_is_said_with_what_to_do(changes: dict[str, Any], told: list[str]) -> None:
    assert list(problems(**GOOD | changes)) == told


def test_what_git_does_not_have_is_seen(tmp_path: Path) -> None:
    assert uncommitted(tmp_path) == ["everything (this is no git checkout)"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("dist/\n")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "x").touch()
    assert uncommitted(tmp_path) == [".gitignore"]


def test_sums_are_what_sha256sum_checks(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("b")
    (tmp_path / "a").write_text("a")
    (tmp_path / SUMS).write_text("old")
    (tmp_path / SUMS).write_text(sums(tmp_path))
    done = subprocess.run(["sha256sum", "--check", SUMS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["a: OK", "b: OK"]


def test_nothing_is_made_of_what_is_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "__version__", "9.9.9")
    assert main(["--out", str(tmp_path)]) == 1
    assert "CHANGELOG.md: no section '## 9.9.9'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
