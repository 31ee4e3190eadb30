"""Finding, telling apart and ending processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cluster.entry import (
    ProcessStat,
    children_of,
    entry_argv,
    identity,
    inner_environment,
    is_running,
    kill_and_wait,
    processes_naming,
)
from e2e.cluster.processes import ClusterError


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    code = "import sys; print(flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", code, "marker-of-this-test"]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_program_name_with_brackets_and_blanks_is_read_right() -> None:
    fields = " ".join(str(number) for number in range(5, 30))
    stat = ProcessStat(f"42 (a) S (b c) Z 7 {fields}")
    assert (stat.state, stat.parent, stat.start) == ("Z", 7, 22)


def test_a_process_is_found_as_child_and_by_an_argument(sleeper: subprocess.Popen[bytes]) -> None:
    try:
        assert sleeper.stdout is not None
        sleeper.stdout.readline()  # it has become the program
        assert sleeper.pid in children_of(os.getpid())
        assert [pid for pid, _ in processes_naming("marker-of-this-test")] == [sleeper.pid]
        assert processes_naming("marker-of-this") == []
        assert processes_naming("marker-of-this-test", "another") == []
    finally:
        end(sleeper)


def test_a_reused_pid_is_somebody_else(sleeper: subprocess.Popen[bytes]) -> None:
    try:
        pid, start = identity(sleeper.pid)
        assert is_running(pid, start)
        assert not is_running(pid, start + 1)
        kill_and_wait(pid, start + 1)
        assert is_running(pid, start)
    finally:
        end(sleeper)


def test_a_killed_process_and_its_zombie_do_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    try:
        known = identity(sleeper.pid)
        kill_and_wait(*known)
        assert not is_running(*known)  # not reaped yet
    finally:
        end(sleeper)
    with pytest.raises(ClusterError, match=f"process {sleeper.pid} ended at once"):
        identity(sleeper.pid)


def test_programs_inside_get_the_cluster_and_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test")
    monkeypatch.setenv("no_such_proxy", "kept")
    env = inner_environment("/programs:/bin", Path("/kubeconfig"), {"EXTRA": "1"})
    assert env["PATH"] == "/programs:/bin"
    assert env["KUBECONFIG"] == "/kubeconfig"
    assert env["EXTRA"] == "1"
    assert env["no_such_proxy"] == "kept"
    assert "HTTPS_PROXY" not in env


def test_entering_keeps_the_directory() -> None:
    argv = entry_argv(42, ["kubectl", "get", Path("/x")], Path("/some/where"))
    assert argv[:3] == ["nsenter", "--target", "42"]
    assert argv[-6:] == ["env", "-C", "/some/where", "kubectl", "get", "/x"]
