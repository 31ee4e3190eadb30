"""`modelrollout explain`: a rollout in words."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from modelrollout.cli import screen
from modelrollout.cli.complaints import clean
from modelrollout.cli.exits import USAGE, fail
from modelrollout.cli.fields import Fields, looked_at
from modelrollout.cli.kubectl import Kubectl
from modelrollout.cli.options import Context, Format, Kubeconfig, Name, Namespace
from modelrollout.cli.reads import read

NOT_SEEN = "No operator has looked at this version yet: {}. Is one running, and does it serve this namespace?"


def explain(
    name: Name,
    namespace: Namespace = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="text, json or yaml.")] = Format.TEXT,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Say what it waits for, with which numbers, what comes next, what would revert it and what you can do.

    From spec and status alone; numbers are those of the last status write. Exit codes: 0, 1 error, 2 usage.
    """
    if output is Format.NAME:
        fail("-o name: an explanation has none; use text, json or yaml", USAGE)
    obj = read(Kubectl(namespace, context, kubeconfig), name)
    parts = explained(obj, time.time())
    if output is not Format.TEXT:
        screen.put_object({title.lower(): [each.replace("\n", " ") for each in told] for title, told in parts}, output)
        return
    screen.put(text(parts, width=screen.width(), colour=screen.colours(sys.stdout)))


def explained(obj: Mapping[str, Any], now: float) -> Sequence[tuple[str, Sequence[str]]]:
    """Headings and sentences about the object as the API server has it."""
    from modelrollout.api.convert import to_spec
    from modelrollout.api.status_codec import decode
    from modelrollout.cli.explanation import explain as of
    from modelrollout.cli.explanation import lines
    from modelrollout.core.observation import SpecProblem

    status = decode(obj.get("status"))
    if status is None:
        return [("WHERE IT STANDS", [NOT_SEEN.format("its status is empty")])]
    spec = to_spec(obj)
    if isinstance(spec, SpecProblem):
        return [("WHERE IT STANDS", [f"It can't be read: {spec.problem}.", status.message])]
    found = list(lines(of(spec, status, now)))
    if not looked_at(Fields(obj)):
        newer = f"what follows is about generation {status.observed_generation}"
        found.insert(0, ("BEWARE", [NOT_SEEN.format(newer)]))
    return found


def text(parts: Sequence[tuple[str, Sequence[str]]], *, width: int, colour: bool) -> str:
    """Headings, and sentences as wrapped points below them."""
    lines = []
    for title, told in parts:
        lines.append(f"\x1b[1m{title}\x1b[0m" if colour else title)
        for each in told:
            sentence, *commands = map(clean, each.split("\n"))
            lines += textwrap.wrap(sentence, width, initial_indent="  - ", subsequent_indent=" " * 4)
            # To be copied, so never wrapped.
            lines += [f"    {command}" for command in commands]
        lines.append("")
    return "\n".join(lines)
