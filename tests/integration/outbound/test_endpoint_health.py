"""What becomes of how an endpoint is doing, whoever it was that had an attempt under way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from tests.integration.outbound.conftest import ENGINES, Receiver, opened

from custodes import Custodes
from custodes.errors import NotFound
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.planes.outbound.analytics import Condition
from custodes.planes.outbound.model import HEALTHY, Endpoint, EndpointHealth, EndpointState, Options
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import postgresql_work
from custodes.storage.sql.database import connection_of
from custodes.testing.clock import FakeClock

both_engines = pytest.mark.parametrize("engine", ENGINES)


async def send(to: Custodes, count: int = 1) -> None:
    for _ in range(count):
        await to.outbound.emit("order.paid", {})
    await to.outbound.worker.run_due()


@both_engines
async def test_a_failure_beside_successes_is_forgotten_with_the_next_success(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    """Given two deliveries under way to an endpoint that does well, When one fails and the other goes well, both end
    together, and all that comes goes well, Then the failure is forgotten: it gets more than one at once again."""
    made = (await custodes.outbound.create_endpoint(receiver.url)).endpoint
    await send(custodes, 4)  # it is known to do well
    for _ in range(2):
        await custodes.outbound.emit("order.paid", {})
    worker: Any = custodes.outbound.worker
    leases = await custodes.database.write(lambda tx: worker._take(tx, clock.now(), clock.now(), 16, []))
    assert len(leases) == 2
    receiver.status = 500
    failed = await worker._doer.do(leases[0])
    receiver.status = 204
    went_well = await worker._doer.do(leases[1])
    for lease, done in zip(leases, (failed, went_well), strict=True):
        assert await worker._settle([(lease, done)]) == [True]
    failed.then()
    went_well.then()

    clock.advance(MINUTE)
    await send(custodes, 4)
    assert await custodes.outbound.get_endpoint_health(made.id) == HEALTHY


@both_engines
async def test_a_failure_that_another_process_saw_is_forgotten_with_the_next_success(
    custodes: Custodes, database_url: str, receiver: Receiver, clock: FakeClock
) -> None:
    """Given two processes that have both seen an endpoint do well, When one sees a failure and ends, and the other goes
    on for days without one, Then the endpoint is well; and minutes of an outage do not have it disabled for days of it.
    """
    made = (await custodes.outbound.create_endpoint(receiver.url)).endpoint
    async with opened(database_url, clock) as another:
        await send(custodes)
        await send(another)
        receiver.status = 500
        await send(another)
    receiver.status = 204
    for _ in range(6):
        clock.advance(DAY)
        await send(custodes)
    assert await custodes.outbound.get_endpoint_health(made.id) == HEALTHY
    assert (await custodes.outbound.examine_endpoint(made.id)).condition is Condition.HEALTHY

    receiver.status = 500
    for _ in range(30):
        await send(custodes)
        clock.advance(MINUTE)
    assert (await custodes.outbound.get_endpoint(made.id)).state is EndpointState.ENABLED


@both_engines
async def test_a_test_that_fails_is_nothing_given_up(custodes: Custodes, receiver: Receiver, clock: FakeClock) -> None:
    """Given an endpoint that answers 500, When a test is sent to it, which is tried once, Then outgoing webhooks as a
    whole are well, and nothing was given up."""
    made = (await custodes.outbound.create_endpoint(receiver.url)).endpoint
    receiver.status = 500
    test = await custodes.outbound.send_test(made.id)
    await custodes.outbound.worker.run_due()
    assert len(receiver.got) == 1, test
    standing = await custodes.outbound.get_health_status()
    assert (standing.state, standing.figures["exhausted_last_hour"]) == (Health.HEALTHY, 0)
    figures = await custodes.outbound.get_delivery_analytics(since=clock.now() - DAY, until=clock.now() + 1)
    assert (figures.total.attempts, figures.total.exhausted) == (1, 0)


@both_engines
async def test_after_a_clock_that_ran_ahead_an_endpoint_gets_what_its_rate_allows(
    custodes: Custodes, database_url: str, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint that was sent to by a process whose clock was six hours ahead, When that is put right, Then the
    endpoint gets what its rate allows, neither nothing nor more."""
    await custodes.outbound.create_endpoint(receiver.url, options=Options(rate=2.0))
    async with opened(database_url, FakeClock(clock.now() + 6 * HOUR)) as ahead:
        await send(ahead, 2)
    assert len(receiver.got) == 2

    for seconds in range(1, 4):
        await send(custodes, 10)
        assert len(receiver.got) == 2 + 2 * seconds
        clock.advance(SECOND)


@both_engines
async def test_after_a_clock_that_ran_ahead_a_breaker_is_closed_by_a_probe(
    custodes: Custodes, database_url: str, receiver: Receiver, clock: FakeClock
) -> None:
    """Given an endpoint whose breaker was opened by a process whose clock was a year ahead, When that is put right,
    Then the endpoint is tried, and a failure opens the breaker for as long as any."""
    made = (await custodes.outbound.create_endpoint(receiver.url)).endpoint
    receiver.status = 500
    async with opened(database_url, FakeClock(clock.now() + 365 * DAY)) as ahead:
        for _ in range(5):
            await send(ahead)
    opened_for = (await custodes.outbound.get_endpoint_health(made.id)).open_until - clock.now()
    assert opened_for > 364 * DAY

    before = len(receiver.got)
    await send(custodes)
    assert len(receiver.got) > before
    health = await custodes.outbound.get_endpoint_health(made.id)
    assert health.open_until - clock.now() < HOUR
    assert health.failing_since <= clock.now()
    receiver.status = 204
    clock.advance(HOUR)
    await send(custodes)
    assert (await custodes.outbound.get_endpoint_health(made.id)) == HEALTHY


@both_engines
async def test_that_nothing_gets_through_to_half_of_the_endpoints_is_told(
    custodes: Custodes, receiver: Receiver, clock: FakeClock
) -> None:
    # Given the only endpoint of an install, which answers 500
    await custodes.outbound.create_endpoint(receiver.url)
    receiver.status = 500
    await send(custodes)
    clock.advance(9 * MINUTE)
    assert (await custodes.outbound.get_health_status()).state is Health.HEALTHY

    # When it has done so for ten minutes, Then outgoing webhooks are degraded
    clock.advance(MINUTE)
    found = await custodes.outbound.get_health_status()
    assert [reason for reason in found.reasons if reason.startswith("Endpoints")] == [
        "Endpoints to which nothing got through for 10 minutes or more: 1 of 1, 100 % (degraded from 50 %)"
    ]
    assert (await custodes.outbound.get_health_status(tenant="other")).figures["failing_endpoints"] == 0

    # And not when it is one of many
    for _ in range(2):
        await custodes.outbound.create_endpoint(receiver.url)
    found = await custodes.outbound.get_health_status()
    assert (found.figures["failing_endpoints"], found.figures["failing_share"]) == (1, 1 / 3)
    assert not any(reason.startswith("Endpoints") for reason in found.reasons)


@pytest.mark.parametrize("engine", ["postgresql"])
@pytest.mark.parametrize("verb", ["delete", "resume"])
async def test_who_disables_an_endpoint_and_who_resumes_or_deletes_it_wait_in_one_order(
    custodes: Custodes, receiver: Receiver, clock: FakeClock, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an endpoint that failed and then is gone (410), When it is resumed or deleted while that is being written,
    Then one waits for the other: none has to be rolled back and done again."""
    monkeypatch.setattr(postgresql_work, "RETRIES", 0)
    outbound, worker = custodes.outbound, cast("Any", custodes.outbound.worker)
    made = (await outbound.create_endpoint(receiver.url)).endpoint
    receiver.status = 500
    await send(custodes)
    clock.advance(HOUR)
    now = clock.now()
    (lease,) = await custodes.database.write(lambda tx: worker._take(tx, now, now, 16, []))
    receiver.status = 410
    gone = await worker._doer.do(lease)
    if verb == "resume":
        await outbound.pause_endpoint(made.id)

    # The one who judges has locked how it is doing, and goes on when somebody waits for that, or for the endpoint.
    judging, loop, endpoints = asyncio.Event(), asyncio.get_running_loop(), worker._doer._endpoints
    take_health = endpoints.take_health

    def take_and_wait(tx: Transaction, wanted: Sequence[Endpoint]) -> dict[str, EndpointHealth]:
        taken = take_health(tx, wanted)
        if not judging.is_set():
            loop.call_soon_threadsafe(judging.set)
            while not connection_of(tx).exec_driver_sql(SOMEBODY_WAITS).scalar():
                pass
        return taken

    monkeypatch.setattr(endpoints, "take_health", take_and_wait)
    settling = asyncio.create_task(worker._settle([(lease, gone)]))
    await judging.wait()
    change = outbound.delete_endpoint(made.id) if verb == "delete" else outbound.resume_endpoint(made.id)

    await asyncio.gather(settling, change)

    if verb == "resume":
        assert (await outbound.get_endpoint(made.id)).state is EndpointState.ENABLED
        assert await outbound.get_endpoint_health(made.id) == HEALTHY
    else:
        with pytest.raises(NotFound):
            await outbound.get_endpoint(made.id)


#: Whether another transaction waits for this one (PostgreSQL documentation, "System Information Functions").
SOMEBODY_WAITS = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
)
