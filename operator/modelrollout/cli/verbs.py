"""`modelrollout abort`, `approve`, `pause`, `resume`, `promote`, `retry`: orders, as RolloutActions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import Cause, Complaint
from modelrollout.cli.exits import ERROR, OK, TIMEOUT, USAGE, fail
from modelrollout.cli.fields import Fields, seconds
from modelrollout.cli.kubectl import ACTIONS, ROLLOUTS, Kubectl
from modelrollout.cli.options import Context, Format, Kubeconfig, Name, Namespace, Output
from modelrollout.cli.watching import Lost, Seen, follow

LONGEST_BASE = 58
"""Characters of a generated name that stay; the API server cuts what is longer, and the verb with it."""
CODES = "Exit codes: 0 ordered (with --wait: applied), 1 error or refused, 2 usage, 4 no answer in time."


class DryRun(StrEnum):
    """Who looks at an order that is not given."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


Revision = Annotated[str | None, typer.Option(help="Refuse unless the rollout is at this revision. Default: any.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for the record.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the operator has answered, and say what.")]
Timeout = Annotated[str, typer.Option(help="With --wait: give up after so long.")]
Dry = Annotated[DryRun, typer.Option("--dry-run", help="client: only print it; server: only check it.")]


def command(verb: str, help: str) -> Callable[..., None]:
    """The command that orders `verb`."""

    def run(
        name: Name,
        revision: Revision = None,
        reason: Why = None,
        wait: Wait = False,
        timeout: Timeout = "30s",
        dry_run: Dry = DryRun.NONE,
        namespace: Namespace = None,
        output: Output = Format.TEXT,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
    ) -> None:
        order(verb, Kubectl(namespace, context, kubeconfig), name, revision, reason, wait, timeout, dry_run, output)

    run.__doc__ = f"{help}\n\n{CODES}"
    return run


abort = command("Abort", "Send all traffic back to legacy, in every phase. The revision is rejected.")
approve = command("Approve", "Let the step begin that waits for approval, or start on a spent error budget.")
pause = command("Pause", "Hold the weight where it is. A bad candidate is still taken back.")
resume = command("Resume", "Go on after a pause; deadlines start anew.")
_promote = command("Promote", "")


def promote(
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="What it always does: all steps that are left.")] = False,
    revision: Revision = None,
    reason: Why = None,
    wait: Wait = False,
    timeout: Timeout = "30s",
    dry_run: Dry = DryRun.NONE,
    namespace: Namespace = None,
    output: Output = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Go to 100 % without further evidence. A bad candidate is still taken back.

    It skips all steps that are left, with --full and without: for one step at a time give steps `approval: true` and
    `approve` them. Exit codes: 0 ordered (with --wait: applied), 1 error or refused, 2 usage, 4 no answer in time.
    """
    _promote(name, revision, reason, wait, timeout, dry_run, namespace, output, context, kubeconfig)


retry = command("Retry", "Start a rejected revision again from the first step.")


def order(
    verb: str,
    kubectl: Kubectl,
    name: str,
    revision: str | None,
    reason: str | None,
    wait: bool,
    timeout: str,
    dry_run: DryRun,
    output: Format,
) -> NoReturn:
    """Create the RolloutAction, wait for its answer if asked to, and leave. Raises typer.Exit."""
    limit = seconds(timeout)
    if limit is None:
        fail(f"--timeout {timeout}: must be a duration such as 30s", USAGE)
    if wait and dry_run is not DryRun.NONE:
        fail("--wait has nothing to wait for with --dry-run; leave out one of them", USAGE)
    obj = action(verb, name, kubectl.namespace, revision, reason)
    if dry_run is DryRun.CLIENT:
        screen.put_object(obj, Format.YAML if output is Format.TEXT else output)
        raise typer.Exit(OK)
    try:
        _look(kubectl, name)
        made = kubectl.create(obj, *(["--dry-run=server"] if dry_run is DryRun.SERVER else []))
        if output is not Format.TEXT and not wait:
            screen.put_object(made, output)
            raise typer.Exit(OK)
        called = Fields(made).part("metadata").text("name")
        if dry_run is DryRun.SERVER:
            screen.put(f"{verb} of {name} would be accepted (server dry run)\n")
            raise typer.Exit(OK)
        if not wait:
            screen.put(f"{verb} of {name} ordered: rolloutaction/{called}\n")
            raise typer.Exit(OK)
        found, code, text = answer(follow(kubectl, ACTIONS, called), verb, name, called, limit=limit)
    except Complaint as problem:
        fail(str(problem))
    if output is not Format.TEXT:
        screen.put_object(found or made, output)
    if code != OK:
        fail(text, code)
    if output is Format.TEXT:
        screen.put(f"{text}\n")
    raise typer.Exit(OK)


def action(verb: str, name: str, namespace: str | None, revision: str | None, reason: str | None) -> dict[str, Any]:
    """The RolloutAction."""
    asked = {"rollout": name, "action": verb, "revision": revision, "reason": reason}
    ending = f"-{verb.lower()}-"
    base = name[: LONGEST_BASE - len(ending)].rstrip("-.")
    meta = {"generateName": base + ending, "namespace": namespace}
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "RolloutAction",
        "metadata": {key: value for key, value in meta.items() if value is not None},
        "spec": {key: value for key, value in asked.items() if value is not None},
    }


def answer(
    seen: Iterable[Seen | Lost | None],
    verb: str,
    name: str,
    called: str,
    *,
    limit: float,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Mapping[str, Any], int, str]:
    """The action with the operator's answer, an exit code and a sentence; code 4 when none comes within `limit` s."""
    began, found = clock(), Seen({})
    for each in seen:
        if isinstance(each, Lost):
            screen.note(f"{each.text}; trying again")
        elif each is not None:
            found = each
            status = Fields(each.obj).part("status")
            told = status.text("message")
            if status.text("result") == "Applied":
                return found.obj, OK, f"{verb} of {name} applied: {told}"
            if status.text("result") == "Refused":
                return found.obj, ERROR, f"{verb} of {name} was refused: {told}"
            if each.gone:
                return found.obj, ERROR, f"{verb} of {name}: rolloutaction/{called} was deleted before an answer came"
        if clock() - began >= limit:
            break
    return (
        found.obj,
        TIMEOUT,
        f"{verb} of {name}: no answer within {limit:g} s; is an operator running? rolloutaction/{called} stays and is "
        "carried out when one is",
    )


def _look(kubectl: Kubectl, name: str) -> None:
    """Raise Complaint when there is no such rollout. Who may order but not read goes on: an abort must get through."""
    try:
        kubectl.call("get", ROLLOUTS, name, "--output=name")
    except Complaint as problem:
        if problem.cause is Cause.NOT_FOUND:
            raise
