"""What a message says beside the record's own words: the name of its alert, its runbook, its links."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from modelrollout.api.targets import Links
from modelrollout.core.happenings import Happened, Happening, Level
from modelrollout.core.reasons import Reason

MAX_TEXT = 1000
"""Characters of a text that others wrote part of."""

_RUNBOOKS = {
    Happened.ROLLED_BACK: "rolled-back.md",
    Happened.STUCK: "rollback-blocked.md",
    Happened.PAUSED: "waiting.md",
    Happened.APPROVAL_WANTED: "waiting.md",
    Happened.INVALID: "invalid.md",
}
_BY_REASON = {
    Reason.ROUTE_CONFLICT.value: "route-conflict.md",
    Reason.DENIED.value: "invalid.md",
    Reason.NO_DATA.value: "no-data.md",
    Reason.METRICS_UNREACHABLE.value: "no-data.md",
}


@dataclass(frozen=True, slots=True)
class Context:
    """What all messages of this operator share."""

    links: Links = field(default_factory=Links)
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request: POST of `body` to `url`. `headers` may hold a token: never shown."""

    url: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return "Outgoing(...)"


def title(happening: Happening, context: Context) -> str:
    """One line with the cluster, if it has a name."""
    return f"[{context.cluster}] {happening.title}" if context.cluster else happening.title


def text(happening: Happening) -> str:
    """The reason with the numbers, cut to a bound."""
    found = happening.text
    return found if len(found) <= MAX_TEXT else f"{found[: MAX_TEXT - 1]}…"


def runbook(happening: Happening, context: Context) -> str:
    """Address of the runbook; empty for what asks for nothing."""
    page = _RUNBOOKS.get(happening.kind)
    if page is None:
        return ""
    if happening.kind in (Happened.STUCK, Happened.PAUSED):
        page = _BY_REASON.get(happening.reason, page)
    return f"{context.links.runbooks.rstrip('/')}/{page}"


def alert_name(happening: Happening) -> str:
    """As the chart's rules name the same: then it is one alert to Alertmanager, whoever sends it first."""
    if happening.kind is Happened.STUCK and happening.level is Level.PAGE:
        return "ModelRolloutRollbackStuck"
    return f"ModelRollout{happening.kind.value}"


def rfc3339(at: float) -> str:
    """Epoch seconds as a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
