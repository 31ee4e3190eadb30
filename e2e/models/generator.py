"""Open-loop load: requests leave when they are due, whatever became of those before."""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from e2e.models.exchange import Answer, post
from e2e.models.labels import Labels
from e2e.models.load_settings import Pacer, Settings, unit
from e2e.models.records import Record, to_line
from e2e.models.summary import summarise
from modelrollout.core.assignment import bucket

KEPT = 200_000
FLUSH_EVERY = 0.25
NAP = 0.05  # longest sleep, so that changed settings take effect soon


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where requests go. `segment_headers` are sent by marked users only (`Settings.header_share`).

    `bucket_headers`: headers with the user's bucket, each with the key that it is worked out under.
    """

    url: str
    feedback_url: str | None = None
    host_header: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    segment_headers: Mapping[str, str] = field(default_factory=dict)
    user_header: str = "x-user-id"
    bucket_headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    max_in_flight: int = 512
    keep_alive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """When a run ends by itself: the first of these. `linger`: seconds more for labels that are due soon."""

    duration: float
    max_requests: int
    linger: float = 10.0


@dataclass(slots=True)
class Totals:
    """Counts since the start, by version (`-`: nobody answered)."""

    sent: int = 0
    shed: int = 0
    failed: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        """Count one record."""
        if record.kind == "shed":
            self.shed += 1
            return
        self.sent += 1
        self.failed += record.failed
        version = record.version or "-"
        self.answers[version] += 1
        if record.failed:
            self.errors[version] += 1


class Generator:
    """One run. Replays the rows in order, each with a random user; `settings` may be replaced at any time."""

    def __init__(
        self,
        target: Target,
        rows: Sequence[tuple[list[float], int]],
        *,
        settings: Settings,
        bounds: Bounds,
        out: Path,
        seed: int = 1,
    ) -> None:
        if not rows:
            raise ValueError("there are no rows to send")
        self._target, self._bounds, self._out = target, bounds, out
        self._bodies = [(json.dumps(row, separators=(",", ":")).encode(), label) for row, label in rows]
        self.settings = settings
        self.run_id = uuid.uuid4().hex[:8]  # ids of two runs must differ: a label counts once per id
        self.totals = Totals()
        self._recent: deque[Record] = deque(maxlen=KEPT)
        self._lines: list[str] = []
        self._random = random.Random(seed)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._labels: Labels | None = None
        self._stopped = False
        # Loop times become wall-clock times by one offset: a clock step can't reorder a run.
        self._offset = 0.0
        self._started: float | None = None

    def stop(self) -> None:
        """End the run soon, as if its duration were over."""
        self._stopped = True

    def wall(self) -> float:
        """Return the run's Unix time."""
        return asyncio.get_running_loop().time() + self._offset

    def elapsed(self) -> float:
        """Return the seconds since the first request was due, at least 1."""
        return 1.0 if self._started is None else max(1.0, self.wall() - self._started)

    def summary(self, window: float) -> dict[str, Any]:
        """Return the last `window` seconds, totals, labels and settings, for the control endpoint."""
        totals = self.totals
        return {
            **summarise(self._recent, now=self.wall(), window=window),
            "run": self.run_id,
            "inFlight": len(self._in_flight),
            "totals": {
                "sent": totals.sent,
                "shed": totals.shed,
                "failed": totals.failed,
                "answers": dict(totals.answers),
                "errors": dict(totals.errors),
            },
            "labels": self._labels.as_dict() if self._labels else {},
        }

    async def run(self) -> None:
        """Send until a bound is met or `stop`, wait for what is in flight, post labels due soon."""
        loop = asyncio.get_running_loop()
        self._offset = time.time() - loop.time()
        self._started = self.wall()
        target = self._target
        # aiohttp's default keep-alive of 15 s stays: shorter than any proxy's, so that the client closes first.
        connector = aiohttp.TCPConnector(limit=0, force_close=not target.keep_alive)
        headers = {**target.headers, **({"Host": target.host_header} if target.host_header else {})}
        async with aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=target.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            with self._out.open("a", encoding="utf-8") as file:
                flusher = asyncio.create_task(self._flush_often(file))
                try:
                    await self._send_with_labels(session)
                finally:
                    flusher.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await flusher
                    self._flush(file)

    async def _send_with_labels(self, session: aiohttp.ClientSession) -> None:
        if self._target.feedback_url is None:
            await self._send_all(session)
            return
        clock = asyncio.get_running_loop().time
        self._labels = Labels(session, self._target.feedback_url, clock=clock)
        poster = asyncio.create_task(self._labels.run())
        try:
            await self._send_all(session)
        finally:
            self._labels.close()
            await poster
        await self._labels.finish(linger=0.0 if self._stopped else self._bounds.linger)

    async def _send_all(self, session: aiohttp.ClientSession) -> None:
        """Send what is due until the run is over, then wait for the answers."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        over = started + self._bounds.duration
        pacer = Pacer(now=started, rate=self.settings.rate)
        number = 0
        while number < self._bounds.max_requests and not self._stopped:
            now = loop.time()
            pacer.change(now=now, rate=self.settings.rate)
            due = pacer.due()
            # What was due before the end is sent even when the client is late: a run's count is exact.
            if now >= over and due >= over:
                break
            if due > now:
                await asyncio.sleep(min(due - now, over - now, NAP))
                continue
            pacer.advance()
            self._dispatch(session, self._plan(number, due))
            number += 1
            if number % 8 == 0:
                await asyncio.sleep(0)  # when behind: let the answers in too
        if self._in_flight:
            await asyncio.wait(self._in_flight)

    def _plan(self, number: int, due: float) -> "_Plan":
        settings = self.settings
        user = f"user-{self._random.randrange(settings.users):05d}"
        row = number % len(self._bodies)
        return _Plan(
            number=number,
            due=due,
            user=user,
            marked=unit(user, "segment") < settings.header_share,
            row=row,
            label=self._bodies[row][1],
            settings=settings,
        )

    def _dispatch(self, session: aiohttp.ClientSession, plan: "_Plan") -> None:
        if len(self._in_flight) >= self._target.max_in_flight:
            self._keep(self._record(plan, Answer("shed"), start=plan.due, end=plan.due))
            return
        task = asyncio.create_task(self._request(session, plan))
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _request(self, session: aiohttp.ClientSession, plan: "_Plan") -> None:
        clock = asyncio.get_running_loop().time
        ident = f"{self.run_id}-{plan.number}"
        headers = {"content-type": "application/json", self._target.user_header: plan.user}
        if plan.marked:
            headers.update(self._target.segment_headers)
        headers |= {name: f"{bucket(plan.user, key):04d}" for name, key in self._target.bucket_headers.items()}
        body = b'{"id":"%s","user":"%s","rows":[%s]}' % (
            ident.encode(),
            plan.user.encode(),
            self._bodies[plan.row][0],
        )
        start = clock()
        answer = await post(session, self._target.url, body, headers)
        end = clock()
        record = self._record(plan, answer, start=start, end=end)
        self._keep(record)
        settings = plan.settings
        if self._labels is not None and record.kind == "ok" and unit(ident, "label") < settings.feedback_share:
            item = {
                "id": ident,
                "label": plan.label,
                "predicted": record.predicted,
                "version": record.version,
                "step": settings.step,
                "cohort": answer.headers.get("x-cohort", ""),
            }
            self._labels.add(item, due=end + settings.feedback_delay)

    def _record(self, plan: "_Plan", answer: Answer, *, start: float, end: float) -> Record:
        return Record(
            number=plan.number,
            scheduled=plan.due + self._offset,
            start=start + self._offset,
            end=end + self._offset,
            kind=answer.kind,
            status=answer.status,
            version=answer.headers.get("x-model-version"),
            arm=answer.headers.get("x-model-arm"),
            pod=answer.headers.get("x-pod"),
            user=plan.user,
            row=plan.row,
            label=plan.label,
            predicted=answer.predicted,
            marked=plan.marked,
        )

    def _keep(self, record: Record) -> None:
        self.totals.add(record)
        self._recent.append(record)
        self._lines.append(to_line(record))

    async def _flush_often(self, file: Any) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            self._flush(file)

    def _flush(self, file: Any) -> None:
        if self._lines:
            file.write("\n".join(self._lines) + "\n")
            file.flush()
            self._lines.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One request to be sent, with the settings of its moment."""

    number: int
    due: float
    user: str
    marked: bool
    row: int
    label: int
    settings: Settings
