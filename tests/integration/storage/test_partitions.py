"""PostgreSQL: what grows with the traffic is cut by time, made ahead, and dropped whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, text

from custodes import Custodes
from custodes.kernel.clock import DAY, HOUR
from custodes.kernel.ids import uuid7
from custodes.planes.traffic.rollup import Level
from custodes.storage.sql import partitions
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.partitions import SLICES, Partitions
from custodes.storage.sql.tables.traffic import api_monitoring, api_rollups
from custodes.storage.sql.traffic import SqlTrafficStore
from custodes.testing.clock import FakeClock


@pytest.fixture
async def custodes(postgres_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(postgres_url, clock=clock)
    await install.database.open()
    await install.partitions.make()
    yield install
    await install.close()


async def run(custodes: Custodes, statement: Any, *rows: dict[str, Any]) -> list[Any]:
    def work(tx):
        result = connection_of(tx).execute(text(statement) if isinstance(statement, str) else statement, rows or None)
        return result.all() if result.returns_rows else []

    return await custodes.database.write(work)


def call(at: int) -> dict[str, Any]:
    texts = dict.fromkeys(
        ("user_id", "api_key_id", "client_ip", "trace_id", "span_id", "parent_id", "user_agent", "limited_by",
         "error_group", "error"), "",
    )  # fmt: skip
    numbers = dict.fromkeys(("total_us", "ttfb_us", "background_us", "request_bytes", "response_bytes"), 1)
    return {
        **texts, **numbers, "tenant_id": "default", "started_at": at, "id": uuid7(at, lambda bits: 0), "kind": "http",
        "method": "GET", "route": "/", "path": "/", "status": 200, "disconnected": False,
    }  # fmt: skip


def rollup(at: int, *, folded: int) -> dict[str, Any]:
    counts = [column.name for column in api_rollups.columns if column.name.endswith(("s", "count", "ed", "sum", "min"))]
    return {
        **dict.fromkeys(counts, 0), "tenant_id": "default", "keyspace": "total", "level": 10, "bucket": at, "name": "",
        "method": "", "writer_id": "w", "folded": folded, "statuses": "", "total_max": 0, "total": b"", "ttfb": b"",
    }  # fmt: skip


async def where(custodes: Custodes, table: str) -> list[str]:
    """In which pieces the rows of a table are."""
    rows = await run(custodes, f"SELECT tableoid::regclass::text FROM {table} ORDER BY 1")
    return [name for (name,) in rows]


async def there(custodes: Custodes) -> set[str]:
    """The pieces that are there."""
    rows = await run(custodes, "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    return {name for (name,) in rows if not name.endswith("_rest")}


async def test_pieces_of_now_and_of_what_comes_next_are_there_before_they_are_needed(
    custodes: Custodes, clock: FakeClock
):
    names = await there(custodes)

    assert {
        slices.name(slices.start_of(clock.now()) + ahead) for slices in SLICES for ahead in (0, slices.width)
    } <= names
    await run(custodes, insert(api_monitoring), call(clock.now()), call(clock.now() + DAY))
    assert "api_monitoring_rest" not in await where(custodes, "api_monitoring")
    assert await custodes.partitions.make() == 0


async def test_processes_that_make_them_at_once_make_each_once(custodes: Custodes, clock: FakeClock):
    clock.advance(200 * DAY)
    before = await there(custodes)

    made = await asyncio.gather(*(Partitions(custodes.database, clock).make() for _ in range(3)))

    assert sum(made) == len(await there(custodes)) - len(before) > len(SLICES)


async def test_what_belongs_into_no_piece_is_kept_and_moved_when_its_piece_is_made(
    custodes: Custodes, clock: FakeClock
):
    # Given a report from last week, and one from a clock that is days ahead
    early, late = clock.now() - 7 * DAY, clock.now() + 5 * DAY
    await run(custodes, insert(api_monitoring), call(early), call(late))
    assert await where(custodes, "api_monitoring") == ["api_monitoring_rest"] * 2

    # When its time has come
    clock.advance(5 * DAY)
    await custodes.partitions.make()

    # Then it is in its piece, and can be found as ever
    piece = SLICES[0].name(SLICES[0].start_of(late))
    assert await where(custodes, "api_monitoring") == [piece, "api_monitoring_rest"]
    store = SqlTrafficStore(custodes.database)
    assert await store.call(uuid7(late, lambda bits: 0), tenant=None) is not None


async def test_retention_drops_pieces_that_are_past_and_deletes_the_rest(custodes: Custodes, clock: FakeClock):
    store = SqlTrafficStore(custodes.database)
    start = clock.now()
    await run(custodes, insert(api_monitoring), call(start), call(start - 30 * DAY))
    clock.advance(3 * DAY)
    await custodes.partitions.make()
    await run(custodes, insert(api_monitoring), call(clock.now()))
    piece = SLICES[0].name(SLICES[0].start_of(start))

    # Given the moment falls into the piece: it stays, what is in no piece goes
    assert await store.purge_calls(start + 1, 10) == 1
    assert await store.purge_calls(start + 1, 10) == 0
    assert piece in await there(custodes)

    # When it is past
    removed = [await store.purge_calls(clock.now() - 2 * DAY + 1, 10) for _ in range(2)]

    # Then it is gone whole, and what is younger stays
    assert removed == [1, 0]
    assert piece not in await there(custodes)
    assert len(await where(custodes, "api_monitoring")) == 1


async def test_a_piece_with_figures_that_no_coarser_level_holds_stays(custodes: Custodes, clock: FakeClock):
    store = SqlTrafficStore(custodes.database)
    start = clock.now() - clock.now() % (6 * HOUR)
    await run(custodes, insert(api_rollups), rollup(start, folded=1), rollup(start + 10, folded=0))
    later = start + 2 * DAY

    assert await store.purge_rollups(Level.TEN_SECONDS, later, 10) == 0

    await run(custodes, "UPDATE api_rollups SET folded = 1")
    assert await store.purge_rollups(Level.TEN_SECONDS, later, 10) == 2


async def test_a_table_that_is_in_use_keeps_nobody_waiting_for_long(
    custodes: Custodes, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    store = SqlTrafficStore(custodes.database)
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "SET LOCAL lock_timeout = '20ms'")
    await run(custodes, insert(api_monitoring), call(clock.now()))
    reading, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def long_query(tx):
        connection_of(tx).execute(text("SELECT count(*) FROM api_monitoring")).all()
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result(30)

    # Given somebody reads the table
    report = asyncio.create_task(custodes.database.read(long_query))
    await reading.wait()

    # Then retention goes on without it, and comes back to it
    assert await store.purge_calls(clock.now() + 5 * DAY, 10) == 0
    done.set()
    await report
    assert await store.purge_calls(clock.now() + 5 * DAY, 10) == 1


async def test_the_leader_makes_them_and_every_start_does(postgres_url: str, clock: FakeClock):
    install = Custodes(postgres_url, clock=clock)

    assert "storage.partitions" in {report.name for report in install.scheduler.reports()}
    assert next(report for report in install.scheduler.reports() if report.name == "storage.partitions").leader_only
