"""Running programs of the machine inside a cluster's namespaces, or beside it, and signalling them from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.cluster.processes import ClusterError

NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy")


def entry_argv(init_pid: int, argv: Sequence[str | Path], cwd: Path) -> list[str]:
    """Command line that runs `argv` beside process `init_pid`, in directory `cwd`, and dies with the caller's child.

    nsenter forgets the working directory, and what it started survives it: hence `env -C` and `setpriv`.
    """
    enter = ["nsenter", "--target", str(init_pid), *NAMESPACES, "--"]
    return [*enter, "setpriv", "--pdeathsig", "SIGKILL", "env", "-C", str(cwd), *(str(part) for part in argv)]


def inner_environment(path: str, kubeconfig: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without proxies (they can't be reached), with the cluster's programs first."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return {**kept, "PATH": path, "KUBECONFIG": str(kubeconfig), **extra}


class Entered:
    """A program started by `popen`; its own pid is found so that signals reach it and not nsenter."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self._pid: int | None = None

    def poll(self) -> int | None:
        """Exit code, None while it runs."""
        return self.popen.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the program itself; nothing happens when it has ended."""
        pid = self._program()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, grace_s: float = 5.0) -> int:
        """SIGTERM, after the grace period SIGKILL; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.popen.kill()
            return self.popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(grace_s=0.5)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()

    def _program(self) -> int | None:
        while self._pid is None and self.popen.poll() is None:
            children = children_of(self.popen.pid)
            self._pid = children[0] if children else None
            if self._pid is None:
                time.sleep(0.005)  # nsenter has not forked yet
        return self._pid if self.popen.poll() is None else None


def children_of(pid: int) -> list[int]:
    """Direct children of a process (`/proc/PID/task/PID/children` is not in every kernel)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            stat = process_stat(int(entry.name))
            if stat is not None and stat.parent == pid:
                found.append(int(entry.name))
    return found


class ProcessStat:
    """State, parent and start time (clock ticks since boot) of a process; pid and start identify it for good."""

    def __init__(self, text: str) -> None:
        # The second field is the program's name in brackets and may itself hold brackets and blanks.
        fields = text.rpartition(")")[2].split()
        self.state = fields[0]
        self.parent = int(fields[1])
        self.start = int(fields[19])


def process_stat(pid: int) -> ProcessStat | None:
    """What `/proc` says about a process; None when there is none."""
    try:
        return ProcessStat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def identity(pid: int) -> tuple[int, int]:
    """`(pid, start time)`. Raises ClusterError when there is no such process."""
    stat = process_stat(pid)
    if stat is None:
        raise ClusterError(f"process {pid} ended at once")
    return pid, stat.start


def processes_naming(*arguments: str) -> list[tuple[int, int]]:
    """Identities of the processes that have all of `arguments` on their command line."""
    wanted = {argument.encode() for argument in arguments}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ClusterError):
            if wanted.issubset((entry / "cmdline").read_bytes().split(b"\0")):
                found.append(identity(int(entry.name)))
    return found


def is_running(pid: int, start: int) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    stat = process_stat(pid)
    return stat is not None and stat.start == start and stat.state not in "ZX"


def kill_and_wait(pid: int, start: int, timeout_s: float = 10.0) -> None:
    """SIGKILL exactly this process and wait until it is gone. Raises ClusterError at the timeout."""
    deadline = time.monotonic() + timeout_s
    while is_running(pid, start):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ClusterError(f"process {pid} does not end after SIGKILL")
        time.sleep(0.02)


class Runner(ABC):
    """Runs programs where a cluster can be reached; see `provider.Programs` for the contract."""

    apart = True
    """Whether what `popen` starts is kept from the terminal's Ctrl-C."""

    def exec(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        done = subprocess.run(
            self._entry(argv),
            input=input_text if input_text is not None else "",
            capture_output=True,
            text=True,
            env=self._environment(env),
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            raise ClusterError(f"`{' '.join(map(str, argv))}` ended with code {done.returncode}: {said}")
        return done

    def run(self, argv: Sequence[str | Path]) -> int:
        """Run a program on this process's own input and output; returns its exit code."""
        return subprocess.call(self._entry(argv), env=self._environment(None))

    def popen(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Entered:
        """Start a program and leave it running."""
        popen = subprocess.Popen(
            self._entry(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=self._environment(env),
            start_new_session=self.apart,
        )
        return self._started(popen)

    @abstractmethod
    def _entry(self, argv: Sequence[str | Path]) -> list[str]:
        """The command line that runs `argv` there."""

    @abstractmethod
    def _environment(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        """What programs there see, with `extra`."""

    def _started(self, popen: subprocess.Popen[str]) -> Entered:
        return Entered(popen)
