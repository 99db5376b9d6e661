"""What tests of the engines share."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from custodes import Custodes
from custodes.kernel.ids import uuid7
from custodes.planes.identity.model import Role
from custodes.planes.inbound.model import Arrival, EventFilter
from custodes.planes.traffic.report import CallReport
from custodes.runtime import writer
from custodes.storage.sql import postgresql
from custodes.storage.sql.inbound import SqlEventStore


@pytest.fixture
def exercise(monkeypatch: pytest.MonkeyPatch) -> Callable[[Custodes], Awaitable[None]]:
    """Have every plane of an install do its work, at once where that can be, and look at what came of it."""
    monkeypatch.setattr(
        writer, "PATIENCE_SECONDS", 60.0
    )  # for a sender that waits for its answer, which none does here
    monkeypatch.setattr(postgresql, "INGEST_TIMEOUT_SECONDS", 60.0)
    return _exercise


async def _exercise(custodes: Custodes) -> None:
    handled: list[str] = []

    @custodes.webhook("stripe", "invoice.paid")
    async def paid(event) -> None:
        handled.append(event.event_id)

    custodes.source("stripe", ["whsec_" + "a" * 32])
    await custodes.start()
    now = custodes.clock.now()
    events = SqlEventStore(custodes.database)

    def arrival(number: int) -> Arrival:
        identifier = uuid7(now + number, custodes.random_bits)
        return Arrival("default", identifier, now, "stripe", f"evt_{number}", "invoice.paid", f"evt_{number}",
                       "verified", "0" * 32, "192.0.2.1", 2, "[]", b"{}")  # fmt: skip

    await asyncio.gather(
        *(events.accept(arrival(number % 20)) for number in range(40)),
        *(custodes.audit.log_audit_event("member.removed", actor=f"user:{n}") for n in range(40)),
        *(custodes.ratelimit.block_identifier(f"192.0.2.{n}", reason="abuse", actor="user:1") for n in range(10)),
        *(custodes.identity.profiles.create(f"user{n}", role=Role.MEMBER) for n in range(5)),
        *(custodes.inbound.get_webhook_analytics() for _ in range(20)),
        custodes.outbound.create_endpoint("https://example.com/hook"),
    )
    for number in range(50):
        custodes.metrics.gauge("queue.depth", number)
        custodes.traffic.log_api_call(CallReport(method="GET", route="/orders", status=200, total_us=3_000))
    await asyncio.gather(custodes.metrics.flush(), custodes.traffic.flush())
    answers = await asyncio.gather(*(custodes.traffic.get_api_analytics() for _ in range(20)))
    assert {len(answer.endpoints) for answer in answers} == {1}
    await custodes.inbound.worker.run_due()
    runs = await custodes.retention.run()
    report = await custodes.health.check(60)

    found = await custodes.database.read(lambda tx: events.find(tx, EventFilter(), limit=100, cursor=None))
    assert len(found.items) == 20
    assert sorted(handled) == sorted(f"evt_{number}" for number in range(20))
    assert all(run.finished for run in runs), [run.error for run in runs]
    assert all(one.system != "storage" or one.figures for one in report.systems)
    assert len((await custodes.ratelimit.get_blocked_identifiers()).items) == 10
    await custodes.stop()
