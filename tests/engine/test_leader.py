"""Leader election: who may write, when, under skewed clocks, partitions and conflicts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from modelrollout.core.model import Epoch
from modelrollout.errors import ApiUnavailable, Conflict
from modelrollout.ports import LeaseRecord
from modelrollout.runtime.leader import DURATION, RENEW_DEADLINE, Leader, Seen, Wait, Write, look, step

pytestmark = pytest.mark.looptime(start=0)

STAMP = "2026-01-01T00:00:00.000000Z"


def record(holder: str, transitions: int = 3, renewed: str = "r1") -> LeaseRecord:
    return LeaseRecord(holder, Epoch(transitions), DURATION, renewed, "7")


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, Write(LeaseRecord("me", Epoch(8), DURATION, STAMP, ""), create=True)),
        (record("me", 2), Write(LeaseRecord("me", Epoch(8), DURATION, STAMP, "7"), create=False)),
        (record("me", 7), Write(LeaseRecord("me", Epoch(7), DURATION, STAMP, "7"), create=False)),
        (record("", 2), Write(LeaseRecord("me", Epoch(8), DURATION, STAMP, "7"), create=False)),
        (record("", 9), Write(LeaseRecord("me", Epoch(10), DURATION, STAMP, "7"), create=False)),
        (record("other", 2), Wait()),
    ],
)
async def test_bug_a_deleted_lease_counted_anew_and_its_holder_was_taken_for_deposed(
    stored: LeaseRecord | None, expected: Wait | Write
) -> None:
    assert step(Seen(stored, 0.0), "me", mono=1.0, stamp=STAMP, known=Epoch(7)) == expected


@dataclass
class Apart:
    """A clock whose wall time is off by `skew`; monotonic time is the loop's."""

    skew: float = 0.0

    def now(self) -> float:
        return 1.8e9 + asyncio.get_running_loop().time() + self.skew

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class Leases:
    """One Lease with optimistic locking; `cut` makes it unreachable."""

    def __init__(self) -> None:
        self.stored: LeaseRecord | None = None
        self.version = 0
        self.writes: list[LeaseRecord] = []
        self.cut: set[str] = set()

    def of(self, me: str) -> _LeaseClient:
        return _LeaseClient(self, me)


class _LeaseClient:
    def __init__(self, leases: Leases, me: str) -> None:
        self._leases = leases
        self._me = me

    async def read(self) -> LeaseRecord | None:
        self._reach()
        return self._leases.stored

    async def write(self, record: LeaseRecord, *, create: bool) -> LeaseRecord:
        self._reach()
        stored = self._leases.stored
        if (stored is not None) if create else (stored is None or stored.resource_version != record.resource_version):
            raise Conflict("moved on")
        self._leases.version += 1
        self._leases.stored = replace(record, resource_version=str(self._leases.version))
        self._leases.writes.append(record)
        return self._leases.stored

    def _reach(self) -> None:
        if self._me in self._leases.cut:
            raise ApiUnavailable("cut off")


@pytest.mark.parametrize(
    ("seen", "mono", "holder", "epoch"),
    [
        pytest.param(Seen(None, 0), 0, "me", 1, id="none: create"),
        pytest.param(Seen(record("me"), 0), 5, "me", 3, id="ours: renew, same epoch"),
        pytest.param(Seen(record("me"), 0), 500, "me", 3, id="ours, long ago, taken by nobody: renew"),
        pytest.param(Seen(record(""), 0), 0, "me", 4, id="released: take at once"),
        pytest.param(Seen(record("other"), 0), 15, "me", 4, id="expired: take, next epoch"),
    ],
)
def test_step_writes(seen: Seen, mono: float, holder: str, epoch: int) -> None:
    move = step(seen, "me", mono=mono, stamp=STAMP)
    assert isinstance(move, Write)
    assert (move.record.holder, move.record.transitions, move.create) == (holder, epoch, seen.record is None)


def test_step_waits_for_a_holder_that_renewed_lately() -> None:
    assert step(Seen(record("other"), 0), "me", mono=14.9, stamp=STAMP) == Wait()


def test_expiry_counts_from_the_last_change_that_we_saw_whatever_the_record_says() -> None:
    first = look(None, record("other", renewed="1999-01-01T00:00:00Z"), mono=100)
    assert step(first, "me", mono=110, stamp=STAMP) == Wait()
    renewed = look(first, record("other", renewed="2999-01-01T00:00:00Z"), mono=110)
    assert step(renewed, "me", mono=124, stamp=STAMP) == Wait()
    assert look(renewed, record("other", renewed="2999-01-01T00:00:00Z"), mono=120) == renewed
    assert isinstance(step(renewed, "me", mono=125, stamp=STAMP), Write)


@pytest.mark.parametrize("skew", [-300.0, 0.0, 30.0, 86400.0])
async def test_two_replicas_with_skewed_clocks_never_lead_together(skew: float) -> None:
    leases = Leases()
    leaders = [
        Leader(leases.of("a"), Apart(), "a", lambda _: None),
        Leader(leases.of("b"), Apart(skew), "b", lambda _: None),
    ]
    tasks = [asyncio.create_task(leader.run()) for leader in leaders]
    history = []
    for second in range(120):
        if second == 20:
            leases.cut = {"a", "b"} & {leases.stored.holder if leases.stored else ""}
        if second == 60:
            leases.cut = set()
        await asyncio.sleep(1)
        leading = [leader.me for leader in leaders if leader.epoch() is not None]
        assert len(leading) <= 1
        history.extend(leading)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert set(history) == {"a", "b"}


async def test_a_partitioned_leader_stops_before_anybody_may_take_over_and_the_epoch_grows() -> None:
    leases = Leases()
    told: list[tuple[float, bool]] = []
    loop = asyncio.get_running_loop()
    first = Leader(leases.of("a"), Apart(), "a", lambda leading: told.append((loop.time(), leading)))
    second = Leader(leases.of("b"), Apart(), "b", lambda _: None)
    tasks = [asyncio.create_task(first.run()), asyncio.create_task(second.run())]
    await asyncio.sleep(5)
    assert (first.epoch(), second.epoch()) == (1, None)
    leases.cut = {"a"}
    cut_at = loop.time()
    while second.epoch() is None:
        await asyncio.sleep(0.1)
    assert loop.time() - cut_at <= 20
    assert told[-1][1] is False
    assert told[-1][0] - cut_at <= RENEW_DEADLINE
    assert told[-1][0] < loop.time() - (DURATION - RENEW_DEADLINE - 2)
    assert (first.epoch(), second.epoch()) == (None, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_right_to_write_ends_by_itself_when_renewing_hangs() -> None:
    class Hanging(_LeaseClient):
        hang = False

        async def read(self) -> LeaseRecord | None:
            if self.hang:
                await asyncio.sleep(3600)
            return await super().read()

    client = Hanging(Leases(), "a")
    leader = Leader(client, Apart(), "a", lambda _: None)
    await leader.once()
    assert leader.epoch() == 1
    client.hang = True
    task = asyncio.create_task(leader.run())
    await asyncio.sleep(RENEW_DEADLINE)
    assert leader.epoch() is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_released_lease_is_taken_at_the_next_look() -> None:
    leases = Leases()
    told: list[bool] = []
    first = Leader(leases.of("a"), Apart(), "a", told.append)
    await first.once()
    await first.release()
    assert told == [True, False]
    second = Leader(leases.of("b"), Apart(), "b", told.append)
    await second.once()
    assert second.epoch() == 2


async def test_the_loser_of_a_race_for_an_expired_lease_does_not_lead() -> None:
    leases = Leases()
    leases.stored = replace(record(""), resource_version="0")
    first = Leader(leases.of("a"), Apart(), "a", lambda _: None)
    second = Leader(leases.of("b"), Apart(), "b", lambda _: None)
    await asyncio.gather(first.once(), second.once())
    assert sorted(map(str, (first.epoch(), second.epoch()))) == ["4", "None"]
