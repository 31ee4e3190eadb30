"""What `modelrollout get` shows of a rollout: a pure function of the object and the time."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelrollout.cli.fields import Fields, looked_at, newest
from modelrollout.cli.rollout_age import ago
from modelrollout.cli.screen import PHASES
from modelrollout.cli.sli_report import slis
from modelrollout.core.wording import duration

DECISIONS = 3
UNSEEN = "- (no operator has looked at it yet: is one running?)"
MIN_DURATION, MAX_DURATION = "1m", "6h"


def report(obj: Fields, now: float, *, width: int) -> RenderableType:
    """Header, steps, SLIs, budget, what comes next and the last decisions."""
    status = obj.part("status")
    parts: list[RenderableType] = [header(obj, now), *section("STEPS", ladder(obj, now))]
    if status.items("slis"):
        age = newest(obj)
        title = "SLIS, as last written" + (f", {ago(age, now)}" if age is not None else "")
        parts += section(title, slis(status.items("slis"), width=width))
    parts += section("BUDGET", budget(status)) if status.items("budget") else []
    parts += section("NEXT", upcoming(obj, now))
    parts += section("DECISIONS", decisions(status, now)) if status.items("decisions") else []
    parts += section("NOTES", Text("\n".join(status.texts("notes")))) if status.texts("notes") else []
    return Group(*parts)


def section(title: str, body: RenderableType) -> list[RenderableType]:
    """A part with its heading, after an empty line."""
    return [Text(), Text(title, "bold"), Padding(body, (0, 0, 0, 2))]


def header(obj: Fields, now: float) -> RenderableType:
    """Who it is, how it stands, and who has which share of the users."""
    meta, spec, status = obj.part("metadata"), obj.part("spec"), obj.part("status")
    grid = Table.grid(padding=(0, 2))
    grid.add_row("Rollout", Text(f"{meta.text('namespace')}/{meta.text('name')}", "bold"))
    grid.add_row("Phase", phase(obj))
    if status.text("message"):
        grid.add_row("", Text(status.text("message")))
    if not looked_at(obj) and status.text("phase"):
        grid.add_row("", Text("the operator has not seen the newest version of this object yet", "yellow"))
    attempt = status.count("attempt")
    again = f", attempt {attempt}" if attempt and attempt > 1 else ""
    grid.add_row("Revision", (status.text("revision") or "-") + again)
    for arm, share in zip(("legacy", "candidate"), shares(status), strict=True):
        grid.add_row(arm.capitalize(), f"{deployment(spec.part(arm))}: {share}")
    grid.add_row("Age", ago(meta.moment("creationTimestamp"), now, ending=""))
    incident = status.part("incident")
    if incident:
        grid.add_row("Incident", happened(incident, now))
    return grid


def phase(obj: Fields) -> Text:
    """Phase and reason, with the step."""
    status = obj.part("status")
    name = status.text("phase")
    if not name:
        return Text(UNSEEN)
    reason = status.text("reason")
    shown = Text(name, PHASES.get(name, ""))
    if reason and reason != name:
        shown.append(f" ({reason})")
    step = status.part("summary").text("step")
    return shown.append(f", step {step}", "") if step else shown


def deployment(arm: Fields) -> str:
    """`fraud-v8 (fraud 8)`."""
    model = arm.part("model")
    return (arm.text("deployment") or "-") + (f" ({model.text('name')} {model.text('version')})" if model else "")


def shares(status: Fields) -> tuple[str, str]:
    """Percent of legacy and candidate."""
    weight = status.number("weight")
    if weight is None:
        return ("- (no weight was set or read yet)",) * 2
    return f"{100 - weight:.4g} %", f"{weight:.4g} %"


def ladder(obj: Fields, now: float) -> RenderableType:
    """The steps, with those that are done and the one it is at."""
    spec, status = obj.part("spec"), obj.part("status")
    step, done = status.part("step"), status.text("phase") == "Promoted"
    here = step.count("index") if step and not done else None
    steps = spec.items("steps")
    if not steps:
        return Text(ramp(step))
    grid = Table.grid(padding=(0, 2))
    for index, each in enumerate(steps):
        past = done or (here is not None and index < here)
        mark, style = ("[x]", "green") if past else ("[>]", "bold cyan") if index == here else ("[ ]", "")
        weight = each.number("weight")
        shown = "-" if weight is None else f"{weight:.4g} %"
        told = at_step(spec, each, step, now) if index == here else before(spec, each) if not past else ""
        grid.add_row(Text(mark, style), Text(str(index + 1)), Text(shown, style, justify="right"), Text(told))
    return grid


def ramp(step: Fields) -> str:
    """Where a ramp stands; its steps are not in the object."""
    index, count, weight = step.count("index"), step.count("count"), step.number("weight")
    if index is None or count is None or weight is None:
        return "a ramp, not begun"
    return f"step {index + 1} of {count} of a ramp, {weight:.4g} %"


def limits(spec: Fields, step: Fields) -> tuple[str, str]:
    """Shortest and longest time of a step, as they are written."""
    usual = spec.part("stepDefaults")
    return (
        step.text("minDuration") or usual.text("minDuration") or MIN_DURATION,
        step.text("maxDuration") or usual.text("maxDuration") or MAX_DURATION,
    )


def at_step(spec: Fields, each: Fields, step: Fields, now: float) -> str:
    """Since when, and how long it may take."""
    least, most = limits(spec, each)
    since = ago(step.moment("startedAt"), now, ending="")
    return f"since {since}; at least {least}, at most {most}"


def before(spec: Fields, each: Fields) -> str:
    """What a step that is ahead needs."""
    least, _ = limits(spec, each)
    return f"at least {least}" + (", after an approval" if each.flag("approval") else "")


def budget(status: Fields) -> RenderableType:
    """Bad events that it may cost and has cost."""
    grid = Table.grid(padding=(0, 2))
    for each in status.items("budget"):
        allowed, spent = each.number("allowed"), each.number("spent")
        if allowed is None or spent is None:
            told = "- (what the window's traffic allows is not known yet)"
        else:
            told = f"{max(0.0, spent):,.0f} of {allowed:,.0f} bad events of the rollout's share spent"
            told += f" ({each.text('spentPercent')} %)" if (each.number("spentPercent") or 0) > 0 else ""
            told += f", gone in {each.text('exhaustedIn')} at this rate" if each.text("exhaustedIn") else ""
        grid.add_row(each.text("sli"), Text(told))
    return grid


def upcoming(obj: Fields, now: float) -> RenderableType:
    """When the operator looks, what the next weight is and what it needs."""
    spec, status = obj.part("spec"), obj.part("status")
    name = status.text("phase")
    if name not in ("Preflight", "Progressing", "Paused", "RollingBack"):
        return Text("nothing is under way" if name else "- (unknown until an operator has looked at it)")
    every = spec.part("analysis").text("interval") or "5s"
    lines = [f"the operator looks every {every}"]
    following = status.part("summary").text("next")
    if name == "RollingBack":
        lines.append("weight 0, as soon as the router shows it")
    elif following:
        due = earliest(spec, status)
        when = f", not before {duration(due - now)} from now" if due is not None and due > now else ""
        lines.append(f"{following.removesuffix('%')} % to the candidate{when}")
    elif status.part("step"):
        lines.append("promoted after this step")
    lines.append("more in words: kubectl modelrollout explain " + obj.part("metadata").text("name"))
    return Text("\n".join(lines))


def earliest(spec: Fields, status: Fields) -> float | None:
    """When the shortest time of this step is over."""
    step, steps = status.part("step"), spec.items("steps")
    index, started = step.count("index"), step.moment("startedAt")
    if index is None or started is None:
        return None
    at = steps[index] if 0 <= index < len(steps) else Fields({})
    text = at.text("minDuration") or spec.part("stepDefaults").text("minDuration") or MIN_DURATION
    least = Fields({"least": text}).span("least")
    return None if least is None else started + least


def decisions(status: Fields, now: float) -> RenderableType:
    """The newest decisions, the last one first."""
    return decision_table(reversed(status.items("decisions")[-DECISIONS:]), now)


def decision_table(entries: Iterable[Fields], now: float) -> RenderableType:
    """When, what, the weight afterwards, and why."""
    grid = Table.grid(padding=(0, 2))
    for each in entries:
        weight = each.text("weight")
        row = (ago(each.moment("at"), now), each.text("action") or "-", f"{weight} %" if weight else "-")
        grid.add_row(*(Text(cell, no_wrap=True) for cell in row), Text(each.text("message") or each.text("reason")))
    return grid


def happened(incident: Fields, now: float) -> Text:
    """The last revert in a sentence."""
    opened, closed = incident.moment("openedAt"), incident.moment("closedAt")
    if opened is None:
        return Text("- (its time is not known)")
    told = f"{incident.text('reason')} at {incident.text('weight') or '-'} %, {ago(opened, now)}"
    if closed is None:
        return Text(f"{told}; users are not all back on legacy yet", "red")
    return Text(f"{told}; all users were back on legacy after {duration(max(0.0, closed - opened))}")
