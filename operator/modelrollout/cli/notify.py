"""`modelrollout notify`: the notification file checked and tried before the operator gets it."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelrollout.cli.exits import ERROR, USAGE, fail

if TYPE_CHECKING:
    from modelrollout.adapters.addresses import AddressPolicy
    from modelrollout.api.targets import Notifications, Target

app = typer.Typer(
    name="notify",
    help="Notifications of the operator.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def root() -> None:
    """Notifications of the operator."""


@app.command("test")
def trial_all(
    file: Annotated[Path, typer.Option(help="The notification file, as the operator's --notify-file.")],
    target: Annotated[list[str] | None, typer.Option(help="Only this target; repeat for more. Default: all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the file; send nothing.")] = False,
    allow_loopback: Annotated[bool, typer.Option(help="Let targets point at this machine.")] = False,
) -> None:
    """Check the file as the operator does, and send a test to its targets from here.

    Exit codes: 0 every target has it, 1 the file can't be used or a target does not have it, 2 usage.
    """
    from modelrollout.adapters.addresses import AddressPolicy
    from modelrollout.adapters.notify.permitted import targets_of
    from modelrollout.api.notify_file import BadNotifications

    policy = AddressPolicy(allow_loopback)
    try:
        found = targets_of(file.read_text(encoding="utf-8"), policy)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {type(error).__name__}", USAGE)
    except BadNotifications as error:
        fail(f"{file}: {error}", ERROR)
    names = [each.name for each in found.targets]
    if strange := sorted(set(target or ()) - set(names)):
        fail(f"{file} has no target {strange[0]!r}; it has {', '.join(names) or 'none'}", USAGE)
    wanted = [each for each in found.targets if not target or each.name in target]
    if check:
        print(f"{file}: good; {len(found.targets)} targets: {', '.join(names) or 'none'}")
        return
    raise typer.Exit(asyncio.run(_send(wanted, found, policy)))


async def _send(wanted: list[Target], found: Notifications, policy: AddressPolicy) -> int:
    from modelrollout.adapters.notify.post import Post
    from modelrollout.adapters.notify.trial import trial

    post, code = Post(policy), 0
    for each in wanted:
        result = await trial(each, found, post, now=time.time())
        print(f"{each.name} ({each.kind.value}): {result.answer}", file=sys.stdout if result.ok else sys.stderr)
        code = code if result.ok else ERROR
    await post.close()
    return code
