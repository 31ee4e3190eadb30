"""A state of the exploration: what is stored, at the one moment NOW, in a form that makes the space finite.

Times are kept as ages: old ones are all `CAP` seconds old, since every limit of the explored specs is shorter. Texts,
counters and what only people read are dropped. Two states with one key have the same future.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from modelrollout.core.model import ZERO, Phase, Weight
from modelrollout.core.observation import RouteSeen
from modelrollout.core.status import Holds, RolloutStatus, StepState

NOW = 1_000_000.0
CAP = 120.0
"""Seconds beyond which the age of a step or a raise makes no difference in the explored specs."""
HELD = 60.0
"""The same for what is waited for: each of their limits is at most this."""

_HOLDS = tuple(field.name for field in fields(Holds))
_WAYS = frozenset({"Raise", "Return"})

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What is stored: the object's status and marks, the route, the candidate's template, which spec is in force."""

    status: RolloutStatus | None = None
    route: RouteSeen | None = None
    revision: str = "rev-a"
    variant: int = 0
    finalizer: bool = False
    deleting: bool = False
    gone: bool = False

    @property
    def weight(self) -> Weight:
        """The candidate's weight at the router; 0 without a route."""
        return self.route.weight if self.route else ZERO

    @property
    def reached(self) -> bool:
        """Whether the router sends anybody to the candidate."""
        return self.route is not None and (self.route.weight > 0 or self.route.segments > 0)


def key(state: State) -> Key:
    """Identity of a state, for the times as they are at NOW."""
    route = state.route
    return (
        _status_key(state.status) if state.status else None,
        (route.weight, route.segments, route.shape_ok) if route else None,
        state.revision,
        state.variant,
        state.finalizer,
        state.deleting,
        state.gone,
    )


def _status_key(status: RolloutStatus) -> Key:
    step, holds = status.step, status.holds
    raised = last_raise(status)
    return (
        status.phase,
        status.reason,
        status.revision,
        min(status.attempt, 2),
        status.plan,
        status.legacy_hash,
        (step.index, step.count, _age(step.started), step.weight) if step else None,
        status.weight,
        (status.paused_by_action, status.skip, status.approved, status.overridden, min(status.lapses, 2)),
        None if holds == _NONE else tuple(_age(getattr(holds, name), HELD) for name in _HOLDS),
        (_age(raised[0]), raised[1]) if raised else None,
        status.history[-1].revision if status.history else "",
        tuple(entry.revision for entry in status.rejected),
        status.incident is not None and status.incident.closed is None,
        tuple((x.sli, x.peak) for x in status.budget),
    )


_NONE = Holds()


def _age(at: float | None, cap: float = CAP) -> float | None:
    return None if at is None else min(NOW - at, cap)


def last_raise(status: RolloutStatus) -> tuple[float, Weight] | None:
    """When the newest raise was recorded, and the newest recorded weight below the step's."""
    at = next((r.at for r in reversed(status.decisions) if r.action in _WAYS), None)
    if at is None or status.step is None:
        return None
    below = next((r.weight for r in reversed(status.decisions) if r.weight < status.step.weight), ZERO)
    return at, below


def aged(state: State, seconds: float) -> State:
    """`state` as it is `seconds` later."""
    status = state.status
    if status is None or not seconds:
        return state
    return replace(state, status=_shifted(status, seconds))


def canonical(state: State) -> State:
    """`state` without what makes no difference."""
    status = state.status
    return replace(state, status=_shifted(_plain(status), 0.0)) if status else state


def _plain(status: RolloutStatus) -> RolloutStatus:
    return replace(
        status,
        observed_generation=1,
        message="",
        attempt=min(status.attempt, 2),
        grid=0.0,
        lapses=min(status.lapses, 2),
        preflight_since=None,
        slis=(),
        checkpoints=(),
        decisions=_memory(status),
        history=status.history[-1:],
        conditions=(),
        handled=(),
    )


def _memory(status: RolloutStatus) -> tuple:  # type: ignore[type-arg]  # of DecisionRecord
    """The newest raise, and the newest record below the step, in their order."""
    if status.step is None:
        return ()
    records = list(status.decisions)
    raised = next((i for i in range(len(records) - 1, -1, -1) if records[i].action in _WAYS), None)
    below = next((i for i in range(len(records) - 1, -1, -1) if records[i].weight < status.step.weight), None)
    kept = sorted({i for i in (raised, below) if i is not None})
    return tuple(replace(records[i], message="") for i in kept)


def _shifted(status: RolloutStatus, seconds: float) -> RolloutStatus:
    def back(at: float, cap: float = CAP) -> float:
        return max(at - seconds, NOW - cap)

    step: StepState | None = status.step
    holds = status.holds
    if holds == _NONE:
        holds = _NONE
    else:
        times = ((name, getattr(holds, name)) for name in _HOLDS)
        holds = Holds(**{name: None if at is None else back(at, HELD) for name, at in times})
    return replace(
        status,
        step=replace(step, started=back(step.started)) if step else None,
        holds=holds,
        decisions=tuple(replace(r, at=back(r.at)) for r in status.decisions),
    )


def told(state: State) -> str:
    """One line for people: phase, reason, step, weights."""
    if state.gone:
        return "gone"
    status = state.status
    route = "no route" if state.route is None else f"route {state.weight / 100:g} %"
    if state.route and state.route.segments:
        route += " + segments"
    marks = " deleting" if state.deleting else ""
    if status is None:
        return f"no status, {route}{marks}"
    step = f"step {status.step.index + 1}/{status.step.count}" if status.step else "no step"
    claimed = "-" if status.weight is None else f"{status.weight / 100:g} %"
    phase = status.phase if status.phase is not Phase.PAUSED else f"Paused({status.reason})"
    held = [name for name in _HOLDS if getattr(status.holds, name) is not None]
    extra = f", holds {'+'.join(held)}" if held else ""
    return f"{phase} [{status.reason}], {step}, status {claimed}, {route}, {status.revision}{extra}{marks}"
