"""A scrape target whose text the test decides."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Exposition:
    """Serves one text at `/metrics` on a free loopback port; the text may change at any time.

    `text=None` answers 503, which Prometheus records as a target that is down. Use as a context manager.
    """

    def __init__(self, text: str | None = "") -> None:
        self._text = text
        self._version = 0
        self._scraped = -1
        self._changed = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def target(self) -> str:
        """`host:port`, as a scrape configuration wants it."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def set(self, text: str | None) -> None:
        """Serve `text` from the next scrape on."""
        with self._changed:
            self._text = text
            self._version += 1

    def wait_scraped(self, timeout: float = 10.0) -> None:
        """Return when the current text has been fetched at least once.

        Raises TimeoutError. The samples can be queried a few milliseconds later: poll the query.
        """
        with self._changed:
            version = self._version
            if not self._changed.wait_for(lambda: self._scraped >= version, timeout):
                raise TimeoutError(f"nobody scraped {self.target} within {timeout:g} s")

    def close(self) -> None:
        """End the server; its port refuses connections afterwards."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _current(self) -> tuple[str | None, int]:
        with self._changed:
            return self._text, self._version

    def _served(self, version: int) -> None:
        with self._changed:
            self._scraped = max(self._scraped, version)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], exposition: Exposition) -> None:
        self.exposition = exposition
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # head and body are two writes

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        text, version = self.server.exposition._current()
        body = (text or "").encode()
        self.send_response(503 if text is None else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.exposition._served(version)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: one line per scrape would bury the test's output."""
