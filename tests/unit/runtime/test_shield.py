"""The shield: nothing of ours harms what is the host's."""

import asyncio
import contextlib
import json

import pytest

from custodes.kernel.clock import MINUTE
from custodes.runtime.shield import RESTS_FOR, TRIPS_AFTER, Shield
from custodes.testing.clock import FakeClock


@pytest.fixture
def shield(clock: FakeClock) -> Shield:
    return Shield(clock, limit_seconds=0.01)


async def forever() -> str:
    await asyncio.Event().wait()
    return "never"


async def stubborn() -> str:
    """Ignores its cancellation, as badly written hooks do."""
    for _ in range(50):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.005)
    return "at last"


async def answers() -> str:
    return "answer"


async def fails() -> str:
    raise ValueError("ours")


async def cancels_itself() -> str:
    raise asyncio.CancelledError


async def test_what_answers_in_time_is_heard(shield):
    assert await shield.wait("hook", answers(), "otherwise") == "answer"
    assert shield.failures == {"hook": 0}


@pytest.mark.parametrize("hook", [forever, stubborn, fails, cancels_itself])
async def test_what_fails_or_hangs_is_not_waited_for(shield, hook):
    assert await shield.wait("hook", hook(), "otherwise") == "otherwise"
    assert shield.failures == {"hook": 1}


async def test_what_comes_when_nobody_waits_any_more_is_handed_to_who_lets_go_of_it(shield):
    """Given one who leaves after the hook has answered and before it heard of it, then the answer is not lost."""
    unclaimed: list[str] = []
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(shield.wait("hook", answered, "otherwise", unclaimed=unclaimed.append))
    await asyncio.sleep(0)

    answered.set_result("a slot")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    while shield.left_behind:
        await asyncio.sleep(0)

    assert unclaimed == ["a slot"]


async def test_what_is_left_behind_is_remembered_until_it_ends(shield):
    await shield.wait("hook", stubborn(), "otherwise")
    assert shield.left_behind == 1

    async with asyncio.timeout(60):
        while shield.left_behind:
            await asyncio.sleep(0.01)


async def test_what_hangs_again_and_again_is_passed_over_for_a_while(shield, clock):
    # Given a hook that hung as often as it may
    for _ in range(TRIPS_AFTER):
        await shield.wait("hook", forever(), None)

    # When it would answer again, it is not asked
    assert await shield.wait("hook", answers(), "otherwise") == "otherwise"

    # Until it has rested
    clock.advance(RESTS_FOR)
    assert await shield.wait("hook", answers(), "otherwise") == "answer"
    # And others were never affected
    assert await shield.wait("another", answers(), "otherwise") == "answer"


async def test_the_cancellation_of_the_request_passes_and_takes_the_hook_along(shield):
    task = asyncio.create_task(Shield(FakeClock(), 60).wait("hook", forever(), None))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_stops_the_program_passes(shield, error):
    assert not shield.absorbs("hook", error)


async def test_a_cancelled_error_that_nobody_asked_for_is_a_failure(shield):
    assert shield.absorbs("hook", asyncio.CancelledError())


async def test_a_cancellation_that_somebody_asked_for_passes(shield):
    async def work() -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            return shield.absorbs("hook", error)
        return True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    assert await task is False


def test_failures_are_all_counted_and_seldom_logged(shield, clock, caplog):
    for _ in range(1_000):
        shield.absorbs("hook", ValueError("boom"))
    clock.advance(MINUTE)
    shield.absorbs("hook", ValueError("boom"))
    logs = [json.loads(record.getMessage()) for record in caplog.records]

    assert shield.failures == {"hook": 1_001}
    assert [entry["failures"] for entry in logs] == [1, 1_000]


def test_a_broken_clock_or_repr_does_not_break_the_shield():
    class Stopped:
        def now(self) -> int:
            raise OSError("no clock")

        monotonic = now

    class Unspeakable(Exception):
        def __repr__(self) -> str:
            raise ValueError("no words")

    assert Shield(Stopped()).absorbs("hook", ValueError())
    assert Shield(FakeClock()).absorbs("hook", Unspeakable())


async def test_what_is_no_awaitable_is_a_failure(shield):
    assert await shield.wait("hook", object(), "otherwise") == "otherwise"  # pyright: ignore[reportArgumentType]


async def test_later_runs_beside(shield):
    done = asyncio.Event()

    async def release() -> None:
        done.set()

    shield.later("limiter", release())
    await asyncio.wait_for(done.wait(), 60)
