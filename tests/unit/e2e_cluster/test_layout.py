"""Records of a cluster, its doors and its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.cluster.entry import identity
from e2e.cluster.layout import Layout, Record, known_clusters
from e2e.cluster.processes import ClusterError
from e2e.cluster.provider import check_name


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("MODELROLLOUT_CACHE", str(tmp_path))
    made = Layout("demo")
    made.make()
    return made


def test_a_record_survives_and_tells_whether_it_lives(layout: Layout) -> None:
    pid, start = identity(os.getpid())
    record = Record("full", init=(pid, start), unshare=(1, 1), complete=True)
    layout.write_record(record)
    assert layout.record() == record
    assert record.alive()
    assert not Record("full", init=(pid, start + 1), unshare=(1, 1), complete=True).alive()


def test_nothing_started_has_no_record(layout: Layout) -> None:
    assert layout.record() is None
    assert layout.events() == []
    assert layout.state() == {}


def test_a_line_that_is_being_written_is_no_event_yet(layout: Layout) -> None:
    (layout.path / "events.jsonl").write_text('{"event": "ready"}\n{"event": "u')
    assert layout.events() == [{"event": "ready"}]


def test_a_door_counts_when_it_is_open(layout: Layout) -> None:
    layout.ask_door(4000, "10.0.0.1:80")
    assert layout.door_to("10.0.0.1:80") is None
    (layout.doors / "4000.open").touch()
    assert layout.door_to("10.0.0.1:80") == 4000
    assert layout.door_to("10.0.0.1:81") is None


def test_a_second_holder_is_told_that_the_lock_is_taken(layout: Layout) -> None:
    with layout.locked(), layout.locked_if_free() as ours:
        assert not ours
    with layout.locked_if_free() as ours:
        assert ours


def test_leftovers_stop_a_second_make(layout: Layout) -> None:
    with pytest.raises(FileExistsError):
        layout.make()
    assert [each.name for each in known_clusters()] == ["demo"]


@pytest.mark.parametrize("name", ["a", "demo", "test-2"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "2a", "-a", "a-", "A", "a_b", "../x", "a" * 31])
def test_bad_names(name: str) -> None:
    with pytest.raises(ClusterError, match="lower-case letters, digits and dashes"):
        check_name(name)
