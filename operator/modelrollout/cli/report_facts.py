"""What a report of one rollout tells: a pure reading of the object, for every format the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from modelrollout.cli.fields import Fields
from modelrollout.cli.rollout_report import limits
from modelrollout.cli.sli_report import Line, line
from modelrollout.core.wording import duration

NONE = "-"
ABOVE = "(as above)"
ENDS = {
    "Promoted": "was promoted",
    "RolledBack": "was rolled back",
    "RollingBack": "is being rolled back",
    "Progressing": "is under way",
    "Paused": "is paused",
    "Preflight": "has not started yet",
    "Idle": "has nothing to do",
    "Invalid": "can't go on: its spec or what it refers to is wrong",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A decision. `weight`: the candidate's percent as it was taken, None when it is not known."""

    at: float | None
    action: str
    weight: float | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its bounds; None where one is not known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SliFacts:
    """An SLI: its cells as `get` shows them, and the numbers behind the charts."""

    line: Line
    objective: float | None
    """Percent that must be good."""
    candidate: float | None
    legacy: float | None
    """Bad shares in this step."""
    ratio: Span
    margin: float | None
    """The most that the ratio may be, without the margin's absolute part."""


@dataclass(frozen=True, slots=True)
class Revert:
    """The incident. Times are epoch seconds, None: not known, or not over."""

    reason: str
    message: str
    weight: str
    opened: float | None
    closed: float | None

    @property
    def lasted(self) -> str:
        """From the decision until the route was seen at 0."""
        if self.opened is None:
            return NONE
        return "not over yet" if self.closed is None else duration(max(0.0, self.closed - self.opened))


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it. Rows are cells of text."""

    title: str
    headline: str
    message: str
    now: float
    facts: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...]
    slis: tuple[SliFacts, ...]
    revert: Revert | None
    budget: tuple[tuple[str, ...], ...]
    steps: tuple[tuple[str, ...], ...]
    history: tuple[tuple[str, ...], ...]
    conditions: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def said(self) -> tuple[str, ...]:
        """What the SLIs' verdicts say, without what is said of the incident already."""
        known = {self.message, self.revert.message if self.revert else ""}
        return tuple(each.line.message for each in self.slis if each.line.message and each.line.message not in known)

    @property
    def began(self) -> float | None:
        """The first decision that is remembered."""
        return next((turn.at for turn in self.turns if turn.at is not None), None)

    @property
    def end(self) -> float:
        """Until when the charts go: the end of the rollout, or now."""
        last = max((turn.at for turn in self.turns if turn.at is not None), default=self.now)
        over = self.revert.closed if self.revert else None
        ended = any(turn.action == "Promote" for turn in self.turns[-1:])
        return max(last, over) if over is not None else last if ended else max(last, self.now)

    @property
    def course(self) -> tuple[tuple[float, float], ...]:
        """The candidate's percent from each time on."""
        points = [(t.at, t.weight) for t in self.turns if t.at is not None and t.weight is not None]
        if self.revert is not None and self.revert.closed is not None:
            points.append((self.revert.closed, 0.0))
        return tuple(sorted(points, key=lambda point: point[0]))


def facts(obj: Fields, now: float) -> Facts:
    """What is known of the rollout's present revision, its past ones, and how it is set up."""
    meta, spec, status = obj.part("metadata"), obj.part("spec"), obj.part("status")
    title = f"{meta.text('namespace')}/{meta.text('name')}"
    revision, phase = status.text("revision"), status.text("phase")
    goals = {each.text("name"): each.number("objective") for each in spec.items("slis")}
    message = status.text("message")
    revert = _revert(status.part("incident"), revision)
    what = f"Revision {revision} of {title}" if revision else title
    return Facts(
        title=title,
        headline=f"{what} {ENDS.get(phase, 'has not been looked at by an operator')}",
        message="" if revert is not None and revert.message == message else message,
        now=now,
        facts=_facts(obj, now),
        turns=tuple(_turn(each) for each in status.items("decisions") if each.text("revision") == revision),
        slis=tuple(_sli(each, goals.get(each.text("name"))) for each in status.items("slis")),
        revert=revert,
        budget=tuple(_booked(each) for each in status.items("budget")),
        steps=tuple(_step(i, each, spec) for i, each in enumerate(spec.items("steps"), 1)),
        history=tuple(_past(each, message) for each in reversed(status.items("history"))),
        conditions=tuple(_condition(each, message) for each in status.items("conditions")),
        notes=tuple(status.texts("notes")),
    )


def when(moment: float | None) -> str:
    """`2027-01-15 08:03:26 UTC`."""
    if moment is None:
        return NONE
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return NONE


def _facts(obj: Fields, now: float) -> tuple[tuple[str, str], ...]:
    spec, status = obj.part("spec"), obj.part("status")
    attempt, weight = status.count("attempt"), status.text("weight")
    phase, reason = status.text("phase") or NONE, status.text("reason")
    rows = [
        ("Phase", phase + (f" ({reason})" if reason not in ("", phase) else "")),
        ("Revision", (status.text("revision") or NONE) + (f", attempt {attempt}" if attempt and attempt > 1 else "")),
        ("Legacy", _arm(spec.part("legacy"))),
        ("Candidate", _arm(spec.part("candidate"))),
        ("Candidate's share now", f"{weight} %" if weight else NONE),
        ("Report made", when(now)),
    ]
    return tuple(rows)


def _arm(arm: Fields) -> str:
    model = arm.part("model")
    named = f", model {model.text('name')} version {model.text('version')}" if model else ""
    return f"Deployment {arm.text('deployment') or NONE}{named}"


def _turn(entry: Fields) -> Turn:
    return Turn(
        at=entry.moment("at"),
        action=entry.text("action") or NONE,
        weight=entry.number("weight"),
        reason=entry.text("reason") or NONE,
        message=entry.text("message"),
    )


def _sli(sli: Fields, objective: float | None) -> SliFacts:
    ratio = sli.part("ratio")
    return SliFacts(
        line=line(sli),
        objective=objective,
        candidate=_share(sli.part("candidate")),
        legacy=_share(sli.part("legacy")),
        ratio=Span(ratio.number("value"), ratio.number("low"), ratio.number("high")),
        margin=sli.part("evidence", "margin").number("ratio"),
    )


def _share(arm: Fields) -> float | None:
    total, bad = arm.count("total"), arm.count("bad")
    return None if bad is None or not total else bad / total


def _revert(incident: Fields, revision: str) -> Revert | None:
    if not incident or incident.text("revision") != revision:
        return None
    return Revert(
        reason=incident.text("reason") or NONE,
        message=incident.text("message"),
        weight=incident.text("weight") or NONE,
        opened=incident.moment("openedAt"),
        closed=incident.moment("closedAt"),
    )


def _booked(entry: Fields) -> tuple[str, ...]:
    spent, allowed, part = (entry.number(name) for name in ("spent", "allowed", "spentPercent"))
    return (
        entry.text("sli") or NONE,
        NONE if spent is None else f"{max(0.0, spent):,.0f}",
        NONE if allowed is None else f"{allowed:,.0f}",
        NONE if part is None else f"{max(0.0, part):g} %",
        entry.text("exhaustedIn") or NONE,
    )


def _step(number: int, step: Fields, spec: Fields) -> tuple[str, ...]:
    weight = step.number("weight")
    least, _ = limits(spec, step)
    return (
        str(number),
        NONE if weight is None else f"{weight:g} %",
        least,
        "yes" if step.flag("approval") else "no",
    )


def _condition(entry: Fields, known: str) -> tuple[str, ...]:
    return (
        *(entry.text(name) or NONE for name in ("type", "status", "reason")),
        _unless(known, entry.text("message")) or NONE,
    )


def _unless(known: str, text: str) -> str:
    """A long sentence is read once."""
    return ABOVE if text and text == known else text


def _past(entry: Fields, known: str) -> tuple[str, ...]:
    return (
        entry.text("revision") or NONE,
        entry.text("outcome") or NONE,
        when(entry.moment("startedAt")),
        when(entry.moment("endedAt")),
        _unless(known, entry.text("message")) or entry.text("reason") or NONE,
    )


def labels(found: Sequence[Turn], began: float | None) -> list[str]:
    """How long after the first decision each was taken."""
    return [NONE if t.at is None or began is None else f"+{elapsed(t.at - began)}" for t in found]


def elapsed(seconds: float) -> str:
    """`3:26`, `1:03:26`: to the second, as decisions a few seconds apart must differ."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
