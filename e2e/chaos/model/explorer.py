"""Breadth-first search over all states of a configuration, with every crash between two writes.

A transition is an edit by others, or one decision in one world with the first n of its writes made, for every n. Each
is checked as soon as it is made; the first path to a violation is the shortest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from e2e.chaos.model.configs import Config
from e2e.chaos.model.oracles import Change, Stored, broken
from e2e.chaos.model.state import NOW, Key, State, aged, canonical, key, told
from e2e.chaos.model.world import Env, Eyes
from modelrollout.core.decide import chosen
from modelrollout.core.inconclusive import unwritten
from modelrollout.core.intents import AddFinalizer, Decision, DropFinalizer, Move, SetWeight, ShapeRoute
from modelrollout.core.model import FULL, ZERO, AdoptRoute, RolloutSpec, Weight
from modelrollout.core.observation import Observation, RouteSeen
from modelrollout.core.status import RolloutStatus, significant

EMPTY = RolloutStatus()
HEALTHY = Env()
ALL = 9
"""More writes than any decision has."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One move: an edit by others (`edit`), or a decision `seconds` later in `env` with its first `upto` writes."""

    edit: str = ""
    seconds: float = 0.0
    env: Env = HEALTHY
    upto: int = ALL

    def __str__(self) -> str:
        if self.edit:
            return self.edit
        late = f"+{self.seconds:g}s " if self.seconds else ""
        crash = "" if self.upto == ALL else f" crash after {self.upto}"
        return f"{late}{self.env}{crash}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One transition that was made."""

    choice: Choice
    after: State
    change: Change | None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """What broke, and the shortest way there: the number of each move among those of its state."""

    config: str
    sentence: str
    path: tuple[int, ...]
    moves: tuple[str, ...]
    state: str
    again: str = ""

    @property
    def command(self) -> str:
        """Plays the way again."""
        return (
            self.again or f"python -m e2e.chaos.model --config {self.config} --replay {','.join(map(str, self.path))}"
        )


@dataclass(slots=True)
class Graph:
    """All states found. `parents`: where each was first found from, and by which move; `depth`: moves from the start.

    `states`: in order of their discovery; `decided`: decisions that were made.
    """

    states: list[State] = field(default_factory=list)
    numbers: dict[Key, int] = field(default_factory=dict)
    parents: list[tuple[int, int]] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    transitions: int = 0
    decided: int = 0
    complete: bool = True
    seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)

    def path(self, number: int) -> tuple[int, ...]:
        """Numbers of the moves that lead to a state."""
        moves: list[int] = []
        while number:
            number, move = self.parents[number]
            moves.append(move)
        return tuple(reversed(moves))


@dataclass(slots=True)
class Explorer:
    """Explores one configuration."""

    config: Config
    eyes: Eyes = field(default_factory=Eyes)

    def start(self) -> State:
        """Nothing but the object; an adopted route is there before."""
        adopted = isinstance(self.config.specs[0].traffic.router, AdoptRoute)
        return State(route=RouteSeen(ZERO, ZERO, "1", accepted=True) if adopted else None)

    def moves(self, state: State) -> Iterator[Outcome]:
        """Every transition from `state`, in an order that depends on nothing but the state."""
        if state.gone:
            return
        yield from self.edits(state)
        for seconds in dict.fromkeys(seconds for seconds, _ in self.config.moments):
            then = aged(state, seconds)
            for when, env in self.config.moments:
                if when == seconds:
                    yield from self.decisions(then, env, seconds)

    def decisions(self, state: State, env: Env, seconds: float = 0.0) -> Iterator[Outcome]:
        """One decision, cut off after each of its writes."""
        spec = self.config.specs[state.variant]
        seen = self.eyes.observe(state, env, spec)
        decision = decided(spec, state, seen)
        writes = plan(spec, state, decision)
        before = stored(state)
        if not writes:
            yield Outcome(Choice("", seconds, env), state, None, decision)
            return
        after = state
        for upto, write in enumerate(writes, 1):
            after = write(after)
            whole = upto == len(writes)
            change = Change(spec, before, stored(after), decision, seen, whole)
            yield Outcome(Choice("", seconds, env, ALL if whole else upto), after, change, decision)

    def edits(self, state: State) -> Iterator[Outcome]:
        """What others may do to the stored objects."""

        def by(name: str, **changes: object) -> Outcome:
            return Outcome(Choice(name), replace(state, **changes), None)  # type: ignore[arg-type]  # fields of State

        adopted = isinstance(self.config.specs[0].traffic.router, AdoptRoute)
        for percent in self.config.routes:
            if percent < 0 and state.route is not None:
                yield by("route deleted", route=None)
            elif percent >= 0 and percent * 100 != state.weight and (state.route is not None or adopted):
                segments = state.route.segments if state.route else ZERO
                yield by(f"route edited to {percent} %", route=RouteSeen(Weight(percent * 100), segments, "1"))
        for revision in self.config.templates:
            if revision != state.revision:
                yield by(f"template {revision}", revision=revision)
        for variant in range(len(self.config.specs)):
            if variant != state.variant:
                yield by(f"spec {variant}", variant=variant)
        if self.config.deletion and not state.deleting:
            yield by("object deleted", deleting=state.finalizer, gone=not state.finalizer)
        if self.config.wiped and state.status is not None:
            yield by("status wiped", status=None)

    def run(
        self,
        *,
        limit: int,
        seconds: float = 1e9,
        visit: Callable[[Graph, int], None] | None = None,
        most: int = 10,
    ) -> Graph:
        """Explore until nothing is new, `limit` states are known, the time is over, or `most` things are violated."""
        graph = Graph()
        began = time.perf_counter()
        self._add(graph, self.start(), (0, -1), 0)
        number = 0
        while number < len(graph.states):
            if len(graph.states) > limit or time.perf_counter() - began > seconds or len(graph.violations) >= most:
                graph.complete = False
                break
            self._expand(graph, number)
            if visit:
                visit(graph, number)
            number += 1
        graph.seconds = time.perf_counter() - began
        return graph

    def _expand(self, graph: Graph, number: int) -> None:
        state, depth = graph.states[number], graph.depths[number]
        last: Decision | None = None
        for move, outcome in enumerate(self.moves(state)):
            graph.transitions += 1
            graph.decided += outcome.decision is not None and outcome.decision is not last
            last = outcome.decision
            if outcome.change is not None:
                for sentence in broken(outcome.change):
                    self.blame(graph, number, move, outcome, sentence)
            if outcome.after is not state:
                self._add(graph, outcome.after, (number, move), depth + 1)

    def blame(self, graph: Graph, number: int, move: int, outcome: Outcome | None, sentence: str) -> None:
        """Record a violation once per kind of sentence."""
        head = sentence.split(":")[0]
        if any(v.sentence.split(":")[0] == head for v in graph.violations):
            return
        path = graph.path(number) if outcome is None else (*graph.path(number), move)
        names, end = self.played(path)
        graph.violations.append(Violation(self.config.name, sentence, path, names, end))

    def played(self, path: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
        """The moves of a path in words, each with the state that it leads to."""
        state, lines = self.start(), []
        for move in path:
            outcome = next(o for i, o in enumerate(self.moves(state)) if i == move)
            state = canonical(outcome.after)
            lines.append(f"{outcome.choice}  ->  {told(state)}")
        return tuple(lines), told(state)

    def judged(self, path: tuple[int, ...]) -> tuple[tuple[str, ...], State]:
        """What the last move of a path breaks, and where it ends."""
        state, found = self.start(), tuple[str, ...]()
        for move in path:
            outcome = next(o for i, o in enumerate(self.moves(state)) if i == move)
            state = canonical(outcome.after)
            found = broken(outcome.change) if outcome.change else ()
        return found, state

    @staticmethod
    def _add(graph: Graph, state: State, parent: tuple[int, int], depth: int) -> None:
        name = key(state)
        if name in graph.numbers:
            return
        graph.numbers[name] = len(graph.states)
        graph.states.append(canonical(state))
        graph.parents.append(parent)
        graph.depths.append(depth)


def decided(spec: RolloutSpec, state: State, seen: Observation) -> Decision:
    """The decision, without what only people read."""
    _, decision = chosen(spec, state.status or EMPTY, seen, NOW)
    status = unwritten(spec, decision.status, NOW)
    return decision if status is decision.status else replace(decision, status=status)


def stored(state: State) -> Stored:
    """The state as oracles want it."""
    route = state.route
    weight, segments = (route.weight, route.segments) if route else (None, ZERO)
    return Stored(state.status, weight, segments, state.finalizer, state.deleting, state.gone)


Write = Callable[[State], State]


def plan(spec: RolloutSpec, state: State, decision: Decision) -> list[Write]:
    """The writes of a decision in their safe order, as `runtime.commit` makes them."""
    intent, new = decision.intent, decision.status
    status: list[Write] = []
    if new is not state.status and significant(state.status, new):
        status.append(lambda s: replace(s, status=new))
    match intent:
        case AddFinalizer():
            return [lambda s: replace(s, finalizer=True)]
        case DropFinalizer():
            return [*status, lambda s: replace(s, gone=True)]
        case ShapeRoute(weight):
            full = FULL if weight and spec.traffic.segments else ZERO
            route = _routed(weight, full)
            grows = state.route is None or weight > state.route.weight
            return [*status, route] if grows else [route, *status]
        case SetWeight(weight, segments, move):
            route = _routed(weight, FULL if segments else ZERO)
            return [*status, route] if move is Move.RAISE else [route, *status]
        case None:
            return status


def play(state: State, writes: list[Write]) -> State:
    """All writes, one after the other."""
    for write in writes:
        state = write(state)
    return state


def _routed(weight: Weight, segments: Weight) -> Write:
    return lambda s: replace(s, route=RouteSeen(weight, segments, "1"))
