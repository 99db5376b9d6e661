"""Who has looked at what is private."""

import asyncio

import pytest

from custodes.admin.reads import ONE_LOOK, Reads
from custodes.errors import StorageUnavailable


class Trail:
    """Notes what it is told; once, the store does not answer."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = False
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def tell(self, what: str) -> None:
        await self.go_on.wait()
        if self.fails:
            raise StorageUnavailable("down")
        self.told.append(what)


@pytest.fixture
def trail() -> Trail:
    return Trail()


async def test_looks_within_minutes_are_one_of_each_who_looks(clock, trail: Trail):
    """Given somebody, somebody else of that name, and a key of the first, when each looks twice, then each is told of
    once, and again later."""
    reads = Reads(clock)
    people = [("p1", "session", ""), ("p2", "session", ""), ("p1", "api_key", "")]
    for _ in range(2):
        for who in people:
            await reads.once(who, "payload e1", trail.tell(str(who)))
    assert trail.told == [str(who) for who in people]
    clock.advance(ONE_LOOK)
    await reads.once(people[0], "payload e1", trail.tell("later"))
    assert trail.told[3:] == ["later"]


async def test_of_looks_at_once_none_is_shown_what_could_not_be_told(clock, trail: Trail):
    """Given two looks at the same moment, when the trail cannot be written, then both fail, and the next is told."""
    reads = Reads(clock)
    trail.fails = True
    trail.go_on.clear()
    both = [asyncio.create_task(reads.once("p1", "payload e1", trail.tell(f"{one}"))) for one in range(2)]
    await asyncio.sleep(0)
    trail.go_on.set()
    assert [type(came) for came in await asyncio.gather(*both, return_exceptions=True)] == [StorageUnavailable] * 2
    trail.fails = False
    await reads.once("p1", "payload e1", trail.tell("next"))
    assert trail.told == ["next"]


async def test_a_look_is_told_also_when_who_looked_has_left(clock, trail: Trail):
    reads = Reads(clock)
    trail.go_on.clear()
    look = asyncio.create_task(reads.once("p1", "payload e1", trail.tell("left")))
    await asyncio.sleep(0)
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)
    trail.go_on.set()
    await reads.once("p1", "payload e1", trail.tell("again"))
    assert trail.told == ["left"]
