"""The seams between the engine and the world: Protocols with one real adapter and one in-memory fake each.

Every adapter maps foreign errors to `modelrollout.errors` and never returns a number where data is absent.
Async throughout; times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelrollout.core.happenings import Happening
from modelrollout.core.intents import ActionResult, Announcement
from modelrollout.core.model import Epoch, Key, RolloutSpec, Weight
from modelrollout.core.observation import ActionRequest, Route, SpecProblem, Workload
from modelrollout.core.samples import Series
from modelrollout.core.status import RolloutStatus


class Clock(Protocol):
    """Time: `now` for what is written down, `monotonic` for what is waited for."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps."""
        ...


@dataclass(frozen=True, slots=True)
class RolloutObject:
    """A stored `ModelRollout`: `spec` is None when it can't be converted, then `problem` says why."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    created: float
    deleting: bool
    finalizer: bool
    spec: RolloutSpec | None
    problem: SpecProblem | None
    status: RolloutStatus | None


class Rollouts(Protocol):
    """Reads and writes of `ModelRollout` and `RolloutAction` objects.

    Raises Conflict (resourceVersion moved on), Gone, Denied, Throttled, ApiUnavailable.
    """

    async def get(self, key: Key) -> RolloutObject:
        """The object as stored now."""
        ...

    async def list(self) -> Sequence[RolloutObject]:
        """Every object in scope, read in pages."""
        ...

    async def write_status(self, obj: RolloutObject, status: RolloutStatus) -> RolloutObject:
        """Replace the status if the object is still at `obj.resource_version`; returns it as stored."""
        ...

    async def add_finalizer(self, obj: RolloutObject) -> RolloutObject:
        """Add our finalizer under the same condition; a no-op when it is there."""
        ...

    async def drop_finalizer(self, obj: RolloutObject) -> None:
        """Remove our finalizer under the same condition; a no-op when the object is gone."""
        ...

    async def finish_action(self, key: Key, result: ActionResult, at: float) -> None:
        """Write the result of a `RolloutAction` of this namespace; a no-op when it is gone."""
        ...

    async def delete_action(self, namespace: str, name: str) -> None:
        """Delete an old finished action; a no-op when it is gone."""
        ...


class Routing(Protocol):
    """One traffic router. Lowering needs no fresh read and no readiness; foreign parts are never touched.

    Raises Conflict, Gone, Denied, Throttled, ApiUnavailable, SpecError (field and fix).
    """

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> Route:
        """The route as cached, or as stored when `fresh`."""
        ...

    async def shape(self, spec: RolloutSpec, weight: Weight) -> Route:
        """Create or correct a managed route; the candidate gets `weight`. SpecError for an adopted one."""
        ...

    async def set_weight(self, spec: RolloutSpec, seen: Route, weight: Weight, *, segments: bool) -> Route:
        """Change the two weights in one write that fails if the route is no longer as `seen`."""
        ...

    async def release(self, spec: RolloutSpec, seen: Route) -> None:
        """Leave a managed route, still as `seen`, in place without its owner; a no-op for adopted or absent routes."""
        ...


class Workloads(Protocol):
    """Deployments, Services and endpoints of the two arms."""

    async def observe(self, spec: RolloutSpec, *, fresh: bool = False) -> tuple[Workload, Workload]:
        """Legacy and candidate."""
        ...


class Actions(Protocol):
    """Open `RolloutAction` objects, from the cache."""

    def pending(self, key: Key) -> Sequence[ActionRequest]:
        """Those without a result, oldest first."""
        ...


class Announcer(Protocol):
    """Posts Events. Best effort: never raises, never blocks a decision, aggregates repeats."""

    def announce(self, obj: RolloutObject, announcements: Sequence[Announcement]) -> None:
        """Queue the announcements for posting."""
        ...


class Notifier(Protocol):
    """Tells people outside of the cluster. Best effort: never raises, never waits."""

    def begun(self, happening: Happening, *, new: bool) -> None:
        """This stands from now on; not `new` when it was told before, by this process or an earlier leader."""
        ...

    def ended(self, happening: Happening, at: float) -> None:
        """It stands no longer."""
        ...

    def rest(self) -> None:
        """Another replica leads: what stands is its business now."""
        ...


class Journal(Protocol):
    """One line per decision, for replay."""

    def append(self, entry: Mapping[str, object]) -> None:
        """Add an entry; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The Lease as stored. `holder` is empty when released; `transitions` is the fencing epoch."""

    holder: str
    transitions: Epoch
    duration: float
    renewed: str
    resource_version: str


class LeaseStore(Protocol):
    """The one Lease object. Raises Conflict, Denied, Throttled, ApiUnavailable."""

    async def read(self) -> LeaseRecord | None:
        """The Lease, or None when there is none."""
        ...

    async def write(self, record: LeaseRecord, *, create: bool) -> LeaseRecord:
        """Create it, or replace it at `record.resource_version`."""
        ...


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """Raw samples of some counters over the last `window` seconds.

    `metrics`: metric names, any of them. `boundary`: for histogram buckets, the `le` values wanted (empty: all);
    series without `le` are returned too. `namespaces`: only these (empty: all). `pods`: anchored RE2 for the pod
    label, or empty.
    """

    metrics: tuple[str, ...]
    window: float
    boundaries: tuple[float, ...] = ()
    namespaces: tuple[str, ...] = ()
    pods: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; no series is a valid one."""

    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No usable answer: `kind` is `Unreachable`, `Timeout`, `HTTP <code>`, `BadAnswer`, `Partial`, `TooLarge` or
    `ClockSkew`.
    """

    kind: str


QueryResult = Answer | NoAnswer


@dataclass(frozen=True, slots=True)
class ArmsByPod:
    """Arms told apart by pod name: `<deployment>-<hash>-<id>`."""


@dataclass(frozen=True, slots=True)
class ArmsByLabel:
    """Arms told apart by a label's value, set for all rollouts of a source."""

    label: str
    legacy: str
    candidate: str


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """A `MetricSource`, without its address and secrets (those stay in the adapter)."""

    name: str
    arms: ArmsByPod | ArmsByLabel
    scrape_interval: float | None


class Metrics(Protocol):
    """Prometheus servers, by name of their `MetricSource`. Never raises for what a server says or fails to say."""

    def source(self, name: str) -> SourceSpec | SpecProblem:
        """The source, or why it can't be used (missing, bad address, secret absent)."""
        ...

    def allowed(self, name: str, namespace: str) -> bool:
        """Whether the source may be used from this namespace."""
        ...

    async def read(self, name: str, queries: Sequence[SeriesQuery], *, at: float) -> Sequence[QueryResult]:
        """Raw samples at one pinned evaluation time, a result per query, in order."""
        ...

    async def total(self, name: str, query: SeriesQuery, *, at: float) -> QueryResult:
        """Per series, its increase over the whole window as one sample (for budgets over days; approximate).

        May take far longer than a `read`, and never keeps one waiting.
        """
        ...
