"""Several processes, not all with the same handlers: none is done with an event that another wants."""

from collections.abc import AsyncIterator, Callable

import pytest

from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.planes.inbound.model import EventRecord, Outcome, Status, WebhookEvent
from custodes.planes.inbound.processor import MISSING_FOR
from custodes.planes.inbound.roster import GONE_AFTER, MAX_PROCESSES, REMEMBERED
from custodes.storage.sql.database import Database
from custodes.storage.sql.inbound_roster import SqlPresenceStore
from custodes.testing.clock import FakeClock

from .conftest import House

QUICK = Backoff(base=SECOND, factor=2.0, cap=60 * SECOND, jitter=0.0)


@pytest.fixture
async def process(database: Database, clock: FakeClock, random_bits) -> AsyncIterator[Callable[[str], House]]:
    """Make processes of one install."""
    houses: list[House] = []

    def make(name: str) -> House:
        houses.append(House(database, clock, random_bits, writer=name))
        return houses[-1]

    yield make
    for house in houses:
        await house.inbound.stop()


class Seen(list[str]):
    """A handler that notes what it got, and fails as long as it is told to."""

    failing = False

    async def __call__(self, event: WebhookEvent) -> None:
        self.append(event.event_id)
        if self.failing:
            raise RuntimeError("not now")


async def look(house: House, event_id: str) -> EventRecord:
    return await house.inbound.get_event(event_id)


async def test_a_process_without_handlers_leaves_events_to_the_one_that_has_them(process):
    """Given an app and a server of the dashboard beside it; when webhooks come in at either, then the app gets all."""
    app, server, seen = process("app"), process("server"), Seen()
    app.inbound.webhook("stripe", name="seen")(seen)
    await app.inbound.roster.beat()

    receipt = await server.deliver("evt_1")
    await app.deliver("evt_2")
    assert await server.inbound.worker.run_due() == 0
    assert (await look(server, receipt.event_id)).attempts == 0
    await app.inbound.worker.run_due()

    assert seen == ["evt_1", "evt_2"]
    assert (await look(server, receipt.event_id)).handlers_done == {"seen": Outcome.SUCCEEDED}


async def test_an_event_whose_type_only_another_handles_is_given_back_and_not_counted(process, clock: FakeClock):
    """Given a rolling deployment that adds a handler, then an old process has nothing to do with what it is for."""
    new, old, seen = process("new"), process("old"), Seen()
    old.inbound.webhook("stripe", "charge.*", name="charges")(Seen())
    new.inbound.webhook("stripe", "invoice.*", name="invoices")(seen)
    await new.inbound.roster.beat()

    receipt = await old.deliver("evt_1", "invoice.paid")
    assert await old.inbound.worker.run_due() == 1
    waiting = await look(old, receipt.event_id)
    assert (waiting.status, waiting.attempts) == (Status.RECEIVED, 0)
    assert waiting.error == "Handler invoices is not in this process"
    assert clock.now() + SECOND <= (waiting.next_retry_at or 0) <= clock.now() + 2 * SECOND
    clock.advance(2 * SECOND)
    await new.inbound.worker.run_due()

    done = await look(old, receipt.event_id)
    assert (seen, done.status, done.attempts, done.error) == (["evt_1"], Status.SUCCEEDED, 1, None)
    assert (await old.inbound.get_webhook_analytics()).total.retried == 0


async def test_each_process_calls_the_handlers_that_it_has(process, clock: FakeClock):
    one, two, first, second = process("one"), process("two"), Seen(), Seen()
    one.inbound.webhook("stripe", name="first")(first)
    two.inbound.webhook("stripe", name="second")(second)
    await one.inbound.roster.beat()
    await two.inbound.roster.beat()

    receipt = await one.deliver("evt_1")
    await one.inbound.worker.run_due()
    half = await look(one, receipt.event_id)
    assert (half.status, half.handlers_done) == (Status.RECEIVED, {"first": Outcome.SUCCEEDED})
    clock.advance(2 * SECOND)
    await two.inbound.worker.run_due()

    done = await look(one, receipt.event_id)
    assert (first, second) == (["evt_1"], ["evt_1"])
    assert done.status is Status.SUCCEEDED
    assert done.handlers_done == {"first": Outcome.SUCCEEDED, "second": Outcome.SUCCEEDED}


async def test_what_failed_waits_for_its_handler_and_is_never_taken_for_done(process, clock: FakeClock):
    """Given an event that failed, and a deployment that lost its handler, then it waits for a day, and is dead."""
    app, server, failing = process("app"), process("server"), Seen()
    failing.failing = True
    app.inbound.webhook("stripe", name="push", backoff=QUICK)(failing)
    receipt = await app.deliver("evt_1")
    await app.inbound.worker.run_due()
    clock.advance(MINUTE)

    assert await server.inbound.worker.run_due() == 1
    waiting = await look(server, receipt.event_id)
    assert (waiting.status, waiting.attempts) == (Status.FAILED, 1)
    assert waiting.error == "Handler push is not in this process"
    assert not waiting.unhandled
    clock.advance(MISSING_FOR)
    await server.inbound.worker.run_due()

    dead = await look(server, receipt.event_id)
    assert (dead.status, dead.attempts, dead.error) == (Status.DEAD, 1, "Handler push is not in this process")
    assert server.actions() == ["webhook.dead_lettered"]


async def test_a_handler_that_comes_back_goes_on_where_it_was(process, clock: FakeClock):
    app, server, again, seen = process("app"), process("server"), process("again"), Seen()
    seen.failing = True
    app.inbound.webhook("stripe", name="push", backoff=QUICK, max_attempts=2)(seen)
    receipt = await app.deliver("evt_1")
    await app.inbound.worker.run_due()
    for _ in range(5):
        clock.advance(6 * MINUTE)
        assert await server.inbound.worker.run_due() == 1

    again.inbound.webhook("stripe", name="push", backoff=QUICK, max_attempts=2)(seen)
    clock.advance(6 * MINUTE)
    seen.failing = False
    await again.inbound.worker.run_due()

    done = await look(server, receipt.event_id)
    assert (seen, done.status, done.attempts) == (["evt_1", "evt_1"], Status.SUCCEEDED, 2)


async def test_events_wait_for_a_process_that_restarts(process, clock: FakeClock):
    app, server, again, seen = process("app"), process("server"), process("again"), Seen()
    app.inbound.webhook("stripe", name="seen")(seen)
    await app.inbound.start()
    await app.inbound.stop()

    await server.deliver("evt_1")
    clock.advance(REMEMBERED - SECOND)
    assert await server.inbound.worker.run_due() == 0
    again.inbound.webhook("stripe", name="seen")(seen)
    await again.inbound.worker.run_due()

    assert seen == ["evt_1"]


async def test_what_no_process_handles_is_kept_and_said_to_be_unhandled(process, clock: FakeClock, caplog):
    """Given a process that has gone for good, then its events end as those of an install without handlers: seen so."""
    app, server = process("app"), process("server")
    app.inbound.webhook("stripe", name="seen")(Seen())
    await app.inbound.roster.beat()
    receipt = await server.deliver("evt_1")
    assert await server.inbound.worker.run_due() == 0
    clock.advance(REMEMBERED)

    await server.inbound.worker.run_due()
    await server.inbound.roster.beat()

    record = await look(server, receipt.event_id)
    assert (record.status, record.unhandled) == (Status.SUCCEEDED, True)
    assert (await server.inbound.get_health_status()).figures["unhandled"] == 1
    assert await server.database.read(SqlPresenceStore().all) == []


async def test_a_handler_of_another_name_does_what_the_one_before_did(process, clock: FakeClock):
    """Given a handler that was renamed, then events do not wait for the one that it was."""
    before, after, seen = process("before"), process("after"), Seen()
    before.inbound.webhook("stripe", name="old_name")(Seen())
    after.inbound.webhook("stripe", name="new_name")(seen)
    await before.inbound.roster.beat()
    await before.inbound.roster.stop()

    receipt = await after.deliver("evt_1")
    await after.inbound.worker.run_due()

    assert (await look(after, receipt.event_id)).status is Status.SUCCEEDED
    assert seen == ["evt_1"]


async def test_a_process_that_is_silent_has_gone(process, clock: FakeClock):
    """Given a process that was killed while another has handlers of its own, then that one waits half a minute."""
    killed, other, seen = process("killed"), process("other"), Seen()
    killed.inbound.webhook("stripe", name="gone")(Seen())
    other.inbound.webhook("stripe", name="here")(seen)
    await killed.inbound.roster.beat()

    receipt = await other.deliver("evt_1")
    await other.inbound.worker.run_due()
    assert (await look(other, receipt.event_id)).status is Status.RECEIVED
    clock.advance(GONE_AFTER)
    await other.inbound.worker.run_due()

    assert (await look(other, receipt.event_id)).status is Status.SUCCEEDED


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_who_lives_is_not_judged_by_clocks(process, clock: FakeClock, jump: int):
    app, server = process("app"), process("server")
    app.inbound.webhook("stripe", name="seen")(Seen())
    await app.inbound.roster.beat()
    await server.inbound.roster.beat()

    clock.jump(jump)
    await server.deliver("evt_1")

    assert await server.inbound.worker.run_due() == 0
    assert await server.inbound.list_handlers() == []  # for who looks once there is nothing but the clock


async def test_one_that_only_forwards_waits_for_an_app_that_restarts(process, clock: FakeClock):
    """Given a server that forwards beside an app that restarts just now, then the app gets what came in meanwhile."""
    server, app, forwarded, seen = process("server"), process("app"), Seen(), Seen()
    server.inbound.webhook("stripe", name="custodes.forward.stripe")(forwarded)
    app.inbound.webhook("stripe", name="paid")(seen)
    for one in (server, app, server):
        await one.inbound.roster.beat()
    await app.inbound.roster.stop()

    await server.deliver("evt_1")
    await server.inbound.worker.run_due()
    again = process("app again")
    again.inbound.webhook("stripe", name="paid")(seen)
    await again.inbound.roster.beat()
    clock.advance(MINUTE)
    await again.inbound.worker.run_due()

    assert (forwarded, seen) == (["evt_1"], ["evt_1"])


async def test_processes_that_die_one_after_another_do_not_pile_up(process, database: Database, clock: FakeClock):
    """Given an app that dies as soon as it has started, again and again, Then the newest of them are remembered."""
    for number in range(MAX_PROCESSES + 7):
        app = process(f"app-{number}")
        app.inbound.webhook("stripe", name="seen")(Seen())
        clock.advance(SECOND)
        await app.inbound.roster.beat()

    said = await database.read(SqlPresenceStore().all)
    assert len(said) == MAX_PROCESSES + 1
    assert {f"app-{number}" for number in range(6)}.isdisjoint(one.process for one in said)
