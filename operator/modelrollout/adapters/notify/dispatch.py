"""`Notifier` port: hands each happening to the workers of the targets that want it; they change as the file does."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass

from modelrollout.adapters.notify.alerts import Alerts
from modelrollout.adapters.notify.outbox import RENDERERS, Outbox
from modelrollout.adapters.notify.pace import Count, Means, Send, Worker
from modelrollout.adapters.notify.wording import Context
from modelrollout.api.targets import Notifications, Target
from modelrollout.core.happenings import Happening
from modelrollout.ports import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Served:
    worker: Worker
    task: asyncio.Task[None]


class Dispatcher:
    """Tells the targets. `configure` within a running loop, before or after happenings."""

    def __init__(self, send: Send, count: Count, clock: Clock, *, rng: random.Random | None = None) -> None:
        self._count = count
        self._context = Context()
        self._means = Means(send, count, clock, lambda: self._context, rng or random.Random())
        self._served: dict[str, _Served] = {}
        self._standing: dict[str, Happening] = {}

    def configure(self, wanted: Notifications) -> None:
        """Serve these targets from now on. One that stays, by name and kind, keeps what waits for it."""
        self._context = Context(wanted.links, wanted.cluster)
        targets = {target.name: target for target in wanted.targets}
        for name, served in tuple(self._served.items()):
            target = targets.get(name)
            if target is None or target.kind is not served.worker.target.kind:
                self._end(name)
            elif target != served.worker.target:
                if isinstance(served.worker, Alerts):
                    # It has no queue to lose, and may have to send others than before.
                    self._end(name)
                else:
                    served.worker.target = target
        for target in wanted.targets:
            if target.name not in self._served:
                self._begin(target)

    def begun(self, happening: Happening, *, new: bool) -> None:
        """Tell those who want to know."""
        if happening.ends:
            self._standing[happening.id] = happening
        for served in self._served.values():
            if served.worker.target.wants(happening):
                served.worker.begun(happening, new=new)

    def ended(self, happening: Happening, at: float) -> None:
        """Tell those who may have been told of its begin."""
        self._standing.pop(happening.id, None)
        for served in self._served.values():
            served.worker.ended(happening, at)

    def rest(self) -> None:
        """Another replica leads."""
        self._standing.clear()
        for served in self._served.values():
            served.worker.rest()

    async def close(self, *, within: float) -> None:
        """Send what waits, for so many seconds at most; then end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.gather(*(served.worker.flushed() for served in self._served.values()))
        tasks = [served.task for served in self._served.values()]
        for name in tuple(self._served):
            self._end(name)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, target: Target) -> None:
        worker: Worker = Outbox(target, self._means) if target.kind in RENDERERS else Alerts(target, self._means)
        task = asyncio.get_running_loop().create_task(worker.run(), name=f"notify-{target.name}")
        task.add_done_callback(_ended)
        self._served[target.name] = _Served(worker, task)
        for happening in self._standing.values():
            if target.wants(happening):
                worker.begun(happening, new=False)

    def _end(self, name: str) -> None:
        served = self._served.pop(name)
        served.task.cancel()
        target = served.worker.target
        served.task.add_done_callback(lambda _: self._forget(target))

    def _forget(self, target: Target) -> None:
        now = self._served.get(target.name)
        if now is None or now.worker.target.kind is not target.kind:
            self._count.forget(target.name, target.kind.value)


def _ended(task: asyncio.Task[None]) -> None:
    """A worker that breaks is a defect of ours: said, and left; no decision depends on it."""
    if not task.cancelled() and task.exception() is not None:
        log.error("%s has ended", task.get_name(), exc_info=task.exception())
