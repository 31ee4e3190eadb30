"""Every write that an operator sent, and what it could know as it sent it: whether it was in office, and up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from e2e.chaos.apiserver.server import ApiServer, Wired
from e2e.chaos.process import LEASE, SYSTEM
from e2e.chaos.transport import Answered, Sent
from modelrollout.adapters.kube.resources import LEASES, Body

UNFENCED = ("leases", "events")
"""The election itself, and what is told about writes that were made."""


@dataclass(slots=True)
class Exchange:
    """One write. `at`, `heard`: loop time of sending and of the server's own answer (None: none came)."""

    sender: str
    method: str
    name: str
    """Of the object: its plural, namespace and name."""
    target: str
    at: float
    holder: str
    """Who held the Lease at that moment; empty when nobody did."""
    version: str
    """That the object must have for the write to be carried out; empty without such a condition."""
    heard: float | None = None
    stored: str = ""
    """The object's version after it, as the answer says; empty when the write was refused."""
    old: bool = False
    """Refused because `version` was not the object's any more."""

    def answered(self, wired: Wired, found: str, now: float) -> None:
        """The server's answer has reached its sender; `found`: the object's version before the request."""
        self.heard = now
        if wired.code < 300:
            self.stored = wired.version
        else:
            self.old = bool(self.version) and self.version != found


class Exchanges:
    """Takes note of them; stands between the operators' connections and the server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.all: list[Exchange] = []

    def sending(self, sent: Sent) -> Answered:
        """A request leaves an operator; whom to tell of its answer."""
        if not sent.writes:
            return _unheard
        lease = self._server.store.look(LEASES, (SYSTEM, LEASE))
        holder = "" if lease is None else str(lease["spec"].get("holderIdentity") or "")
        name, version = self._server.named(sent.request.path), expected(sent.request.body)
        exchange = Exchange(sent.sender, sent.request.method, name, sent.target, sent.at, holder, version)
        self.all.append(exchange)
        return exchange.answered


def _unheard(wired: Wired, found: str, now: float) -> None:
    """Reads are nobody's concern."""


def expected(body: object) -> str:
    """The version that a body asks for: of an object or merge patch, or of a JSON Patch's `test`."""
    if isinstance(body, list):
        tests = (o for o in body if o.get("op") == "test" and o.get("path") == "/metadata/resourceVersion")
        return str(next((o["value"] for o in tests), ""))
    whole: Body = body if isinstance(body, dict) else {}
    return str((whole.get("metadata") or {}).get("resourceVersion", ""))


def out_of_office(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Writes that were sent while another held the Lease. Tells nothing of a run in which others edit the Lease."""
    for each in exchanges:
        identity = each.sender.partition("#")[0]
        if not each.target.startswith(UNFENCED) and each.holder not in ("", identity):
            yield f"+{each.at:.2f} s: {each.sender} writes {each.name} while {each.holder} leads"


def out_of_date(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """Writes for a version of which an answer had told that same process that it is old."""
    told: dict[tuple[str, str], list[Exchange]] = {}
    for each in exchanges:
        before = told.setdefault((each.sender, each.name), [])
        if each.version and any(_outdates(known, each) for known in before):
            yield f"+{each.at:.2f} s: {each.sender} writes {each.name} at {each.version}, which it knew to be old"
        before.append(each)


def _outdates(known: Exchange, later: Exchange) -> bool:
    if known.heard is None or known.heard > later.at:
        return False
    if known.old:
        return known.version == later.version
    return known.stored.isdigit() and later.version.isdigit() and int(later.version) < int(known.stored)
