"""What goes to Redis in one call, without Redis."""

from __future__ import annotations

import asyncio

import msgspec

from custodes.kernel.clock import HOUR
from custodes.kernel.window import Ask, Outcome, SlidingLog
from custodes.storage.redis.batch import Batch, Common
from custodes.storage.redis.cells import RedisCells
from custodes.storage.redis.kinds import Kind
from custodes.storage.redis.scripts import decision
from custodes.storage.redis.subjects import Subjects

NOW = 1_790_000_000_000_000


def limits_of_a_rule() -> list[RedisCells]:
    subjects = Subjects("route", b"secret", in_parts=False)
    meters = [SlidingLog(100, HOUR), SlidingLog(1_000, HOUR)]
    return [
        RedisCells(str(number), meter, subjects, shadow=False, in_parts=False) for number, meter in enumerate(meters)
    ]


def requests(limits: list[RedisCells], kind: Kind, *keys: str) -> list[Common]:
    loop = asyncio.get_running_loop()
    found: list[Common] = []
    for key in keys:
        asks: list[Ask] = [(cells, key, 1) for cells in limits]
        answer: asyncio.Future[Outcome] = loop.create_future()
        found.append((asks, answer, kind))
    return found


async def test_limits_that_many_requests_ask_together_are_named_once():
    limits = limits_of_a_rule()
    kind = Kind().also(limits[0]).also(limits[1])

    batch = Batch(requests(limits, kind, "a", "b", "a"), NOW)

    _, _, kinds, script, subjects = msgspec.msgpack.decode(batch.packed)
    assert (kinds, script, subjects) == ([[1, 2]], [-2, 1, -2, 2, -2, 1], 2)
    assert batch.keys == [limits[0].named("a")[0], limits[0].named("b")[0]]


async def test_each_hears_what_is_left_of_his_limits_and_who_is_near_is_remembered():
    limits = limits_of_a_rule()
    asked = requests(limits, Kind().also(limits[0]).also(limits[1]), "a", "b")
    reply = msgspec.msgpack.encode([NOW, [99, 1, 999, 2, 20, 3, 998, 4], [], [2, 1, 20]])

    Batch(asked, NOW).settle(reply, 0)

    assert [answer.result().views for _, answer, _ in asked] == [[(99, 1), (999, 2)], [(20, 3), (998, 4)]]
    assert limits[0].near.all() == [("b", 20)]
    assert [dict(cells.tally) for cells in limits] == [{"a": 1, "b": 1}] * 2


async def test_who_needs_keys_of_his_own_comes_again_with_them():
    limits = limits_of_a_rule()
    asked = requests(limits, Kind().also(limits[0]).also(limits[1]), "a", "b")

    _, again = Batch(asked, NOW).settle(msgspec.msgpack.encode([NOW, [99, 1, 999, 2], [1, 2], []]), 0)

    assert again == [asked[0]]
    assert Batch(again, NOW).keys == [limits[0].named("a")[0], limits[0].named("a")[0] + limits[1].own_key]


def test_constants_stand_in_the_script_where_they_are_named():
    script = decision()._text
    assert "state[KNOWN]" not in script
    assert "local KNOWN" not in script
