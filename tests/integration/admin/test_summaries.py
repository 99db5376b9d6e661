"""Summaries are worked out once for all who ask, shared by instances on one Redis, and never missed without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from tests.servers.redis import RedisServer

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import MINUTE
from custodes.planes.identity.model import Role
from custodes.runtime.summaries import Summaries
from custodes.storage.redis.summaries import RedisAnswers
from custodes.testing.admin import key_for

API = "https://ops.example.com/api/admin/enterprise"

PATHS = ["/api-analytics", "/webhook-analytics", "/rate-limits/analytics"]


@pytest.fixture
async def install(sqlite_url: str) -> AsyncIterator[Callable[..., Custodes]]:
    """Makes instances of one install."""
    made: list[Custodes] = []

    def make(redis_url: str, patience: float = 10) -> Custodes:
        made.append(Custodes(sqlite_url, redis_url=redis_url, secret_key="s" * 40))
        # However busy the machine is, what can be answered is.
        cache = RedisAnswers(redis_url, made[-1].sealer, made[-1].clock.monotonic, kept=MINUTE, seconds=patience)
        made[-1].summaries = Summaries(cache)
        return made[-1]

    yield make
    for one in made:
        await one.summaries.stop()
        await one.fanout.stop()
        await one.close()


async def ask(custodes: Custodes, path: str, headers: dict[str, str]) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("203.0.113.9", 50_000))
    async with httpx2.AsyncClient(transport=transport) as client:
        return await client.get(API + path, headers=headers)


@pytest.mark.parametrize("path", PATHS)
async def test_what_one_instance_has_worked_out_the_other_tells(
    install: Callable[..., Custodes], redis_server: RedisServer, path: str
):
    first, second = install(redis_server.url), install(redis_server.url)
    await first.open()
    await second.open()
    admin = await key_for(first)

    told = [await ask(one, path, admin) for one in (first, second)]

    assert [answer.status_code for answer in told] == [200, 200]
    assert told[0].content == told[1].content
    assert (first.summaries.computed, second.summaries.computed) == (1, 0)


async def test_each_tenant_role_and_question_has_an_answer_of_its_own(
    install: Callable[..., Custodes], redis_server: RedisServer
):
    custodes = install(redis_server.url)
    await custodes.open()
    everybody = await key_for(custodes)
    acme = await key_for(custodes, Role.ADMIN, "acme")
    owner = await key_for(custodes, Role.OWNER)

    for headers, path in [
        (everybody, "/api-analytics"),
        (acme, "/api-analytics"),
        (owner, "/api-analytics"),
        (everybody, "/api-analytics?tenant=acme"),
        (everybody, "/api-analytics?endpoints=7"),
    ]:
        assert (await ask(custodes, path, headers)).status_code == 200
    refused = await ask(custodes, "/api-analytics", {})

    assert custodes.summaries.computed == 5
    assert refused.status_code == 401


async def test_nothing_can_be_read_in_redis_and_it_ends_soon(
    install: Callable[..., Custodes], redis_server: RedisServer
):
    """Given a kept answer, when somebody changes it in Redis, then it is worked out again."""
    custodes = install(redis_server.url)
    await custodes.open()
    admin = await key_for(custodes)
    right = await ask(custodes, "/webhook-analytics", admin)

    with redis_server.client() as client:
        (key,) = client.keys("custodes:summary:*")
        kept = client.get(key)
        ends = client.pttl(key)
        client.set(key, b'{"forged": true}')
    again = await ask(custodes, "/webhook-analytics", admin)

    assert b"since" in right.content
    assert b"since" not in kept
    assert 0 < ends <= 60_000
    assert again.json().keys() == right.json().keys()
    assert custodes.summaries.computed == 2


@pytest.mark.parametrize("goes", ["killed", "frozen", "never there"])
async def test_without_redis_a_summary_is_worked_out_as_if_there_were_none(install: Callable[..., Custodes], goes: str):
    server = RedisServer()
    try:
        custodes = install("redis://127.0.0.1:1/0" if goes == "never there" else server.url, patience=0.05)
        await custodes.open()
        admin = await key_for(custodes)
        assert (await ask(custodes, "/api-analytics", admin)).status_code == 200
        if goes == "killed":
            server.kill()
        elif goes == "frozen":
            server.freeze()

        computed = custodes.summaries.computed
        told = [await ask(custodes, "/api-analytics", admin) for _ in range(3)]

        assert [answer.status_code for answer in told] == [200] * 3
        assert custodes.summaries.computed == computed + 3
    finally:
        server.thaw() if goes == "frozen" else None
        server.remove()


async def test_who_asks_for_the_same_at_once_waits_for_one_answer():
    """Given a hundred who ask, when the first goes away, then the others are told, and it is worked out once."""
    summaries, go = Summaries(None), asyncio.Event()

    async def compute() -> bytes:
        await go.wait()
        return b"42"

    waiting = [asyncio.create_task(summaries.answer(b"key", compute)) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    go.set()
    told = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(told[0], asyncio.CancelledError)
    assert told[1:] == [b"42"] * 99
    assert summaries.computed == 1


async def test_a_failure_is_told_to_all_who_wait_and_is_not_kept():
    summaries = Summaries(None)
    answers = iter([ValueError("lost"), b"42"])

    async def compute() -> bytes:
        await asyncio.sleep(0)
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    told = await asyncio.gather(*(summaries.answer(b"key", compute) for _ in range(2)), return_exceptions=True)

    assert [str(error) for error in told] == ["lost", "lost"]
    assert await summaries.answer(b"key", compute) == b"42"
