"""Security signals wait in a bounded buffer and are written in batches, each once."""

import asyncio
import threading

from custodes.errors import StorageUnavailable
from custodes.kernel.signals import SecuritySignal
from custodes.planes.audit.intake import MAX_BATCH, Intake


def signal(place: int = 0) -> SecuritySignal:
    return SecuritySignal(at=place, tenant="default", action="webhook.signature_refused")


class Book:
    """What was written, by a store that can be told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.prepared = 0
        self.broken = False

    async def prepare(self, signals) -> list[int]:
        self.prepared += len(signals)
        return [one.at for one in signals if one.at >= 0]

    async def write(self, entries) -> None:
        if self.broken:
            raise StorageUnavailable("down")
        self.batches.append(list(entries))

    @property
    def written(self) -> list[int]:
        return [entry for batch in self.batches for entry in batch]


async def test_signals_are_written_in_order_and_in_batches():
    book = Book()
    intake = Intake(book.prepare, book.write)
    for place in range(MAX_BATCH + 10):
        intake.offer(signal(place))

    await intake.flush()

    assert book.written == list(range(MAX_BATCH + 10))
    assert [len(batch) for batch in book.batches] == [MAX_BATCH, 10]


async def test_what_does_not_fit_is_shed_and_counted():
    book = Book()
    intake = Intake(book.prepare, book.write, max_waiting=5)
    for place in range(12):
        intake.offer(signal(place))

    await intake.flush()

    assert book.written == [0, 1, 2, 3, 4]
    assert intake.shed == 7


async def test_a_batch_that_fails_is_tried_again_and_prepared_only_once():
    book = Book()
    intake = Intake(book.prepare, book.write)
    intake.offer(signal(1))
    book.broken = True
    assert not await intake.flush()
    assert intake.waiting == 1

    book.broken = False
    assert await intake.flush()

    assert book.written == [1]
    assert book.prepared == 1
    assert intake.shed == 0


async def test_an_entry_that_can_never_be_written_is_shed_and_holds_up_no_other():
    """Given one of three that the store refuses, when it goes away meanwhile and is back, then two are written once."""
    book = Book()

    async def write(entries) -> None:
        if 2 in entries:
            msg = "a value that no column holds"
            raise ValueError(msg)
        await book.write(entries)
        book.broken = entries == [1]  # it goes away after the first

    intake = Intake(book.prepare, write)
    for place in (1, 2, 3):
        intake.offer(signal(place))
    assert not await intake.flush()
    assert (book.written, intake.waiting, intake.shed) == ([1], 1, 1)

    book.broken = False
    assert await intake.flush()

    assert book.written == [1, 3]
    assert (intake.waiting, intake.shed) == (0, 1)


async def test_stop_writes_what_waits():
    book = Book()
    intake = Intake(book.prepare, book.write)
    await intake.start()
    for place in range(3):
        intake.offer(signal(place))

    await intake.stop()
    await intake.stop()

    assert book.written == [0, 1, 2]


async def test_a_write_under_way_at_the_stop_is_not_made_twice():
    # Given a write that the store is busy with
    book = Book()
    busy, done = asyncio.Event(), asyncio.Event()

    async def slow(entries) -> None:
        busy.set()
        await done.wait()
        await book.write(entries)

    intake = Intake(book.prepare, slow)
    await intake.start()
    intake.offer(signal(1))
    await busy.wait()

    # When the intake is stopped meanwhile
    stopping = asyncio.create_task(intake.stop())
    await asyncio.sleep(0)
    done.set()
    await stopping

    assert book.written == [1]
    assert intake.shed == 0


async def test_what_cannot_be_written_at_the_end_is_counted():
    book = Book()
    book.broken = True
    intake = Intake(book.prepare, book.write)
    await intake.start()
    intake.offer(signal(1))
    intake.offer(signal(2))

    await intake.stop()

    assert intake.shed == 2
    assert intake.waiting == 0


async def test_signals_come_from_any_thread():
    book = Book()
    intake = Intake(book.prepare, book.write)
    await intake.start()
    threads = [threading.Thread(target=lambda: [intake.offer(signal(7)) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await asyncio.sleep(0)

    await intake.stop()

    assert book.written == [7] * 200


async def test_a_signal_that_makes_no_entry_is_counted_as_lost():
    book = Book()
    intake = Intake(book.prepare, book.write)
    intake.offer(signal(-1))
    intake.offer(signal(1))

    await intake.flush()

    assert book.written == [1]
    assert intake.shed == 1
