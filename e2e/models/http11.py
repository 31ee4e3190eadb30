"""A small HTTP/1.1 server on asyncio streams with keep-alive: standard library only.

One task per connection, requests of a connection are answered in order. Bounds: head 16 KiB, body `max_body`,
15 s from a request's first byte to its last. There is no timeout for idle connections on purpose: a proxy
keeps its pool open, and a server that closes an idle connection at the wrong moment loses a request.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

MAX_HEAD = 16 * 1024
MAX_BODY = 256 * 1024
READ_TIMEOUT = 15.0
JSON_TYPE = "application/json"


class Refused(Exception):
    """A request that is answered with an error status before it reaches a model."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Dropped(Exception):
    """Close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One complete request. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self, *, any_type: bool = False) -> Any:
        """Return the body as JSON, or raise Refused (415 for another type, 400 for no JSON)."""
        kind = self.headers.get("content-type", JSON_TYPE).split(";")[0].strip().lower()
        if kind != JSON_TYPE and not any_type:
            raise Refused(415, "content_type", f"content-type must be {JSON_TYPE}, found {kind[:60]!r}")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "json", f"the body is not JSON: {error}"[:200]) from error


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and extra headers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(status: int, value: object, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode(), headers=headers or {})


Handler = Callable[[Request], Awaitable[Response]]
OnRefused = Callable[[Refused], Response]


async def read_request(reader: asyncio.StreamReader, first: bytes, *, max_body: int = MAX_BODY) -> Request:
    """Return the request that begins with the byte `first`.

    Refused: too large, malformed, too slow. IncompleteReadError or ConnectionError: the peer went away.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            head = first + await reader.readuntil(b"\r\n\r\n")
            method, path, headers = parse_head(head)
            body = await _read_body(reader, headers, max_body)
    except asyncio.LimitOverrunError as error:
        raise Refused(431, "head_size", f"the request's head is over {MAX_HEAD} bytes") from error
    except TimeoutError as error:
        raise Refused(408, "timeout", f"the request was not complete within {READ_TIMEOUT:g} s") from error
    return Request(method, path, headers, body)


def parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Return method, path without query, and headers; Refused when it is no HTTP/1.x request."""
    lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise Refused(400, "request_line", f"not an HTTP/1.1 request line: {lines[0][:60]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if not line:
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Refused(400, "header", f"not a header line: {line[:60]!r}")
        name = name.lower()
        if name == "content-length" and headers.get(name, value.strip()) != value.strip():
            raise Refused(400, "header", "two different content-length headers")
        headers[name] = value.strip()
    if parts[2] == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return parts[0], parts[1].partition("?")[0], headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str], max_body: int) -> bytes:
    encoding = headers.get("transfer-encoding")
    if encoding is not None:
        if encoding.lower() != "chunked" or "content-length" in headers:
            raise Refused(400, "header", "transfer-encoding must be chunked, and without content-length")
        return await _read_chunks(reader, max_body)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "header", f"content-length must be a whole number, found {length[:20]!r}")
    if int(length) > max_body:
        raise _too_large(max_body)
    return await reader.readexactly(int(length))


async def _read_chunks(reader: asyncio.StreamReader, max_body: int) -> bytes:
    body = bytearray()
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError as error:
            raise Refused(400, "chunk", f"not a chunk size: {line[:20]!r}") from error
        if size < 0 or len(body) + size > max_body:
            raise _too_large(max_body)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers are allowed and ignored
            return bytes(body)
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def _too_large(max_body: int) -> Refused:
    return Refused(413, "body_size", f"the body is over {max_body} bytes; send fewer rows per request")


def encode(response: Response, *, keep_alive: bool, with_body: bool = True) -> bytes:
    """Return the bytes of a response."""
    status = HTTPStatus(response.status)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {response.content_type}",
        f"content-length: {len(response.body)}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
    ]
    if not keep_alive:
        lines.append("connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    return head + response.body if with_body else head


class HttpServer:
    """Serves one port. `drain` ends it: nothing accepted any more, what is in flight is finished."""

    def __init__(self, handler: Handler, *, on_refused: OnRefused) -> None:
        self._handler, self._on_refused = handler, on_refused
        self._server: asyncio.Server | None = None
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self.draining = False

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (useful with 0)."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=MAX_HEAD, backlog=512)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def drain(self, *, linger: float, timeout: float) -> None:
        """Stop accepting, close idle connections after `linger` seconds, wait `timeout` for the rest.

        During the linger connections still answer, with `connection: close`, so that a proxy which has just
        sent a request on a pooled connection gets its answer.
        """
        self.draining = True
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(linger)
        for task, writer in self._tasks.items():
            if task not in self._busy:
                writer.close()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout)
        for task in list(self._tasks):
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = writer
        try:
            await self._converse(reader, writer, task)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the peer went away; nobody is left to be told
        except Dropped:
            writer.transport.abort()
        finally:
            self._busy.discard(task)
            del self._tasks[task]
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: "asyncio.Task[None]"
    ) -> None:
        keep_alive = True
        while keep_alive and (first := await reader.read(1)):
            self._busy.add(task)
            try:
                request = await read_request(reader, first)
            except Refused as refused:
                writer.write(encode(self._on_refused(refused), keep_alive=False))
                await _say_goodbye(reader, writer)
                return
            try:
                response = await self._handler(request)
            except Refused as refused:
                response = self._on_refused(refused)
            asked_to_close = request.headers.get("connection", "").lower() == "close"
            keep_alive = not (asked_to_close or self.draining)
            writer.write(encode(response, keep_alive=keep_alive, with_body=request.method != "HEAD"))
            await writer.drain()
            self._busy.discard(task)


async def _say_goodbye(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the peer read the answer: closing with unread data would reset the connection under it."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        left = 4 * 1024 * 1024
        async with asyncio.timeout(2.0):
            while left > 0 and (data := await reader.read(65536)):
                left -= len(data)
