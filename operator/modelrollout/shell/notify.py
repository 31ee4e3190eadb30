"""Notifications of this process: follows the admin's file, and joins what happens to those who are told.

A file that can't be used stops nothing: the last good one stays, and at a start there are no targets. An operator that
would not start because of it would revert nothing either.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from prometheus_client import CollectorRegistry

from modelrollout.adapters.addresses import AddressPolicy
from modelrollout.adapters.notify.dispatch import Dispatcher
from modelrollout.adapters.notify.pace import Send
from modelrollout.adapters.notify.permitted import targets_of
from modelrollout.api.notify_file import MAX_FILE, BadNotifications
from modelrollout.ports import Clock, LeaseRecord
from modelrollout.runtime.notices import Notices, new_since
from modelrollout.runtime.notify_metrics import NotifyMetrics
from modelrollout.runtime.store import Store

log = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two looks at the file."""
LAST_WORDS = 3.0
"""Seconds that a process which ends gives to what is still to be sent."""


class Notify:
    """Targets from `file`; None: nobody is told, and nothing is looked at. `send` goes where `policy` permits."""

    def __init__(
        self, file: Path | None, *, policy: AddressPolicy, send: Send, clock: Clock, registry: CollectorRegistry
    ) -> None:
        self._file = file
        self._policy = policy
        self._clock = clock
        self._text: str | None = None
        self._problem = ""
        self._metrics = NotifyMetrics(registry)
        self._dispatcher = Dispatcher(send, self._metrics, clock)
        self.notices = Notices(self._dispatcher, clock) if file is not None else Notices()

    def lead(self, leading: bool, before: LeaseRecord | None, store: Store) -> None:
        """Leadership was won from who held the Lease `before`, or lost."""
        if leading:
            self.notices.lead(new_since(before, self._clock.now()))
            return
        self.notices.catch_up(store)
        self.notices.lead(None)

    async def run(self) -> None:
        """Follow the file until cancelled; the mounted Secret changes under the same name."""
        while True:
            self.reread()
            await asyncio.sleep(PERIOD)

    def reread(self) -> None:
        """Take the file in if it is another one than before. Within the loop that the targets are served on."""
        if self._file is None:
            return
        try:
            text = _text_of(self._file)
            if text == self._text:
                self._told("")
                return
            wanted = targets_of(text, self._policy)
        except (OSError, UnicodeDecodeError) as error:
            self._told(f"can't be read: {type(error).__name__}")
            return
        except BadNotifications as error:
            self._told(str(error))
            return
        self._text = text
        self._dispatcher.configure(wanted)
        self._told("")
        log.info("notification file %s: %d targets", self._file, len(wanted.targets))

    async def close(self) -> None:
        """Send what waits, for a moment, and end."""
        await self._dispatcher.close(within=LAST_WORDS)

    def _told(self, problem: str) -> None:
        self._metrics.file(good=not problem)
        if problem and problem != self._problem:
            log.error("notification file %s: %s; the last good one stays in use", self._file, problem)
        self._problem = problem


def _text_of(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        return opened.read(MAX_FILE + 1)
