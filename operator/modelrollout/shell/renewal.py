"""Secrets of metric sources: looked at again and again, since nothing tells when one of them appears or changes.

A watch on Secrets would need the right to list them all; this takes `get` on those that are named.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from modelrollout.adapters.prom.sources import Sources

log = logging.getLogger(__name__)

EVERY = 30.0
"""Seconds between two looks: how late a new token, or the first one, is found."""


class Renewal:
    """Refreshes the sources that name Secrets; `changed` is told the names of those that are no longer the same."""

    def __init__(self, sources: Sources, changed: Callable[[str], None]) -> None:
        self._sources = sources
        self._changed = changed

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            for name in self._sources.with_secrets():
                try:
                    if await self._sources.refresh(name):
                        log.info("MetricSource %s: its Secrets have changed", name)
                        self._changed(name)
                except Exception:
                    # One odd Secret must end neither the operator nor the renewal of the others.
                    log.exception("MetricSource %s: its Secrets could not be looked at", name)
