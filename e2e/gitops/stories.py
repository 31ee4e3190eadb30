"""Whole rollouts run by the real operator in virtual time, every version of the object kept as GitOps tools see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from e2e.chaos import loop
from e2e.chaos.apiserver.objects import Version
from e2e.chaos.scene import NAME, rollout
from e2e.chaos.transport import Mishap, Refuse, Sent
from e2e.chaos.world import World
from e2e.gitops.truth import Truth
from modelrollout.adapters.kube.resources import HTTPROUTES, ROLLOUTS, Body
from modelrollout.runtime.backoff import SLOW

QUIET = SLOW - 10.0
"""Seconds without a write to the rollout or its route after which a story is over: what is refused is tried once more
after `SLOW`, for ever."""
LIMIT = 3600.0
POLL = 0.5

Script = Callable[["Stage"], Awaitable[None]]


class Endless(Exception):
    """A story goes on and on."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to a rollout. `end`: what kstatus says at last of a blocking one, empty when the object is gone.

    `waits`: whom or what a story waits for that ends InProgress. `trusts`: 100 % is taken for done without evidence.
    """

    name: str
    script: Script
    end: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    waits: str = ""
    trusts: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One version: the object as stored, when (epoch seconds), who wrote it, and whether its work was done by then."""

    obj: Body
    at: float
    agent: str
    done: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """All versions of the rollout in one run, oldest first. `gone`: the last one was deleted."""

    story: Story
    blocking: bool
    versions: tuple[Seen, ...]
    gone: bool


class Stage(World):
    """A world where people may also be refused by the API server's admission."""

    def __init__(self, spec: Body) -> None:
        self.refused: set[str] = set()
        """Targets of the operator's writes that are answered with 403, such as `httproutes`."""
        super().__init__(seed=1, spec=spec, meets=self._admits)

    def _admits(self, sent: Sent) -> Mishap | None:
        return Refuse(403) if sent.writes and sent.target in self.refused else None

    async def at(self, percent: float) -> None:
        """Wait until the route gives the candidate that much, and a little longer."""
        await self.reaches(lambda: (self.route or 0.0) >= percent)
        await asyncio.sleep(3)

    async def phased(self, phase: str, *, reason: str = "") -> None:
        """Wait until the rollout is there, and a little longer."""

        def there() -> bool:
            status = (self.rollout or {}).get("status") or {}
            return self.phase == phase and reason in ("", status.get("reason"))

        await self.reaches(there)
        await asyncio.sleep(3)

    async def reaches(self, condition: Callable[[], bool]) -> None:
        """Wait for it. Raises Endless."""
        if not await self.until(condition, limit=LIMIT):
            raise Endless(
                f"{self.phase} at {self.route} %: {((self.rollout or {}).get('status') or {}).get('message')}"
            )

    def change(self, **spec: Any) -> None:
        """Somebody commits a change of the spec."""
        self.people.patch(ROLLOUTS, NAME, {"spec": spec})

    def without_gateway(self) -> None:
        """Nobody serves the route."""
        self._tasks[0].cancel()

    def told(self) -> float:
        """When the rollout or its route was written last, epoch seconds."""
        store = self.server.store
        return max((log[-1].at for log in (store.log(ROLLOUTS), store.log(HTTPROUTES)) if log), default=0.0)


async def _play(story: Story, spec: Body) -> list[Version]:
    stage = Stage(spec)
    try:
        await stage.begin()
        await story.script(stage)
        over = stage.clock.now()
        end = stage.clock.monotonic() + LIMIT
        while stage.clock.now() - max(over, stage.told()) < QUIET:
            if stage.clock.monotonic() > end:
                raise Endless(f"{story.name}: still written to after {LIMIT:g} s")
            await asyncio.sleep(POLL)
    finally:
        stage.end()
    return stage.server.store.history


@cache
def record(name: str, blocking: bool) -> Recording:
    """The recording of a story. The same each time: nothing in it depends on the wall clock."""
    from e2e.gitops.scripts import stories

    story = stories()[name]
    spec = rollout(gitops={"blocking": blocking}, **story.spec)
    history = loop.run(_play(story, spec))
    truth, versions, gone = Truth(trusts=story.trusts), [], False
    for version in history:
        truth.follow(version)
        if version.resource is not ROLLOUTS or version.place[1] != NAME:
            continue
        gone = version.body is None
        if version.body is not None:
            versions.append(Seen(version.copy(), version.at, version.agent, truth.done))
    return Recording(story, blocking, tuple(versions), gone)
