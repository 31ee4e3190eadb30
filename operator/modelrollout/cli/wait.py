"""`modelrollout wait`: until a rollout, or one revision of it, has come to where it is awaited."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.exits import ERROR, INVALID, OK, ROLLED_BACK, TIMEOUT, USAGE, fail
from modelrollout.cli.fields import Fields, ended, looked_at, seconds
from modelrollout.cli.kubectl import ROLLOUTS, Kubectl
from modelrollout.cli.options import Context, Kubeconfig, Name, Namespace
from modelrollout.cli.reads import standing
from modelrollout.cli.watching import Lost, Seen, follow

PATIENCE = 30.0
"""Seconds for which a wrong reference may come right: objects of one commit are applied one after the other."""


class Aim(StrEnum):
    """What is waited for."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    PAUSED = "paused"
    PROGRESSING = "progressing"
    END = "end"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a wait ends: exit code and a sentence."""

    code: int
    text: str


def wait(
    name: Name,
    aim: Annotated[Aim, typer.Option("--for", help="end: promoted or rolled back.")] = Aim.PROMOTED,
    revision: Annotated[
        str | None, typer.Option(help="This revision; an end of another one is none. Default: what the spec asks for.")
    ] = None,
    timeout: Annotated[str, typer.Option(help="Give up after so long, such as 90m. Default: never.")] = "",
    recorded: Annotated[
        bool, typer.Option("--recorded", help="With --revision: an end that the history has already counts, too.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Wait until the rollout is promoted, or what --for says.

    Changes are told on stderr, the end on stdout. Exit codes: 0 it is as awaited, 3 rolled back, 4 not in time,
    5 the object is invalid, 1 error (also: promoted although rolled-back was awaited, superseded, deleted), 2 usage.
    """
    if recorded and revision is None:
        fail("--recorded is about one revision; name it with --revision", USAGE)
    limit = seconds(timeout) if timeout else None
    if timeout and limit is None:
        fail(f"--timeout {timeout}: must be a duration such as 90s or 1h30m", USAGE)
    try:
        seen = follow(Kubectl(namespace, context, kubeconfig), ROLLOUTS, name)
        found = until(seen, aim, revision, limit=limit, recorded=recorded)
    except Complaint as problem:
        fail(str(problem))
    if found.code == OK:
        screen.put(f"{found.text}\n")
        return
    fail(found.text, found.code)


def until(
    seen: Iterable[Seen | Lost | None],
    aim: Aim,
    revision: str | None,
    *,
    limit: float | None,
    recorded: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Follow the rollout until `judged` has an answer, or for `limit` seconds. Changes are told on stderr.

    `recorded`: an end of the revision that was there when the wait began counts.
    """
    began, wrong_since, last = clock(), None, ""
    obj: Fields | None = None
    before: frozenset[str] | None = None
    for each in seen:
        now = clock()
        if isinstance(each, Lost):
            screen.note(f"{each.text}; trying again")
        elif each is not None:
            obj = Fields(each.obj)
            if each.gone:
                return Outcome(ERROR, f"{obj.part('metadata').text('name')} was deleted")
            if before is None:
                before = frozenset() if recorded else _ends(obj)
                if not recorded and _ended_before(obj, revision):
                    screen.note(f"{revision} has ended before; waiting for it to come back (--recorded takes that end)")
        if obj is not None:
            wrong_since = (wrong_since if wrong_since is not None else now) if mendable(obj) else None
            patient = wrong_since is not None and now - wrong_since < PATIENCE
            found = judged(obj, aim, revision, patient=patient, before=before or frozenset())
            if found is not None:
                return found
            if (line := standing(obj)) != last:
                screen.note(line)
                last = line
        if limit is not None and now - began >= limit:
            return Outcome(TIMEOUT, f"not {aim.value} within {limit:g} s; {last or 'nothing was heard of it'}")
    raise AssertionError("what is followed never ends by itself")


def judged(
    obj: Fields, aim: Aim, revision: str | None, *, patient: bool = False, before: frozenset[str] = frozenset()
) -> Outcome | None:
    """The outcome as far as this object tells; None: not yet. `patient`: a wrong reference may still come right.

    `before`: times of ends that were there when the wait began. A revision that comes back must not be taken for done
    because it was promoted last month.
    """
    status = obj.part("status")
    name, present = obj.part("metadata").text("name"), status.text("revision")
    if revision is not None and present != revision:
        return _past(obj, aim, revision, before)
    if not looked_at(obj):
        return None
    if ended(obj, "Promoted"):
        return _end(obj, aim, OK, f"{name}: revision {present} is promoted")
    if ended(obj, "RolledBack"):
        why = status.condition("RolledBack").text("message") or status.text("message")
        return _end(obj, aim, ROLLED_BACK, f"{name}: revision {present} was rolled back: {why}")
    problem = invalid(obj)
    if problem:
        return None if patient else Outcome(INVALID, f"{name} is invalid: {problem}")
    phases = {Aim.PAUSED: ("Paused",), Aim.PROGRESSING: ("Progressing",)}.get(aim, ())
    return Outcome(OK, standing(obj)) if status.text("phase") in phases else None


def invalid(obj: Fields) -> str:
    """What is wrong with the object or what it refers to; empty when nothing is."""
    status = obj.part("status")
    for kind in ("Accepted", "ResolvedRefs"):
        found = status.condition(kind)
        if found.text("status") == "False":
            return found.text("message") or found.text("reason")
    return (status.text("message") or status.text("reason")) if status.text("phase") == "Invalid" else ""


def mendable(obj: Fields) -> bool:
    """Whether what is invalid is not the spec itself: an object that is not there yet, or is refused for now."""
    wrong = bool(invalid(obj))
    reasons = {obj.part("status").condition(kind).text("reason") for kind in ("Accepted", "ResolvedRefs")}
    return wrong and "InvalidSpec" not in reasons


def _end(obj: Fields, aim: Aim, code: int, text: str) -> Outcome:
    """An end of the revision, held against what is awaited."""
    awaited = {OK: Aim.PROMOTED, ROLLED_BACK: Aim.ROLLED_BACK}[code]
    if aim is awaited:
        return Outcome(OK, text)
    if aim is Aim.END or code == ROLLED_BACK:
        return Outcome(code, text)
    return Outcome(ERROR, f"{text}, and will not be {aim.value} any more")


def _ends(obj: Fields) -> frozenset[str]:
    return frozenset(each.text("endedAt") for each in obj.part("status").items("history"))


def _ended_before(obj: Fields, revision: str | None) -> bool:
    """Whether the history has an end of a revision that is not the present one."""
    status = obj.part("status")
    ends = {each.text("revision") for each in status.items("history")}
    return revision is not None and revision in ends and revision != status.text("revision")


def _past(obj: Fields, aim: Aim, revision: str, before: frozenset[str]) -> Outcome | None:
    """Of a revision that is not the present one: how it ended since the wait began; None while it has not begun."""
    name = obj.part("metadata").text("name")
    entries = [each for each in obj.part("status").items("history") if each.text("revision") == revision]
    found = entries[-1] if entries else None
    if found is None or found.text("endedAt") in before:
        return None
    why = found.text("message") or found.text("reason")
    match found.text("outcome"):
        case "Promoted":
            return _end(obj, aim, OK, f"{name}: revision {revision} was promoted; another one is there by now")
        case "RolledBack":
            return _end(obj, aim, ROLLED_BACK, f"{name}: revision {revision} was rolled back: {why}")
        case other:
            return Outcome(ERROR, f"{name}: revision {revision} ended without a verdict ({other or '-'}): {why}")
