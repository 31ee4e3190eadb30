"""Argo CD's dialect of Lua: an interpreter of version 5.1 with no more libraries than Argo CD gives to scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lupa.lua51 import LuaRuntime  # type: ignore[import-untyped]  # has no types


class Scripts:
    """Runs scripts over objects, one after the other in one interpreter."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(unpack_returned_tuples=True, register_eval=False)
        self._lua.execute("string, io, math, debug, coroutine, package, require = nil")
        self._lua.execute("os = {date = os.date, time = os.time}")

    def run(self, script: Path, obj: Mapping[str, Any]) -> Any:
        """What the script returns for `obj`, tables as lists and dictionaries."""
        self._lua.globals().obj = self._lua.table_from(obj, recursive=True)
        return _plain(self._lua.execute(script.read_text()))


def _plain(value: Any) -> Any:
    if not hasattr(value, "items"):
        return value
    pairs = dict(value.items())
    if pairs and set(pairs) == set(range(1, len(pairs) + 1)):
        return [_plain(pairs[i]) for i in range(1, len(pairs) + 1)]
    return {key: _plain(each) for key, each in pairs.items()}
