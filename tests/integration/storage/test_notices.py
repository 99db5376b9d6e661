"""PostgreSQL: processes tell each other what has changed, and poll all the same."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from tests.servers.postgresql import PgBouncer, PostgresServer

from custodes import Custodes
from custodes.cli.doctor import examine
from custodes.kernel.signals import ActivitySignal
from custodes.planes.inbound.model import Arrival
from custodes.planes.ratelimit import limiter
from custodes.runtime import worker
from custodes.runtime.fanout import MAX_MESSAGE
from custodes.runtime.notices import LIMITS
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.postgresql_notices import PostgresNotices

#: Longest that is waited for a notice, seconds, and how seldom processes poll here: whatever is seen, a notice told.
#: The design promises two seconds; of these a notice takes a hundredth, unless the machine is busy.
PATIENCE = 60.0
TOO_SELDOM = 600.0


@pytest.fixture
def empty_url(postgres_server: PostgresServer) -> str:
    return postgres_server.url(postgres_server.new_database())


@pytest.fixture
async def process(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Any]]:
    """Start an install as one more process of the same database, which polls too seldom to see anything."""
    monkeypatch.setattr(
        worker.Worker.__init__, "__kwdefaults__", {**worker.Worker.__init__.__kwdefaults__, "poll_seconds": TOO_SELDOM}
    )
    monkeypatch.setattr(limiter, "REFRESH_SECONDS", TOO_SELDOM)
    started: list[Custodes] = []

    async def start(url: str = empty_url, **settings: Any) -> Custodes:
        install = Custodes(url, **settings)
        install.source("stripe", ["whsec_" + "a" * 32])
        started.append(install)
        return install

    yield start
    for install in started:
        await install.stop()


async def listening(*installs: Custodes) -> None:
    for install in installs:
        await install.start()
        assert isinstance(install.notices, PostgresNotices)
        await asyncio.wait_for(install.notices.heard.wait(), PATIENCE)


def arrival(custodes: Custodes, number: int) -> Arrival:
    return Arrival("default", custodes.new_id(), custodes.clock.now(), "stripe", f"evt_{number}", "invoice.paid",
                   f"evt_{number}", "verified", "0" * 32, "192.0.2.1", 2, "[]", b"{}")  # fmt: skip


async def test_a_webhook_that_one_process_takes_in_is_handled_at_once_by_another(process):
    # Given one that only takes in, and one that handles
    door, hands = await process(webhook_concurrency=0), await process()
    handled = asyncio.Event()

    @hands.webhook("stripe", "invoice.paid")
    async def paid(event) -> None:
        handled.set()

    await listening(door, hands)

    # When an event arrives at the first
    await SqlEventStore(door.database).accept(arrival(door, 1))
    door.inbound.worker.brought()

    # Then the second does it without waiting for its poll
    await asyncio.wait_for(handled.wait(), PATIENCE)


async def test_an_event_that_one_process_emits_is_delivered_at_once_by_another(process):
    # Given one that only emits, and one that delivers
    arrived = asyncio.Event()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    settings = {
        "secret_key": "k" * 32, "outbound_allow_http": True, "outgoing_allow_networks": "127.0.0.0/8",
    }  # fmt: skip
    app, hands = await process(outbound_concurrency=0, **settings), await process(**settings)
    await listening(app, hands)
    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        made = await app.outbound.create_endpoint(f"http://127.0.0.1:{port}/")

        # When the first emits, then the second sends it without waiting for its poll
        await app.outbound.emit("order.made", {})
        await asyncio.wait_for(arrived.wait(), PATIENCE)

        # And so it is with what is sent again
        arrived.clear()
        await app.outbound.pause_endpoint(made.endpoint.id)
        await app.outbound.emit("order.made", {})
        await app.outbound.resume_endpoint(made.endpoint.id)
        await asyncio.wait_for(arrived.wait(), PATIENCE)


async def test_a_block_holds_everywhere_at_once(process):
    here, there = await process(), await process()
    await listening(here, there)

    await here.ratelimit.block_identifier("192.0.2.7", reason="abuse", actor="user:1")

    async def seen() -> None:
        while there.ratelimit._in_force.version != here.ratelimit._in_force.version:
            await asyncio.sleep(0.01)

    await here.ratelimit._in_force.refresh()
    await asyncio.wait_for(seen(), PATIENCE)


async def test_a_broken_connection_is_made_again_and_what_was_missed_is_looked_for(
    process, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("custodes.storage.sql.postgresql_notices.RETRY_SECONDS", 0.05)
    install = await process()
    looked = asyncio.Event()
    install.notices.on(LIMITS, looked.set)
    await listening(install)
    looked.clear()

    # Given the server breaks the listening connection off
    ended = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE application_name = 'custodes-listen' AND datname = current_database()")  # fmt: skip
    await install.database.write(lambda tx: connection_of(tx).execute(ended).all())

    # Then it listens again, and looks
    await asyncio.wait_for(looked.wait(), PATIENCE)


async def test_behind_a_pooler_the_server_itself_is_listened_to(process, pgbouncer: PgBouncer, empty_url: str):
    name = empty_url.rpartition("/")[2]
    pooled = await process(pgbouncer.url(name), database_listen_url=empty_url)
    looked = asyncio.Event()
    pooled.notices.on(LIMITS, looked.set)
    await listening(pooled)
    looked.clear()

    await pooled.ratelimit.block_identifier("192.0.2.8", reason="abuse", actor="user:1")

    await asyncio.wait_for(looked.wait(), PATIENCE)


async def test_the_doctor_says_that_nobody_is_heard_through_a_pooler(
    process, pgbouncer: PgBouncer, empty_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Given a pooler; then the doctor warns, unless the server itself is named."""
    url = pgbouncer.url(empty_url.rpartition("/")[2])
    await (await process(url)).open()

    async def warned() -> list[str]:
        return [one.remedy for one in await examine(url) if one.area == "notices"]

    assert await warned() == ["Set CUSTODES_DATABASE_LISTEN_URL to the server itself"]
    monkeypatch.setenv("CUSTODES_DATABASE_LISTEN_URL", empty_url)
    assert await warned() == []


async def test_a_pooler_is_left_as_it_was(process, pgbouncer: PgBouncer, empty_url: str):
    """Given a pooler and no URL of the server itself, then nothing is set on connections that the host has next."""
    url = pgbouncer.url(empty_url.rpartition("/")[2])
    pooled = await process(url, database_schema="watch", secret_key="k" * 32)
    await pooled.start()
    assert isinstance(pooled.notices, PostgresNotices)
    await asyncio.wait_for(asyncio.shield(pooled.notices._listening), PATIENCE)

    left: set[tuple[str, str | None]] = set()
    for _ in range(10):
        async with await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""), autocommit=True) as host:
            row = await (
                await host.execute("SELECT current_setting('search_path'), pg_listening_channels()")
            ).fetchall()
            left |= set(row)
            left.add((await (await host.execute("SHOW search_path")).fetchone())[0])

    assert not pooled.notices.heard.is_set()
    assert left == {'"$user", public'}


async def test_who_looks_at_one_process_sees_within_two_seconds_what_happens_in_another(process):
    """Given no Redis; while somebody looks at one; then the other tells it over the database, long titles too."""
    here, there = await process(), await process()
    await listening(here, there)
    here.live.poll(None, None)
    async with asyncio.timeout(PATIENCE):
        while not there.bus.heard(ActivitySignal):
            await asyncio.sleep(0.01)

    begun = time.monotonic()
    for number in range(100):
        title = f"{number} {'ü' * 290}"
        there.bus.emit(
            ActivitySignal(at=number, tenant="default", plane="inbound", kind="webhook.received", title=title)
        )
    found: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < 100:
            await asyncio.sleep(0.01)
            found = [event.title for event in here.live.poll(None, 0).events if event.kind == "webhook.received"]
    sys.stdout.write(f"\nseen at another process over PostgreSQL after {time.monotonic() - begun:.2f} s\n")

    assert found == [f"{number} {'ü' * 290}" for number in range(100)]


async def test_news_come_whole_and_once_and_what_is_no_news_is_passed_over(process):
    here, there = await process(), await process()
    await listening(here, there)
    heard: list[tuple[str, bytes]] = []
    for name, install in (("here", here), ("there", there)):
        install.fanout.subscribe("news", lambda message, name=name: heard.append((name, message)))

    here.fanout.publish("news", b"x" * (MAX_MESSAGE + 1))  # too long for others
    for strange in ("", "a", "a b c d e", "a 1 1 1 part of nothing", "a 1 0 0 ###", "a 1 0 999999 x"):
        here.notices.say("news", [strange])
    here.fanout.publish("news", b"\xff" * MAX_MESSAGE)
    for _ in range(2):  # two that are alike are two
        here.fanout.publish("news", b"")
    async with asyncio.timeout(PATIENCE):
        while heard.count(("there", b"")) < 2:
            await asyncio.sleep(0.01)

    assert [message for name, message in heard if name == "there"] == [b"\xff" * MAX_MESSAGE, b"", b""]
    assert [len(message) for name, message in heard if name == "here"] == [MAX_MESSAGE + 1, MAX_MESSAGE, 0, 0]
    assert here.fanout.shed == 1


async def test_news_that_cannot_be_sent_do_not_pile_up(process):
    install = await process()
    await listening(install)
    for _ in range(2_000):
        install.fanout.publish("news", b"")

    assert install.fanout.shed == 1_000


async def test_two_workers_never_share_a_job(process):
    """Given two processes that claim as fast as they can, then each event is handled once."""
    installs = [await process(), await process()]
    handled: list[str] = []
    for install in installs:

        @install.webhook("stripe", "invoice.paid", name="paid")
        async def paid(event) -> None:
            handled.append(event.event_id)

    events = SqlEventStore(installs[0].database)
    await asyncio.gather(*(install.open() for install in installs))
    await asyncio.gather(*(events.accept(arrival(installs[0], number)) for number in range(120)))

    await asyncio.gather(*(install.inbound.worker.run_due() for install in installs))

    assert sorted(handled) == sorted(f"evt_{number}" for number in range(120))


async def test_a_listener_that_fails_keeps_nobody_from_hearing_what_comes(process):
    """Given a listener that raises, When notices come, Then the others hear each of them."""
    one, other = await process(), await process()
    heard: list[str] = []
    came = asyncio.Event()

    def fails() -> None:
        heard.append("fails")
        raise ValueError

    def hears() -> None:
        heard.append("hears")
        came.set()

    other.notices.on("news", fails)
    other.notices.on("news", hears)
    await listening(one, other)
    for _ in range(2):
        came.clear()
        one.notices.tell("news")
        await asyncio.wait_for(came.wait(), PATIENCE)
    assert heard[-4:] == ["fails", "hears", "fails", "hears"]
