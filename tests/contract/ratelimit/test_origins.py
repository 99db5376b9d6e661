"""A rule in code and one made at run time have states of their own, whatever their names, on every engine."""

from __future__ import annotations

import inspect
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.contract.ratelimit.test_bans import Request
from tests.servers.redis import RedisServer

from custodes.errors import Conflict
from custodes.kernel.clock import SECOND
from custodes.kernel.health import Health
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.ports import Windows
from custodes.runtime.bus import Bus
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.redis.windows import RedisWindows
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.ratelimit_postgresql import PostgresWindows
from custodes.storage.sql.ratelimit_windows import SqliteWindows
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.testing.clock import FakeClock

_bits = random.Random(6).getrandbits

#: Long enough for a busy machine: what is decided is tested, not how fast.
DEADLINE = 30 * SECOND

MakeLimiter = Callable[[], RateLimiter]


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def windows(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Callable[[], Windows]:
    if request.param == "memory":
        return MemoryWindows
    if request.param == "sqlite":
        return lambda: SqliteWindows(tmp_path / "limits", deadline=DEADLINE)
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return lambda: PostgresWindows(url, deadline=DEADLINE, clock=clock.now)
    server: RedisServer = request.getfixturevalue("redis_server")
    return lambda: RedisWindows(server.url, b"secret", monotonic=clock.monotonic, deadline=DEADLINE)


@pytest.fixture
async def limiter(windows: Callable[[], Windows], sqlite_url: str, clock: FakeClock) -> AsyncIterator[MakeLimiter]:
    """Makes limiters of one install, one for each process."""
    database = SqliteDatabase(sqlite_url)
    await database.open()
    made: list[RateLimiter] = []

    def make() -> RateLimiter:
        made.append(
            RateLimiter(
                windows(),
                SqlRateLimitStore(database),
                clock=clock,
                new_id=lambda: uuid7(clock.now(), _bits),
                bus=Bus(),
                client_of=str,
                immune=lambda _kind, _identifier: False,
            )
        )
        return made[-1]

    yield make
    for one in made:
        await one.stop()
    await database.close()


async def admitted(limiter: RateLimiter, requests: int = 8) -> int:
    """Count how many of so many requests pass."""
    passed = 0
    for _ in range(requests):
        answer = limiter.check(Request())
        decision = await answer if inspect.isawaitable(answer) else answer
        passed += decision.allowed
    return passed


@pytest.mark.parametrize("shadow", [True, False])
async def test_a_stored_rule_never_takes_over_the_states_of_one_in_code(limiter: MakeLimiter, *, shadow: bool):
    """Given a rule made at run time, when the next version of the app has it in code, then the code's limit holds."""
    given = {"limits": "5/minute", "by": "ip", "route": "/login", "name": "login"}
    before = limiter()
    await before.create_rule(actor="user:ann", shadow=shadow, **given)

    after = limiter()
    after.limit(**given)
    await after.start()

    assert await admitted(after) == 5
    health = await after.get_health_status()
    assert health.state is Health.DEGRADED
    assert health.figures["rules_overruled"] == 1
    assert [(rule.source.value, rule.overruled) for rule in after.list_rules()] == [("code", False), ("api", True)]


async def test_the_stored_one_counts_by_itself_where_the_code_has_none(limiter: MakeLimiter):
    """Given both in one install, when a process without the code's rule decides, then neither knows of the other."""
    given = {"limits": "5/minute", "by": "ip", "route": "/login", "name": "login"}
    with_code, without = limiter(), limiter()
    with_code.limit(**given)
    await without.create_rule(actor="user:ann", shadow=True, **given)
    for one in (with_code, without):
        await one.start()

    assert await admitted(without) == 8, "in shadow"
    assert await admitted(with_code) == 5


async def test_it_holds_again_once_the_code_has_none_of_its_name(limiter: MakeLimiter):
    first, second = limiter(), limiter()
    first.limit("5/minute", by="ip", route="/login", name="login")
    made = await second.create_rule(actor="user:ann", limits="2/minute", by="ip", route="/login", name="login")
    await first.refresh()

    with pytest.raises(Conflict, match="in the code"):
        await first.change_rule(made.id, actor="user:ann", limits="1/minute")
    third = limiter()
    await third.start()

    assert await admitted(third) == 2
    await first.delete_rule(made.id)
    assert not any(rule.overruled for rule in first.list_rules())
