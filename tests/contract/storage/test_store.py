"""What every engine promises of units of work."""

import asyncio

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from custodes.errors import InvalidInput
from custodes.storage.sql.database import Database, connection_of

#: Behind a pooler in transaction mode, too.
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql", "pgbouncer"], indirect=True)

notes = Table("notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(50)))


@pytest.fixture
async def store(database: Database) -> Database:
    await database.write(lambda tx: notes.create(connection_of(tx)))
    return database


def add(key: int, text: str = ""):
    return lambda tx: connection_of(tx).execute(insert(notes).values(id=key, text=text)).rowcount


def count(tx) -> int:
    return connection_of(tx).execute(select(func.count()).select_from(notes)).scalar_one()


async def test_what_was_written_can_be_read(store: Database):
    assert await store.write(add(1)) == 1

    assert await store.read(count) == 1


async def test_a_work_that_raises_leaves_nothing_behind(store: Database):
    def half(tx):
        add(1)(tx)
        raise LookupError("half-way")

    with pytest.raises(LookupError, match="half-way"):
        await store.write(half)

    assert await store.read(count) == 0


async def test_one_bad_work_does_not_harm_those_that_commit_with_it(store: Database):
    await store.write(add(1))

    answers = await asyncio.gather(
        *(store.write(add(key)) for key in (2, 1, 3)), store.write(add(1)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [int, IntegrityError, int, IntegrityError]
    assert await store.read(count) == 3


async def test_a_work_that_ends_with_stop_iteration_leaves_nobody_waiting(store: Database):
    """No future takes one: whoever waited, and whose work was committed with it, waited for ever."""
    answers = await asyncio.gather(
        store.write(add(1)), store.write(lambda _: next(iter(()))), store.read(lambda _: next(iter(()))),
        store.write(add(2)), return_exceptions=True,
    )  # fmt: skip

    assert [type(answer) for answer in answers] == [int, RuntimeError, RuntimeError, int]
    assert await store.read(count) == 2


@pytest.mark.parametrize(
    ("work", "wrong"),
    [
        (add(1, "half \ud800"), "half of a surrogate pair"),
        (add(2**70), "larger than can be kept"),
    ],
)
async def test_a_value_that_cannot_be_kept_is_refused_in_our_words(store: Database, work, wrong: str):
    # Given works that commit with one whose value no engine keeps
    answers = await asyncio.gather(
        *(store.write(each) for each in (add(2), work, add(3))), store.write(work), return_exceptions=True
    )

    # Then it alone is refused, in words, not in a driver's
    assert [type(answer) for answer in answers] == [int, InvalidInput, int, InvalidInput]
    assert wrong in str(answers[1])
    assert await store.read(count) == 2


async def test_a_text_that_cannot_be_looked_for_is_refused_in_our_words(store: Database):
    with pytest.raises(InvalidInput, match="half of a surrogate pair"):
        await store.read(lambda tx: connection_of(tx).execute(select(notes).where(notes.c.text == "\ud800")).all())


async def test_an_error_of_the_work_itself_stays_what_it_is(store: Database):
    with pytest.raises(UnicodeEncodeError):
        await store.write(lambda _: "é".encode("ascii"))
    with pytest.raises(OverflowError):
        await store.write(lambda _: 2.0**10_000)


async def test_works_compose_into_one_unit(store: Database):
    # Given an action and its audit entry in one work, and the entry fails
    def action_with_entry(tx):
        add(1)(tx)
        add(1)(tx)

    with pytest.raises(IntegrityError):
        await store.write(action_with_entry)

    # Then the action did not happen either
    assert await store.read(count) == 0


async def test_many_writers_at_once_lose_nothing(store: Database):
    await asyncio.gather(*(store.write(add(key), durable=key % 2 == 0) for key in range(200)))

    assert await store.read(count) == 200


async def test_a_reader_cannot_write(store: Database):
    with pytest.raises(Exception, match=r"(?i)read-?only|readonly|attempt to write"):
        await store.read(add(1))

    assert await store.read(count) == 0
