"""Waiting for a while: without a timer where there is nothing to wait for, and like any other wait where there is."""

import asyncio

import pytest

from custodes.runtime.patience import within

AGES = 3600


@pytest.fixture
async def timers(monkeypatch):
    """The timers that the loop of the test is asked for."""
    loop, asked = asyncio.get_running_loop(), []
    set_timer = loop.call_at

    def call_at(when, *rest, **more):
        asked.append(when)
        return set_timer(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", call_at)
    return asked


async def test_what_is_there_already_needs_no_timer(timers):
    async def there():
        return "here"

    assert await within(AGES, there()) == "here"
    assert timers == []


async def test_what_has_to_be_waited_for_goes_on_where_it_was(timers):
    first, second = asyncio.Event(), asyncio.Event()

    async def in_parts():
        await first.wait()
        await asyncio.sleep(0)
        await second.wait()
        return "whole"

    waiting = asyncio.create_task(within(AGES, in_parts()))
    for event in (first, second):
        await asyncio.sleep(0)
        event.set()

    assert await waiting == "whole"
    assert len(timers) == 1


async def test_what_fails_fails_before_it_waits_and_after():
    async def fails(*, later: bool):
        if later:
            await asyncio.sleep(0)
        raise LookupError

    for later in (False, True):
        with pytest.raises(LookupError):
            await within(AGES, fails(later=later))


async def test_what_takes_too_long_is_cancelled():
    ended = []

    async def hangs():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeoutError):
        await within(0, hangs())

    assert ended == ["cleaned up"]


async def test_a_cancellation_from_outside_stays_one():
    """Given somebody who waits, who even takes a moment to leave, when the task is cancelled, then it is cancelled."""
    ended = []

    async def leaves_slowly():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("left")

    waiting = asyncio.create_task(within(AGES, leaves_slowly()))
    await asyncio.sleep(0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended == ["left"]


async def test_who_answers_a_cancellation_is_heard():
    async def answers():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "all the same"

    waiting = asyncio.create_task(within(AGES, answers()))
    await asyncio.sleep(0)
    waiting.cancel()

    assert await waiting == "all the same"
