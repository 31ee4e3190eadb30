"""Child processes of a cluster: started with a log, watched while they come up, ended with certainty."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.certificates import KeyPair

POLL_S = 0.05
TAIL_LINES = 25


class ClusterError(Exception):
    """The cluster can't do what was asked; the message says what is missing or failed, and what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """One running program and its log file."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def alive(self) -> bool:
        """Whether it still runs (a dead child is reaped)."""
        return self.popen.poll() is None

    def stop(self, grace_s: float = 5.0) -> None:
        """End it: SIGTERM, then SIGKILL after the grace period. Returns when it is gone."""
        if self.alive():
            self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def tail(self) -> str:
        """The last lines of its log."""
        return tail(self.log)


def start(
    name: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start a program that dies with this process, its output appended to `log`."""
    setpriv = shutil.which("setpriv")
    # The kernel then kills the child when this process dies, however it dies.
    prefix = [setpriv, "--pdeathsig", "SIGKILL", "--"] if setpriv else []
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [*prefix, *(str(part) for part in argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    return Process(name, popen, log)


def wait_for(what: str, ready: Callable[[], bool], *, timeout_s: float, watch: Sequence[Process] = ()) -> None:
    """Poll until `ready()`; raises ClusterError when a watched process has ended, or at the timeout."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        for process in watch:
            if not process.alive():
                code = process.popen.returncode
                raise ClusterError(f"{process.name} ended with code {code}; its log ends:\n{process.tail()}")
        if time.monotonic() > deadline:
            logs = "".join(f"\n{process.name}'s log ends:\n{process.tail()}" for process in watch)
            raise ClusterError(f"{what}: not there after {timeout_s:.0f} s{logs}")
        time.sleep(POLL_S)


def answers(url: str, *, ca: Path | None = None, client: KeyPair | None = None) -> bool:
    """Whether a GET of the URL gives 200 within two seconds."""
    return fetch(url, ca=ca, client=client) is not None


def fetch(url: str, *, ca: Path | None = None, client: KeyPair | None = None) -> bytes | None:
    """Body of a GET that gives 200 within two seconds, else None."""
    # No proxy of the environment may stand between us and loopback.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if url.startswith("https:"):
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        if client:
            context.load_cert_chain(client.cert, client.key)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2.0) as response:
            return bytes(response.read()) if response.status == 200 else None
    except OSError:  # URLError and HTTPError are OSErrors
        return None


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now; all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file, empty when there is none."""
    if not log.is_file():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
