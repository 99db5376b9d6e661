"""Limits that all instances share through Redis: exact, in few calls, and never in the host's way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
from tests.servers.programs import required
from tests.servers.redis import RedisCluster, RedisSentinels, RedisServer

from custodes import Custodes
from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.kernel.clock import HOUR, MILLISECOND, MINUTE, SECOND
from custodes.kernel.window import Concurrency, Gcra, Meter, Outcome, SlidingLog, SubWindows
from custodes.runtime.breaker import DEFAULT_FAILURES
from custodes.runtime.system_clock import SystemClock
from custodes.storage.redis.batch import Batch
from custodes.storage.redis.cells import RedisCells
from custodes.storage.redis.connection import connect
from custodes.storage.redis.windows import _DOUBT_DEADLINE, MAX_BATCH, RedisWindows, why_undecided

#: Longest that anything here waits for Redis: long enough for a busy machine.
PATIENT = 10 * SECOND

clock = SystemClock()


@pytest.fixture(autouse=True)
def patient_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give connections as long as decisions; who tries what happens when none is made refuses them at once."""
    monkeypatch.setattr("custodes.storage.redis.connection._CONNECT_SECONDS", PATIENT / SECOND)


@pytest.fixture
async def windows(redis_server: RedisServer) -> AsyncIterator[Callable[..., RedisWindows]]:
    """Makes instances on one Redis; each is stopped."""
    made: list[RedisWindows] = []

    def make(url: str = redis_server.url, deadline: int = PATIENT) -> RedisWindows:
        made.append(RedisWindows(url, b"secret", monotonic=clock.monotonic, deadline=deadline))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


def hurry(engine: RedisWindows, deadline: int = 20 * MILLISECOND) -> None:
    """Have it wait no longer for Redis from now on: until then, and after it, a busy machine is not what is tried."""
    engine._deadline = engine._calls._deadline = deadline / SECOND


async def decide(engine: RedisWindows, *asks: tuple[object, str, int]) -> Outcome:
    answer = engine.decide(asks, clock.now())
    return answer if isinstance(answer, Outcome) else await answer


@pytest.mark.parametrize(
    "meter",
    [SlidingLog(20, HOUR), SubWindows(20, HOUR), Gcra(1, HOUR, 20), Concurrency(20, HOUR)],
    ids=lambda meter: type(meter).__name__,
)
async def test_of_a_hundred_tasks_at_once_exactly_as_many_pass_as_the_limit_says(windows, meter: Meter):
    engines = [windows(), windows()]

    outcomes = await asyncio.gather(
        *(decide(engines[number % 2], (engines[number % 2].cells("a", meter), "x", 1)) for number in range(100))
    )

    assert sum(not outcome.refused for outcome in outcomes) == 20


async def test_who_only_asks_whether_redis_decides_leaves_nothing_in_it(redis_server: RedisServer):
    redis_server.flush()
    assert await why_undecided(redis_server.url) == ""

    with contextlib.closing(redis_server.client()) as client:
        assert client.keys() == [], "no instance was added, among which a limit would be divided"
    assert await why_undecided("redis://127.0.0.1:1/0") != ""


WORKER = """
import asyncio, json, random, sys, time
from custodes.kernel.window import Outcome, SlidingLog
from custodes.runtime.breaker import DEFAULT_FAILURES
from custodes.runtime.system_clock import SystemClock
from custodes.storage.redis.windows import RedisWindows

async def main():
    clock = SystemClock()
    windows = RedisWindows(sys.argv[1], b"secret", monotonic=clock.monotonic, deadline=10_000_000)
    cells = windows.cells("log", SlidingLog(int(sys.argv[2]), int(sys.argv[3])))
    cells.lease = int(sys.argv[6])
    await windows.start()
    rng, admitted, longest, began = random.Random(sys.argv[4]), [], 0, time.monotonic()
    def is_done():
        enough = len(admitted) >= cells.meter.limit / 3 and (cells.lease == 1 or windows.leased_decisions >= 40)
        return time.monotonic() > began + (float(sys.argv[5]) if enough else 60)
    async def client():
        nonlocal longest
        while not is_done():
            cost, asked = rng.choice((1, 1, 2)), clock.now()
            outcome = windows.decide([(cells, "somebody", cost)], asked)
            outcome = outcome if isinstance(outcome, Outcome) else await outcome
            longest = max(longest, clock.now() - asked)
            if not outcome.refused:
                admitted.extend([outcome.charged_at(0, 0)] * cost)
            await asyncio.sleep(rng.random() / 200)
    await asyncio.gather(*(client() for _ in range(4)))
    await windows.stop()
    print(json.dumps([admitted, windows.leased_decisions, longest]))

asyncio.run(main())
"""


async def three_processes(url: str, limit: int, window: int, lease: int = 1) -> tuple[list[int], int, int]:
    """Have three processes ask all the time, for so many seconds and until each has had its part of the limit; returns
    when each unit passed, how many decisions were made on leases, and the longest that one took, microseconds."""
    workers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WORKER, url, str(limit), str(window), str(seed), "1.2", str(lease)),
            stdout=subprocess.PIPE,
        )
        for seed in range(3)
    ]
    told = [json.loads((await worker.communicate())[0]) for worker in workers]
    return (
        sorted(stamp for stamps, _, _ in told for stamp in stamps),
        sum(one[1] for one in told),
        max(one[2] for one in told),
    )


@pytest.mark.parametrize("limit", [37, 300])
async def test_three_processes_never_admit_one_more_than_the_limit_in_any_window(redis_server: RedisServer, limit: int):
    """Given three processes on one Redis, then no stretch as long as the window holds more than the limit."""
    window = 200 * MILLISECOND
    stamps, _, _ = await three_processes(redis_server.url, limit, window)

    assert len(stamps) >= limit, "the limit was reached"
    assert all(later - earlier >= window for earlier, later in zip(stamps, stamps[limit:], strict=False))


async def test_three_processes_with_leases_admit_no_more_than_the_bound_says(redis_server: RedisServer):
    """Given leases of 30 units, then no window holds more than 29 units of each process above the limit."""
    limit, window, lease = 700, SECOND, 30
    stamps, leased, longest = await three_processes(redis_server.url, limit, window, lease)
    most = limit + 3 * (lease - 1)

    assert leased > 100
    assert len(stamps) >= limit, "the limit was reached"
    # An instance knows the server's time to within a call.
    assert all(later - earlier >= window - longest for earlier, later in zip(stamps, stamps[most:], strict=False))


# ── Leases ───────────────────────────────────────────────────────────────────


async def leased(engine: RedisWindows, meter: Meter, lease: int, key: str = "x") -> RedisCells:
    """Have an instance hold a lease of somebody."""
    cells = engine.cells("leased", meter)
    cells.lease = lease
    for _ in range(2):
        await decide(engine, (cells, key, 1))
    async with asyncio.timeout(60):
        while key not in cells.leases:
            await asyncio.sleep(0.001)
    return cells


async def test_what_is_leased_is_decided_without_a_call(windows):
    engine = windows()
    cells = await leased(engine, SlidingLog(1_000, HOUR), 50)
    calls = engine.calls

    outcomes = [engine.decide([(cells, "x", 1)], clock.now()) for _ in range(49)]

    assert all(isinstance(outcome, Outcome) and not outcome.refused for outcome in outcomes)
    assert (engine.calls, engine.leased_decisions) == (calls, 49)
    assert outcomes[-1].views[0][0] == 1_000 - 2 - 49
    assert cells.tally["x"] == 51
    assert not isinstance(engine.decide([(cells, "x", 1)], clock.now()), Outcome)


async def test_who_comes_once_is_leased_nothing(windows):
    engine = windows()
    cells = engine.cells("a", SlidingLog(1_000, HOUR))
    cells.lease = 50

    await asyncio.gather(*(decide(engine, (cells, str(number), 1)) for number in range(20)))

    assert not cells.leases
    assert not cells.borrowing


async def test_near_the_limit_each_unit_is_asked_for(windows):
    """Given two instances and a lease of 10, when less than 40 units are left, then nobody holds any for himself."""
    engine = windows()
    engine._presence.instances = 2
    cells = engine.cells("a", SlidingLog(100, HOUR))
    cells.lease = 10
    await decide(engine, (cells, "x", 61))

    outcomes = [await decide(engine, (cells, "x", 1)) for _ in range(40)]

    assert [bool(outcome.refused) for outcome in outcomes] == [False] * 39 + [True]
    assert engine.leased_decisions == 0


@pytest.mark.parametrize("ends", ["the instance stops", "rules change"])
async def test_what_is_not_used_of_a_lease_is_given_back(windows, ends: str):
    engine, other = windows(), windows()
    await leased(engine, Gcra(1_000, HOUR, 1_000), 50)

    if ends == "rules change":
        engine.keep_only([])
        await asyncio.gather(*engine._calls.under_way)
    else:
        await engine.stop()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while (outcome := await decide(other, (other.cells("leased", Gcra(1_000, HOUR, 1_000)), "x", 1))).views[0][
            0
        ] < 900:
            pass

    assert outcome.views[0][0] > 1_000 - 50


async def test_a_request_with_a_limit_that_is_not_leased_is_asked_about(windows):
    engine = windows()
    cells = await leased(engine, SlidingLog(1_000, HOUR), 50)
    strict = engine.cells("strict", SlidingLog(1_000, HOUR))

    assert not isinstance(engine.decide([(cells, "x", 1), (strict, "x", 1)], clock.now()), Outcome)
    assert cells.leases["x"].left == 49


async def test_without_redis_a_lease_is_used_up_and_then_the_failure_mode_counts(windows):
    engine = windows()
    cells = await leased(engine, SlidingLog(1_000, HOUR), 50)
    engine._breaker.open = True

    for _ in range(49):
        assert isinstance(engine.decide([(cells, "x", 1)], clock.now()), Outcome)
    with pytest.raises(StorageUnavailable):
        engine.decide([(cells, "x", 1)], clock.now())
    engine._breaker.succeeded()


async def test_in_a_cluster_each_part_is_leased(windows, redis_cluster: RedisCluster):
    engine = windows(redis_cluster.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    by_ip, by_user = engine.cells("ip", SlidingLog(1_000, HOUR)), engine.cells("user", SlidingLog(1_000, HOUR))
    by_ip.lease = by_user.lease = 50
    asks = [(by_ip, "203.0.113.7", 1), (by_user, "acme\x1fann", 1)]
    for _ in range(2):
        await decide(engine, *asks)
    async with asyncio.timeout(60):
        while not (by_ip.leases and by_user.leases):
            await asyncio.sleep(0.001)

    assert isinstance(engine.decide(asks, clock.now()), Outcome)


# ── Calls ────────────────────────────────────────────────────────────────────


async def test_requests_that_come_together_share_calls(windows):
    engine = windows()
    cells = engine.cells("a", SlidingLog(4_000, HOUR))

    await asyncio.gather(*(decide(engine, (cells, str(number), 1)) for number in range(100)))

    assert engine.calls == -(-100 // MAX_BATCH)


async def test_a_call_that_is_over_leaves_nothing_to_the_collector(windows):
    """Given that nothing is collected, when calls are over, then nothing of them is left."""
    engine = windows()
    cells = engine.cells("a", SlidingLog(100, HOUR))
    await decide(engine, (cells, "x", 1))
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            await decide(engine, (cells, "x", 1))
        left = [thing for thing in gc.get_objects() if type(thing) is Batch]
    finally:
        gc.enable()

    assert not left


async def test_all_limits_of_a_request_are_charged_or_none(windows):
    engine = windows()
    wide, narrow = engine.cells("wide", SlidingLog(10, HOUR)), engine.cells("narrow", Gcra(1, HOUR, 1))

    first = await decide(engine, (wide, "x", 1), (narrow, "x", 1))
    second = await decide(engine, (wide, "x", 1), (narrow, "x", 1))
    third = await decide(engine, (wide, "x", 1))

    assert (len(first.refused), len(second.refused)) == (0, 1)
    assert third.views[0][0] == 8


async def test_a_flood_of_refused_requests_costs_no_call(windows):
    engine = windows()
    cells = engine.cells("a", SlidingLog(1, HOUR))
    for _ in range(2):
        await decide(engine, (cells, "x", 1))
    calls = engine.calls

    outcomes = [engine.decide([(cells, "x", 1)], clock.now()) for _ in range(1_000)]

    assert all(isinstance(outcome, Outcome) and outcome.refused for outcome in outcomes)
    assert engine.calls == calls
    assert engine.known_refusals == 1_000


async def test_a_refusal_that_is_known_ends_when_it_was_said_to(windows):
    """Given a window of 200 ms, when it is over, then the next request is asked about and admitted."""
    engine = windows()
    cells = engine.cells("a", SlidingLog(1, 200 * MILLISECOND))
    while not (refused := await decide(engine, (cells, "x", 1))).refused:
        pass  # the first; and on a machine that takes longer than the window, the next

    await asyncio.sleep(refused.refused[0][1] / SECOND)
    admitted = await decide(engine, (cells, "x", 1))

    assert not admitted.refused


async def test_a_change_of_rules_forgets_what_was_known_to_be_refused(windows):
    engine = windows()
    cells = engine.cells("a", SlidingLog(1, HOUR))
    for _ in range(2):
        await decide(engine, (cells, "x", 1))

    engine.keep_only(["a"])

    assert not isinstance(engine.decide([(cells, "x", 1)], clock.now()), Outcome)


async def test_slots_that_are_given_back_are_free_at_once(windows):
    engine = windows()
    cells = engine.cells("a", Concurrency(1, HOUR))
    held = await decide(engine, (cells, "x", 1))
    assert (await decide(engine, (cells, "x", 1))).refused

    engine.release(cells, "x", held.charged_at(0, 0), 1)

    assert not (await decide(engine, (cells, "x", 1))).refused


async def test_a_server_that_has_forgotten_the_script_is_sent_it_again(windows, redis_server: RedisServer):
    engine = windows()
    cells = engine.cells("a", SlidingLog(2, HOUR))
    await decide(engine, (cells, "x", 1))
    with redis_server.client() as client:
        client.script_flush()

    outcome = await decide(engine, (cells, "x", 1))

    assert outcome.views[0][0] == 0
    assert engine.failures == 0


async def test_no_address_is_in_redis_in_clear_and_everything_there_ends(windows, redis_server: RedisServer):
    engine = windows()
    for name, meter in {"a": SlidingLog(5, MINUTE), "b": Gcra(5, MINUTE, 5), "c": SubWindows(5, MINUTE)}.items():
        await decide(engine, (engine.cells(name, meter, together=name), "203.0.113.199", 1))

    with redis_server.client() as client:
        keys: list[bytes] = client.keys("*")
        assert len(keys) >= 3
        assert all(b"203.0.113.199" not in key + (client.dump(key) or b"") for key in keys)
        assert all(0 < client.pttl(key) <= 75_000 for key in keys), "a quarter longer than it says something, at most"


async def test_counts_lost_in_a_flush_begin_anew(windows, redis_server: RedisServer):
    engine = windows()
    cells = engine.cells("a", SlidingLog(300, HOUR))
    await decide(engine, (cells, "x", 200))
    redis_server.flush()

    outcome = await decide(engine, (cells, "x", 1))

    assert outcome.views[0][0] == 299


METERS = [SlidingLog(10, HOUR), SlidingLog(300, HOUR), SubWindows(10, HOUR), Gcra(10, HOUR, 10), Concurrency(10, HOUR)]


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: f"{type(meter).__name__} {meter.limit}")
async def test_who_is_near_a_limit_is_told_with_what_all_instances_have_counted(windows, meter: Meter):
    """Given somebody who used 80 % here and one unit more elsewhere, and somebody who used less, then the first one."""
    here, elsewhere = windows(), windows()
    cells = here.cells("a", meter)
    await decide(here, (cells, "near", meter.limit * 8 // 10), (cells, "far", meter.limit * 7 // 10))
    await decide(elsewhere, (elsewhere.cells("a", meter), "near", 1))

    assert await here.near(cells, clock.now()) == [("near", meter.limit // 5 - 1)]


async def test_of_limits_that_are_asked_together_the_one_that_is_near_is_told(windows):
    """Given four requests under three limits, of which the second admits five, then somebody is near that one only."""
    engine = windows()
    meters = (SlidingLog(300, HOUR), SlidingLog(5, HOUR), Gcra(300, HOUR, 300))
    limits = [engine.cells(f"limit {number}", meter, together="route") for number, meter in enumerate(meters)]

    for _ in range(4):
        await decide(engine, *((cells, "somebody", 1) for cells in limits))

    assert [cells.near.all() for cells in limits] == [[], [("somebody", 1)], []]


async def test_who_is_near_no_more_is_not_told(windows, redis_server: RedisServer):
    engine = windows()
    cells = engine.cells("a", SlidingLog(5, HOUR))
    await decide(engine, (cells, "x", 5))
    redis_server.flush()

    assert await engine.near(cells, clock.now()) == []
    assert cells.near.all() == []


async def test_who_is_near_a_limit_is_told_as_last_seen_when_nobody_answers(windows):
    server = RedisServer()
    try:
        engine = windows(server.url)
        cells = engine.cells("a", SlidingLog(5, HOUR))
        await decide(engine, (cells, "x", 5))
        server.kill()

        told = [await engine.near(cells, clock.now()) for _ in range(5)]

        assert told == [[("x", 0)]] * 5
    finally:
        await engine.stop()
        server.remove()


# ── Redis that does not answer ───────────────────────────────────────────────


async def test_a_frozen_redis_holds_up_a_few_requests_and_then_none(windows):
    """Given a Redis that hangs, then each waits for the deadline, soon nobody does, and after the thaw it decides."""
    server = RedisServer()
    try:
        engine = windows(server.url)
        await engine.start()
        cells = engine.cells("a", SlidingLog(1_000, HOUR))
        assert engine.available
        server.freeze()
        hurry(engine)
        waited = 0
        while engine.available:
            waited += 1
            with pytest.raises(StorageUnavailable):
                await decide(engine, (cells, "x", 1))
        hurry(engine, PATIENT)
        with pytest.raises(StorageUnavailable):
            engine.decide([(cells, "x", 1)], clock.now())

        server.thaw()
        async with asyncio.timeout(60):
            while not engine.available:
                await asyncio.sleep(0.01)

        # Where our own loop was late, it is first made sure of, for half a second.
        assert waited <= DEFAULT_FAILURES + _DOUBT_DEADLINE / 0.02 + 1
        assert not (await decide(engine, (cells, "x", 1))).refused
    finally:
        await engine.stop()
        server.remove()


async def test_slots_taken_by_a_decision_that_came_too_late_are_given_back(windows):
    """Given a Redis that charges slots after the deadline, and is taken for lost meanwhile, then nobody holds them."""
    server = RedisServer()
    try:
        engine = windows(server.url)
        await engine.start()
        cells = engine.cells("a", Concurrency(4, HOUR))
        server.freeze()
        hurry(engine)
        for _ in range(4):  # the last one is not asked: three are enough to know
            with pytest.raises(StorageUnavailable):
                await decide(engine, (cells, "x", 1))
        server.thaw()
        while engine._calls.late:
            await asyncio.sleep(0.01)

        other = windows(server.url)
        async with asyncio.timeout(60):
            while (await decide(other, (other.cells("a", Concurrency(4, HOUR)), "x", 4))).refused:
                await asyncio.sleep(0.01)
    finally:
        await engine.stop()
        await other.stop()
        server.remove()


async def test_who_stops_does_not_listen_for_late_answers(windows, monkeypatch: pytest.MonkeyPatch):
    """Given a Redis that hangs, and calls that it has not answered, then stopping waits for none of them."""
    monkeypatch.setattr("custodes.storage.redis.calls._LISTEN_SECONDS", 600.0)
    server = RedisServer()
    try:
        engine = windows(server.url)
        await engine.start()
        server.freeze()
        hurry(engine)
        with pytest.raises(StorageUnavailable):
            await decide(engine, (engine.cells("a", Concurrency(1, HOUR)), "x", 1))
        asked = asyncio.ensure_future(decide(engine, (engine.cells("a", Concurrency(1, HOUR)), "x", 1)))
        await asyncio.sleep(0)

        async with asyncio.timeout(60):
            await engine.stop()

        with pytest.raises(StorageUnavailable):
            await asked
    finally:
        server.remove()


async def test_slots_of_a_caller_who_left_are_given_back(windows):
    """Given whoever asked has gone when the answer comes, then the slot is free."""
    engine = windows()
    cells = engine.cells("a", Concurrency(1, HOUR))
    asked = asyncio.ensure_future(engine.decide([(cells, "x", 1)], clock.now()))
    asked.cancel()
    while engine._calls.under_way or engine._count:
        await asyncio.sleep(0.001)

    assert not (await decide(engine, (cells, "x", 1))).refused


async def ask_late(engine: RedisWindows) -> None:
    """Ask about somebody, and have our own loop do something else for longer than a decision may take."""
    answer = engine.decide([(engine.cells("a", SlidingLog(1_000, HOUR)), "x", 1)], clock.now())
    assert not isinstance(answer, Outcome)
    await asyncio.sleep(0)  # the call is sent
    asyncio.get_running_loop().call_soon(time.sleep, 0.03)
    async with asyncio.timeout(60):
        with contextlib.suppress(StorageUnavailable):
            await answer


@pytest.fixture
def no_end_of_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is given up on by itself: whoever is late is not made to wait for that."""
    monkeypatch.setattr("custodes.storage.redis.connection._SILENCE_SECONDS", 600.0)


@pytest.mark.usefixtures("no_end_of_silence")
async def test_a_loop_that_is_late_is_no_failure_of_redis(windows, monkeypatch: pytest.MonkeyPatch):
    """Given a Redis that answers, when our loop hangs for longer than the deadline again and again, then it counts."""
    monkeypatch.setattr("custodes.storage.redis.windows._DOUBT_DEADLINE", 60.0)  # it answers, on a busy machine too
    engine = windows()
    await engine.start()
    hurry(engine)

    for _ in range(10):
        await ask_late(engine)
        assert engine.available


@pytest.mark.usefixtures("no_end_of_silence")
async def test_a_loop_that_is_late_hides_no_failure_of_redis(windows):
    """Given a Redis that hangs, when our loop is late each time, then it is found out all the same."""
    server = RedisServer()
    try:
        engine = windows(server.url)
        await engine.start()
        server.freeze()
        hurry(engine)
        async with asyncio.timeout(60):
            while engine.available:
                await ask_late(engine)
                await asyncio.sleep(0.05)

        assert not engine.available
    finally:
        server.thaw()
        await engine.stop()
        server.remove()


async def test_a_redis_that_is_killed_and_comes_back_decides_again(windows):
    server = RedisServer()
    try:
        engine = windows(server.url)
        cells = engine.cells("a", SlidingLog(1_000, HOUR))
        await decide(engine, (cells, "x", 1))
        server.kill()
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                await decide(engine, (cells, "x", 1))
        assert not engine.available

        server.start()
        async with asyncio.timeout(60):
            while not engine.available:
                await asyncio.sleep(0.01)

        assert not (await decide(engine, (cells, "x", 1))).refused
    finally:
        await engine.stop()
        server.remove()


async def test_a_host_starts_without_redis(windows):
    engine = windows("redis://127.0.0.1:1/0")

    await engine.start()

    assert not engine.available


@pytest.mark.parametrize(("mode", "admitted"), [("open", 5), ("closed", 0), ("degraded", 2)])
async def test_what_redis_does_not_decide_goes_by_the_failure_mode(install, call, mode: str, admitted: int):
    """Given three live instances and a limit of 6, then a degraded one admits 2; all of it is counted and shown."""
    custodes: Custodes = install(
        redis_url="redis://127.0.0.1:1/0", rate_limit_failure_mode="closed" if mode == "open" else "open"
    )
    await custodes.open()
    custodes.limit("6/hour", on_failure=mode)
    custodes.ratelimit._windows._presence.instances = 3

    await custodes.ratelimit._windows.start()
    decisions = [custodes.ratelimit.check(call()) for _ in range(5)]
    health = await custodes.ratelimit.get_health_status()

    assert sum(decision.allowed for decision in decisions) == admitted
    assert {decision.problem[0] for decision in decisions if not decision.allowed} <= {
        "closed": {503},
        "degraded": {429},
        "open": set(),
    }[mode]
    name = {"open": "let_through_undecided", "closed": "refused_undecided", "degraded": "decided_degraded"}[mode]
    assert health.figures[name] == health.figures["undecided"] == 5
    assert health.figures["store_lost"] == 1
    assert health.state != "healthy"


async def test_a_decision_that_nobody_waits_for_fails_in_silence(windows):
    """Given a Redis that cannot be reached, when whoever asked is gone, then the loop complains of nothing."""
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: complaints.append(what))
    engine = windows("redis://127.0.0.1:1/0")
    cells = engine.cells("a", SlidingLog(1, HOUR))

    for number in range(5):
        with contextlib.suppress(StorageUnavailable):  # once it is known, nobody is kept waiting
            engine.decide([(cells, "x", 1)], clock.now())
        async with asyncio.timeout(60):
            while engine.failures == number:
                await asyncio.sleep(0.001)
    gc.collect()

    assert engine.failures == 5
    assert complaints == []


async def test_instances_know_of_each_other(windows):
    engines = [windows(), windows()]
    for engine in (*engines, engines[0]):
        await engine._presence.beat()

    assert engines[0].instances == 2
    await engines[1]._presence.stop()
    await engines[0]._presence.beat()
    assert engines[0].instances == 1


# ── Cluster ──────────────────────────────────────────────────────────────────


async def test_in_a_cluster_limits_of_several_slots_are_charged_all_or_none(windows, redis_cluster: RedisCluster):
    """Given a limit by address and one by user, in different slots, then what one refuses is free in the other."""
    engine = windows(redis_cluster.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    by_ip, by_user = engine.cells("ip", SlidingLog(10, HOUR)), engine.cells("user", SlidingLog(3, HOUR))
    user = "acme\x1fann"
    ip = next(f"203.0.113.{n}" for n in range(200) if by_ip.named(f"203.0.113.{n}")[1] != by_user.named(user)[1])

    outcomes = await asyncio.gather(*(decide(engine, (by_ip, ip, 1), (by_user, user, 1)) for _ in range(6)))
    async with asyncio.timeout(60):
        while engine._calls.under_way or engine._count:  # what is given back
            await asyncio.sleep(0.001)
    left = (await decide(engine, (by_ip, ip, 1))).views[0][0]

    assert sum(not outcome.refused for outcome in outcomes) == 3
    assert left == 10 - 3 - 1
    assert engine.failures == 0


async def test_in_a_cluster_the_limits_of_a_tenant_share_a_slot(windows, redis_cluster: RedisCluster):
    engine = windows(redis_cluster.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
    cells = [engine.cells(name, SlidingLog(20, HOUR)) for name in ("user", "key", "tenant")]
    asks = [(one, f"acme\x1f{number}", 1) for number, one in enumerate(cells)]

    outcomes = await asyncio.gather(*(decide(engine, *asks) for _ in range(30)))

    assert sum(not outcome.refused for outcome in outcomes) == 20
    assert len({one.named(key)[1] for one, key, _ in asks}) == 1
    assert (
        engine.calls == 2
    )  # of half of the requests each; with a slot for each limit there would be three times as many


# ── Sentinel ─────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def sentinels() -> Iterator[RedisSentinels]:
    made = cast("RedisSentinels", required(RedisSentinels))
    yield made
    made.remove()


async def test_when_the_primary_dies_the_one_that_sentinels_promote_decides(windows, sentinels: RedisSentinels):
    """Given limits on a primary with a replica, when it is killed, then the replica decides, with what it knows."""
    # Whatever goes wrong here says so at once: a deadline would only tell how busy the machine is.
    engine = windows(sentinels.url, deadline=PATIENT)
    await engine.start()
    cells = engine.cells("a", SlidingLog(10, HOUR))
    await decide(engine, (cells, "x", 4))
    with sentinels.primary.client() as client:
        client.set("after", "that")  # WAIT waits for what its own client has written, and for all before that
        assert client.wait(1, 30_000) == 1, "the replica has it"

    sentinels.primary.kill()
    with pytest.raises(StorageUnavailable):
        await decide(engine, (cells, "x", 1))
    async with asyncio.timeout(60):
        while True:
            try:
                outcome = await decide(engine, (cells, "y", 1))
            except StorageUnavailable:
                await asyncio.sleep(0.05)
            else:
                break

    assert not outcome.refused
    with sentinels.replica.client() as client:
        assert client.info("replication")["role"] == "master"
    assert (await decide(engine, (cells, "x", 1))).views[0][0] == 10 - 4 - 1


# ── URLs ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", ["http://a", "redis+cluster://", "redis+sentinel://a:26379", "redis+cluster://a:b"])
def test_a_url_that_cannot_be_read_is_said_and_not_repeated(url: str):
    with pytest.raises(ConfigurationError) as caught:
        connect(url.replace("://", "://user:hunter2@"))

    assert "hunter2" not in str(caught.value)
