"""The monitor: what can be asked of webhooks, logging by hand, replay, analytics, health, clean-up."""

import asyncio

import pytest

from custodes.errors import Conflict, InvalidInput, NotFound, Permanent
from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.planes.inbound.model import EventFilter, Status, Verdict, WebhookEvent
from custodes.planes.inbound.replay import ABANDONED_AFTER
from custodes.storage.sql.database import connection_of
from custodes.testing.clock import FakeClock

QUICK = Backoff(base=SECOND, factor=2.0, cap=60 * SECOND, jitter=0.0)


async def test_the_host_logs_a_webhook_that_it_received_by_itself(house):
    record = await house.inbound.log_webhook_event(
        "paddle", "transaction.completed", {"amount": 5}, event_id="ntf_1", headers=[(b"X-Api-Key", b"abc")]
    )
    again = await house.inbound.log_webhook_event("paddle", "transaction.completed", b"other", event_id="ntf_1")

    assert (record.status, record.verdict, record.event_id) == (Status.SUCCEEDED, Verdict.UNVERIFIED, "ntf_1")
    assert again.id == record.id
    payload = await house.inbound.get_payload(record.id)
    assert (payload.body, payload.headers) == (b'{"amount":5}', [("x-api-key", "[redacted]")])
    assert await house.inbound.worker.run_due() == 0


async def test_the_host_says_where_its_own_event_is_on_its_way(house):
    record = await house.inbound.log_webhook_event("paddle", "x", "{}", status=Status.RECEIVED)

    failed = await house.inbound.update_webhook_status(record.id, Status.DEAD, error="no", processing_us=1_500)

    assert (failed.status, failed.error, failed.processing_us) == (Status.DEAD, "no", 1_500)
    assert failed.finished_at == house.clock.now()
    total = (await house.inbound.get_webhook_analytics()).total
    assert (total.received, total.dead, total.success_rate) == (1, 1, 0.0)


@pytest.mark.parametrize("field", ["source", "event_type", "event_id", "trace_id", "client_ip"])
async def test_a_value_that_cannot_be_kept_is_refused(house, field: str):
    values = {"source": "s", "event_type": "t", "payload": b"", field: "x" * 300}

    with pytest.raises(InvalidInput):
        await house.inbound.log_webhook_event(**values)


async def test_unknown_ids_and_those_of_other_tenants_do_not_exist(house):
    receipt = await house.deliver()
    inbound = house.inbound
    for event_id, tenant in (("nothing", None), (receipt.event_id, "other")):
        for ask in (
            lambda i, t: inbound.get_event(i, tenant=t),
            lambda i, t: inbound.get_payload(i, tenant=t),
            lambda i, t: inbound.list_attempts(i, tenant=t),
            lambda i, t: inbound.replay_event(i, tenant=t),
            lambda i, t: inbound.update_webhook_status(i, Status.DEAD, tenant=t),
        ):
            with pytest.raises(NotFound):
                await ask(event_id, tenant)


# ── Replay ───────────────────────────────────────────────────────────────────


async def test_a_replay_runs_all_handlers_again_and_is_written_with_its_audit_entry(house):
    runs: list[int] = []

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        runs.append(event.attempt)

    receipt = await house.deliver()
    await house.inbound.worker.run_due()
    marks: list[str] = []

    record = await house.inbound.replay_event(receipt.event_id, also=lambda tx: marks.append("written"))
    await house.inbound.worker.run_due()

    assert record.status is Status.RECEIVED
    assert runs == [1, 2]
    assert marks == ["written"]
    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


async def test_an_audit_entry_that_cannot_be_written_stops_the_replay(house):
    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    def refuse(tx):
        raise PermissionError

    with pytest.raises(PermissionError):
        await house.inbound.replay_event(receipt.event_id, also=refuse)

    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED
    assert await house.inbound.worker.run_due() == 0


async def test_a_replay_of_a_waiting_event_tries_it_at_once(house):
    @house.inbound.webhook("stripe", backoff=QUICK)
    async def handler(event: WebhookEvent) -> None:
        if event.attempt == 1:
            raise RuntimeError

    receipt = await house.deliver()
    await house.inbound.worker.run_due()
    assert await house.inbound.worker.run_due() == 0

    await house.inbound.replay_event(receipt.event_id)
    assert await house.inbound.worker.run_due() == 1

    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


async def test_an_event_that_a_worker_is_at_cannot_be_replayed(house):
    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        with pytest.raises(Conflict):
            await house.inbound.replay_event(event.id)

    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED


@pytest.mark.parametrize("how", ["logged", "updated"])
async def test_what_the_host_is_at_can_be_replayed_once_it_is_given_up_and_is_purged(house, clock: FakeClock, how: str):
    """
    Given a host that handles a webhook by itself, and says so,
    While it may be at it, Then a replay is refused and says how to end it, and its word counts;
    When it has died over it, Then an hour later the event can be replayed, and retention deletes it in its time.
    """
    seen: list[str] = []

    @house.inbound.webhook("shop")
    async def handler(event: WebhookEvent) -> None:
        seen.append(event.id)

    async def begun() -> str:
        logged = await house.inbound.log_webhook_event(
            "shop", "order", b"{}", status="processing" if how == "logged" else "received"
        )
        return (
            (await house.inbound.update_webhook_status(logged.id, "processing")).id if how == "updated" else logged.id
        )

    ended, died, old = await begun(), await begun(), await begun()
    for event in (ended, died):
        with pytest.raises(Conflict, match="application") as refused:
            await house.inbound.replay_event(event)
        assert "update_webhook_status" in refused.value.remedy
    under_way = EventFilter(status=Status.PROCESSING)
    assert len((await house.inbound.replay_events(under_way, limit=9, dry_run=True)).skipped) == 3
    await house.inbound.update_webhook_status(ended, "succeeded")
    clock.advance(ABANDONED_AFTER)

    assert (await house.inbound.get_event(died)).status is Status.PROCESSING
    dry = await house.inbound.replay_events(under_way, limit=9, dry_run=True)
    assert (sorted(dry.event_ids), dry.skipped) == (sorted([died, old]), [])
    assert (await house.inbound.replay_event(died)).status is Status.RECEIVED
    await house.inbound.worker.run_due()
    assert (seen, (await house.inbound.get_event(died)).status) == ([died], Status.SUCCEEDED)

    assert await house.inbound.purge(clock.now(), 100) == 3


async def test_a_selection_is_replayed_in_steps_and_the_dry_run_says_which(house):
    broken = True
    runs: list[str] = []

    @house.inbound.webhook("stripe", "invoice.*")
    async def handler(event: WebhookEvent) -> None:
        if broken:
            raise Permanent("broken")
        runs.append(event.event_id)

    for number in range(5):
        await house.deliver(f"evt_{number}")
    await house.deliver("evt_other", "charge.failed")
    await house.inbound.worker.run_due()
    broken = False
    wanted = EventFilter(status=Status.DEAD)

    dry = await house.inbound.replay_events(wanted, limit=3, dry_run=True)
    assert (len(dry.event_ids), dry.dry_run) == (3, True)
    assert dry.next_cursor is not None
    assert await house.inbound.worker.run_due() == 0

    cursor = None
    while True:
        done = await house.inbound.replay_events(wanted, limit=3, cursor=cursor)
        cursor = done.next_cursor
        if cursor is None:
            break
    await house.inbound.worker.run_due()

    assert sorted(runs) == [f"evt_{number}" for number in range(5)]
    with pytest.raises(InvalidInput):
        await house.inbound.replay_events(wanted, limit=0)


# ── Analytics and health ─────────────────────────────────────────────────────


async def test_analytics_count_what_happened_by_source_type_time_and_error(house):
    house.inbound.worker.concurrency = 1  # so that the clock moves for one handler at a time

    @house.inbound.webhook("stripe", "invoice.*", name="books", backoff=QUICK)
    async def handler(event: WebhookEvent) -> None:
        house.clock.advance(40_000)
        if event.event_id == "evt_0" and event.attempt == 1:
            raise KeyError("amount")

    for number in range(10):
        await house.deliver(f"evt_{number}")
    await house.deliver("evt_1")
    for _ in range(13):  # repeats are no rank: what is received stands beside the name
        await house.deliver("evt_x", "charge.failed")
    with pytest.raises(Exception, match="No secret"):
        await house.deliver("evt_forged", secret="whsec_wrong")
    await house.inbound.worker.run_due()
    house.clock.advance(2 * SECOND)
    await house.inbound.worker.run_due()

    found = await house.inbound.get_webhook_analytics(since=house.clock.now() - HOUR)

    total = found.total
    assert (total.received, total.duplicates, total.succeeded, total.retried, total.dead) == (11, 13, 11, 1, 0)
    assert (total.refused, total.success_rate) == (1, 1.0)
    assert total.p95_us == pytest.approx(40_000, rel=0.023)
    assert [(row.event_type, row.summary.received) for row in found.by_type] == [
        ("invoice.paid", 10),
        ("charge.failed", 1),
    ]
    assert [(row.source, row.summary.refused) for row in found.by_source] == [("stripe", 1)]
    assert [(row.source, row.reason, row.count) for row in found.refused] == [("stripe", "no-match", 1)]
    [error] = found.errors
    assert (error.handler, error.error_type, error.count, error.example) == ("books", "KeyError", 1, "'amount'")
    assert sum(point.summary.received for point in found.points) == 11
    assert (await house.inbound.get_webhook_analytics(tenant="other")).total.received == 0


@pytest.mark.parametrize(("back", "step"), [(HOUR, 60), (2 * DAY - HOUR, 3_600), (40 * DAY, 86_400)])
async def test_every_level_gives_the_same_totals(house, back: int, step: int):
    for number in range(7):
        await house.deliver(f"evt_{number}")
    await house.inbound.worker.run_due()

    found = await house.inbound.get_webhook_analytics(since=house.clock.now() - back)

    assert found.step_seconds == step
    assert (found.total.received, found.total.succeeded) == (7, 7)


async def test_refusals_are_told_of_the_minutes_that_webhooks_are(house):
    # Given a webhook and one that is refused, a quarter before a full hour three days ago, of which hours are kept
    hour = house.clock.now() - house.clock.now() % HOUR + HOUR
    house.clock.advance(hour + 45 * MINUTE - house.clock.now())
    await house.deliver("evt_1")
    with pytest.raises(Exception, match="No secret"):
        await house.deliver("evt_forged", secret="whsec_wrong")
    house.clock.advance(3 * DAY)

    # When the first half of that hour is asked about
    found = await house.inbound.get_webhook_analytics(since=hour, until=hour + 30 * MINUTE)

    # Then the whole of it is told, of both
    assert (found.since, found.until) == (hour, hour + HOUR)
    assert (found.total.received, found.total.refused) == (1, 1)


async def test_health_is_judged_by_failures_backlog_and_dead_letters(house):
    assert (await house.inbound.get_health_status()).state is Health.HEALTHY

    @house.inbound.webhook("stripe")
    async def handler(event: WebhookEvent) -> None:
        raise Permanent("no")

    for number in range(12):
        await house.deliver(f"evt_{number}")
    house.clock.advance(2 * MINUTE)
    waiting = await house.inbound.get_health_status()
    assert waiting.state is Health.DEGRADED
    assert waiting.figures["backlog_age_seconds"] == 120

    await house.inbound.worker.run_due()
    failing = await house.inbound.get_health_status()

    assert failing.state is Health.UNHEALTHY
    assert failing.figures["failure_rate"] == 1.0
    assert failing.figures["dead_letters"] == 12
    assert any("100 % (unhealthy from 25 %)" in reason for reason in failing.reasons)


async def test_what_no_handler_wants_does_not_hide_what_fails(house):
    """Given a source of which one type is handled, and fails; When many of others come; Then all attempts failed."""

    @house.inbound.webhook("stripe", "invoice.*")
    async def handler(event: WebhookEvent) -> None:
        raise Permanent("no")

    for number in range(12):
        await house.deliver(f"evt_{number}", event_type="invoice.paid")
    for number in range(40):
        await house.deliver(f"evt_other_{number}", event_type="charge.updated")
    await house.inbound.worker.run_due()

    judged = await house.inbound.get_health_status()
    found = await house.inbound.get_webhook_analytics()

    assert (judged.figures["failure_rate"], judged.figures["source_failure_rate"]) == (1.0, 1.0)
    assert (found.total.failure_rate, found.total.success_rate) == (1.0, 40 / 52)


async def test_a_source_that_fails_alone_is_named(house):
    """Given a busy source that is well; When one that sends little fails, or is refused; Then it is named."""
    house.inbound.worker.concurrency = 1

    @house.inbound.webhook("stripe", "charge.*")
    async def charge(event: WebhookEvent) -> None:
        return None

    for number in range(300):
        await house.inbound.log_webhook_event("paddle", "order.made", b"{}", event_id=f"ntf_{number}")
    for number in range(10):
        with pytest.raises(Exception, match="No secret"):
            await house.deliver(f"evt_{number}", "charge.failed", secret="whsec_wrong")

    refusing = await house.inbound.get_health_status()
    assert refusing.state is Health.DEGRADED
    assert refusing.reasons == (
        "Deliveries of stripe that were refused in the last 15 minutes: 100 % of 10 (degraded from 50 %)",
    )

    for number in range(10):
        record = await house.inbound.log_webhook_event(
            "crm", "x", b"{}", event_id=f"x_{number}", status=Status.RECEIVED
        )
        await house.inbound.update_webhook_status(record.id, Status.FAILED, error="no")
    failing = await house.inbound.get_health_status()

    assert (
        "Attempts to handle a webhook of crm that failed in the last 15 minutes: 100 % of 10 (degraded from 50 %)"
        in (failing.reasons)
    )


async def test_a_worker_that_is_dead_is_told_by_the_health(house):
    worker = house.inbound.worker
    await worker.start()
    assert (await house.inbound.get_health_status()).figures["worker_alive"] == 1

    worker._loops[1].cancel()
    await asyncio.wait(worker._loops[1:])
    health = await house.inbound.get_health_status()
    await worker.stop()

    assert health.state is Health.UNHEALTHY
    assert "No worker handles webhooks" in str(health.reasons)


async def test_a_burst_of_failures_is_an_alert_once(house):
    @house.inbound.webhook("stripe", backoff=QUICK)
    async def handler(event: WebhookEvent) -> None:
        raise RuntimeError

    for number in range(50):
        await house.deliver(f"evt_{number}")
    await house.inbound.worker.run_due()

    assert house.actions().count("webhook.failing") == 1


async def test_switched_off_nothing_is_counted_and_events_are_handled_all_the_same(house):
    house.inbound._recorder._enabled = False
    receipt = await house.deliver()
    await house.inbound.worker.run_due()

    assert (await house.inbound.get_event(receipt.event_id)).status is Status.SUCCEEDED
    assert house.told == []
    assert (await house.inbound.get_webhook_analytics()).total.received == 0


async def test_purge_takes_old_finished_events_and_leaves_open_ones(house):
    @house.inbound.webhook("stripe", "invoice.paid")
    async def handler(event: WebhookEvent) -> None: ...

    await house.deliver("old")
    await house.inbound.worker.run_due()
    house.clock.advance(31 * DAY)
    await house.deliver("new")

    assert await house.inbound.purge(house.clock.now() - 30 * DAY, 100) == 1

    page = await house.inbound.list_events()
    assert [record.event_id for record in page.items] == ["new"]
    attempts = await house.database.read(
        lambda tx: connection_of(tx).exec_driver_sql("SELECT count(*) FROM webhook_attempts").scalar()
    )
    assert attempts == 0
