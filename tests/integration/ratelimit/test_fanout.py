"""What instances tell each other: at once through Redis, and nothing is missing without it."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.servers.redis import RedisCluster, RedisServer

from custodes import Custodes
from custodes.kernel.sealing import Sealer
from custodes.kernel.signals import ActivitySignal
from custodes.runtime.fanout import MAX_MESSAGE, LocalFanout
from custodes.storage.redis.fanout import RedisFanout


@pytest.fixture
async def fanouts() -> AsyncIterator[Callable[[str], RedisFanout]]:
    """Makes instances; each is stopped."""
    made: list[RedisFanout] = []

    def make(url: str, key: str = "k" * 40) -> RedisFanout:
        made.append(RedisFanout(url, Sealer([key], random.SystemRandom().getrandbits)))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def connected(*fanouts: RedisFanout) -> None:
    async with asyncio.timeout(60):
        while not all(one.connected for one in fanouts):
            await asyncio.sleep(0.005)


async def test_a_message_reaches_every_instance_once_and_only_who_wants_its_topic(fanouts, redis_server: RedisServer):
    here, there = fanouts(redis_server.url), fanouts(redis_server.url)
    heard: list[tuple[str, bytes]] = []
    last = asyncio.Event()
    here.subscribe("news", lambda message: heard.append(("here", message)))
    there.subscribe("news", lambda message: heard.append(("there", message)))
    there.subscribe("last", lambda _: last.set())
    for one in (here, there):
        await one.start()
    await connected(here, there)

    here.publish("news", b"1")
    here.publish("other", b"2")
    here.publish("last", b"")
    async with asyncio.timeout(60):
        await last.wait()

    assert sorted(heard) == [("here", b"1"), ("there", b"1")]


async def test_another_install_on_the_same_redis_hears_nothing_and_what_is_told_is_not_in_clear(
    fanouts, redis_server: RedisServer
):
    """Given two installs on one Redis, whatever the database number, then each hears its own, and nobody reads it."""
    ours, ours_too = fanouts(redis_server.url), fanouts(redis_server.url)
    theirs = fanouts(redis_server.url.replace("/0", "/5"), key="s" * 40)
    heard: list[str] = []
    last = asyncio.Event()
    ours_too.subscribe("news", lambda message: heard.append(f"ours {message.decode()}"))
    ours_too.subscribe("last", lambda _: last.set())
    theirs.subscribe("news", lambda message: heard.append(f"theirs {message.decode()}"))
    for one in (ours, ours_too, theirs):
        await one.start()
    await connected(ours, ours_too, theirs)

    with redis_server.client() as client:
        wire = client.pubsub()
        wire.psubscribe("*")
        assert wire.get_message(timeout=60)["type"] == "psubscribe"
        ours.publish("news", b"GET /patients/4711")
        ours.publish("last", b"")
        async with asyncio.timeout(60):
            await last.wait()
        told = [wire.get_message(timeout=60) for _ in range(2)]
        assert wire.get_message(timeout=0.1) is None

    assert heard == ["ours GET /patients/4711"]
    assert not any(b"patients" in message["data"] for message in told)


async def test_listening_goes_on_after_redis_was_away(fanouts):
    server = RedisServer()
    try:
        here, there = fanouts(server.url), fanouts(server.url)
        heard = asyncio.Event()
        there.subscribe("news", lambda _: heard.set())
        for one in (here, there):
            await one.start()
        await connected(here, there)
        server.kill()
        async with asyncio.timeout(60):
            while there.connected:
                await asyncio.sleep(0.005)
        server.start()
        await connected(here, there)

        here.publish("news", b"")

        async with asyncio.timeout(60):
            await heard.wait()
    finally:
        for one in (here, there):
            await one.stop()
        server.remove()


async def test_what_is_too_much_is_shed_and_counted(fanouts):
    lonely = fanouts("redis://127.0.0.1:1/0")
    heard: list[bytes] = []
    lonely.subscribe("news", heard.append)

    for _ in range(1_005):
        lonely.publish("news", b"")
    lonely.publish("news", bytes(MAX_MESSAGE + 1))

    assert lonely.shed == 6
    assert len(heard) == 1_006, "this process hears all the same"


async def test_it_works_in_a_cluster(fanouts, redis_cluster: RedisCluster):
    url = redis_cluster.url.replace("redis://", "redis+cluster://").removesuffix("/0")
    here, there = fanouts(url), fanouts(url)
    heard = asyncio.Event()
    there.subscribe("news", lambda _: heard.set())
    for one in (here, there):
        await one.start()
    await connected(here, there)

    here.publish("news", b"")

    async with asyncio.timeout(60):
        await heard.wait()


def test_a_listener_that_fails_harms_nobody():
    fanout = LocalFanout()
    heard: list[bytes] = []
    fanout.subscribe("news", lambda _: 1 / 0)
    end = fanout.subscribe("news", heard.append)

    fanout.publish("news", b"1")
    end()
    fanout.publish("news", b"2")

    assert heard == [b"1"]
    assert fanout.failures == 2


async def test_a_block_reaches_the_other_instance_at_once(tmp_path: Path, redis_server: RedisServer, call):
    """Given two instances, one of which looks by itself every ten minutes, then a block still counts there at once."""
    instances = [Custodes(f"sqlite:///{tmp_path}/custodes.db", redis_url=redis_server.url) for _ in range(2)]
    for one in instances:
        one.ratelimit._refresher.every_seconds = 600
        await one.start()
    await connected(*(one.fanout for one in instances))

    await instances[0].ratelimit.block_identifier("203.0.113.9", reason="test", actor="user:ann")

    async with asyncio.timeout(60):
        while instances[1].ratelimit.check(call()).allowed:
            await asyncio.sleep(0.005)
    for one in instances:
        await one.stop()


async def test_who_looks_at_one_instance_sees_within_two_seconds_what_happens_at_another(
    tmp_path: Path, redis_server: RedisServer
):
    here, there = (
        Custodes(f"sqlite:///{tmp_path}/{name}.db", redis_url=redis_server.url, secret_key="k" * 40)
        for name in ("one", "two")
    )
    try:
        await here.start()
        await there.start()
        await connected(here.fanout, there.fanout)
        here.live.poll(None, None)
        async with asyncio.timeout(60):
            while not there.bus.heard(ActivitySignal):
                await asyncio.sleep(0.01)

        begun = time.monotonic()
        there.bus.emit(
            ActivitySignal(at=1, tenant="default", plane="inbound", kind="webhook.received", title="invoice.paid")
        )
        async with asyncio.timeout(60):
            while not any(event.title == "invoice.paid" for event in here.live.poll(None, 0).events):
                await asyncio.sleep(0.01)
        sys.stdout.write(f"\nseen at another instance over Redis after {time.monotonic() - begun:.2f} s\n")
    finally:
        await asyncio.gather(here.stop(), there.stop())
