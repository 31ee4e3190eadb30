"""Before the first step: are the metrics there, how much error budget is left (guard G0), what can be proven in time?

Discovery asks Prometheus, so it runs beside the workers: a decision takes what is known now, and the rollout is looked
at again when an answer arrives. The plans found here are what the evidence rounds read afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from statistics import median

from modelrollout.catalog import Catalogue, alternatives, builtin, resolve
from modelrollout.core.model import Key, Phase, RolloutSpec, Sli
from modelrollout.core.observation import (
    Preflight,
    PreflightFailed,
    PreflightPassed,
    PreflightUnknown,
    SliCheckpoint,
    SpecProblem,
)
from modelrollout.core.plan import SliPlan
from modelrollout.core.reasons import Reason
from modelrollout.core.samples import Series
from modelrollout.core.wording import duration
from modelrollout.errors import SpecError
from modelrollout.ports import Answer, Clock, Metrics, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import Split, pods_of, told_apart
from modelrollout.runtime.budget import History, counted, history, known_for
from modelrollout.runtime.joined import Joined, looked_up
from modelrollout.runtime.scraped_twice import scrapers
from modelrollout.stats.forecast import forecast
from modelrollout.stats.history import learned, window
from modelrollout.stats.ticks import read_offset

log = logging.getLogger(__name__)

RETRY = 8.0
"""Seconds between looks while something is missing; below the 10 s after which a decision looks again."""
REFRESH = 60.0
"""Seconds between looks while the rollout waits in Preflight although the metrics are there (budget recovering)."""
DISCOVERY_WINDOW = 300.0
RATE_WINDOW = 3600.0
DEFAULT_SCRAPE = 15.0
AT_ONCE = 8
DISCOVERY_LIMIT = 30.0
"""Seconds the search for series may take; a source that hangs longer has not answered."""
LIMIT = 300.0
"""The same for a whole look: queries over the SLO window are slow."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known now. `plans` is empty until every SLI is resolved; `scrape` in seconds."""

    preflight: Preflight
    plans: tuple[SliPlan, ...] = ()
    scrape: float = DEFAULT_SCRAPE
    unreachable: str = ""
    """Class of the failure when the source did not answer."""


@dataclass(slots=True)
class _Entry:
    token: tuple[object, ...]
    found: Found
    due: float
    begun: bool
    task: asyncio.Task[None] | None = None


_REACH = "check spec.prometheus.address of the MetricSource, and that the operator's pod can reach it"
_TOKEN = "check the Secret that the MetricSource names in spec.prometheus.auth"
_FIXES = {"Unreachable": _REACH, "Timeout": _REACH, "HTTP 404": _REACH, "HTTP 401": _TOKEN, "HTTP 403": _TOKEN}

NOT_LOOKED = Found(PreflightUnknown("metrics are being looked up"))


class Preflights:
    """One look per rollout and revision, repeated while it fails. `changed` is called when an answer differs."""

    def __init__(self, metrics: Metrics, clock: Clock, changed: Callable[[Key], None]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._changed = changed
        self._joined = Joined(metrics)
        self._entries: dict[Key, _Entry] = {}
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    def look(
        self,
        spec: RolloutSpec,
        source: SourceSpec,
        *,
        revision: str,
        phase: Phase,
        begun: bool = False,
        catalogue: Catalogue | None = None,
    ) -> Found:
        """What is known now; starts a look in the background when one is due. `catalogue`: absent, the built-in one.

        `begun`: its first step has begun. Then only its plans are looked for, not legacy's past: budget, checkpoints
        and notes were taken into its status when it started, and a new leader has a thousand such rollouts at once.
        """
        token = _token(spec, source, revision)
        entry = self._entries.get(spec.key)
        if entry is None or entry.token != token or (entry.begun and not begun):
            self.forget(spec.key)
            entry = self._entries[spec.key] = _Entry(token, NOT_LOOKED, due=float("-inf"), begun=begun)
        settled = isinstance(entry.found.preflight, PreflightPassed) and phase not in (Phase.PREFLIGHT, Phase.IDLE)
        if entry.task is None and not settled and self._clock.monotonic() >= entry.due:
            entry.begun = begun
            begins = phase in (Phase.PREFLIGHT, Phase.IDLE)
            entry.task = asyncio.get_running_loop().create_task(
                self._run(spec, source, entry, catalogue or builtin(), begins=begins)
            )
        return entry.found

    def forget(self, key: Key) -> None:
        """The rollout is gone."""
        entry = self._entries.pop(key, None)
        if entry is not None and entry.task is not None:
            entry.task.cancel()

    async def stop(self) -> None:
        """End every look."""
        tasks = [e.task for e in self._entries.values() if e.task is not None]
        for key in tuple(self._entries):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._joined.stop()

    async def _run(
        self, spec: RolloutSpec, source: SourceSpec, entry: _Entry, catalogue: Catalogue, *, begins: bool
    ) -> None:
        try:
            # Those that have begun ask for little, and together.
            slot = nullcontext() if entry.begun else self._slots[source.name]
            async with slot, asyncio.timeout(LIMIT):
                found = await self._discover(spec, source, catalogue, begins=begins, begun=entry.begun)
        except TimeoutError:
            found = _silent(source, "Timeout")
        except SpecError as error:
            found = Found(PreflightFailed(Reason.INVALID_SPEC, str(error)))
        except Exception:
            # One poison object must not end anything but its own look.
            log.exception("%s: metric discovery failed", spec.key)
            found = _silent(source, "Bug")
        finally:
            entry.task = None
        before, entry.found = entry.found, found
        entry.due = self._clock.monotonic() + (REFRESH if isinstance(found.preflight, PreflightPassed) else RETRY)
        if before != found:
            self._changed(spec.key)

    async def _discover(
        self, spec: RolloutSpec, source: SourceSpec, catalogue: Catalogue, *, begins: bool, begun: bool
    ) -> Found:
        at = self._clock.now()
        window = max(DISCOVERY_WINDOW, 5 * (source.scrape_interval or 0.0))
        queries = []
        slis = told_apart(spec, source).slis
        for sli in slis:
            names = alternatives(sli, catalogue)
            if isinstance(names, SpecProblem):
                return Found(PreflightFailed(names.reason, names.problem))
            pods = pods_of(spec, sli, source)
            queries.append(SeriesQuery(names, window, namespaces=(spec.key.namespace,), pods=pods))
        async with asyncio.timeout(DISCOVERY_LIMIT):
            results = await self._series(source, queries, at, begun=begun)
        plans: list[SliPlan] = []
        notes: list[str] = []
        told: list[tuple[str, str]] = []
        seen: list[Series] = []
        hours: dict[str, float] = {}
        for sli, result in zip(slis, results, strict=True):
            if isinstance(result, NoAnswer):
                return _silent(source, result.kind)
            legacy, candidate = result.arms(spec, sli, source)
            notes.extend(_twice(sli, (*legacy, *candidate)))
            resolved = resolve(sli, (*legacy, *candidate), catalogue)
            if isinstance(resolved, PreflightFailed):
                return Found(resolved)
            plans.append(resolved.plan)
            notes.extend(resolved.notes)
            told.append((sli.name, resolved.counted))
            seen.extend((*legacy, *candidate))
            hours[sli.name] = known_for(legacy, at=at, looked=window, window=min(spec.budget.window, RATE_WINDOW))
        scrape = source.scrape_interval or _scrape(seen)
        if begun:
            return Found(PreflightPassed(tuple(notes), counted=tuple(told)), tuple(plans), scrape)
        known: list[History] = []
        for plan in plans:
            if not plan.total:
                continue  # events without a total have no budget and no load
            line = await self._history(spec, source, plan, at, hours[plan.sli])
            if isinstance(line, NoAnswer):
                return _silent(
                    source, line.kind, f" the query over {duration(spec.budget.window)} for the error budget"
                )
            if line is not None:
                known.append(line)
        outlook = forecast(spec, {line.sli: line.load for line in known}, scrape=scrape, regressions=())
        budgets = tuple((line.sli, line.remaining, line.allowance) for line in known)
        taught = await self._learned(spec, source, plans, scrape) if begins else ()
        passed = PreflightPassed((*notes, *outlook.refusals), budgets, taught, tuple(told))
        return Found(passed, tuple(plans), scrape)

    async def _series(
        self, source: SourceSpec, queries: Sequence[SeriesQuery], at: float, *, begun: bool
    ) -> Sequence[Split | NoAnswer]:
        if begun:
            return await self._joined.read(source.name, queries, at=at)
        results = await self._metrics.read(source.name, queries, at=at)
        return [looked_up(result) for result in results]

    async def _learned(
        self, spec: RolloutSpec, source: SourceSpec, plans: Sequence[SliPlan], scrape: float
    ) -> tuple[SliCheckpoint, ...]:
        """What legacy's last minutes teach. Nothing where Prometheus does not answer: a rollout can do without."""
        interval = spec.analysis.interval
        until = floor((self._clock.now() - read_offset(scrape)) / interval) * interval
        slis = {sli.name: sli for sli in spec.slis}
        shares = [plan for plan in plans if plan.total]
        queries = [
            SeriesQuery(
                plan.metrics,
                window(scrape),
                plan.boundaries,
                (spec.key.namespace,),
                pods_of(spec, slis[plan.sli], source, spec.legacy.deployment),
            )
            for plan in shares
        ]
        try:
            async with asyncio.timeout(DISCOVERY_LIMIT):
                results = await self._metrics.read(source.name, queries, at=until)
        except TimeoutError:
            return ()
        found = (
            learned(
                slis[plan.sli],
                plan,
                _legacy(result, spec, source, plan),
                until=until,
                scrape=scrape,
                interval=interval,
            )
            for plan, result in zip(shares, results, strict=True)
            if isinstance(result, Answer)
        )
        return tuple(checkpoint for checkpoint in found if checkpoint is not None)

    async def _history(
        self, spec: RolloutSpec, source: SourceSpec, plan: SliPlan, at: float, hour: float
    ) -> History | NoAnswer | None:
        """What legacy's events of the SLO window say; None when it has had none to count. `hour`: see `known_for`."""
        sli = next(s for s in spec.slis if s.name == plan.sli)
        window = spec.budget.window
        whole, recent = [
            await self._metrics.total(
                source.name,
                SeriesQuery(
                    plan.counted,
                    seconds,
                    plan.boundaries,
                    (spec.key.namespace,),
                    pods_of(spec, sli, source, spec.legacy.deployment),
                ),
                at=at,
            )
            for seconds in (window, min(window, RATE_WINDOW))
        ]
        for result in (whole, recent):
            if isinstance(result, NoAnswer):
                return result
        total, bad = counted(plan, _legacy(whole, spec, source, plan))
        lately, _ = counted(plan, _legacy(recent, spec, source, plan))
        return history(sli, spec.budget, total=total, bad=bad, lately=lately / hour if hour else 0.0)


def _legacy(result: QueryResult, spec: RolloutSpec, source: SourceSpec, plan: SliPlan) -> Sequence[Series]:
    assert isinstance(result, Answer)
    sli = next(s for s in spec.slis if s.name == plan.sli)
    return Split.once(result.series).arms(spec, sli, source)[0]


def _twice(sli: Sli, series: Sequence[Series]) -> Iterator[str]:
    names = scrapers(series)
    if names:
        told = " and ".join(repr(name) for name in names)
        yield f"slis[{sli.name}]: jobs {told} scrape the same pods: only {names[0]!r} is counted; remove the others"


def _silent(source: SourceSpec, kind: str, what: str = "") -> Found:
    text = f"metric source {source.name!r} does not answer{what} ({kind})"
    if kind in _FIXES and not what:
        text += f"; {_FIXES[kind]}"
    return Found(PreflightUnknown(text), unreachable=kind)


def _token(spec: RolloutSpec, source: SourceSpec, revision: str) -> tuple[object, ...]:
    # Everything that changes the answer, and nothing that does not: lifting a pause must not lose the plans.
    return (spec.uid, revision, spec.legacy.deployment, spec.candidate.deployment, spec.slis, spec.budget, source)


def _scrape(series: Sequence[Series]) -> float:
    gaps = [b - a for one in series for a, b in pairwise(one.times)]
    return median(gaps) if gaps else DEFAULT_SCRAPE
