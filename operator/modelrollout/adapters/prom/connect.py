"""One blocking client per worker thread: prometheus-api-client on a session of ours.

The library alone would wait for ever, follow redirects, retry behind our back, drop warnings, read bodies of any
size and put them into its exceptions. The session prevents all of that before the library sees the answer.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.prom.names import Names
from modelrollout.adapters.prom.parse import BadAnswer, Parsed, is_partial
from modelrollout.adapters.prom.wire import Call, Line, LineAdapter
from modelrollout.core.ahead import APART
from modelrollout.ports import Answer, NoAnswer, QueryResult

CHUNK = 1 << 16
MAX_SKEW = APART
"""Seconds that the server's clock may differ from ours: beyond that, ticks of ours are looked for where its samples are
not, and every series looks stale or gone.
"""
SKEWED = "ClockSkew"


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on one exchange: bytes of a query, bytes of an answer, series of an answer."""

    query: int = 256 << 10
    answer: int = 32 << 20
    series: int = 100_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Target:
    """Everything a client needs, secrets resolved. `headers` may hold a token: never log this object."""

    address: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None
    policy: AddressPolicy
    limits: Limits
    names: Names = field(default_factory=Names)

    def __repr__(self) -> str:
        return "Target(...)"


class Refused(Exception):
    """The server's answer can't be used; `kind` is one of `NoAnswer`'s."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Envelope(requests.Response):
    """A whole, checked answer, as the library reads it."""

    def __init__(self, document: Mapping[str, object]) -> None:
        super().__init__()
        self.status_code = 200
        self._document = document

    def json(self, **kwargs: Any) -> Any:
        return self._document


class _Session(requests.Session):
    """Sends the library's requests our way and hands it only what is whole. Raises Refused."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        # No proxy, .netrc or CA bundle of the environment may come in between.
        self.trust_env = False
        self._limits = limits
        self.call: Call | None = None

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        call = self.call
        if call is None:
            raise Refused("Unreachable")
        # The library puts the parameters of a POST into the URL; a query of 100 kB does not fit there.
        kwargs["data"] = kwargs.pop("params", None)
        kwargs["allow_redirects"] = False
        kwargs["stream"] = True
        kwargs["timeout"] = call.remaining()
        response = super().request(method, url, *args, **kwargs)
        # Closing it drops a connection with unread bytes and keeps one that was read to the end.
        with response:
            if response.status_code != 200:
                raise Refused(f"HTTP {response.status_code}")
            if abs(clock_ahead(response.headers.get("Date", ""), time.time())) > MAX_SKEW:
                raise Refused(SKEWED)
            body = self._body(response)
        return _Envelope(_document(body, most=self._limits.series))

    def _body(self, response: requests.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._limits.answer:
            raise Refused("TooLarge")
        body = bytearray()
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._limits.answer:
                raise Refused("TooLarge")
        return bytes(body)


def _document(body: bytes, *, most: int) -> Mapping[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("BadAnswer") from None
    if not isinstance(document, dict) or document.get("status") != "success":
        raise Refused("BadAnswer")
    data = document.get("data")
    if not isinstance(data, dict) or "result" not in data:
        raise Refused("BadAnswer")
    result = data["result"]
    if isinstance(result, list) and len(result) > most:
        # Before the remarks: our own `limit` makes the server truncate, and say so.
        raise Refused("TooLarge")
    if is_partial(document):
        raise Refused("Partial")
    return document


def clock_ahead(date: str, now: float) -> float:
    """Seconds that the sender of this `Date` header is ahead of `now` (epoch seconds); 0 when it says nothing."""
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return 0.0


class Client:
    """Asks one server, one request at a time. Not thread-safe but for `Call.cut`."""

    def __init__(self, target: Target) -> None:
        self._limits = target.limits
        self.line = Line(target.policy, target.names)
        self._session = _Session(target.limits)
        self._prometheus = PrometheusConnect(
            url=target.address,
            headers={"Accept-Encoding": "identity", **target.headers},
            session=self._session,
            retry=Retry(total=0),
            timeout=1,
            method="POST",
        )
        # After the library, which mounts a transport of its own at the same place.
        self._session.mount(target.address, LineAdapter(self.line, target.tls))

    def ask(self, query: str, parse: Callable[[object], Parsed], *, at: float, call: Call) -> tuple[QueryResult, int]:
        """The answer to a query at `at`, and how many series of it were native histograms. Never raises."""
        if len(query) > self._limits.query:
            return NoAnswer("TooLarge"), 0
        if not call.begin(self.line):
            return NoAnswer("Timeout"), 0
        self._session.call = call
        try:
            parsed = parse(self._send(query, at=at, call=call))
        except Refused as refused:
            return NoAnswer(refused.kind), 0
        except BadAnswer:
            return NoAnswer("BadAnswer"), 0
        except requests.exceptions.Timeout:
            return NoAnswer("Timeout"), 0
        except (requests.exceptions.RequestException, HTTPError, OSError, ValueError):
            # Whatever else breaks on the way: refused connections, broken chunks, certificates. And calls that
            # were cut, for which nobody waits any more.
            return NoAnswer("Unreachable"), 0
        finally:
            self._session.call = None
            call.end()
        return Answer(parsed.series), parsed.native

    def _send(self, query: str, *, at: float, call: Call) -> object:
        parameters = {
            "time": f"{at:.3f}",
            "timeout": f"{max(1, round(call.remaining() * 1000))}ms",
            "limit": str(self._limits.series + 1),
        }
        return self._prometheus.custom_query(query, params=parameters)

    def close(self) -> None:
        """Close the connection for good; from any thread."""
        self.line.close()
        self._prometheus.close()
