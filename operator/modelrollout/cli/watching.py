"""An object as it changes, for as long as it is looked at: a watch that begins anew when the server ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from modelrollout.cli.complaints import LASTING, Complaint
from modelrollout.cli.kubectl import Ended, Kubectl

TICK = 1.0
SHORT = 10.0
"""Seconds; a watch that ends sooner is not asked for again at once."""
LONGEST = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The object as it is now; `gone`: as it was when it was deleted."""

    obj: Mapping[str, Any]
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The cluster can't be asked for the moment, and why."""

    text: str


def follow(
    kubectl: Kubectl,
    resource: str,
    name: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Seen | Lost | None, None, None]:
    """The object at once and after each change; None when a second has passed without one. Never ends by itself.

    Nothing is missed between two watches: each begins with the object as it is. Raises Complaint when the object can't
    be read at all, and later only for what does not mend itself.
    """
    known, delay = False, 0.0
    while True:
        began = clock()
        try:
            with kubectl.watch(resource, name) as stream:
                while True:
                    event = stream.next(TICK)
                    if event is None:
                        yield None
                    elif event.get("type") in ("ADDED", "MODIFIED", "DELETED"):
                        known = True
                        yield Seen(event.get("object") or {}, gone=event["type"] == "DELETED")
        except Ended:
            pass
        except Complaint as problem:
            if not known or problem.cause in LASTING:
                raise
            yield Lost(str(problem))
        delay = 0.0 if clock() - began >= SHORT else min(2 * delay or TICK, LONGEST)
        until = clock() + delay
        while (left := until - clock()) > 0:
            sleep(min(TICK, left))
            yield None
