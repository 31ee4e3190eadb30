"""A random walk through the product of all that may happen, for what lies deeper than the search can go.

Decisions are worked out in full here, with conditions and columns, and ages lie between the ticks of the search too.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace

from e2e.chaos.model.configs import Config
from e2e.chaos.model.explorer import ALL, Choice, Explorer, Outcome, plan, play, stored
from e2e.chaos.model.liveness import Futures
from e2e.chaos.model.oracles import Change, broken
from e2e.chaos.model.state import NOW, State, aged, told
from e2e.chaos.model.world import CANDIDATE, EVIDENCE, LEGACY, PREFLIGHT, PROBLEMS, Env
from modelrollout.core.decide import decide
from modelrollout.core.model import ActionVerb

TIMES = (0.0, 0.0, 1.0, 7.0, 31.0, 60.0, 61.0, 120.0)
RESTART, LOOK, HEALTHY, CRASH = 0.01, 0.05, 0.4, 0.1
"""Chances of a new rollout, of a look at a state's futures, of a world that is well, of a crash after a write."""


@dataclass(slots=True)
class Walked:
    """How far a walk came. `faults`: each with the moves since the rollout began."""

    transitions: int = 0
    rollouts: int = 1
    looks: int = 0
    seconds: float = 0.0
    faults: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def walk(config: Config, *, transitions: int, seed: int) -> Walked:
    """`transitions` random moves; the same seed takes the same way. Stops at the first fault."""
    chance = random.Random(f"{config.name}-{seed}")
    explorer, walked, began = Explorer(config), Walked(), time.perf_counter()
    futures = Futures(explorer)
    state, way = explorer.start(), list[str]()
    while walked.transitions < transitions and not walked.faults:
        if state.gone or chance.random() < RESTART:
            state, way = explorer.start(), []
            walked.rollouts += 1
        edits = list(explorer.edits(state)) if chance.random() < 0.15 else []
        outcome = chance.choice(edits) if edits else _decision(explorer, state, chance)
        walked.transitions += 1
        state = outcome.after
        way.append(f"{outcome.choice}  ->  {told(state)}")
        found = list(broken(outcome.change)) if outcome.change else []
        if chance.random() < LOOK:
            walked.looks += 1
            futures.ending.clear()
            found += futures.faults(state)
        walked.faults += [(sentence, tuple(way)) for sentence in found[:1]]
        explorer.eyes.seen.clear()
    walked.seconds = time.perf_counter() - began
    return walked


def _decision(explorer: Explorer, state: State, chance: random.Random) -> Outcome:
    seconds, env = chance.choice(TIMES), _world(chance)
    state = aged(state, seconds)
    spec = explorer.config.specs[state.variant]
    seen = explorer.eyes.observe(state, env, spec)
    decision = decide(spec, state.status, seen, NOW)
    writes = plan(spec, state, decision)
    upto = chance.randrange(len(writes)) if writes and chance.random() < CRASH else len(writes)
    after = play(state, writes[:upto])
    whole = upto == len(writes)
    change = Change(spec, stored(state), stored(after), decision, seen, whole)
    if whole and after.status is not None:
        after = replace(after, status=replace(after.status, handled=()))
    return Outcome(Choice("", seconds, env, ALL if whole else upto), after, change, decision)


def _world(chance: random.Random) -> Env:
    if chance.random() < HEALTHY:
        return Env()
    return Env(
        evidence=chance.choice(EVIDENCE) if chance.random() < 0.5 else "pass",
        candidate=chance.choice(tuple(CANDIDATE)) if chance.random() < 0.2 else "ready",
        legacy=chance.choice(tuple(LEGACY)) if chance.random() < 0.2 else "ready",
        preflight=chance.choice(tuple(PREFLIGHT)) if chance.random() < 0.1 else "passed",
        accepted=chance.choice((None, False)) if chance.random() < 0.1 else True,
        action=chance.choice(tuple(ActionVerb)) if chance.random() < 0.2 else None,
        problem=chance.choice(tuple(PROBLEMS)) if chance.random() < 0.05 else None,
        shape_ok=chance.random() > 0.05,
    )
