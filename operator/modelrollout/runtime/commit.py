"""Carries out a decision in the order that survives a crash anywhere (reliability section 4).

Raise: status, then a fresh look at the route, then the route. Lower: the route, then status; with many to lower, all
their routes, then each status. A finalizer stands before the first status, unless it is refused, and that before the
first weight. Whatever a crash leaves half done is visible in route and status, and the next decision completes it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from modelrollout.core.intents import AddFinalizer, Decision, DropFinalizer, Move, SetWeight, ShapeRoute
from modelrollout.core.model import Epoch, Key, RolloutSpec, Weight
from modelrollout.core.observation import Evidence, Route, RouteSeen
from modelrollout.core.status import RolloutStatus, significant
from modelrollout.errors import Bug, Conflict, Denied, Gone, RolloutError, SpecError
from modelrollout.ports import Announcer, Clock, RolloutObject, Rollouts, Routing
from modelrollout.runtime.alarm import alarming
from modelrollout.runtime.between import lowers, same
from modelrollout.runtime.fence import fenced
from modelrollout.runtime.gather import Gathered
from modelrollout.runtime.refusals import Refusals
from modelrollout.runtime.store import Store

log = logging.getLogger(__name__)

LOWER_TRIES = 5
"""A rollback meets a route that others keep editing: read and lower again, at once."""


@dataclass(frozen=True, slots=True)
class Committed:
    """What was done: the object as stored now (None when it was let go), and whether anything was written."""

    obj: RolloutObject | None
    wrote_status: bool = False
    acted: bool = False
    results_pending: bool = False
    owed: Act | None = None
    """What is still to be written once the traffic of others is off too."""

    @property
    def changed(self) -> bool:
        """Whether the world is different, so that it is worth to decide again at once."""
        return self.wrote_status or self.acted


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Writes. `epoch` tells the right to write at this very moment; `newest` the latest evidence of a rollout."""

    store: Store
    rollouts: Rollouts
    routing: Routing
    announcer: Announcer
    clock: Clock
    epoch: Callable[[], Epoch | None]
    newest: Callable[[Key], Evidence]
    crowded: Callable[[], bool] = lambda: False
    """Whether other rollouts wait for their traffic to be taken off."""
    refusals: Refusals = field(default_factory=Refusals)

    async def __call__(self, seen: Gathered, decision: Decision) -> Committed:
        """Carry out `decision`.

        Raises Conflict (read again, decide again), Deposed, Gone (the rollout is gone), and what the ports raise; a
        key whose write failed is in doubt afterwards. What was refused is in the status' conditions until it is done.
        """
        act = Act(self, seen, decision)
        if decision.intent is None:
            self.refusals.clear(seen.obj.key)
        return await self._guarded(act, act.run())

    async def settle(self, owed: Act) -> Committed:
        """Write what a lowering has left for later. Raises the same."""
        return await self._guarded(owed, owed.recorded())

    async def _guarded(self, act: Act, work: Awaitable[Committed]) -> Committed:
        key = act.obj.key
        try:
            committed = await work
            self.refusals.clear(key)
            return committed
        except Gone:
            raise
        except (Denied, SpecError) as error:
            self.store.doubt(key)
            await act.refused(error)
            raise
        except RolloutError:
            self.store.doubt(key)
            raise

    def fence(self, obj: RolloutObject) -> Epoch:
        """Our epoch, or Deposed."""
        return fenced(self.epoch(), obj)


class Act:
    """One decision on its way out, in memory only; `obj` follows the resourceVersions of our own writes."""

    def __init__(self, commit: Commit, seen: Gathered, decision: Decision) -> None:
        self.commit = commit
        self.obj = seen.obj
        self.spec = seen.spec
        self.route = seen.observation.route
        self.evidence = seen.observation.evidence
        self.decision = decision
        self.wrote = False

    async def run(self) -> Committed:
        """Carry it out, or as much as can't wait."""
        intent = self.decision.intent
        self.commit.fence(self.obj)
        match intent:
            case None:
                await self.status()
            case AddFinalizer():
                # No status with it: nothing has been decided yet, and one that says so would look like a rollout done.
                self.stored(await self.commit.rollouts.add_finalizer(self.obj))
            case DropFinalizer():
                return await self.let_go()
            case ShapeRoute(weight):
                await self.shape(weight)
            case SetWeight() if intent.move is Move.LOWER:
                await self.lower(intent)
                if self.commit.crowded():
                    return Committed(self.obj, acted=True, owed=self)
                await self.status()
            case SetWeight():
                await self.raised(intent)
            case _:
                assert_never(intent)
        return await self.told()

    async def recorded(self) -> Committed:
        """Say in the status what was done to the route, and all that follows."""
        await self.status()
        return await self.told()

    async def told(self) -> Committed:
        """Tell what no status write has told, and the results of actions."""
        acted = self.decision.intent is not None
        if acted and not self.wrote:
            self.announce()
        pending = not await self.answer()
        return Committed(self.obj, self.wrote, acted, pending)

    async def status(self, *, announce: bool = True) -> None:
        """Write the status if a reader would care; announce what it tells as soon as it is stored."""
        old, new = self.obj.status, self.commit.refusals.told(self.obj.key, self.decision.status)
        # The epoch alone is not worth a write to every object at each change of leader.
        if old is not None and not significant(old, replace(new, leader_epoch=old.leader_epoch)):
            return
        epoch = self.commit.fence(self.obj)
        self.stored(await self.commit.rollouts.write_status(self.obj, replace(new, leader_epoch=epoch)))
        self.wrote = True
        if announce:
            self.announce()

    async def refused(self, error: Denied | SpecError) -> None:
        """Tell in the status what was refused; if that is refused too, the log must do."""
        self.commit.refusals.note(self.obj.key, error, self.commit.clock.now())
        old = self.obj.status
        # Refused from the first write on, a rollout would have no status for ever, and everybody would wait for it.
        new = self.commit.refusals.told(
            self.obj.key, old or self.commit.refusals.first(self.obj.key, self.decision.status)
        )
        if not significant(old, new):
            return
        try:
            epoch = self.commit.fence(self.obj)
            await self.commit.rollouts.write_status(self.obj, replace(new, leader_epoch=epoch))
        except RolloutError as second:
            log.warning("%s: the refusal could not be written: %s", self.obj.key, second)

    async def raised(self, intent: SetWeight) -> None:
        """Record the raise, then raise the route if it is still as it was decided on and nothing bad came up since."""
        before = self.obj.status
        self.refuse_if_alarmed()
        self.commit.refusals.rest(self.obj.key, self.commit.clock.now())
        await self.status(announce=False)
        stored = self.obj.status
        if stored is None or stored.weight is None or stored.weight < intent.weight:
            raise Bug(f"raise to {intent.weight} without a status that records it", subject=str(self.obj.key))
        try:
            fresh = await self.commit.routing.observe(self.needed(), fresh=True)
            if not same(self.route, fresh):
                raise Conflict("the route changed since it was decided on", subject=str(self.obj.key))
            if self.wrote and before is not None and self.alarmed():
                await self.recall(before)
            self.commit.fence(self.obj)
            await self.commit.routing.set_weight(self.needed(), fresh, intent.weight, segments=intent.segments)
        except Gone as error:
            raise Conflict("the route went away", subject=str(self.obj.key)) from error
        except (Denied, SpecError) as error:
            # A record that the route does not follow would look like somebody else's edit.
            self.commit.refusals.note(self.obj.key, error, self.commit.clock.now())
            if self.wrote and before is not None:
                await self.unsay(before)
            raise
        finally:
            if self.wrote:
                self.announce()

    async def recall(self, before: RolloutStatus) -> None:
        """Bad evidence came between the record and the route: unsay the raise, so that this evidence still counts."""
        await self.unsay(before)
        self.refuse_if_alarmed()

    async def unsay(self, before: RolloutStatus) -> None:
        """Write the status as it was before a raise that was not made; what has been spent meanwhile stays spent."""
        self.wrote = False
        epoch, stored = self.commit.fence(self.obj), self.obj.status or before
        told = self.commit.refusals.told(self.obj.key, replace(before, budget=stored.budget))
        self.stored(await self.commit.rollouts.write_status(self.obj, replace(told, leader_epoch=epoch)))

    def alarmed(self) -> bool:
        """Whether evidence has come since the decision that is likely to take traffic off."""
        newest = self.commit.newest(self.obj.key)
        return newest is not self.evidence and alarming(newest)

    def refuse_if_alarmed(self) -> None:
        """No raise against newer bad evidence."""
        if self.alarmed():
            raise Conflict("newer evidence speaks against this raise", subject=str(self.obj.key))

    async def lower(self, intent: SetWeight) -> None:
        """Lower the route at once; a conflict costs a read, not a decision."""
        seen = self.route
        for _ in range(LOWER_TRIES):
            self.commit.fence(self.obj)
            try:
                await self.commit.routing.set_weight(self.needed(), seen, intent.weight, segments=intent.segments)
                return
            except (Conflict, Gone):
                seen = await self.commit.routing.observe(self.needed(), fresh=True)
                if not isinstance(seen, RouteSeen) or not lowers(intent, seen):
                    break
        raise Conflict("the route keeps changing", subject=str(self.obj.key))

    async def shape(self, weight: Weight) -> None:
        """Shape the managed route: a larger share for the candidate needs the status first, a smaller one does not."""
        if not isinstance(self.route, RouteSeen) or weight > self.route.weight:
            await self.status()
        self.commit.fence(self.obj)
        try:
            await self.commit.routing.shape(self.needed(), weight)
        except Gone as error:
            raise Conflict("the route went away", subject=str(self.obj.key)) from error
        if not self.wrote:
            await self.status()

    async def let_go(self) -> Committed:
        """Status first, then the route loses its owner, then the object may vanish."""
        try:
            await self.status()
            if self.spec is not None:
                await self.release(self.spec, await self.left(self.spec))
            self.commit.fence(self.obj)
            await self.commit.rollouts.drop_finalizer(self.obj)
        except Gone:
            pass  # what was to be let go is gone already
        if not self.wrote:
            self.announce()
        await self.answer()
        return Committed(None, self.wrote, acted=True)

    async def left(self, spec: RolloutSpec) -> Route:
        """The route as it will be left; Conflict if somebody has given the candidate more since it was looked at."""
        fresh = await self.commit.routing.observe(spec, fresh=True)
        if isinstance(fresh, RouteSeen) and isinstance(self.route, RouteSeen) and fresh.weight > self.route.weight:
            raise Conflict("the candidate has got traffic again", subject=str(self.obj.key))
        return fresh

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Leave the managed route without its owner."""
        self.commit.fence(self.obj)
        try:
            await self.commit.routing.release(spec, seen)
        except Gone:
            log.info("%s: the route to let go is gone already", spec.key)

    async def answer(self) -> bool:
        """Results of actions, only after a status that remembers them; False when one could not be written."""
        stored = self.obj.status.handled if self.obj.status else ()
        complete = True
        for result in self.decision.results:
            if result.uid not in stored:
                complete = False
                continue
            try:
                # What was done before may have taken longer than the right to write lasts.
                self.commit.fence(self.obj)
                await self.commit.rollouts.finish_action(self.obj.key, result, self.commit.clock.now())
            except Gone:
                continue
            except RolloutError as error:
                log.warning("action %s/%s: result not written: %s", self.obj.key.namespace, result.name, error)
                complete = False
        return complete

    def needed(self) -> RolloutSpec:
        """The spec; a decision about an unreadable object never touches a route."""
        if self.spec is None:
            raise Bug("a route intent without a spec", subject=str(self.obj.key))
        return self.spec

    def stored(self, obj: RolloutObject) -> None:
        """Follow our own write."""
        self.obj = obj
        self.commit.store.put(obj)

    def announce(self) -> None:
        """Post the Events of this decision."""
        if self.decision.announcements:
            self.commit.announcer.announce(self.obj, self.decision.announcements)
