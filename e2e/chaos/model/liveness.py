"""What must come of every reachable state: back to legacy when asked (I4), an end (I7, I12), then silence (I6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from e2e.chaos.model.configs import TICK, Config
from e2e.chaos.model.explorer import EMPTY, HEALTHY, Explorer, Graph, decided, plan, play
from e2e.chaos.model.state import NOW, Key, State, aged, canonical, key, told
from e2e.chaos.model.world import HARMFUL, Env
from modelrollout.core.decide import decide
from modelrollout.core.model import FULL, ActionVerb, AdoptRoute, Phase
from modelrollout.core.reasons import ROLLBACK_REASONS, Reason
from modelrollout.core.situation import ACTIVE
from modelrollout.core.status import significant

ROUNDS = 8
"""Decisions at one moment after which a state that still changes does not settle."""
LONGEST = 60
"""Ticks of a healthy world within which every rollout of a few steps has ended."""

PERSON = frozenset({Reason.APPROVAL, Reason.PAUSED_BY_SPEC, Reason.PAUSED_BY_ACTION, Reason.ROUTE_CONFLICT})
"""What a rollout may wait for in a healthy world: all of it is said in the status."""
FITTING = {
    Phase.PROMOTED: frozenset({Reason.PROMOTED, Reason.FOUND_AT_FULL}),
    Phase.ROLLED_BACK: ROLLBACK_REASONS | {Reason.DELETING},
    Phase.IDLE: frozenset({"", Reason.IDLE, Reason.SAME_AS_LEGACY}),
    Phase.PAUSED: PERSON,
    Phase.PREFLIGHT: frozenset({Reason.ROUTE_CONFLICT}),
    Phase.INVALID: frozenset({Reason.ROUTE_CONFLICT}),
}
"""Reasons that a state at rest may show once the world is well."""


@dataclass(slots=True)
class Futures:
    """Plays the futures of states; remembers those that are known to end well."""

    explorer: Explorer
    ending: set[Key] = field(default_factory=set)

    def faults(self, state: State) -> list[str]:
        """Sentences for each future of `state` that does not go as it must."""
        if state.gone:
            return []
        found = [self._back(state, env) for env in triggers(state)]
        found += [self._deleted(state, legacy) for legacy in ("ready", "zero") if state.finalizer]
        found.append(self._ends(state))
        return [sentence for sentence in found if sentence]

    def settle(self, state: State, env: Env, seconds: float = 0.0) -> State | None:
        """`state` when nothing more is written in `env`; None when that takes more than `ROUNDS` decisions."""
        spec = self.explorer.config.specs[state.variant]
        state = aged(state, seconds)
        for _ in range(ROUNDS):
            decision = decided(spec, state, self.explorer.eyes.observe(state, env, spec))
            writes = plan(spec, state, decision)
            if not writes or state.gone:
                return state
            state = play(state, writes)
        return None

    def _back(self, state: State, env: Env) -> str | None:
        end = self.settle(state, env)
        if end is None:
            return f"I4: does not settle with {env}"
        if end.reached and not _another(state, end):
            return f"I4: with {env} the candidate keeps {end.weight / 100:g} %: {told(end)}"
        held = self.settle(state, env._replace(legacy="zero"))
        if held is None:
            return f"I8: does not settle with {env} and no legacy"
        if held.status is None or held.status.phase is not Phase.ROLLING_BACK:
            return None
        back = self.settle(held, HEALTHY)
        if back is None or (back.reached and not _another(held, back)):
            return f"I4: {env} without legacy, then legacy is back: {'never settles' if back is None else told(back)}"
        return None

    def _deleted(self, state: State, legacy: str) -> str | None:
        promoted = state.status is not None and state.status.phase is Phase.PROMOTED
        env = Env(legacy=legacy)
        end = self.settle(replace(state, deleting=True), env)
        if end is not None and legacy == "zero":
            end = self.settle(end, env, TICK)
        if end is None or not end.gone:
            return f"I12: the finalizer stays, legacy {legacy}: {'never settles' if end is None else told(end)}"
        if end.reached and legacy == "ready" and not promoted:
            return f"I12: let go with {end.weight / 100:g} % at the candidate"
        return None

    def _ends(self, state: State) -> str | None:
        """I7: all is well from now on, a tick after another."""
        way: list[Key] = []
        for _ in range(LONGEST):
            name = key(state)
            if name in self.ending:
                break
            way.append(name)
            after = self.settle(state, HEALTHY, TICK)
            if after is None:
                return f"I7: never settles though all is well: {told(state)}"
            after = canonical(after)
            if key(after) == name or after.gone:
                fault = self._unfit(after)
                if fault:
                    return fault
                break
            state = after
        else:
            return f"I7: after {LONGEST} good ticks neither promoted nor rolled back nor waiting: {told(state)}"
        self.ending.update(way)
        return None

    def _unfit(self, state: State) -> str | None:
        status = state.status
        adopted = isinstance(self.explorer.config.specs[0].traffic.router, AdoptRoute)
        if state.gone or (adopted and state.route is None):
            return None
        if status is None or status.phase not in FITTING:
            return f"I7: all is well, and nothing moves: {told(state)}"
        if status.reason not in FITTING[status.phase]:
            conflict = status.reason == Reason.ROUTE_CONFLICT and state.weight == status.weight != wanted(state)
            if not conflict:
                return (
                    f"I7: at rest in {status.phase} with reason {status.reason or 'none'}, which is over: {told(state)}"
                )
            return self._resolved(state)
        if status.reason == Reason.ROUTE_CONFLICT:
            return self._resolved(state)
        if state.weight != wanted(state):
            return f"I9: at rest with a route that nobody asked for: {told(state)}"
        return self._quiet(state)

    def _resolved(self, state: State) -> str | None:
        """The message says that a Resume action puts the weights back."""
        end = self.settle(state, Env(action=ActionVerb.RESUME, evidence="wait"))
        if end is None or end.weight != wanted(end) or (end.status and end.status.reason == Reason.ROUTE_CONFLICT):
            return f"I7: RouteConflict is not over by a Resume action: {'unsettled' if end is None else told(end)}"
        return None

    def _quiet(self, state: State) -> str | None:
        """I6: ten looks at rest, with all that people read worked out, write nothing after the first."""
        spec = self.explorer.config.specs[state.variant]
        status = state.status or EMPTY
        for look in range(11):
            then = aged(replace(state, status=status), TICK * look)
            decision = decide(spec, then.status, self.explorer.eyes.observe(then, HEALTHY, spec), NOW)
            if decision.intent is not None or (look and significant(then.status, decision.status)):
                return f"I6: look {look} at rest writes: {told(state)}"
            status = decision.status if look == 0 else status
        return None


def searched(
    config: Config,
    *,
    limit: int,
    seconds: float = 1e9,
    visit: Callable[[Graph, int], None] | None = None,
    most: int = 10,
) -> Graph:
    """All states of a configuration, as far as the limits go, each with its futures."""
    explorer = Explorer(config)
    futures = Futures(explorer)

    def look(graph: Graph, number: int) -> None:
        for sentence in futures.faults(graph.states[number]):
            explorer.blame(graph, number, -1, None, sentence)
        if visit:
            visit(graph, number)

    return explorer.run(limit=limit, seconds=seconds, visit=look, most=most)


def _another(before: State, after: State) -> bool:
    """Whether another revision has started since: its traffic is its own affair."""
    return before.status is None or after.status is None or before.status.revision != after.status.revision


def wanted(state: State) -> int:
    """The weight that a state at rest has by its phase."""
    status = state.status
    if status is None:
        return 0
    if status.phase is Phase.PROMOTED:
        return FULL
    return status.step.weight if status.step and status.phase in ACTIVE else 0


def triggers(state: State) -> list[Env]:
    """Worlds in which the candidate must lose its traffic at once, whatever the state waits for."""
    status = state.status
    if not state.reached:
        return []
    if status is None:
        return [Env(candidate="absent")]
    found = [Env(action=ActionVerb.ABORT), Env(action=ActionVerb.ABORT, candidate="zero")] if status.revision else []
    if status.phase is Phase.PROMOTED:
        return [] if state.deleting else found  # whoever deletes it leaves the route to the candidate
    found.append(Env(candidate="absent"))
    if status.phase is Phase.ROLLING_BACK:
        found += [HEALTHY, Env(preflight="unknown", problem="source", candidate="zero", accepted=False)]
    under_way = status.step is not None and status.phase in ACTIVE
    if under_way and status.revision == state.revision:
        found += [Env(evidence=kind) for kind in sorted(HARMFUL)]
        found.append(Env(evidence="fail", problem="source", accepted=False, candidate="short"))
        found += [Env(candidate="zero", evidence="pending", problem=problem) for problem in (None, "source")]
    return found
