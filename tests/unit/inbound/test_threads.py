"""Threads of handlers: what hangs in one keeps neither other sources nor the end of the process waiting."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from custodes.planes.inbound import threads
from custodes.planes.inbound.threads import MOST, THREADS, Call, Threads


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What handlers that hang wait for."""
    event = threading.Event()
    yield event
    event.set()


async def hang(pool: Threads, release: threading.Event, count: int) -> list[Call]:
    calls = [await pool.begin("github", release.wait) for _ in range(count)]
    return [call for call in calls if call is not None]


async def test_a_call_ends_with_what_it_raised():
    pool, wrong = Threads(), ValueError("no")

    def fail() -> None:
        raise wrong

    good, bad = await pool.begin("stripe", lambda: None), await pool.begin("stripe", fail)

    assert good is not None
    assert bad is not None
    assert (await good.future, await bad.future) == (None, wrong)


async def test_one_source_leaves_threads_to_the_others(release: threading.Event, monkeypatch: pytest.MonkeyPatch):
    """Given as many calls of a source as it may have that hang, then it gets no more, and another gets one at once."""
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.01)
    pool = Threads()

    assert len(await hang(pool, release, THREADS)) == THREADS * 3 // 4
    other = await pool.begin("stripe", lambda: None)

    assert other is not None
    assert await other.future is None


async def test_lost_threads_are_replaced_up_to_a_bound_and_counted_until_they_end(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(threads, "PATIENCE_SECONDS", 0.01)
    pool, lost = Threads(), list[Call]()
    while calls := await hang(pool, release, THREADS * 3 // 4):
        for call in calls:
            pool.lose(call)
        lost += calls

    assert pool.lost == len(lost) == MOST * 3 // 4
    assert await pool.begin("stripe", lambda: None) is not None
    release.set()
    await asyncio.wait([call.future for call in lost])
    assert pool.lost == 0


async def test_who_waits_gets_the_thread_that_comes_free(release: threading.Event):
    pool = Threads()
    first, *_ = await hang(pool, release, THREADS * 3 // 4)

    waiting = asyncio.create_task(pool.begin("github", lambda: None))
    await asyncio.sleep(0)
    pool.lose(first)
    call = await waiting

    assert call is not None
    assert await call.future is None


async def test_no_thread_keeps_the_process_from_ending(release: threading.Event):
    """The interpreter waits at its end for all threads that are not daemons."""
    [call] = await hang(Threads(), release, 1)

    assert not call.future.done()
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "custodes-handler"].count(False) == 0


async def test_a_call_that_has_just_ended_is_not_lost():
    """Given a thread that is done, of which the loop has not heard yet; when its time is over, then it counts once."""
    pool, done = Threads(), threading.Event()
    call = await pool.begin("stripe", done.set)
    assert call is not None
    done.wait()
    while not call.ended:  # the loop hears of nothing meanwhile
        pass

    pool.lose(call)
    await call.future

    assert (pool.lost, dict(pool._running)) == (0, {"stripe": 0})
