"""Evidence rounds: one question per SLI template for all rollouts of a source, at one pinned time.

A tracker lives as long as the revision it judges; what it is asked about is driven by the status alone, so that a new
leader arrives at the same evidence. Shared questions cover the last ticks only. A tracker that is far behind (a new
leader, an outage that is over) is served beside the shared rounds, with some others that are (`behind`), in chunks;
until it is done the shared rounds have a `glance` at its newest ticks.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial

from modelrollout.core.model import ZERO, Key, Phase, RolloutSpec
from modelrollout.core.observation import Evidence, EvidencePending
from modelrollout.core.plan import SliPlan
from modelrollout.core.samples import Series
from modelrollout.core.status import RolloutStatus
from modelrollout.ports import Answer, Clock, Metrics, NoAnswer, QueryResult, SeriesQuery, SourceSpec
from modelrollout.runtime.arms import Split, told_apart, within
from modelrollout.runtime.assess import TOGETHER, Assessing
from modelrollout.runtime.behind import BUG, IN_TIME, Behind
from modelrollout.runtime.garbage import uncollected
from modelrollout.runtime.glance import glance
from modelrollout.runtime.questions import (
    READ_LIMIT,
    Due,
    Question,
    Watch,
    glimpse,
    near,
    raised,
    shared_query,
    sli_of,
    start_of_evidence,
)
from modelrollout.runtime.queue import Priority
from modelrollout.runtime.turns import Turns
from modelrollout.stats.evidence import ArmSeries, EvidenceTracker, Span

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between looks for due trackers: the most that a round starts late."""
TOO_LARGE = "TooLarge"
EVALUATED = frozenset({Phase.PROGRESSING, Phase.PAUSED, Phase.INVALID})
"""Phases in which a candidate may hold traffic. Invalid too: a spec that became wrong makes nobody safe."""

Answers = Mapping[tuple[Key, str], list[Split | str]]
"""By rollout and SLI: what was answered to the questions that it takes, or the kind of failure."""


class Rounds:
    """Feeds trackers and says which rollouts have news; `late` is told how late each tick became evidence (s)."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        news: Callable[[Key, Priority], None],
        *,
        late: Callable[[float], None] | None = None,
        split: bool = True,
    ) -> None:
        """`split`: requests are split by the weights; not so in recorded data."""
        self._metrics = metrics
        self._clock = clock
        self._assess = Assessing(clock, news, self._present, late=late)
        self._split = split
        self._watches: dict[Key, Watch] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: dict[str, float] = {}  # since when, by the monotonic clock
        self._behind = Behind()
        self._parts: dict[tuple[str, tuple[str, ...]], int] = {}

    def follow(
        self, spec: RolloutSpec, status: RolloutStatus, source: SourceSpec, plans: tuple[SliPlan, ...], scrape: float
    ) -> None:
        """Make the tracker match the status: start, restart at a new step, or end it."""
        if status.phase not in EVALUATED or status.step is None or not plans:
            self.drop(spec.key)
            return
        life = (
            *(spec.uid, status.revision, status.attempt, status.plan, status.grid),
            *(plans, source, scrape, spec.analysis, spec.budget),
        )
        stretch = (status.step.started, status.legacy_hash)
        watch = self._watches.get(spec.key)
        if watch is not None and watch.life == life:
            watch.spec = spec
            if watch.stretch == stretch:
                return
        judged, since = told_apart(spec, source), start_of_evidence(spec, status)
        weight = status.step.weight if self._split else ZERO
        tracker = EvidenceTracker(
            judged,
            {plan.sli: plan for plan in plans},
            grid=status.grid,
            since=since,
            raised=raised(spec, status),
            scrape=scrape,
            ledgers=status.budget,
            checkpoints=status.checkpoints,
            index=status.step.index,
            weight=weight,
        )
        glancing = partial(glance, spec=judged, plans=plans, status=status, since=since, scrape=scrape, weight=weight)
        begun = self._watches[spec.key] = Watch(spec, source, plans, life, stretch, tracker, begin_glance=glancing)
        if watch is not None and watch.life == life:
            # What its predecessor has not read is read with the next tick, in the question that all share.
            begun.not_before = self._clock.monotonic() + tracker.until_next(self._clock.now())

    def drop(self, key: Key) -> None:
        """No more evidence is wanted for this rollout."""
        self._watches.pop(key, None)

    def evidence(self, key: Key) -> Evidence:
        """The newest assessment of the present step."""
        watch = self._watches.get(key)
        return watch.known if watch else EvidencePending()

    def __len__(self) -> int:
        return len(self._watches)

    async def run(self) -> None:
        """Ask round after round until cancelled."""
        try:
            while True:
                self.tick()
                await asyncio.sleep(POLL)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End what is being asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tick(self) -> None:
        """Start a round for every source with due trackers and none under way, and catch-ups beside it."""
        now, mono = self._clock.now(), self._clock.monotonic()
        if self._assess.waiting:
            self._start(self._assess.caught_up())
        shared: dict[str, list[Due]] = defaultdict(list)
        behind: dict[str, list[Due]] = defaultdict(list)
        for watch in self._watches.values():
            if mono < watch.not_before:
                continue
            span = None if watch.busy else self._span(watch, now)
            if span is not None:
                close = near(span, watch)
                (shared if close else behind)[watch.source.name].append(Due(watch, span))
                watch.glance = None if close else watch.glance or watch.begin_glance(now)
            if watch.source.name not in self._asking and (glance_due := glimpse(watch, now)):
                shared[watch.source.name].append(glance_due)
        for name, waiting in behind.items():
            crowded = mono - self._asking.get(name, mono) > IN_TIME
            for group in self._behind.groups(name, waiting, crowded=crowded):
                for due in group:
                    due.watch.busy = True
                self._start(self._catch_up(name, group))
        for name, dues in shared.items():
            if name in self._asking:
                continue
            self._asking[name] = mono
            for due in dues:
                due.watch.busy = due.watch.busy or due.glance is None
            self._start(self._round(name, dues))

    def _span(self, watch: Watch, now: float) -> Span | None:
        try:
            return watch.tracker.span(now)
        except Exception:
            self._assess.broken(watch, now)
            return None

    async def _round(self, name: str, dues: list[Due]) -> None:
        with uncollected():  # the answers live in the frame of the inner call, which is gone by the end
            await self._ask(name, dues)

    async def _ask(self, name: str, dues: list[Due]) -> None:
        try:
            answers, _ = await self._answers(name, dues)
            await self._deliver(dues, answers)
        finally:
            self._asking.pop(name, None)
            for due in dues:
                due.watch.busy = due.watch.busy and due.glance is not None

    async def _answers(self, name: str, dues: Sequence[Due], *, apart: bool = False) -> tuple[Answers, set[str]]:
        """What was answered, and the kinds of failures. `apart`: these are few, and the question is for them alone."""
        at = max(due.span.at for due in dues)
        questions = self._questions(name, dues, at, apart=apart)
        results = await self._read(name, [q.query for q in questions], at)
        answers: dict[tuple[Key, str], list[Split | str]] = defaultdict(list)
        for question, result in zip(questions, results, strict=True):
            counters, health = Split.in_two(result.series) if isinstance(result, Answer) else 2 * (result.kind,)
            if counters == TOO_LARGE and len(question.members) > 1 and not apart:
                # Asked in smaller parts from the next round on; the ticks missed now are read then.
                self._parts[question.part] = 2 * self._parts.get(question.part, 1)
            for due, plan in question.members:
                answers[due.watch.spec.key, plan.sli].append(counters)
                for each in due.watch.plans if due.carries(plan) else ():
                    answers[due.watch.spec.key, each.sli].append(health)
        return answers, {result.kind for result in results if isinstance(result, NoAnswer)}

    def _questions(self, name: str, dues: Sequence[Due], at: float, *, apart: bool) -> list[Question]:
        """One question per template, for those too whose step begins: it reaches back as far as any needs."""
        groups: dict[tuple[str, ...], list[tuple[Due, SliPlan]]] = defaultdict(list)
        for due in sorted(dues, key=lambda d: d.watch.spec.key):
            for plan in due.watch.plans:
                groups[plan.metrics].append((due, plan))
        questions = []
        for metrics, members in groups.items():
            parts = 1 if apart else min(self._parts.get((name, metrics), 1), len(members))
            size = math.ceil(len(members) / parts)
            for start in range(0, len(members), size):
                chosen = tuple(members[start : start + size])
                query = shared_query(metrics, chosen, at, apart=apart or parts > 1)
                questions.append(Question(query, chosen, (name, metrics)))
        return questions

    async def _catch_up(self, name: str, dues: Sequence[Due]) -> None:
        failures = {BUG}
        waiting: set[int] = set()
        try:
            answers, failures = await self._answers(name, dues, apart=True)
            async for due in self._fed(dues, answers, Turns()):
                waiting.add(id(due))
                self._assess.later(due)
        except Exception:
            for due in filter(lambda due: self._present(due.watch), dues):
                self._assess.broken(due.watch, self._clock.now())
                self._assess.tell(due)
        finally:
            self._behind.ended(name, asked=len(dues), failures=failures)
            for due in dues:
                if id(due) not in waiting:  # the others are busy until they are compared, which may be over already
                    due.watch.busy = False

    def _present(self, watch: Watch) -> bool:
        return self._watches.get(watch.spec.key) is watch

    async def _read(self, name: str, queries: Sequence[SeriesQuery], at: float) -> Sequence[QueryResult]:
        try:
            async with asyncio.timeout(READ_LIMIT):
                return await self._metrics.read(name, queries, at=at)
        except TimeoutError:
            return [NoAnswer("Timeout")] * len(queries)
        except Exception:
            log.exception("metric source %s: reading failed", name)
            return [NoAnswer("BadAnswer")] * len(queries)

    async def _deliver(self, dues: Iterable[Due], answers: Answers) -> None:
        fed: list[Due] = []
        turns = Turns(even=True)  # the present has as much of the loop as all else together
        async for due in self._fed(dues, answers, turns):
            if due.glance is not None:
                self._assess.glanced(due)
                continue
            fed.append(due)
            if len(fed) == TOGETHER:
                await self._assess(fed, turns)  # told, and acted on, while the next ones are read
                fed.clear()
        if fed:
            await self._assess(fed, turns)

    async def _fed(self, dues: Iterable[Due], answers: Answers, turns: Turns) -> AsyncIterator[Due]:
        """Feed one after the other, in turns with all others. Without those that are gone or broken."""
        for due in dues:
            watch = due.watch
            if not self._present(watch):
                continue  # the rollout moved on while Prometheus was thinking
            try:
                self._feed(due, answers)
            except Exception:
                self._assess.broken(watch, self._clock.now())
                self._assess.tell(due)
            else:
                yield due
            await turns.rest()

    def _feed(self, due: Due, answers: Answers) -> None:
        watch, span = due.watch, due.span
        tracker = due.glance.tracker if due.glance else watch.tracker
        start = span.at - span.window
        given: dict[str, ArmSeries | str] = {}
        for plan in watch.plans:
            sli = sli_of(watch.spec, plan)
            legacy: tuple[Series, ...] = ()
            candidate: tuple[Series, ...] = ()
            for split in answers[watch.spec.key, plan.sli]:
                if isinstance(split, str):
                    given[plan.sli] = split
                    break
                theirs, ours = split.arms(watch.spec, sli, watch.source)
                legacy += within(theirs, start, span.at)
                candidate += within(ours, start, span.at)
            else:
                given[plan.sli] = ArmSeries(legacy, candidate)
        if any(isinstance(answer, str) for answer in given.values()):
            # Asked again a tick later; ticks missed meanwhile are read then.
            watch.not_before = self._clock.monotonic() + watch.spec.analysis.interval
        tracker.feed(span, given)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("evidence round failed", exc_info=task.exception())
