"""Deliveries that the store takes after nobody waits for it any more: they are told of and counted like any other."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from custodes.errors import StorageUnavailable
from custodes.planes.inbound import receiver
from custodes.runtime import writer
from custodes.runtime.writer import Pending
from custodes.storage.sql.database import Database
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.sqlite import SqliteDatabase

TOLD = ["webhook.signature_verified", "fraud.dispute"]

#: The verdict of a delivery of what is kept already.
REPEATED = "webhook.signature_verified"


class Disk:
    """Where deliveries are kept: it hangs, refuses, or breaks the line behind a commit, when it is told to."""

    def __init__(self, database: Database) -> None:
        assert isinstance(database, SqliteDatabase | PostgresDatabase)
        self._writer: Any = database._writer if isinstance(database, SqliteDatabase) else database._inserts
        self._works = self._writer._commit
        self._may_go_on = threading.Event()

    def hangs(self) -> None:
        self._writer._commit = self._hang

    def _hang(self, group: Sequence[Pending[Any]]) -> None:
        assert self._may_go_on.wait(60)
        self._works(group)

    def goes_on(self) -> None:
        self._writer._commit = self._works
        self._may_go_on.set()

    def refuses_once(self, *, kept: bool) -> None:
        def refuse(group: Sequence[Pending[Any]]) -> None:
            self._writer._commit = self._works
            if kept:
                self._works(group)
            for pending in group:
                pending.result = None
                pending.fail(StorageUnavailable("The line is broken"))

        self._writer._commit = refuse


@pytest.fixture
def disk(database: Database) -> Iterator[Disk]:
    made = Disk(database)
    yield made
    made.goes_on()


async def counted(house) -> tuple[int, int]:
    found = await house.inbound.get_webhook_analytics()
    return found.total.received, found.total.duplicates


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(writer, "LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("impatient")
async def test_what_is_kept_after_its_sender_was_told_503_is_told_and_counted_once(house, disk, monkeypatch):
    # Given a disk that hangs for longer than the sender is kept waiting
    disk.hangs()
    with pytest.raises(StorageUnavailable, match="did not answer"):
        await house.deliver(event_type="charge.dispute.created")
    assert house.actions() == []

    # When it goes on, and the sender delivers again
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 60.0)
    disk.goes_on()
    again = await house.deliver(event_type="charge.dispute.created")

    # Then it is a duplicate, and what had been kept before was told of
    assert not again.first
    assert house.actions() == [*TOLD, REPEATED]
    assert {signal.target for signal in house.told} == {f"webhook_event:{again.event_id}"}
    assert await counted(house) == (1, 1)


async def test_what_is_kept_after_its_sender_has_left_is_told_and_counted_once(house, disk):
    disk.hangs()
    delivery = asyncio.ensure_future(house.deliver(event_type="charge.dispute.created"))
    await asyncio.wait({delivery}, timeout=0.02)
    delivery.cancel()
    await asyncio.wait({delivery})

    disk.goes_on()
    again = await house.deliver(event_type="charge.dispute.created")

    assert (delivery.cancelled(), again.first) == (True, False)
    assert house.actions() == [*TOLD, REPEATED]
    assert await counted(house) == (1, 1)


@pytest.mark.usefixtures("impatient")
async def test_a_stop_waits_for_what_is_kept_late(house, disk):
    disk.hangs()
    with pytest.raises(StorageUnavailable):
        await house.deliver(event_type="charge.dispute.created")

    stop = asyncio.ensure_future(house.inbound.stop())
    await asyncio.wait({stop}, timeout=0.05)
    assert not stop.done()
    disk.goes_on()
    await stop

    assert house.actions() == TOLD
    assert await counted(house) == (1, 0)


@pytest.mark.usefixtures("impatient")
async def test_a_stop_waits_for_a_while_only(house, disk, monkeypatch):
    monkeypatch.setattr(receiver, "SETTLE_SECONDS", 0.01)
    disk.hangs()
    with pytest.raises(StorageUnavailable):
        await house.deliver()

    async with asyncio.timeout(60):
        await house.inbound.stop()

    assert house.actions() == []


async def test_what_was_not_kept_is_not_told_of(house, disk):
    disk.refuses_once(kept=False)
    with pytest.raises(StorageUnavailable, match="broken"):
        await house.deliver(event_type="charge.dispute.created")
    assert house.actions() == []

    again = await house.deliver(event_type="charge.dispute.created")

    assert again.first
    assert house.actions() == TOLD
    assert await counted(house) == (1, 0)


async def test_what_was_kept_behind_a_line_that_broke_is_told_of_when_it_comes_again(house, disk):
    """Given a commit whose end nobody was told of, when the sender delivers again, then what had been kept is told."""
    disk.refuses_once(kept=True)
    with pytest.raises(StorageUnavailable, match="broken"):
        await house.deliver(event_type="charge.dispute.created")

    again = [await house.deliver(event_type="charge.dispute.created") for _ in range(2)]

    assert [receipt.first for receipt in again] == [False, False]
    assert house.actions() == [*TOLD, REPEATED, REPEATED]
    assert {signal.target for signal in house.told} == {f"webhook_event:{again[0].event_id}"}
    assert await counted(house) == (1, 2)
