"""Watches: what was written since a version, in order, and then what comes. Asyncio only, and no task of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Self

from e2e.chaos.apiserver.lists import Selector
from e2e.chaos.apiserver.objects import Version, copied
from e2e.chaos.apiserver.refusals import expired
from e2e.chaos.apiserver.store import Store
from modelrollout.adapters.kube.resources import Body, Resource

BOOKMARK_PERIOD = 60.0
BEFORE_END = 2.0
"""Seconds before its end at which a watch that allows bookmarks gets one."""


class Watch:
    """Events as dictionaries of `type` and `object`, without end unless it is closed or its time is over.

    `since`: the version after which it begins; "" and "0" show everything there is first. A version that has been
    forgotten is told by one ERROR event, as the real one does it.
    """

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str = "",
        *,
        since: str = "",
        select: Selector | None = None,
        bookmarks: float | None = None,
        timeout: float | None = None,
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._select = select
        self._log = store.log(resource)
        self._ready: deque[Body] = deque()
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        now = asyncio.get_running_loop().time()
        self._end = None if timeout is None else now + timeout
        self._period = bookmarks
        self._bookmark = None if bookmarks is None else self._next_bookmark(now, bookmarks)
        self._position = len(self._log)
        if since in ("", "0"):
            self._show_all()
            if since == "" and bookmarks is not None:
                self._ready.append({"type": "BOOKMARK", "object": self._marked(initial=True)})
        elif int(since) < store.floor:
            self._refuse(int(since))
        else:
            while self._position and self._log[self._position - 1].number > int(since):
                self._position -= 1
        store.listen(resource, self._wake)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Body:
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._read()
            if not self._ready:
                await self._pause()

    def close(self) -> None:
        """End it; whoever waits for an event is told so."""
        self._closed = True
        self._ready.clear()
        self._store.unlisten(self._wake)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _read(self) -> None:
        while self._position < len(self._log) and not self._ready:
            version = self._log[self._position]
            self._position += 1
            kind = self._kind(version)
            if kind is not None:
                self._ready.append({"type": kind, "object": self._shown(kind, version)})

    def _kind(self, version: Version) -> str | None:
        if self._namespace and version.place[0] != self._namespace:
            return None
        if self._select is None:
            return version.event
        before = version.before is not None and self._select(version.before)
        after = version.body is not None and self._select(version.body)
        match before, after:
            case False, False:
                return None
            case False, True:
                return "ADDED"
            case True, False:
                return "DELETED"
            case _:
                return "MODIFIED"

    def _shown(self, kind: str, version: Version) -> Body:
        if kind == "DELETED" and version.body is not None and version.before is not None:
            # It left the selection: its last state in there, at the version that took it out.
            body: Body = copied(version.before)
            body["metadata"]["resourceVersion"] = str(version.number)
            return body
        return version.copy()

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        until = min((moment for moment in (self._end, self._bookmark) if moment is not None), default=None)
        self._waiter = loop.create_future()
        timer = None if until is None else loop.call_at(until, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        now = loop.time()
        if self._end is not None and now >= self._end:
            self._read()
            self._finish()
        elif self._bookmark is not None and self._period is not None and now >= self._bookmark:
            self._read()
            if not self._ready:
                self._ready.append({"type": "BOOKMARK", "object": self._marked()})
                self._bookmark = self._next_bookmark(now, self._period)

    def _next_bookmark(self, now: float, period: float) -> float:
        due = now + period
        if self._end is not None and now < self._end - BEFORE_END < due:
            return self._end - BEFORE_END
        return due

    def _marked(self, *, initial: bool = False) -> Body:
        metadata: Body = {"resourceVersion": str(self._store.number)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        return {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}

    def _show_all(self) -> None:
        state: Mapping[tuple[str, str], Version] = self._store.state(self._resource, self._store.number)
        for place in self._store.places(self._resource, self._namespace):
            version = state[place]
            if version.body is not None and (self._select is None or self._select(version.body)):
                self._ready.append({"type": "ADDED", "object": version.copy()})

    def _refuse(self, since: int) -> None:
        refusal = expired(f"too old resource version: {since} ({self._store.floor})")
        self._ready.append({"type": "ERROR", "object": refusal.status()})
        self._finish()

    def _finish(self) -> None:
        self._closed = True
        self._store.unlisten(self._wake)
