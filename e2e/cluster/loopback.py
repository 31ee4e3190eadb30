"""A server program of its own on a free loopback port: how it starts, is waited for, asked and ended."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

POLL = 0.02
LISTENING = re.compile(r'msg="?Listening on"?.* address=(\S+:\d+)')


class ServerFailed(RuntimeError):
    """The program ended, refused a request or did not get ready; the message has the end of its log."""


class LoopbackServer(ABC):
    """One process, a context manager: data and log lie in `directory`. After `stop`, `start` brings it back on the same
    port with the same data. It ends with this process, however that ends, where setpriv is there. Raises `FAILED`.
    """

    NAME: ClassVar[str]
    READY: ClassVar[str] = "/-/ready"
    """Where it answers once it is."""
    FAILED: ClassVar[type[ServerFailed]]

    def __init__(self, directory: Path, *, own: bool, ready_timeout: float) -> None:
        self._directory, self._own = directory, own
        self._log = directory / f"{self.NAME.lower()}.log"
        self._ready_timeout = ready_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._listen = "127.0.0.1:0"

    @abstractmethod
    def _command(self) -> list[str]:
        """Its arguments, with `_listen` as its address."""

    @property
    def url(self) -> str:
        """Base address, such as `http://127.0.0.1:39041`; the same over `stop` and `start`."""
        return f"http://{self._listen}"

    def start(self) -> None:
        """Start and wait until requests are answered."""
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*tied, *self._command()], stdout=log, stderr=subprocess.STDOUT)
        self._wait(self._find_address, "listening")
        self._wait(self._is_ready, "ready")

    def stop(self) -> None:
        """End the process and keep its data."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop, and remove a directory of its own."""
        self.stop()
        if self._own:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while not done():
            if self._process is None or self._process.poll() is not None:
                raise self.FAILED(f"{self.NAME} ended before it was {what}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise self.FAILED(f"{self.NAME} not {what} after {self._ready_timeout:g} s:\n{self._tail()}")
            time.sleep(POLL)

    def _find_address(self) -> bool:
        found = LISTENING.search(self._log.read_text(errors="replace"))
        if found:
            self._listen = found[1]
        return found is not None

    def _is_ready(self) -> bool:
        try:
            self._get(self.READY)
        except (ServerFailed, OSError):
            return False
        return True

    def _get(self, path: str) -> bytes:
        return self._request(urllib.request.Request(self.url + path))

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        self._request(urllib.request.Request(self.url + path, body, headers, method="POST"))

    def _request(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as error:
            with error:
                reason = error.read(2000).decode(errors="replace")
            raise self.FAILED(f"{request.full_url} answered {error.code}: {reason}") from error

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
