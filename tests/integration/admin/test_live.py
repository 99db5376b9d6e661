"""The live feed: what happens is told at once, to those who may see it, and never more than can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.health import Health, SystemHealth
from custodes.kernel.signals import ActivitySignal, FailureSignal
from custodes.live import feed as live
from custodes.live.feed import LiveFeed
from custodes.planes.traffic.report import CallReport
from custodes.runtime.fanout import MAX_MESSAGE, LocalFanout
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock

LIVE = "/api/admin/enterprise/live"


@pytest.fixture
async def feed(custodes: Custodes) -> AsyncIterator[LiveFeed]:
    feed = custodes.live
    feed.poll(None, None)
    await asyncio.sleep(0)  # its task begins to listen
    yield feed
    await feed.stop()


def call(custodes: Custodes, path: str = "/orders", *, status: int = 200, tenant: str = "default") -> None:
    report = CallReport(method="GET", route="/orders", path=path, status=status, total_us=5_000, tenant=tenant)
    custodes.traffic.log_api_call(report)


async def test_requests_webhooks_audit_entries_and_failures_are_told_in_order(
    custodes: Custodes, feed: LiveFeed, clock: FakeClock, client: httpx2.AsyncClient
) -> None:
    headers = await key_for(custodes, "admin")
    begun = (await client.get(LIVE, headers=headers)).json()["last_id"]
    call(custodes, "/orders/1", status=500)
    clock.advance(1_000_000)
    await custodes.audit.log_audit_event("member.removed", actor="user:ann", target="member:bob")
    custodes.bus.emit(
        FailureSignal(at=clock.now() + 1, tenant="default", system="api", name="health.degraded", summary="x")
    )
    feed.step()

    told = (await client.get(LIVE, params={"after": begun}, headers=headers)).json()

    shown = [(one["plane"], one["kind"], one["outcome"]) for one in told["events"]]
    assert shown[-3:] == [
        ("traffic", "api.call", "failure"),
        ("audit", "member.removed", "success"),
        ("health", "health.degraded", "failure"),
    ]
    assert told["events"][-3]["title"] == "GET /orders/1"
    assert (told["events"][-3]["status"], told["events"][-3]["duration_ms"]) == (500, 5.0)
    assert told["events"][-2]["reference"].startswith("audit_log:")
    again = (await client.get(LIVE, params={"after": told["last_id"]}, headers=headers)).json()
    assert again["events"] == []


async def test_an_admin_of_one_tenant_is_told_of_that_tenant_only(
    custodes: Custodes, feed: LiveFeed, client: httpx2.AsyncClient
) -> None:
    call(custodes, "/ours", tenant="acme")
    call(custodes, "/theirs", tenant="globex")
    feed.step()

    told = (await client.get(LIVE, params={"after": 0}, headers=await key_for(custodes, "admin", "acme"))).json()

    assert [one["title"] for one in told["events"] if one["plane"] == "traffic"] == ["GET /ours"]
    assert {one["tenant"] for one in told["events"]} == {"acme"}


async def test_many_requests_that_are_alike_are_told_as_one(custodes: Custodes, feed: LiveFeed) -> None:
    for number in range(1_000):
        call(custodes, f"/orders/{number}", status=500 if number % 10 == 0 else 200)
    feed.step()

    told = [event for event in feed.poll(None, 0).events if event.plane == "traffic"]
    assert sorted((event.count, event.status, event.title) for event in told) == [
        (100, 500, "GET /orders"), (900, 200, "GET /orders"),
    ]  # fmt: skip


async def test_what_is_too_much_is_counted(feed: LiveFeed, custodes: Custodes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given a reader who was away; when more has happened than is remembered; then what is not shown is counted."""
    begun = feed.poll(None, None).last_id
    for number in range(live.MEMORY + 50):
        custodes.bus.emit(
            ActivitySignal(at=number, tenant="default", plane="inbound", kind="webhook.received", title="x")
        )
        if number % 1_000 == 999:
            feed.step()
    feed.step()
    batch = feed.poll(None, begun)
    assert len(batch.events) == live.MAX_BATCH
    assert batch.shed == live.MEMORY + 50 - live.MAX_BATCH

    monkeypatch.setattr(live, "MAX_WAITING", 3)
    for _ in range(5):
        call(custodes)
    feed.step()
    assert feed.shed_calls == 2


async def test_while_nobody_looks_nobody_listens(custodes: Custodes, feed: LiveFeed) -> None:
    assert custodes.bus.heard(ActivitySignal)
    await feed.stop()
    assert not custodes.bus.heard(ActivitySignal)
    call(custodes)
    feed.step()
    assert feed.poll(None, 0).events == []


async def test_a_stream_goes_on_where_it_was_cut(custodes: Custodes, feed: LiveFeed) -> None:
    for number in range(3):
        call(custodes, f"/orders/{number}")
        feed.step()
    first = feed.poll(None, 0)

    stream = feed.follow(None, first.events[0].id, patience=5)
    batch = await anext(stream)

    assert batch is not None
    assert [event.title for event in batch.events] == ["GET /orders/1", "GET /orders/2"]
    assert feed.readers == 1
    await stream.aclose()
    assert feed.readers == 0


async def test_the_end_of_the_process_ends_all_streams(feed: LiveFeed) -> None:
    """Given a stream that nobody feeds; when the process is asked to stop; then the stream is over at once."""
    stream = feed.follow(None, None, patience=600)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    feed.end()
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert feed.readers == 0
    assert [batch async for batch in feed.follow(None, None, patience=600)] == []


async def test_alerts_that_fire_and_end_and_systems_that_get_well_are_told(
    custodes: Custodes, feed: LiveFeed, clock: FakeClock
) -> None:
    await custodes.leader.start()
    custodes.alerts.on_failure(
        FailureSignal(at=clock.now(), tenant="default", system="webhooks", name="webhook.dead", summary="It gave up")
    )
    await custodes.alerts.write_events()
    clock.advance(7 * 24 * 3600 * 1_000_000)
    await custodes.alerts.evaluate()
    states = iter([Health.DEGRADED, Health.HEALTHY])

    async def check() -> SystemHealth:
        return SystemHealth("printer", next(states), ("no paper",), {})

    custodes.health.register("printer", check)
    for _ in range(2):
        await custodes.health.check()
        clock.advance(2_000_000)
    feed.step()

    told = [(one.kind, one.outcome) for one in feed.poll(None, 0).events if one.plane in {"alerts", "health"}]
    assert [one for one in told if one[0].startswith("alert.")] == [
        ("alert.firing", "failure"), ("alert.resolved", "success"),
    ]  # fmt: skip
    titles = [one.title for one in feed.poll(None, 0).events if one.plane == "health"]
    assert "Printer is degraded: no paper" in titles
    assert "Printer is healthy again, no longer degraded" in titles
    await custodes.leader.stop()


class _Wire:
    """A fan-out among feeds in one process."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.parts: list[LocalFanout] = []

    def join(self) -> LocalFanout:
        wire = self

        class Part(LocalFanout):
            def publish(self, topic: str, message: bytes) -> None:
                assert len(message) <= MAX_MESSAGE
                wire.sent.append(topic)
                for part in wire.parts:
                    part.hand_out(topic, message)

        self.parts.append(Part())
        return self.parts[-1]


async def test_who_looks_at_one_instance_sees_what_happens_on_the_other(tmp_path: Path, clock: FakeClock) -> None:
    """Given two instances; while somebody looks at one, the other tells it what happens there; otherwise nothing."""
    wire = _Wire()
    here, there = (Custodes(f"sqlite:///{tmp_path}/{name}.db", clock=clock) for name in ("here", "there"))
    for one in (here, there):
        one.fanout = wire.join()
        await one.live.start()
    assert not there.bus.heard(ActivitySignal)

    here.live.poll(None, None)
    await asyncio.sleep(0)  # its task begins, and asks
    await asyncio.sleep(0)  # the other's begins
    assert there.bus.heard(ActivitySignal)
    for number in range(100):
        signal = ActivitySignal(at=number, tenant="default", plane="inbound", kind="webhook.received", title="ü" * 400)
        there.bus.emit(signal)
    there.live.step()
    here.live.step()

    assert len(here.live.poll(None, 0).events) == 100
    assert here.live.poll(None, 0).events[0].title == "ü" * 300
    # What was told is not told back, and the other, at which nobody looks, asks nobody.
    assert wire.sent == ["live.asked", "live.told", "live.told", "live.told"]
    for one in (here, there):
        await one.live.stop()
        await one.database.close()


async def test_who_comes_from_a_younger_instance_is_told_what_happens_from_now_on(
    custodes: Custodes, feed: LiveFeed
) -> None:
    begun = feed.poll(None, 2**53).last_id
    call(custodes)
    feed.step()

    assert len(feed.poll(None, begun).events) == 1


async def test_what_happens_while_a_reader_is_busy_is_told_at_once(custodes: Custodes, feed: LiveFeed) -> None:
    """Given a reader that has not yet come back for more, when something happens, then it need not wait to be told."""
    stream = feed.follow(None, None, patience=600)
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    for path in ("/first", "/second"):
        call(custodes, path)
        feed.step()
        if path == "/first":
            assert await reading

    second = await asyncio.wait_for(anext(stream), 60)

    assert second
    assert [one.title for one in second.events] == ["GET /second"]
    await stream.aclose()
