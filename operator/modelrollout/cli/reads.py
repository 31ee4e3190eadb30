"""`modelrollout list`, `get`, `status`, `history`: what is, as text or for programs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import Complaint
from modelrollout.cli.exits import INVALID, OK, ROLLED_BACK, USAGE, fail
from modelrollout.cli.fields import Fields, ended
from modelrollout.cli.kubectl import ROLLOUTS, Kubectl
from modelrollout.cli.options import AnyOutput, Context, Format, Kubeconfig, Name, Namespace, Output, form

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show what changes.")]


def list_(
    everywhere: Everywhere = False,
    namespace: Namespace = None,
    output: AnyOutput = Format.TEXT.value,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """List rollouts, a line each.

    Columns are those of `kubectl get mr`; a narrow terminal loses some. Exit codes: 0, 1 error, 2 usage.
    """
    from modelrollout.cli.list_report import table

    kubectl = Kubectl(None if everywhere else namespace, context, kubeconfig, everywhere)
    wanted = form(output)
    try:
        if wanted is None:
            screen.put(kubectl.printed(output, ROLLOUTS))
            return
        found = kubectl.rollouts()
    except Complaint as problem:
        fail(str(problem))
    if wanted is not Format.TEXT:
        screen.put_object(found, wanted)
        return
    rollouts = Fields(found).items("items")
    if not rollouts:
        screen.note(f"no ModelRollouts{kubectl.place}")
        return
    width = screen.width() if sys.stdout.isatty() else None
    colour = screen.colours(sys.stdout)
    screen.put(table(rollouts, time.time(), width=width, colour=colour, everywhere=everywhere))


def get(
    name: Name,
    watch: Watch = False,
    namespace: Namespace = None,
    output: AnyOutput = Format.TEXT.value,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show a rollout: steps, SLIs with their numbers, budget, what comes next, the last decisions.

    Numbers are those of the last status write. Exit codes: 0, 1 error, 2 usage.
    """
    kubectl, wanted = Kubectl(namespace, context, kubeconfig), form(output)
    if watch:
        if wanted is not Format.TEXT:
            fail(f"-w draws a page; for programs there is: kubectl get mr {name} -w -o {output}", USAGE)
        from modelrollout.cli.live import show

        try:
            show(kubectl, name)
        except Complaint as problem:
            fail(str(problem))
        return
    if wanted is None:
        try:
            screen.put(kubectl.printed(output, ROLLOUTS, name))
        except Complaint as problem:
            fail(str(problem))
        return
    found = read(kubectl, name)
    if wanted is not Format.TEXT:
        screen.put_object(found, wanted)
        return
    from modelrollout.cli.rollout_report import report

    width = screen.width()
    page = report(Fields(found), time.time(), width=width)
    screen.put(screen.as_text(page, width=width, colour=screen.colours(sys.stdout)))


def status(
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait until it is promoted or rolled back.")] = False,
    timeout: Annotated[str | None, typer.Option(help="With -w: give up after so long, such as 30m.")] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say in a line how it stands, and in the exit code.

    Exit codes: 0 promoted, at rest or under way, 3 rolled back, 5 the object or a reference is invalid, 1 error,
    2 usage; with -w or --timeout also 4 not ended in time.
    """
    if watch or timeout is not None:
        from modelrollout.cli.wait import Aim, wait

        wait(name, Aim.END, None, timeout or "", False, namespace, context, kubeconfig)
        return
    obj = Fields(read(Kubectl(namespace, context, kubeconfig), name))
    screen.put(f"{standing(obj)}\n")
    raise typer.Exit(code(obj))


def history(
    name: Name,
    namespace: Namespace = None,
    output: Output = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Show its decisions and how revisions ended, the newest first.

    With -o json or yaml: `history`, `decisions` and `rejectedRevisions` of the status, the oldest first.
    Exit codes: 0, 1 error, 2 usage.
    """
    found = read(Kubectl(namespace, context, kubeconfig), name)
    if output is not Format.TEXT:
        status = found.get("status") or {}
        parts = {key: status.get(key) or [] for key in ("history", "decisions", "rejectedRevisions")}
        screen.put_object(found if output is Format.NAME else parts, output)
        return
    from modelrollout.cli.history_report import report

    page = report(Fields(found), time.time())
    screen.put(screen.as_text(page, width=screen.width(), colour=screen.colours(sys.stdout)))


def standing(obj: Fields) -> str:
    """`fraud: Progressing, step 2/4, 25%: message`."""
    name, status = obj.part("metadata").text("name"), obj.part("status")
    if not status.text("phase"):
        return f"{name}: no operator has looked at it yet: is one running?"
    summary = status.part("summary")
    step = f", step {summary.text('step')}, {summary.text('weight')}" if summary else ""
    told = f": {status.text('message')}" if status.text("message") else ""
    return f"{name}: {status.text('phase')}{step}{told}"


def code(obj: Fields) -> int:
    """Exit code for how it stands, also where the phase still tells of what was before."""
    if ended(obj, "RolledBack"):
        return ROLLED_BACK
    status = obj.part("status")
    refused = status.condition("Accepted").text("status") == "False"
    unresolved = status.condition("ResolvedRefs").text("status") == "False"
    return INVALID if status.text("phase") == "Invalid" or refused or unresolved else OK


def read(kubectl: Kubectl, name: str) -> Mapping[str, Any]:
    """The rollout as the API server has it. Ends the command when it can't be read. Raises typer.Exit."""
    try:
        return kubectl.read(ROLLOUTS, name)
    except Complaint as problem:
        fail(str(problem))
