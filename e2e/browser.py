"""A page in a real Chromium, headless: what it asks for, what it complains of, how it is laid out, how it looks.

Chromium is spoken to through two pipes (Chrome DevTools Protocol, `--remote-debugging-pipe`): no port, no driver.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = (
    "--headless=new",
    "--remote-debugging-pipe",
    # Root, as in CI, has no sandbox; what is opened is our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)
LIMIT = 60.0
"""Seconds within which the browser must answer."""


class BrowserError(Exception):
    """The browser does not answer, or refuses."""


def found() -> str | None:
    """The Chromium of this machine: `$CHROMIUM`, or one on PATH; None without."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab. `requests`: every address it has asked for; `complaints`: console errors, exceptions, violations."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._rest = to, back, b""
        self._numbers, self._session = itertools.count(1), ""
        self._loaded = False
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def open(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load it anew in a window of that size, and wait until all is there. Raises BrowserError."""
        if not self._session:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                self.ask(f"{domain}.enable")
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self.complaints.clear()
        self._loaded = False
        answer = self.ask("Page.navigate", url=address)
        if "errorText" in answer:
            raise BrowserError(f"{address}: {answer['errorText']}")
        end = time.monotonic() + LIMIT
        while not self._loaded:
            self._event(self._read(end))

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, as JSON has it. Raises BrowserError."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def picture(self, *, width: int, height: int) -> bytes:
        """The upper left part of the page as PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        answer = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def ask(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """One command and its answer; events that come meanwhile are noted. Raises BrowserError."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + LIMIT
        while True:
            seen = self._read(end)
            if seen.get("id") != number:
                self._event(seen)
            elif "error" in seen:
                raise BrowserError(f"{method}: {seen['error']}")
            else:
                result: Mapping[str, Any] = seen["result"]
                return result

    def _event(self, seen: Mapping[str, Any]) -> None:
        told = seen.get("params", {})
        match seen.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str([each.get("value") for each in told["args"]]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"].get("text")))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(told["entry"]["text"])

    def _read(self, end: float) -> Mapping[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._back, 1 << 16) if ready else b""
            if not part:
                raise BrowserError("the browser has ended" if ready else f"no answer within {LIMIT:g} s")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        message: Mapping[str, Any] = json.loads(line)
        return message


@contextmanager
def page(program: str) -> Iterator[Page]:
    """A browser with one tab, gone at the end with all that it has written."""
    their_end, to = os.pipe()
    back, their_answers = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        # Chromium reads commands from descriptor 3 and answers on 4.
        script = f'exec "$@" 3<&{their_end} 4>&{their_answers}'
        started = subprocess.Popen(
            ["bash", "-c", script, "_", program, *ARGUMENTS, f"--user-data-dir={home}/profile"],
            pass_fds=(their_end, their_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": home},
        )
        os.close(their_end)
        os.close(their_answers)
        try:
            yield Page(to, back)
        finally:
            os.close(to)
            os.close(back)
            try:
                # Without its pipe it ends by itself.
                started.wait(10)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait(10)


def address(path: Path) -> str:
    """A file's address."""
    return path.resolve().as_uri()
