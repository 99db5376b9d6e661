"""Figures are written once, also when the server goes away while it commits them and nobody learns of the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select

from custodes import Custodes
from custodes.errors import StorageUnavailable
from custodes.kernel.clock import HOUR, SECOND
from custodes.kernel.signals import FailureSignal, SecuritySignal
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.model import Refusal
from custodes.planes.metrics.model import Query
from custodes.planes.outbound.model import Attempt
from custodes.runtime.outgoing.timing import Timing
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.tables.inbound import webhook_refusals
from custodes.storage.sql.tables.ratelimit import rate_limit_figures
from custodes.testing.clock import FakeClock

sums = Table("sums", MetaData(), Column("added", Integer))

Flush = Callable[[], Awaitable[object]]


class Line:
    """The connection between us and the server, which breaks while a commit is under way."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._dialect: Any = database._writer_engine.dialect
        self._commit = self._dialect.do_commit
        self.broken = 0

    async def breaks(self, flush: Flush, *, kept: bool = True) -> None:
        """Let the line break in the next commit: before the server could answer, or before it got the question."""

        def commit(connection: Any) -> None:
            self._dialect.do_commit = self._commit
            self.broken += 1
            if kept:
                self._commit(connection)
            else:
                connection.rollback()
            connection.driver_connection.close()
            msg = "server closed the connection unexpectedly"
            raise psycopg.OperationalError(msg)

        self._dialect.do_commit = commit
        with suppress(StorageUnavailable):  # of limits a flush that fails is logged
            await flush()


@pytest.fixture
async def custodes(postgres_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(postgres_url, secret_key="k" * 32, clock=clock)
    await install.database.open()
    await install.partitions.make()
    yield install
    await install.close()


@pytest.fixture
def line(custodes: Custodes) -> Line:
    database = custodes.database
    assert isinstance(database, PostgresDatabase)
    return Line(database)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_work_of_a_name_is_kept_once_and_tells_what_it_did(custodes: Custodes, line: Line, kept: bool):
    """Given a commit whose end nobody was told of, when it is written again under its name, then it is there once."""
    database = custodes.database
    await database.write(lambda tx: sums.create(connection_of(tx)))
    runs: list[int] = []

    def add(tx: Transaction) -> int:
        runs.append(1)
        connection_of(tx).execute(insert(sums).values(added=5))
        return len(runs)

    await line.breaks(lambda: database.write(add, once="a"), kept=kept)
    told = await database.write(add, once="a")
    await database.write(add, once="b")

    added = await database.read(lambda tx: connection_of(tx).execute(select(func.sum(sums.c.added))).scalar_one())
    assert (line.broken, told, added) == (1, 1 if kept else 2, 10)


async def test_figures_of_every_plane_are_added_once(custodes: Custodes, line: Line, clock: FakeClock):
    # Given what four planes add up, and a sample of a refused delivery
    now = clock.now()
    custodes.metrics.count("orders.created", 3)
    custodes.alerts.on_failure(FailureSignal(at=now, tenant="acme", system="webhooks", name="x", summary="y"))
    endpoint = (
        await custodes.outbound.create_endpoint("https://example.com/", event_types=["*"], tenant="acme")
    ).endpoint
    tally, tracker = custodes.outbound._tally, custodes.ratelimit._tracker
    tally.succeeded(_attempt(endpoint.id, now), "x", now)
    tracker.refuse(("acme", "login", "ip", "203.0.113.9", "/login"), "", shadow=False)
    recorder = custodes.inbound._recorder
    recorder.refused(_refusal(now))
    flushes: list[Flush] = [
        custodes.metrics.flush, custodes.alerts.write_events, tally.flush, lambda: tracker.flush([]), recorder.flush,
    ]  # fmt: skip

    # When the line breaks in the commit of each, and more comes until it is there again
    for flush in flushes:
        await line.breaks(flush)
    assert line.broken == len(flushes)
    assert await _orders(custodes, now) == 3
    custodes.metrics.count("orders.created", 1)
    for flush in [*flushes, *flushes]:
        await flush()

    # Then each is there once
    assert await _orders(custodes, now) == 4
    [incident] = (await custodes.alerts.incidents.list()).items
    assert incident.occurrences == 1
    assert (await custodes.outbound.get_endpoint(endpoint.id)).success_count == 1
    assert (
        await _one(custodes, select(func.sum(rate_limit_figures.c.refused)).where(rate_limit_figures.c.rule != "")) == 1
    )
    assert await _one(custodes, select(func.count()).select_from(webhook_refusals)) == 1


async def _orders(custodes: Custodes, now: int) -> float:
    answer = await custodes.metrics.query(Query("orders.created", "sum", now - HOUR, now + SECOND, step=24 * HOUR))
    return answer.lines[0].points[0].value


async def _one(custodes: Custodes, query: Any) -> int:
    return await custodes.database.read(lambda tx: connection_of(tx).execute(query).scalar_one())


def _attempt(endpoint_id: str, now: int) -> Attempt:
    return Attempt(
        tenant="acme", delivery_id="d", number=1, endpoint_id=endpoint_id, started_at=now, url="https://example.com/",
        succeeded=True, status=204, error="", excerpt="", timing=Timing(total=SECOND),
    )  # fmt: skip


def _refusal(now: int) -> Refusal:
    return Refusal(
        tenant="acme", id="0" * 36, received_at=now, source="stripe", reason="bad_signature", client_ip="",
        trace_id="", body_bytes=0, headers=[], body_head=b"",
    )  # fmt: skip


async def test_signals_of_a_batch_stand_in_the_trail_once(custodes: Custodes, line: Line, clock: FakeClock):
    """Given a batch whose commit nobody saw the end of; when it is written again, it is there once, as is the next."""
    intake = custodes.audit._intake

    def refused(key: str) -> None:
        signal = SecuritySignal(at=clock.now(), tenant="acme", action="webhook.signature_refused", reason=key)
        intake.offer(signal)

    refused("first")
    await line.breaks(intake.flush)
    assert (line.broken, intake.waiting) == (1, 1)
    clock.advance(SECOND)
    refused("second")
    assert await intake.flush()

    entries = (await custodes.audit.list_entries(AuditQuery(action="webhook.signature_refused"))).items
    assert [entry.reason for entry in entries] == ["second", "first"]
    assert (intake.waiting, intake.shed) == (0, 0)
