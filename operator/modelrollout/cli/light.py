"""Options of text and of choices, read without the library that typer checks every option with (220 ms to load)."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Any

from typer.core import TyperCommand


class LightCommand(TyperCommand):
    """A command whose options of text cost nothing; numbers, paths and arguments of lists are read as typer does."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Arguments and options."""
        return lightened(super().get_params(ctx))


def lightened(params: list[Any]) -> list[Any]:
    """The same options, told how to read what is given for them."""
    for param in params:
        if not isinstance(vars(param).get("process_value"), partial):
            param.process_value = partial(_read, param, param.process_value)
    return params


def _read(param: Any, usual: Any, ctx: Any, value: Any) -> Any:
    """The value of an option: None and texts as they are, a choice as its member, the rest as `usual` reads it."""
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    if param.multiple and kind == list[str] and value and param.callback is None:
        return list(value)
    if param.multiple or param.nargs != 1 or (value is None and param.required):
        return usual(ctx, value)
    if isinstance(kind, type) and issubclass(kind, StrEnum) and value in tuple(kind):
        value = kind(value)
    elif value is not None and not (kind is str and isinstance(value, str)):
        return usual(ctx, value)
    return value if param.callback is None else param.callback(ctx, param, value)
