"""The level of a ban: decided in the store, so that it begins anew for nobody, on every engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.model import Access, BanPolicy, Options
from custodes.runtime.bus import Bus
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.database import Database
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.testing.clock import FakeClock

_bits = random.Random(5).getrandbits

IP = "203.0.113.9"
#: Three refused requests are an offence: a warning, then a minute, a quarter of an hour, an hour, a day.
POLICY = BanPolicy(refusals=3)


@dataclass
class Request:
    client_ip: str = IP
    user: str = ""
    api_key: str = ""
    tenant: str = "default"
    method: str = "GET"
    path: str = "/login"
    trace_id: str = ""
    limited_by: str = ""


class Worker:
    """One worker of an install whose limit allows an address one request a day."""

    def __init__(self, database: Database, clock: FakeClock) -> None:
        self.clock = clock
        self.limiter = RateLimiter(
            MemoryWindows(),
            SqlRateLimitStore(database),
            clock=clock,
            new_id=lambda: uuid7(clock.now(), _bits),
            bus=Bus(),
            client_of=str,
            immune=lambda _kind, _identifier: False,
            options=Options(bans=POLICY),
        )
        self.limiter.limit("1/day", route="/login")

    def offend(self) -> int:
        """Run into the limit until it is an offence; return how long the address is shut out, microseconds."""
        for _ in range(POLICY.refusals + 1):
            self.limiter.check(Request())
        return self.shut_out()

    def shut_out(self) -> int:
        decision = self.limiter.check(Request(path="/"))
        return 0 if decision.allowed else decision.retry_after  # type: ignore[union-attr]

    async def bans(self) -> list[Access]:
        """All bans, newest first."""
        page = await self.limiter.get_blocked_identifiers(active=False)
        return [one for one in page.items if one.level]


@pytest.fixture
async def worker(database: Database, clock: FakeClock) -> Callable[[], Worker]:
    return lambda: Worker(database, clock)


async def refreshed(*workers: Worker) -> None:
    for one in workers:
        await one.limiter.refresh()


async def banned_once(worker: Callable[[], Worker], clock: FakeClock, *, count: int) -> list[Worker]:
    """Workers of which each has warned the address, and banned it before it heard of the others' bans."""
    workers = [worker() for _ in range(count)]
    await refreshed(*workers)
    for one in workers:
        assert one.offend() == 0, "a warning"
    for one in workers:
        clock.advance(SECOND // 10)
        assert one.offend() == MINUTE
    return workers


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]], ids=str)
async def test_workers_that_ban_at_nearly_the_same_moment_have_the_next_ban_go_on(
    worker: Callable[[], Worker], clock: FakeClock, order: list[int]
):
    """Given three workers that banned one address within a second, When they write that in any order, Then the bans are
    one offence, of which one stands, and the next one is the third, wherever it is.
    """
    workers = await banned_once(worker, clock, count=3)
    await refreshed(*(workers[number] for number in order))

    standing = (await workers[0].limiter.get_blocked_identifiers()).items
    assert [one.level for one in standing] == [2]
    assert all(one.ends_at >= one.created_at and not one.lifted_by for one in await workers[0].bans())

    clock.advance(2 * MINUTE)
    late = worker()
    await refreshed(*workers, late)
    assert late.offend() == 15 * MINUTE
    assert workers[order[-1]].offend() == 15 * MINUTE


async def test_bans_written_at_the_same_time_are_decided_one_after_the_other(
    worker: Callable[[], Worker], clock: FakeClock
):
    workers = await banned_once(worker, clock, count=4)

    await asyncio.gather(*(one.limiter.refresh() for one in workers))

    assert [one.level for one in (await workers[0].limiter.get_blocked_identifiers()).items] == [2]
    assert [one.level for one in await workers[0].bans()] == [2] * 4


@pytest.mark.parametrize("written", [True, False], ids=["the ban is written", "the ban is not written yet"])
async def test_a_block_by_hand_over_a_ban_leaves_its_level(
    worker: Callable[[], Worker], clock: FakeClock, *, written: bool
):
    """Given a ban, When somebody blocks the address by hand and the block ends, Then the next ban is the third."""
    (one,) = await banned_once(worker, clock, count=1)
    other = worker()
    if written:
        await refreshed(one)
    await one.limiter.block_identifier(IP, reason="looks bad", actor="user:ann", duration=5 * MINUTE)
    await refreshed(one, other)
    assert other.shut_out() == 5 * MINUTE

    clock.advance(6 * MINUTE)
    assert other.offend() == 15 * MINUTE
    await refreshed(other)
    assert [ban.level for ban in await other.bans()] == [3, 2]


async def test_a_ban_does_not_end_a_block_by_hand_that_its_worker_had_not_heard_of(
    worker: Callable[[], Worker], clock: FakeClock
):
    (one,) = await banned_once(worker, clock, count=1)
    other = worker()
    await refreshed(other)
    await other.limiter.block_identifier(IP, reason="looks bad", actor="user:ann", duration=HOUR)

    await refreshed(one, other)

    assert [one.shut_out(), other.shut_out()] == [HOUR, HOUR]
    clock.advance(2 * MINUTE)
    assert one.shut_out() == HOUR - 2 * MINUTE


async def test_to_lift_the_block_over_a_ban_is_to_pardon_in_every_worker(
    worker: Callable[[], Worker], clock: FakeClock
):
    one, other = await banned_once(worker, clock, count=2)
    await refreshed(one, other)
    clock.advance(SECOND)
    await one.limiter.block_identifier(IP, reason="looks bad", actor="user:ann")
    clock.advance(SECOND)
    await one.limiter.unblock_identifier(IP, actor="user:ann")
    await refreshed(other)

    assert [one.offend(), other.offend(), worker().offend()] == [0, 0, 0], "warnings, as at the beginning"


async def test_a_worker_that_knows_of_no_offence_writes_the_level_that_the_store_knows(
    worker: Callable[[], Worker], clock: FakeClock
):
    """Given a worker that counts from the beginning, When it bans whom another has banned for longer, Then its ban is
    as long as the next one is to be, here and in the store; and after some hours, shorter by what is forgiven.
    """
    (one,) = await banned_once(worker, clock, count=1)
    await refreshed(one)
    for length in (15 * MINUTE, HOUR):
        clock.advance(2 * HOUR)
        assert one.offend() == length
        await refreshed(one)
    clock.advance(2 * HOUR)

    forgetful = worker()
    assert [forgetful.offend(), forgetful.offend()] == [0, MINUTE]
    await refreshed(forgetful)
    assert forgetful.shut_out() == 24 * HOUR
    assert (await forgetful.bans())[0].level == 5

    clock.advance(24 * HOUR + MINUTE)
    forgetful = worker()
    assert [forgetful.offend(), forgetful.offend()] == [0, MINUTE]
    await refreshed(forgetful)
    assert (await forgetful.bans())[0].level == 2, "four of five are forgiven"


async def test_a_ban_that_is_lifted_while_it_is_written_does_not_come_back(
    worker: Callable[[], Worker], clock: FakeClock
):
    """Given a ban on its way to the store, When the address is unblocked before it arrives, Then it stays lifted."""
    (one,) = await banned_once(worker, clock, count=1)
    under_way = one.limiter._in_force.unsaved
    await one.limiter.unblock_identifier(IP, actor="user:ann")
    await one.limiter._administration.save_bans(under_way)

    other = worker()
    await refreshed(one, other)
    assert [one.shut_out(), other.shut_out()] == [0, 0]
    assert [(ban.level, ban.lifted_by) for ban in await one.bans()] == [(2, "user:ann")]
