"""An event loop whose time is made up: it jumps to the next thing that is planned and never waits.

With one seed and no threads, two runs of the same program are the same step for step.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(RuntimeError):
    """Everything waits and nothing is planned: in reality this program would hang for ever."""


class _NoFiles(selectors.BaseSelector):
    """Knows no file that ever becomes ready; instead of waiting it moves the time on."""

    def __init__(self) -> None:
        self.time = 0.0
        self._keys: dict[int, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[number] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj if isinstance(fileobj, int) else fileobj.fileno())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("everything waits and nothing is planned")
        self.time += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at time 0."""

    def __init__(self) -> None:
        self._virtual = _NoFiles()
        super().__init__(self._virtual)
        # A timer counts as due when it is within the clock's resolution; the jump lands exactly on it.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._virtual.time

    def stand_still(self, seconds: float) -> None:
        """Time passes and nothing runs, as when some code never yields."""
        self._virtual.time += seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time; whatever was left running is cancelled. Raises Stuck instead of hanging."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
