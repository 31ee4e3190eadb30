"""Addresses of host names, looked up so that nobody waits longer than asked.

The system's resolver can't be cut off: with a name server that is silent a lookup lasts half a minute or more. It runs
in threads of its own, so that the threads which ask Prometheus are free at their deadline and the first question after
the name server's return is answered at once.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

Found = Sequence[tuple[Any, Any, int, str, Any]]
"""As `socket.getaddrinfo` returns it."""

KEEP = 600.0
"""Seconds for which the last answer stands in for one that does not come."""
GRACE = 1.0
"""Seconds that a new answer is waited for where an old one would do."""
PATIENCE = 2.0
"""Seconds after which another lookup is begun beside one that has not come back."""
MOST = 4
"""Lookups of one name at once: each holds a thread until the system gives up."""


class _Lookup:
    """One lookup under way. `found` and `failure` are settled once `done` is set."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.done = threading.Event()
        self.found: Found | None = None
        self.failure: OSError | None = None


class Names:
    """Looks names up. Thread-safe. `resolve`: as `socket.getaddrinfo`, which is what is used without one."""

    def __init__(self, resolve: Callable[..., Found] | None = None) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], list[_Lookup]] = {}
        self._known: dict[tuple[str, int], tuple[float, Found]] = {}

    def addresses(self, host: str, port: int, *, within: float) -> Found:
        """Stream addresses of a host, not later than `within` seconds from now.

        Raises socket.gaierror when there is none, TimeoutError when nobody has said within that time.
        """
        place = (host, port)
        known = self._last(place)
        lookup = self._join(place)
        lookup.done.wait(within if known is None else min(within, GRACE))
        if lookup.found is not None:
            return lookup.found
        if known is not None:
            return known
        if lookup.failure is not None:
            raise socket.gaierror(str(lookup.failure))
        raise TimeoutError

    def _last(self, place: tuple[str, int]) -> Found | None:
        with self._lock:
            at, found = self._known.get(place, (float("-inf"), ()))
        return found if time.monotonic() - at < KEEP else None

    def _join(self, place: tuple[str, int]) -> _Lookup:
        """The newest lookup, or a new one where that has taken too long."""
        now = time.monotonic()
        with self._lock:
            running = self._running.setdefault(place, [])
            if running and (now - running[-1].begun < PATIENCE or len(running) >= MOST):
                return running[-1]
            lookup = _Lookup(now)
            running.append(lookup)
        threading.Thread(target=self._look, args=(place, lookup), name=f"names-{place[0]}", daemon=True).start()
        return lookup

    def _look(self, place: tuple[str, int], lookup: _Lookup) -> None:
        found: Found | None = None
        failure: OSError | None = None
        try:
            found = (self._resolve or socket.getaddrinfo)(*place, type=socket.SOCK_STREAM)
        except OSError as error:
            failure = error
        except UnicodeError as error:
            failure = OSError(str(error))
        with self._lock:
            if found is not None:
                self._known[place] = (time.monotonic(), found)
            self._running[place].remove(lookup)
            lookup.found, lookup.failure = found, failure
        lookup.done.set()
