"""Several statements of one snapshot: each gets its own rows, in whatever order they are looked at."""

from sqlalchemy import Connection, literal, select, union_all

from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.pipelined import Statement, pipelined, side_by_side, written


def numbers(connection: Connection, *some: int) -> Statement:
    """Ask for numbers, a row each."""
    listed = union_all(*(select(literal(one)) for one in some)).subquery()
    return written(select(*listed.c), connection.dialect.name)


def nothing(connection: Connection) -> Statement:
    return written(select(literal(1)).where(literal(1) == literal(2)), connection.dialect.name)


async def test_rows_are_those_of_their_statement_whichever_is_looked_at_first(database: Database):
    def work(connection: Connection) -> list[list[int]]:
        with pipelined(connection) as send:
            asked = [send(numbers(connection, number, number + 1)) for number in range(5)]
            empty = send(nothing(connection))
            looked = {place: [value for (value,) in asked[place]()] for place in (3, 0, 4, 1)}
            assert list(empty()) == []
            later = send(numbers(connection, 9))
            looked |= {2: [value for (value,) in asked[2]()], 9: [value for (value,) in later()]}
        return [looked[place] for place in (0, 1, 2, 3, 4, 9)]

    found = await database.read(lambda tx: work(connection_of(tx)))

    assert found == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [9]]


async def test_what_nobody_looks_at_stands_in_nobodys_way(database: Database):
    """Given statements of which only the first is looked at, then the connection answers what is asked afterwards."""

    def work(connection: Connection) -> tuple[int, int]:
        with pipelined(connection) as send:
            first = send(numbers(connection, 1))
            for number in range(3):
                send(numbers(connection, number))
            [(one,)] = first()
        return one, connection.execute(select(literal(2))).scalar_one()

    assert await database.read(lambda tx: work(connection_of(tx))) == (1, 2)


async def test_inquiries_take_turns(database: Database):
    def add(connection: Connection, begin: int):
        [(first,)] = yield numbers(connection, begin)
        [(second,)] = yield numbers(connection, first + 1)
        assert (yield ("", {})) == ()  # nothing to ask
        return first + second

    found = await database.read(
        lambda tx: side_by_side(connection_of(tx), [add(connection_of(tx), begin) for begin in (1, 10, 100)])
    )

    assert found == [3, 21, 201]
