"""`Announcer` port: Events of events.k8s.io/v1, posted in the background, repeats as a series. Best effort."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b

from modelrollout.adapters.kube.client import KubeClient
from modelrollout.adapters.kube.names import cut
from modelrollout.adapters.kube.resources import CONTROLLER, EVENTS, ROLLOUTS, Body
from modelrollout.core.intents import Announcement
from modelrollout.core.model import Key
from modelrollout.errors import Gone, RolloutError
from modelrollout.ports import Clock, RolloutObject

log = logging.getLogger(__name__)

MAX_WAITING = 256
MAX_SERIES = 1024
MAX_NOTE = 1024
MAX_INSTANCE = 128
SERIES_SECONDS = 600.0
SERIES_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Posting:
    """One announcement about one object, at a time (epoch seconds)."""

    key: Key
    uid: str
    resource_version: str
    announcement: Announcement
    at: float


@dataclass(frozen=True, slots=True)
class Series:
    """An Event that was posted: its name, how often it happened, when it was last told and last happened."""

    name: str
    count: int
    told: float
    last: float


class EventAnnouncer:
    """Queues announcements and posts them from `run`; what does not fit or can't be posted is dropped and counted.

    A repeat within ten minutes of the last one counts up the Event that is there, at most every 30 s.
    """

    def __init__(self, client: KubeClient, clock: Clock, *, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._instance = instance[:MAX_INSTANCE]
        self._waiting: asyncio.Queue[Posting] = asyncio.Queue(MAX_WAITING)
        self._series: OrderedDict[str, Series] = OrderedDict()
        self.dropped = 0

    def announce(self, obj: RolloutObject, announcements: Sequence[Announcement]) -> None:
        """Queue the announcements for posting; never raises, never waits."""
        for announcement in announcements:
            posting = Posting(obj.key, obj.uid, obj.resource_version, announcement, self._clock.now())
            try:
                self._waiting.put_nowait(posting)
            except asyncio.QueueFull:
                self.dropped += 1

    async def run(self) -> None:
        """Post what is queued, until cancelled."""
        while True:
            posting = await self._waiting.get()
            try:
                await self._post(posting)
            except RolloutError as error:
                self.dropped += 1
                log.warning("event not posted: %s", error)
            finally:
                self._waiting.task_done()

    async def drain(self) -> None:
        """Wait until everything queued so far was posted or dropped; `run` must be running."""
        await self._waiting.join()

    async def _post(self, posting: Posting) -> None:
        identity = _identity(posting)
        known = self._series.get(identity)
        if known is None or posting.at - known.last > SERIES_SECONDS:
            await self._begin(identity, posting)
            return
        known = replace(known, count=known.count + 1, last=posting.at)
        if posting.at - known.told >= SERIES_PAUSE or known.count == 2:
            series = {"count": known.count, "lastObservedTime": micro_time(posting.at)}
            try:
                await self._client.merge_patch(EVENTS, posting.key.namespace, known.name, {"series": series})
            except Gone:
                # Events expire after an hour or so.
                await self._begin(identity, posting)
                return
            known = replace(known, told=posting.at)
        self._series[identity] = known
        self._series.move_to_end(identity)

    async def _begin(self, identity: str, posting: Posting) -> None:
        body = event_body(posting, instance=self._instance)
        await self._client.create(EVENTS, posting.key.namespace, body)
        self._series[identity] = Series(body["metadata"]["name"], 1, posting.at, posting.at)
        self._series.move_to_end(identity)
        while len(self._series) > MAX_SERIES:
            self._series.popitem(last=False)


def event_body(posting: Posting, *, instance: str) -> Body:
    """The Event of one posting."""
    what = posting.announcement
    unique = blake2b(f"{_identity(posting)}@{posting.at}".encode(), digest_size=8).hexdigest()
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"namespace": posting.key.namespace, "name": f"{cut(posting.key.name, 200)}.{unique}"},
        "eventTime": micro_time(posting.at),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "type": what.severity.value,
        "reason": what.reason,
        "action": what.reason,
        "note": cut_bytes(what.message, MAX_NOTE),
        "regarding": {
            "apiVersion": ROLLOUTS.api_version,
            "kind": ROLLOUTS.kind,
            "namespace": posting.key.namespace,
            "name": posting.key.name,
            "uid": posting.uid,
            "resourceVersion": posting.resource_version,
        },
    }


def micro_time(at: float) -> str:
    """Epoch seconds as MicroTime in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def cut_bytes(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, with an ellipsis when it was cut."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"


def _identity(posting: Posting) -> str:
    what = posting.announcement
    return "\n".join((posting.uid, what.severity.value, what.reason, what.message))
