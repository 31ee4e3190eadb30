"""A bound on the time between a decision and its writes, for routers that read much or write more than once.

The right to write is looked at before a router is called. It outlasts one request of the length that the client waits
for; after several such ones another process may lead.
"""

from __future__ import annotations

import asyncio

from modelrollout.errors import Conflict

PROMPT = 5.0
"""Seconds, those of one request, after which no write is begun."""


class Promptly:
    """Counts from when it is made. Needs a running event loop."""

    def __init__(self) -> None:
        self._until = asyncio.get_running_loop().time() + PROMPT

    @property
    def late(self) -> bool:
        """Whether no write may be begun any more."""
        return asyncio.get_running_loop().time() > self._until

    def check(self, subject: str) -> None:
        """Conflict when it is late: who decided it, if still in office, decides again."""
        if self.late:
            raise Conflict("the API server is slow: it must be decided again", subject=subject)
