"""One timer for many waits."""

import asyncio

import pytest

from custodes.runtime.deadline import Deadline


async def test_a_wait_that_ends_in_time_returns_what_it_waited_for():
    deadline = Deadline(5)

    async def soon() -> int:
        await asyncio.sleep(0)
        return 7

    assert await asyncio.gather(*(deadline.wait(soon()) for _ in range(100))) == [7] * 100


async def test_a_wait_that_takes_too_long_is_ended_and_the_task_goes_on():
    deadline = Deadline(0.02)

    with pytest.raises(TimeoutError):
        await deadline.wait(asyncio.sleep(60))

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancelled_task_stays_cancelled():
    deadline = Deadline(60)
    task = asyncio.create_task(deadline.wait(asyncio.sleep(60)))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_what_is_waited_for_passes():
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Deadline(5).wait(fail())
