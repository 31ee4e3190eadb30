"""A server between operator and Prometheus that says what it should not, and listeners that nobody may reach."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY, HEADER = "marker-of-a-body", "marker-of-a-header"
ANSWERS: dict[str, tuple[int, str]] = {
    "error": (500, BODY),
    "denied": (403, json.dumps({"status": "error", "errorType": BODY, "error": BODY})),
    "no JSON": (200, BODY),
    "bad samples": (
        200,
        json.dumps({"status": "success", "data": {"result": [{"metric": {"a": BODY}, "values": BODY}]}}),
    ),
    "warnings": (200, json.dumps({"status": "success", "warnings": [BODY], "data": {"result": []}})),
    "redirect": (302, BODY),
}
"""Status and body of each way to misbehave."""


class Relay:
    """Passes queries on to `behind`, or answers as `mode` says. Counts answers by mode, and keeps tokens."""

    def __init__(self, behind: str) -> None:
        self.mode = ""
        self.said: Counter[str] = Counter()
        self.tokens: set[str] = set()
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.tokens.add(self.headers["Authorization"])
                mode = relay.mode
                code, answer = relay.asked(behind + self.path, body) if not mode else ANSWERS[mode]
                relay.said[mode] += 1
                data = answer.encode()
                self.send_response(code, HEADER)
                self.send_header("X-Told", HEADER)
                self.send_header("Location", f"http://127.0.0.1:9/{HEADER}")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def asked(self, url: str, body: bytes) -> tuple[int, str]:
        """What the server behind answers."""
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Canary:
    """Listens on one port of both loopback addresses; `hits` counts connections."""

    def __init__(self) -> None:
        self.hits = 0
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self._sockets = [first]
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listening in self._sockets:
            threading.Thread(target=self._listen, args=(listening,), daemon=True).start()

    def _listen(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                self.hits += 1
                connection.close()

    def close(self) -> None:
        for listening in self._sockets:
            listening.close()
