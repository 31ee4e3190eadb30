"""Journals: in order, bounded, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path

from modelrollout.adapters.journal import FileJournal


def test_a_file_has_a_line_per_entry_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    FileJournal(path).append({"key": "serving/fraud", "text": "two\nlines"})
    FileJournal(path).append({"key": "serving/other"})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"key": "serving/fraud", "text": "two\nlines"}, {"key": "serving/other"}]


def test_a_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = FileJournal(path, max_bytes=200)
    for number in range(100):
        journal.append({"n": number, "x": "y" * 20})
    kept = [json.loads(line)["n"] for file in ("journal.jsonl.1", "journal.jsonl") for line in _lines(tmp_path / file)]
    assert kept == list(range(kept[0], 100))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 400
    assert journal.lost == 0


def test_what_can_not_be_written_is_counted(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "none" / "journal.jsonl")
    journal.append({"n": 1})
    loop: dict[str, object] = {}
    loop["self"] = loop
    FileJournal(tmp_path / "journal.jsonl").append(loop)
    assert journal.lost == 1


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
