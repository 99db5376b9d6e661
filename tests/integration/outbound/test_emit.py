"""Emitting: one transaction, once per key, only to who wants it, only what the catalogue says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from tests.integration.outbound.conftest import ENGINES, Receiver, opened

from custodes import Custodes
from custodes.errors import Conflict, InvalidInput, PayloadTooLarge
from custodes.planes.outbound.model import Options
from custodes.testing.clock import FakeClock


async def paths(custodes: Custodes, receiver: Receiver) -> list[str]:
    receiver.got.clear()
    await custodes.outbound.worker.run_due()
    return sorted(got.path for got in receiver.got)


@pytest.mark.parametrize("engine", ENGINES)
async def test_only_the_endpoints_that_want_it_get_it(custodes: Custodes, receiver: Receiver) -> None:
    """By type, by payload, by channel and by tenant."""
    for name, types, options, tenant in (
        ("all", ["*"], Options(), "acme"),
        ("orders", ["order.*"], Options(), "acme"),
        ("big", ["order.*"], Options(match={"data.total": {"$gte": 100}}), "acme"),
        ("eu", ["*"], Options(channels=("eu",)), "acme"),
        ("other", ["*"], Options(), "other"),
    ):
        url = f"{receiver.url}/{name}"
        await custodes.outbound.create_endpoint(url, event_types=types, options=options, tenant=tenant)
    await custodes.outbound.emit("order.paid", {"total": 99}, tenant="acme")
    assert await paths(custodes, receiver) == ["/all", "/orders"]
    await custodes.outbound.emit("order.paid", {"total": 100}, tenant="acme", channels=["eu", "web"])
    assert await paths(custodes, receiver) == ["/all", "/big", "/eu", "/orders"]
    await custodes.outbound.emit("user.made", b'{"data": {"total": 500}}', tenant="acme")
    assert await paths(custodes, receiver) == ["/all"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_filters_look_at_what_is_sent(custodes: Custodes, receiver: Receiver) -> None:
    """Given a tuple and a number as a name, which JSON has not; then filters find the list and the text sent."""
    for name, match in (("list", {"data.tags": {"$has": "gold"}}), ("name", {"data.sizes.5": "x"})):
        await custodes.outbound.create_endpoint(f"{receiver.url}/{name}", options=Options(match=match))
    await custodes.outbound.emit("order.paid", {"tags": ("gold",), "sizes": {5: "x"}})
    assert await paths(custodes, receiver) == ["/list", "/name"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_bytes_are_sent_as_they_are_and_headers_with_them(custodes: Custodes, receiver: Receiver) -> None:
    options = Options(headers={"X-Team": "blue"})
    await custodes.outbound.create_endpoint(receiver.url, options=options)
    body = b'{ "a" : 1.0,\n"\xff": "\\u0000" }'
    await custodes.outbound.emit("x", body, content_type="text/x-odd")
    await custodes.outbound.worker.run_due()
    [got] = receiver.got
    assert (got.body, got.headers["content-type"], got.headers["x-team"]) == (body, "text/x-odd", "blue")


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_pinned_version_gets_the_converted_payload(custodes: Custodes, receiver: Receiver) -> None:
    @custodes.outbound.payload_version("order.paid", "2025-01")
    def older(payload: dict[str, int]) -> dict[str, int]:
        return {"amount": payload["total"]}

    assert older({"total": 1}) == {"amount": 1}
    await custodes.outbound.create_endpoint(f"{receiver.url}/new")
    await custodes.outbound.create_endpoint(f"{receiver.url}/old", options=Options(payload_version="2025-01"))
    await custodes.outbound.emit("order.paid", {"total": 5})
    await custodes.outbound.worker.run_due()
    got = {one.path: (json.loads(one.body)["data"], one.headers.get("webhook-version")) for one in receiver.got}
    assert got == {"/new": ({"total": 5}, None), "/old": ({"amount": 5}, "2025-01")}


@pytest.mark.parametrize("engine", ENGINES)
async def test_one_key_is_one_event_however_often_it_is_emitted(custodes: Custodes, receiver: Receiver) -> None:
    await custodes.outbound.create_endpoint(receiver.url)
    made = await asyncio.gather(*(custodes.outbound.emit("x", {"n": n}, idempotency_key="k") for n in range(20)))
    again = await custodes.outbound.emit("x", {"n": 99}, idempotency_key="k")
    assert len({message.id for message in [*made, again]}) == 1
    assert len(await paths(custodes, receiver)) == 1
    with pytest.raises(Conflict):
        await custodes.outbound.emit("y", {}, idempotency_key="k")
    # another tenant's key is another key
    assert (await custodes.outbound.emit("x", {}, idempotency_key="k", tenant="other")).id != again.id


@pytest.mark.parametrize("key", [None, 7, "k" * 256, "a\nb", "é"])
async def test_a_key_that_is_no_short_text_is_refused_in_a_sentence(custodes: Custodes, key: Any) -> None:
    for named in ({"idempotency_key": key}, {"order_key": key}):
        with pytest.raises(InvalidInput, match="printable ASCII characters, or leave it out"):
            await custodes.outbound.emit("x", {}, **named)
    assert not (await custodes.outbound.list_messages()).items


class TestTheCallersTransaction:
    """An outbox: the event commits, or rolls back, with the business rows."""

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("commits", [True, False])
    async def test_it_shares_the_fate_of_the_business_rows(
        self, custodes: Custodes, receiver: Receiver, database_url: str, commits: bool
    ) -> None:
        await custodes.outbound.create_endpoint(receiver.url)
        engine = create_engine(database_url)
        with Session(engine) as session:
            session.execute(text("CREATE TABLE orders (id INTEGER)"))
            session.commit()
            session.execute(text("INSERT INTO orders VALUES (7)"))
            await custodes.outbound.emit("order.made", {"id": 7}, connection=session)
            if commits:
                session.commit()
            else:
                session.rollback()
            orders = session.execute(text("SELECT count(*) FROM orders")).scalar()
        engine.dispose()
        assert (orders, len(await paths(custodes, receiver))) == ((1, 1) if commits else (0, 0))

    @pytest.mark.parametrize("kind", ["Connection", "Session", "AsyncConnection", "AsyncSession"])
    async def test_its_commit_wakes_the_worker_and_its_roll_back_does_not(
        self, custodes: Custodes, database_url: str, kind: str
    ) -> None:
        """Given an event in the caller's transaction, then the worker looks for work when that is committed, not
        before, and not after a roll-back."""
        await custodes.outbound.create_endpoint("https://example.com/hook")
        woken, open_jobs = asyncio.Event(), list[int]()
        wake = custodes.outbound.worker.wake

        def woke() -> None:
            woken.set()
            wake()

        custodes.outbound.worker.wake = woke
        async with handle_of(kind, database_url) as handle:
            await custodes.outbound.emit("order.made", {}, connection=handle)
            await done(handle.rollback())
            await custodes.outbound.emit("order.made", {}, connection=handle)
            await asyncio.sleep(0)
            assert not woken.is_set()
            await done(handle.commit())
            await asyncio.wait_for(woken.wait(), 60)
            found = await custodes.outbound.list_deliveries()
            open_jobs.append(len(found.items))
        assert open_jobs == [1]


@asynccontextmanager
async def handle_of(kind: str, url: str) -> AsyncIterator[Any]:
    """Open a handle of SQLAlchemy's on a database."""
    if kind.startswith("Async"):
        engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
        async with engine.connect() if kind == "AsyncConnection" else AsyncSession(engine) as handle:
            yield handle
        await engine.dispose()
        return
    engine = create_engine(url)
    with engine.connect() if kind == "Connection" else Session(engine) as handle:
        yield handle
    engine.dispose()


async def done(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result


class TestTheCatalogue:
    SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}  # noqa: RUF012

    async def test_a_payload_that_is_not_what_it_says_is_refused(self, custodes: Custodes) -> None:
        await custodes.outbound.catalogue.put("order.paid", schema=self.SCHEMA, example={"id": 1})
        await custodes.outbound.emit("order.paid", {"id": 7})
        await custodes.outbound.emit("order.paid", b'{"id": 7}')
        for wrong in ({"id": "secret-7"}, {}, b'{"id": null}', b"no json"):
            with pytest.raises(InvalidInput, match=r"catalogue") as refused:
                await custodes.outbound.emit("order.paid", wrong)
            assert "secret-7" not in str(refused.value)
        await custodes.outbound.emit("not.in.the.catalogue", {"x": 1})

    async def test_a_change_that_can_break_receivers_needs_force(self, custodes: Custodes) -> None:
        put = custodes.outbound.catalogue.put
        await put("order.paid", schema=self.SCHEMA)
        await put("order.paid", schema={**self.SCHEMA, "properties": {"id": {"type": "integer"}, "new": {}}})
        with pytest.raises(Conflict, match=r"\$\.id may be missing"):
            await put("order.paid", schema={**self.SCHEMA, "required": []})
        assert (await put("order.paid", schema={**self.SCHEMA, "required": []}, force=True)).schema is not None

    async def test_what_no_answer_can_be_made_of_is_not_kept(self, custodes: Custodes) -> None:
        """Half of a surrogate pair, or NaN, in free JSON."""
        for free in (
            {"example": "\ud800"}, {"example": {"a": float("nan")}}, {"schema": {"title": "\ud800"}}
        ):  # fmt: skip
            with pytest.raises(InvalidInput):
                await custodes.outbound.catalogue.put("order.paid", **free)
        assert list(await custodes.outbound.catalogue.all()) == []

    async def test_what_is_stored_already_is_served_all_the_same(self, custodes: Custodes) -> None:
        made = await custodes.outbound.catalogue.put("order.paid", example={"name": "\U0001f600"})
        odd = replace(made, example={"name": "\U0001f600 \ud800"})
        await custodes.database.write(lambda tx: custodes.outbound.catalogue._types.put(tx, odd))
        assert [one.example for one in await custodes.outbound.catalogue.all()] == [{"name": "\U0001f600 ?"}]

    async def test_the_schema_is_of_what_is_sent(self, custodes: Custodes) -> None:
        await custodes.outbound.catalogue.put("order.paid", schema={"properties": {"tags": {"type": "array"}}})
        assert await custodes.outbound.emit("order.paid", {"tags": ("gold",)})

    async def test_an_archived_type_is_not_emitted(self, custodes: Custodes) -> None:
        await custodes.outbound.catalogue.put("old.one", archived=True)
        with pytest.raises(InvalidInput, match="archived"):
            await custodes.outbound.emit("old.one", {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_type": ""}, {"event_type": "a b"}, {"event_type": "a..b"}, {"event_type": "custodes.own"},
        {"event_type": "x" * 101}, {"payload": float("nan")}, {"payload": {1, 2}}, {"payload": "\ud800"},
        {"idempotency_key": "k" * 256}, {"idempotency_key": "a\nb"}, {"order_key": "ö"}, {"tenant": "a b"},
        {"channels": [""]}, {"channels": ["c"] * 1 + [str(n) for n in range(11)]}, {"content_type": "a\r\nb"},
        {"trace_id": "x" * 33},
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_not_acceptable_is_refused(custodes: Custodes, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        await custodes.outbound.emit(**({"event_type": "x", "payload": {}} | wrong))  # type: ignore[arg-type]


async def test_a_body_beyond_the_limit_is_refused(custodes: Custodes) -> None:
    with pytest.raises(PayloadTooLarge):
        await custodes.outbound.emit("x", b"x" * 1_048_577)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_event_takes_few_statements(database_url: str, receiver: Receiver) -> None:
    """Given 200 events at fan-out 1, then from emit to delivered each takes six statements at most."""
    statements = 0

    def count(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        nonlocal statements
        if "SAVEPOINT" not in statement:
            # psycopg sends as many statements as there are rows; sqlite3 prepares one and runs it again.
            statements += len(parameters) if many and connection.dialect.name == "postgresql" else 1

    async with opened(database_url) as custodes:
        await custodes.outbound.create_endpoint(receiver.url, options=Options(concurrency=64))
        database: Any = custodes.database
        event.listen(database._writer_engine, "before_cursor_execute", count)
        event.listen(database._reader_engine, "before_cursor_execute", count)
        await asyncio.gather(*(custodes.outbound.emit("x", {"n": n}) for n in range(200)))
        await custodes.outbound.worker.run_due()
        await custodes.outbound.flush()
    assert len(receiver.got) == 200
    assert statements / 200 <= 6


@pytest.mark.parametrize("engine", ["postgresql"])
async def test_an_event_takes_two_statements_to_put_in_and_nine_to_lease_however_many_want_it(
    database_url: str, receiver: Receiver, clock: FakeClock
) -> None:
    """Given one event for eight endpoints, When it is emitted and looked for by a worker,
    Then PostgreSQL is asked for the endpoints and given all rows at once; what is due is found and leased at once."""
    statements: list[str] = []
    async with opened(database_url, clock) as custodes:
        for number in range(8):
            await custodes.outbound.create_endpoint(f"{receiver.url}/{number}")
        database: Any = custodes.database
        worker: Any = custodes.outbound.worker
        await database.write(lambda tx: worker._take(tx, clock.now(), clock.now(), 16, []))

        def note(*given: Any) -> None:
            # Notices are sent when they are, in a transaction of their own that need not reach the disk.
            if "pg_notify" not in given[2] and "synchronous_commit" not in given[2]:
                statements.append(given[2])

        event.listen(database._writer_engine, "before_cursor_execute", note)
        await custodes.outbound.emit("x", {})
        assert len(statements) == 2, statements
        statements.clear()
        leases = await database.write(lambda tx: worker._take(tx, clock.now(), clock.now(), 16, []))
        # What a clock that ran ahead put in; due lanes, their endpoints, how these are doing; due jobs, their leases;
        # what the attempts take: three.
        assert (len(leases), len(statements)) == (8, 9), statements
