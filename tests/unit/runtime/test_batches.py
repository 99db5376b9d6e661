"""Batches: asked for one by one, done together, and one that cannot be done hurts only itself."""

import asyncio

import pytest

from custodes.errors import InvalidInput, StorageUnavailable
from custodes.runtime.batches import MAX_BATCH, Batches


class Doing:
    """Doubles numbers in batches, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.down = False

    async def run(self, items) -> list[int]:
        self.batches.append(list(items))
        await self.may.wait()
        if self.down:
            raise StorageUnavailable("down")
        if -1 in items:
            raise ValueError("minus one")
        if -2 in items:
            raise InvalidInput("minus two")
        return [item * 2 for item in items]


@pytest.fixture
def doing() -> Doing:
    return Doing()


@pytest.fixture
def batches(doing: Doing) -> Batches[int, int]:
    return Batches(doing.run)


async def test_what_is_asked_for_in_one_turn_is_done_together(batches: Batches[int, int], doing: Doing):
    assert await asyncio.gather(*(batches.do(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert doing.batches == [[0, 1, 2, 3, 4]]


async def test_what_comes_while_a_batch_is_under_way_is_the_next(batches: Batches[int, int], doing: Doing):
    doing.may.clear()
    asking = [asyncio.create_task(batches.do(1))]
    while not doing.batches:
        await asyncio.sleep(0)
    asking += [asyncio.create_task(batches.do(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    doing.may.set()

    assert await asyncio.gather(*asking) == [2, 4, 6]
    assert doing.batches == [[1], [2, 3]]


async def test_a_batch_has_an_end(batches: Batches[int, int], doing: Doing):
    await asyncio.gather(*(batches.do(number) for number in range(MAX_BATCH + 1)))
    assert [len(batch) for batch in doing.batches] == [MAX_BATCH, 1]


@pytest.mark.parametrize(("bad", "error"), [(-1, ValueError), (-2, InvalidInput)])
async def test_what_cannot_be_done_hurts_only_itself(batches: Batches[int, int], bad: int, error: type[Exception]):
    results = await asyncio.gather(batches.do(1), batches.do(bad), batches.do(2), return_exceptions=True)

    assert [results[0], results[2]] == [2, 4]
    assert isinstance(results[1], error)


async def test_a_store_that_is_down_is_not_asked_once_more_for_each(batches: Batches[int, int], doing: Doing):
    doing.down = True

    results = await asyncio.gather(batches.do(1), batches.do(2), return_exceptions=True)

    assert all(isinstance(result, StorageUnavailable) for result in results)
    assert doing.batches == [[1, 2]]
    doing.down = False
    assert await batches.do(3) == 6


async def test_who_leaves_takes_nothing_back(batches: Batches[int, int], doing: Doing):
    doing.may.clear()
    leaving, staying = asyncio.create_task(batches.do(1)), asyncio.create_task(batches.do(2))
    while not doing.batches:
        await asyncio.sleep(0)
    leaving.cancel()
    doing.may.set()

    assert await staying == 4
    await batches.finish()
    assert doing.batches == [[1, 2]]
