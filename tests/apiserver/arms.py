"""Two servers on loopback that say which arm they are, and users who ask them through a proxy."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.contract.kube.harness import CANDIDATE, LEGACY

ADDRESSES = {LEGACY: "127.0.0.2", CANDIDATE: "127.0.0.3"}
NAMES = {address: name for name, address in ADDRESSES.items()}


class Arm(BaseHTTPRequestHandler):
    """Says at which address it was asked."""

    protocol_version = "HTTP/1.1"
    # Head and body in one packet: two would wait for each other's acknowledgement, 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        told = self.connection.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def answering() -> Iterator[int]:
    """While the block runs both arms answer at one port; its number."""
    with ExitStack() as stack:
        port = 0
        for address in ADDRESSES.values():
            listening = stack.enter_context(ThreadingHTTPServer((address, port), Arm))
            port = listening.server_address[1]
            threading.Thread(target=listening.serve_forever, daemon=True).start()
            stack.callback(listening.shutdown)
        yield port


@contextmanager
def connected_to(port: int) -> Iterator[HTTPConnection]:
    """A connection of one user to the proxy at this port."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        yield connection


@dataclass
class Users:
    """Who asks for `host` at the proxy's `port`."""

    port: int
    host: str

    def once(self, connection: HTTPConnection, **headers: str) -> tuple[str, HTTPResponse]:
        """Who answered one request: an arm, or the code where no arm did."""
        connection.request("GET", "/", headers={"Host": self.host, **headers})
        answer = connection.getresponse()
        body = answer.read().decode()
        return NAMES[body] if answer.status == 200 else str(answer.status), answer

    def ask(self, count: int, **headers: str) -> Counter[str]:
        """Who answered that many requests, one after the other on one connection."""
        with connected_to(self.port) as connection:
            return Counter(self.once(connection, **headers)[0] for _ in range(count))
