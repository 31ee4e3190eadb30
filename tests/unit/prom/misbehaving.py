"""HTTP servers that do what a Prometheus should not. Each serves connections on a free loopback port."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Behaviour = Callable[[socket.socket, bytes, threading.Event], None]
"""Called per request with the connection, the request (head and body) and an event that is set at the end."""


class Misbehaving:
    """Accepts connections and lets `behave` answer each request; remembers the requests. A context manager."""

    def __init__(self, behave: Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[bytes] = []
        self._behave = behave
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._end = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return len(self._threads)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while (request := _request(connection)) is not None:
                self.requests.append(request)
                self._behave(connection, request, self._end)
        connection.close()


def _request(connection: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        body += chunk
    return head + b"\r\n\r\n" + body


def answering(status: str, body: bytes = b"", *headers: str) -> Behaviour:
    """One fixed response with the length of its body."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    response = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        connection.sendall(response)

    return behave


def succeeding(result: bytes = b"[]", extra: bytes = b"") -> Behaviour:
    """The envelope of a success around a JSON result."""
    return answering(
        "200 OK", b'{"status":"success","data":{"resultType":"matrix","result":' + result + b"}" + extra + b"}"
    )


def silent(connection: socket.socket, request: bytes, end: threading.Event) -> None:
    """Accepts, reads, never answers."""
    end.wait()


def trickling(prefix: bytes) -> Behaviour:
    """`prefix`, then one byte every 50 ms for ever."""

    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        connection.sendall(prefix)
        while not end.wait(0.05):
            connection.sendall(b" ")

    return behave


def flooding(total: int, *, announced: bool) -> Behaviour:
    """`total` bytes of JSON, with or without saying so beforehand."""

    def behave(connection: socket.socket, request: bytes, end: threading.Event) -> None:
        length = f"Content-Length: {total}\r\n" if announced else "Connection: close\r\n"
        connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
        block = b"[" * 65536
        sent = 0
        while sent < total and not end.is_set():
            connection.sendall(block)
            sent += len(block)
        connection.shutdown(socket.SHUT_RDWR)

    return behave
