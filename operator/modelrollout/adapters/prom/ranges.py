"""Raw samples over hours and days, in stretches that a server can answer one at a time. Blocking."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from modelrollout.adapters import addresses
from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.prom import headers, parse, render
from modelrollout.adapters.prom.connect import DEFAULT_LIMITS, Client, Limits, Target
from modelrollout.adapters.prom.wire import Call, tls_context
from modelrollout.api.source import Connection
from modelrollout.core.samples import Series
from modelrollout.errors import MetricsUnavailable, SpecError
from modelrollout.ports import Answer, NoAnswer, QueryResult, SeriesQuery

STRETCH = 600.0
SHORTEST = 10.0
"""Seconds: a server that can't answer for so little time can't be recorded."""
TRIES = 3
PAUSE = 1.0
SMALLER = frozenset({"TooLarge", "Partial", "Timeout", "HTTP 413", "HTTP 422", "HTTP 503", "HTTP 504"})
"""Failures that a shorter stretch may cure; 422 is a server's word for too many samples."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """All series in (start, end], epoch seconds."""

    start: float
    end: float
    series: tuple[Series, ...]


class RangeReader:
    """Reads one server, one query at a time. Loopback addresses are allowed: a port-forward ends there.

    Raises SpecError for an address, token or CA that can't be used. `sleep` waits between tries, in seconds.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        ca: str | None = None,
        timeout: float = 30.0,
        limits: Limits = DEFAULT_LIMITS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        policy = AddressPolicy(allow_loopback=True)
        wrong = addresses.problem_of(address, policy)
        if wrong is not None:
            raise SpecError(f"the address {wrong}", field="--prometheus")
        sent = headers.with_token(Connection(address), token)
        if sent is None:
            raise SpecError("the token is none (one line of printable ASCII)", field="--token-file")
        try:
            tls = tls_context(ca) if address.startswith("https:") else None
        except (OSError, ValueError):
            raise SpecError("holds no PEM certificate", field="--ca-file") from None
        self._client = Client(Target(address.rstrip("/"), sent, tls, policy, limits))
        self._timeout = timeout
        self._sleep = sleep

    def read(self, query: SeriesQuery, start: float, end: float) -> Iterator[Stretch]:
        """The samples in (start, end], stretch after stretch; the query's window does not matter.

        Stretches get shorter where an answer is too large or too slow. Raises MetricsUnavailable.
        """
        length = STRETCH
        begin = start
        while begin < end:
            until = min(end, begin + length)
            result = self._ask(replace(query, window=until - begin), until)
            if isinstance(result, Answer):
                yield Stretch(begin, until, _after(result.series, begin))
                begin, length = until, min(STRETCH, 2 * length)
            elif result.kind in SMALLER and length > SHORTEST:
                length = max(SHORTEST, length / 4)
            else:
                raise MetricsUnavailable(result.kind)

    def _ask(self, query: SeriesQuery, at: float) -> QueryResult:
        text = render.samples(query)
        result: QueryResult = NoAnswer("Unreachable")
        for again in range(TRIES):
            if again:
                self._sleep(PAUSE * again)
            result, _ = self._client.ask(text, parse.matrix, at=at, call=Call(time.monotonic() + self._timeout))
            if isinstance(result, Answer) or result.kind in SMALLER or result.kind.startswith("HTTP 4"):
                break
        return result

    def close(self) -> None:
        """End the connection."""
        self._client.close()


def _after(series: tuple[Series, ...], start: float) -> tuple[Series, ...]:
    """Without what lies at `start`: a Prometheus before 3.0 returns that too."""
    return tuple(
        Series.of(one.labels, (x for x in one.samples if x[0] > start), tuple(at for at in one.rejected if at > start))
        if (one.times and one.times[0] <= start) or (one.rejected and one.rejected[0] <= start)
        else one
        for one in series
    )
