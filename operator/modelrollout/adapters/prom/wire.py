"""TCP connections that check where they lead to and that another thread can cut off.

A timeout of a socket starts anew with every byte, so a server that trickles could hold a thread for ever. Here the
event loop shuts the socket down at the deadline, whatever the thread is doing with it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager
from urllib3.util.retry import Retry

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.prom.names import Names

LEAST_TIMEOUT = 0.001


class Call:
    """One request with a deadline (`time.monotonic`). `cut` may come from any thread, at any time."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._lock = threading.Lock()
        self._line: Line | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """Whether the time is up; what fails from then on fails for that reason."""
        return self._over or time.monotonic() >= self.deadline

    def remaining(self) -> float:
        """Seconds left, never quite 0."""
        return max(LEAST_TIMEOUT, self.deadline - time.monotonic())

    def begin(self, line: Line) -> bool:
        """Take the line; False when it is too late."""
        with self._lock:
            if self.over:
                return False
            self._line = line
            line.take(self)
            return True

    def end(self) -> None:
        """Give the line back."""
        with self._lock:
            if self._line is not None:
                self._line.take(None)
                self._line = None

    def cut(self) -> None:
        """End the request now: its thread sees a closed connection."""
        with self._lock:
            self._over = True
            if self._line is not None:
                self._line.cut()


class Line:
    """The one connection of one worker thread. `denied` tells that its last attempt led where the policy forbids."""

    def __init__(self, policy: AddressPolicy, names: Names) -> None:
        self._policy = policy
        self._names = names
        self._lock = threading.Lock()
        self._twin: socket.socket | None = None
        self._call: Call | None = None
        self._cut = False
        self._closed = False
        self.denied = False

    def take(self, call: Call | None) -> None:
        """Serve this call next, or none."""
        with self._lock:
            self._call = call
            self._cut = False

    def cut(self) -> None:
        """Shut the connection down, also one that is still being made."""
        with self._lock:
            self._cut = True
            self._shut()

    def close(self) -> None:
        """Forget the socket, and make no other."""
        with self._lock:
            self._closed = True
            if self._twin is not None:
                self._twin.close()
                self._twin = None

    def connect(self, connection: HTTPConnection) -> socket.socket:
        """A connected socket to the first permitted address of the connection's host."""
        try:
            found = self._names.addresses(connection.host, connection.port, within=self._left())
        except TimeoutError:
            raise ConnectTimeoutError(connection, "the name was not resolved in time") from None
        except socket.gaierror as error:
            raise NameResolutionError(connection.host, connection, error) from None
        permitted = [entry for entry in found if self._policy.permits(str(entry[4][0]))]
        self.denied = not permitted
        failure_text = "no permitted address"
        for family, kind, protocol, _, address in permitted:
            sock = socket.socket(family, kind, protocol)
            try:
                self._attach(sock)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
                return sock
            except TimeoutError:
                sock.close()
                raise ConnectTimeoutError(connection, "timed out") from None
            except OSError as error:
                sock.close()
                failure_text = type(error).__name__
        raise NewConnectionError(connection, failure_text)

    def _attach(self, sock: socket.socket) -> None:
        with self._lock:
            if self._cut or self._closed:
                raise TimeoutError
            sock.settimeout(self._left())
            if self._twin is not None:
                self._twin.close()
            # The handshake moves the descriptor into another object; a duplicate stays ours.
            self._twin = sock.dup()

    def _left(self) -> float:
        return self._call.remaining() if self._call is not None else LEAST_TIMEOUT

    def _shut(self) -> None:
        if self._twin is not None:
            with contextlib.suppress(OSError):
                self._twin.shutdown(socket.SHUT_RDWR)


class _PlainConnection(HTTPConnection):
    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        return self._line.connect(self)


class _TLSConnection(HTTPSConnection):
    def __init__(self, *args: Any, line: Line, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        return self._line.connect(self)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Pools(PoolManager):
    def __init__(self, *, line: Line, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._line = line
        self.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def _new_pool(
        self, scheme: str, host: str, port: int, request_context: dict[str, Any] | None = None
    ) -> HTTPConnectionPool:
        pool = super()._new_pool(scheme, host, port, request_context)
        pool.conn_kw["line"] = self._line
        return pool


class LineAdapter(HTTPAdapter):
    """Transport of one session over one line: no retries, one kept connection, our own trust anchors."""

    def __init__(self, line: Line, tls: ssl.SSLContext | None) -> None:
        self._line = line
        self._tls = tls
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=Retry(total=0))

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Make the pools, with our connections in them."""
        self.poolmanager = _Pools(
            line=self._line,
            num_pools=connections,
            maxsize=maxsize,
            block=block,
            ssl_context=self._tls,
            **pool_kwargs,
        )

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave trust to the context alone: requests would add the public CAs to a private one."""
        conn.cert_reqs = "CERT_REQUIRED"


def tls_context(ca: str | None) -> ssl.SSLContext:
    """Verification against `ca` (PEM) only, or the public CAs without it.

    Raises ssl.SSLError or ValueError for a bad PEM.
    """
    if ca is not None:
        # Python takes an empty text for none at all and would trust the public CAs; others than ASCII it can't take.
        if not ca.strip() or not ca.isascii():
            raise ValueError("no PEM certificate")
        return ssl.create_default_context(cadata=ca)
    return ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
