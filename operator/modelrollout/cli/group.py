"""A group of commands whose modules are imported when a command is called; its help comes from a table.

Building all commands to list them would cost more than the list is worth: `--help` is to appear within 150 ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from modelrollout.cli.light import LightCommand, lightened


@dataclass(frozen=True, slots=True)
class Entry:
    """A command and the line of the list. `where`: `module:function`, or `module:app` with commands of its own.

    `section`: the heading that it stands under.
    """

    where: str
    section: str
    help: str


class LazyGroup(TyperGroup):
    """See the module. Subclasses name their commands in `table`, in the order of the list."""

    table: ClassVar[Mapping[str, Entry]] = {}

    def get_params(self, ctx: Any) -> list[Any]:
        """Options of the group itself."""
        return lightened(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """The command, imported now; None when there is none of that name."""
        entry = self.table.get(cmd_name)
        return load(cmd_name, entry) if entry else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of the help page, without importing what it lists."""
        width = max(map(len, self.table), default=0)
        for section in dict.fromkeys(entry.section for entry in self.table.values()):
            rows = [(name.ljust(width), each.help) for name, each in self.table.items() if each.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is named; a usage error with what was probably meant when there is none."""
        if args and args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.table, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names that begin like this, without importing their commands."""
        from typer._click.shell_completion import CompletionItem

        names: Sequence[str] = [name for name in self.table if name.startswith(incomplete)]
        return [CompletionItem(name, help=self.table[name].help) for name in names]


def load(name: str, entry: Entry) -> TyperCommand | TyperGroup:
    """Import the module of a command and build it."""
    module, _, function = entry.where.partition(":")
    found = getattr(import_module(module), function)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        assert isinstance(group, TyperGroup)
        return group
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(name, cls=LightCommand)(found)
    command = typer.main.get_command(one)
    assert isinstance(command, TyperCommand)
    return command
