"""Why Redis does not decide is told in words: by the doctor, in the log, and nothing of a secret."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError
from tests.servers.programs import free_port
from tests.servers.redis import RedisCluster, RedisServer

from custodes import Custodes
from custodes.storage.redis.reasons import reason
from custodes.storage.redis.windows import RedisWindows, why_undecided
from custodes.testing.clock import FakeClock

PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give answers time: a busy machine is not what is tried."""
    monkeypatch.setattr("custodes.storage.redis.windows._PROBE_DEADLINE", 60.0)
    monkeypatch.setattr("custodes.storage.redis.connection._CONNECT_SECONDS", 60.0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    made = RedisServer()
    yield made
    made.remove()


def configured(server: RedisServer, *command: Any) -> str:
    with server.client() as client:
        client.execute_command(*command)
    return server.url


async def test_a_redis_that_decides_has_nothing_against_it(redis_server: RedisServer) -> None:
    assert await why_undecided(redis_server.url) == ""


async def test_a_replica_is_told_from_a_primary_though_it_answers(server: RedisServer) -> None:
    url = configured(server, "REPLICAOF", "127.0.0.1", free_port())

    assert await why_undecided(url) == "it is a replica, which cannot be written to: name the primary, or its Sentinels"


async def test_a_full_one_is_told_though_it_answers(server: RedisServer) -> None:
    url = configured(server, "CONFIG", "SET", "maxmemory", "1")

    assert await why_undecided(url) == "its memory is full (maxmemory), and it evicts nothing"


async def test_passwords_and_rights_are_told_apart_and_never_repeated(server: RedisServer) -> None:
    with_one = server.url.replace("redis://", f"redis://:{PASSWORD}@")
    assert await why_undecided(with_one) == "it knows no password, and the URL has one"
    configured(server, "ACL", "SETUSER", "weak", "on", f">{PASSWORD}", "~*", "+ping")
    configured(server, "CONFIG", "SET", "requirepass", "other")

    told = {
        url: await why_undecided(server.url.replace("redis://", url))
        for url in ("redis://", f"redis://:{PASSWORD}@", f"redis://weak:{PASSWORD}@")
    }

    assert list(told.values()) == [
        "it asks for a password",
        "it does not take the user and password of the URL",
        "the user of the URL may not run the commands or use the keys that limits need",
    ]


async def test_a_url_of_the_wrong_kind_is_told_with_the_right_one(
    redis_server: RedisServer, redis_cluster: RedisCluster
) -> None:
    one, node = redis_server.url, redis_cluster.url
    told = {
        "a node of a cluster": await why_undecided(node),
        "no cluster": await why_undecided(one.replace("redis:", "redis+cluster:")),
        "no sentinel": await why_undecided(one.replace("redis:", "redis+sentinel:").replace("/0", "/primary/0")),
        "no such database": await why_undecided(one.replace("/0", "/999")),
        "nobody": await why_undecided(f"redis://127.0.0.1:{free_port()}/0"),
    }

    assert told == {
        "a node of a cluster": "it is a node of a cluster: write redis+cluster://",
        "no cluster": "it is no cluster: write redis://",
        "no sentinel": "what the URL names as a Sentinel is none",
        "no such database": "it has no database of the URL's number",
        "nobody": "nobody listens at its address",
    }


async def test_the_log_says_it_once_and_a_replica_is_not_taken_for_well_again(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a primary that became a replica; then it is lost until it is one again: that it answers is not enough."""
    url = configured(server, "REPLICAOF", "127.0.0.1", free_port())
    windows = RedisWindows(url, b"secret", monotonic=FakeClock().monotonic)
    await windows.start()
    with pytest.raises(RedisError):
        await windows._ask_for_an_answer()
    assert (windows.available, windows.trouble.startswith("Redis cannot decide: it is a replica")) == (False, True)

    configured(server, "REPLICAOF", "NO", "ONE")
    async with asyncio.timeout(60):
        while not windows.available:
            await asyncio.sleep(0.01)
    assert windows.trouble == ""
    await windows.stop()

    [said] = [record.getMessage() for record in caplog.records if "redis_lost" in record.getMessage()]
    assert "Redis cannot decide: it is a replica, which cannot be written to" in said


async def test_health_says_why_limits_count_by_themselves() -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"
    custodes = Custodes("sqlite://", redis_url=url, secret_key="k" * 32)
    await custodes.start()
    try:
        health = await custodes.ratelimit.get_health_status()
    finally:
        await custodes.stop()

    [why] = health.reasons
    assert why.startswith("The counting store is lost, and limits count by themselves: Redis cannot decide: nobody")


def test_what_redis_says_within_a_script_is_understood_of_every_version() -> None:
    old = RuntimeError("ERR Error running script (call to f_9): @user_script:7: -READONLY You can't write")

    assert reason(old).startswith("it is a replica")
    assert reason(socket.gaierror(-2, "Name or service not known")) == "the name of its host is not known"
    assert reason(TimeoutError()) == "it said nothing in time"
    assert reason(ValueError(PASSWORD)) == "the connection failed (ValueError)"


@pytest.mark.parametrize("quote", ["'", "`"])  # Redis 7 and 8, Redis 6.2
def test_what_is_no_sentinel_is_told_by_every_version(quote: str) -> None:
    said = f"unknown command {quote}SENTINEL{quote}, with args beginning with: 'get-master-addr-by-name'"

    assert reason(ResponseError(said)) == "what the URL names as a Sentinel is none"
