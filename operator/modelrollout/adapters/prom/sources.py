"""The `MetricSource` objects of the cluster, ready to be asked. The shell keeps the registry up to date."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from modelrollout.adapters import addresses
from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.prom import headers
from modelrollout.adapters.prom.connect import DEFAULT_LIMITS, Client, Limits, Target
from modelrollout.adapters.prom.parse import Parsed
from modelrollout.adapters.prom.wire import Call, tls_context
from modelrollout.api.convert import to_source
from modelrollout.api.source import SecretKey, Source
from modelrollout.core.observation import SpecProblem
from modelrollout.core.reasons import Reason
from modelrollout.errors import Denied, RolloutError
from modelrollout.ports import NoAnswer, QueryResult, SourceSpec

log = logging.getLogger(__name__)

ReadSecret = Callable[[str, str], Awaitable[str | None]]
"""Name and key of a Secret in the operator's namespace to its text; None when there is none. May raise RolloutError."""

NamespaceLabels = Callable[[str], Mapping[str, str] | None]
"""Labels of a namespace, or None while they are unknown."""

Ask = tuple[str, Callable[[object], Parsed]]


class Server:
    """One source with its own threads and connections: what hangs here stops nobody else."""

    def __init__(self, source: Source, target: Target, token: tuple[object, ...]) -> None:
        self.source = source
        self.token = token
        self._target = target
        self._pool = ThreadPoolExecutor(
            source.connection.max_concurrency, thread_name_prefix=f"prom-{source.spec.name}"
        )
        self._local = threading.local()
        self._clients: list[Client] = []
        self._calls: set[Call] = set()
        self._said: set[str] = set()
        self.unauthorised = False
        self.slow = asyncio.Semaphore(max(1, source.connection.max_concurrency // 2))
        """Turns of queries that may take long: the other threads are always free for the rounds."""

    async def ask(self, asks: Sequence[Ask], *, at: float, deadline: float) -> Sequence[QueryResult]:
        """A result per query, in order, not later than `deadline` (`time.monotonic`)."""
        results = await asyncio.gather(*(self._one(ask, at=at, deadline=deadline) for ask in asks))
        self.unauthorised = any(r.kind in ("HTTP 401", "HTTP 403") for r in results if isinstance(r, NoAnswer))
        return results

    async def _one(self, ask: Ask, *, at: float, deadline: float) -> QueryResult:
        call = Call(deadline)
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, self._run, ask, at, call)
        except RuntimeError:
            return NoAnswer("Unreachable")  # closed meanwhile
        self._calls.add(call)
        try:
            done, _ = await asyncio.wait({future}, timeout=call.remaining())
            if not done:
                return NoAnswer("Timeout")
            # Cancelled by `close`, before its turn came.
            return NoAnswer("Unreachable") if future.cancelled() else future.result()
        finally:
            self._calls.discard(call)
            if not future.done():
                call.cut()
                future.cancel()

    def _run(self, ask: Ask, at: float, call: Call) -> QueryResult:
        client: Client | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = Client(self._target)
            self._clients.append(client)
        query, parse = ask
        result, native = client.ask(query, parse, at=at, call=call)
        if native:
            self._say("holds native histograms, which are ignored: expose classic buckets for the SLI's metric")
        if client.line.denied:
            self._say("resolves to an address that is never a metric source (loopback, link-local, metadata)")
        return result

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning("MetricSource %s: the server %s", self.source.spec.name, text)

    def close(self) -> None:
        """End everything under way; its callers see `Unreachable` or `Timeout`."""
        for call in tuple(self._calls):
            call.cut()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()


@dataclass(frozen=True, slots=True)
class _Rejected:
    """A source that can't be used. `source` is kept for another try, as a Secret may appear later.

    `unread`: only because the API server did not give a Secret, which says nothing about the source.
    """

    problem: SpecProblem
    source: Source | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class _NoText:
    """Why there is no text of a Secret, as the end of a sentence."""

    text: str
    unread: bool = False


class Sources:
    """Registry by name.

    `update` and `remove` follow the stored objects; `refresh` looks at the Secrets again. All three from the event
    loop's thread only.
    """

    def __init__(
        self,
        *,
        read_secret: ReadSecret,
        namespace_labels: NamespaceLabels,
        allow_loopback: bool = False,
        denied: Sequence[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        convert: Callable[[Mapping[str, Any]], Source | SpecProblem] = to_source,
    ) -> None:
        self._read_secret = read_secret
        self._namespace_labels = namespace_labels
        self._policy = AddressPolicy(allow_loopback, frozenset(denied))
        self._limits = limits
        self._convert = convert
        self._entries: dict[str, Server | _Rejected] = {}
        self._turns: dict[str, object] = {}

    async def update(self, obj: Mapping[str, Any]) -> None:
        """Take a `MetricSource` as stored. A source that did not change keeps its connections."""
        name = str((obj.get("metadata") or {}).get("name", ""))
        source = self._convert(obj)
        if isinstance(source, SpecProblem):
            self._turns[name] = object()
            self._put(name, _Rejected(_problem(name, source.problem)))
            return
        await self._build(source)

    async def refresh(self, name: str) -> bool:
        """Read the Secrets of a source again; whether that changed anything. A no-op for an unknown source."""
        before = self._entries.get(name)
        if before is not None and before.source is not None:
            await self._build(before.source)
        after = self._entries.get(name)
        return after is not before and after != before

    def with_secrets(self) -> tuple[str, ...]:
        """Names of the sources that refer to Secrets, usable or not."""
        return tuple(
            name
            for name, entry in self._entries.items()
            if entry.source is not None and (entry.source.connection.bearer_token or entry.source.connection.ca)
        )

    def remove(self, name: str) -> None:
        """Forget a source."""
        self._turns.pop(name, None)
        entry = self._entries.pop(name, None)
        if isinstance(entry, Server):
            entry.close()

    def close(self) -> None:
        """Forget all."""
        for name in tuple(self._entries):
            self.remove(name)

    def spec(self, name: str) -> SourceSpec | SpecProblem:
        """The source, or why it can't be used."""
        entry = self._entries.get(name)
        if isinstance(entry, Server):
            return entry.source.spec
        if entry is not None:
            return entry.problem
        known = ", ".join(sorted(self._entries)) or "none"
        return SpecProblem(
            Reason.SOURCE_NOT_FOUND,
            f"analysis.metricSource {name!r} does not exist (there are: {known}): "
            "name another MetricSource, or ask an administrator to create it",
        )

    def server(self, name: str) -> Server | None:
        """The server behind a usable source."""
        entry = self._entries.get(name)
        return entry if isinstance(entry, Server) else None

    def allowed(self, name: str, namespace: str) -> bool:
        """Whether a namespace may use a source; not while its labels are unknown and matter."""
        server = self.server(name)
        if server is None:
            return False
        if server.source.allowed is None:
            return True
        labels = self._namespace_labels(namespace)
        return labels is not None and server.source.allows(labels)

    async def _build(self, source: Source) -> None:
        name = source.spec.name
        # Reading Secrets takes time; only the newest update of a source may win.
        turn = self._turns[name] = object()
        made = await self._server_or_problem(source)
        if self._turns.get(name) is not turn:
            if isinstance(made, Server):
                made.close()
            return
        old = self._entries.get(name)
        if isinstance(old, Server) and isinstance(made, Server) and old.token == made.token:
            made.close()
            return
        if isinstance(old, Server) and isinstance(made, _Rejected) and made.unread and old.source == source:
            return  # an API server that is away for a moment takes no working source away
        self._put(name, made)

    def _put(self, name: str, entry: Server | _Rejected) -> None:
        old = self._entries.get(name)
        self._entries[name] = entry
        if isinstance(old, Server):
            old.close()

    async def _server_or_problem(self, source: Source) -> Server | _Rejected:
        name, connection = source.spec.name, source.connection

        def rejected(text: str, *, unread: bool = False) -> _Rejected:
            return _Rejected(_problem(name, text), source, unread)

        wrong = addresses.problem_of(connection.address, self._policy)
        if wrong is not None:
            return rejected(f"prometheus.address {wrong}")
        wrong = headers.problem_of(connection)
        if wrong is not None:
            return rejected(wrong)
        secrets: list[str | None] = []
        for path, ref in (("auth.bearerToken", connection.bearer_token), ("tls.ca", connection.ca)):
            if ref is None:
                secrets.append(None)
                continue
            text = await self._secret(ref)
            if isinstance(text, _NoText):
                where = f"prometheus.{path}: Secret {ref.secret} in the operator's namespace"
                return rejected(f"{where} {text.text}", unread=text.unread)
            secrets.append(text)
        token, ca = secrets
        sent = headers.with_token(connection, token)
        if sent is None:
            return rejected("prometheus.auth.bearerToken: the Secret's value is no token (one line of printable ASCII)")
        tls = None
        if connection.address.startswith("https:"):
            try:
                tls = tls_context(ca)
            except (ssl.SSLError, ValueError):
                return rejected("prometheus.tls.ca: the Secret's value is no PEM certificate")
        target = Target(connection.address, sent, tls, self._policy, self._limits)
        return Server(source, target, (source, tuple(sorted(sent.items())), ca))

    async def _secret(self, ref: SecretKey) -> str | _NoText:
        try:
            text = await self._read_secret(ref.secret, ref.key)
        except Denied:
            return _NoText("may not be read: grant the operator `get` on it")
        except RolloutError as error:
            log.warning("Secret %s can't be read: %s", ref.secret, type(error).__name__)
            return _NoText(f"can't be read at present ({type(error).__name__}); it is tried again", unread=True)
        return _NoText(f"has no readable key {ref.key}: create it, or correct the reference") if text is None else text


def _problem(name: str, text: str) -> SpecProblem:
    return SpecProblem(Reason.SOURCE_NOT_FOUND, f"MetricSource {name!r} can't be used: {text}")
