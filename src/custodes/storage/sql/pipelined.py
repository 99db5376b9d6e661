"""Statements on one snapshot, each sent before the rows of the one before it are looked at.

PostgreSQL then works on the next one while rows are added up here (PostgreSQL documentation, "Pipeline Mode"), and
sends integers and bytes as they are. SQLite works in the thread that asks: a statement runs when its rows are wanted.
Both go beneath SQLAlchemy, whose rows cost as much as adding them up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

T = TypeVar("T")

#: A statement with the names of its parameters as the driver writes them, and their values.
Statement = tuple[str, dict[str, Any]]

#: A query of any columns.
Query = Select[*tuple[Any, ...]]

#: As which dialect a statement is written so that a driver takes it with names of its values.
_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),  # pyright: ignore[reportNoOverloadImplementation]
    "postgresql": postgresql.psycopg.dialect(),
}

#: Fetches rows; blocks until they are there.
Rows = Callable[[], Sequence[Sequence[Any]]]


@contextmanager
def pipelined(connection: Connection) -> Generator[Callable[[Statement], Rows]]:
    """Hand out what sends a statement; nothing else is asked of the connection meanwhile."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        if not connection.in_transaction():
            connection.begin()  # beneath SQLAlchemy nothing does
        yield lambda statement: lambda: driver.execute(*statement).fetchall()
        return

    with driver.pipeline():
        yield _Conversation(driver).send


class _Asked:
    """A statement, and what has come of it."""

    __slots__ = ("cursor", "first", "statement")

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        #: None until it is sent.
        self.cursor: Any = None
        self.first: Any = None


class _Conversation:
    """Statements of one connection: the server works on one while the rows of the one before it are added up here.

    Not on more: psycopg waits for the rows of all that it has sent before it hands on the first. What is not asked for
    in the end is not sent, but for the one that is next.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._waiting: deque[_Asked] = deque()
        self._at_server: _Asked | None = None

    def send(self, statement: Statement) -> Rows:
        """Have a statement answered."""
        asked = _Asked(statement)
        self._waiting.append(asked)
        if self._at_server is None:
            self._send_next()
        return lambda: self._rows_of(asked)

    def _rows_of(self, asked: _Asked) -> Sequence[Sequence[Any]]:
        while asked.cursor is None or asked is self._at_server:
            self._wait()
        return [] if asked.first is None else [asked.first, *asked.cursor.fetchall()]

    def _wait(self) -> None:
        """Wait for the rows of what the server works on, and send the next one before these are looked at."""
        asked, self._at_server = self._at_server, None
        assert asked is not None
        asked.first = asked.cursor.fetchone()
        self._send_next()

    def _send_next(self) -> None:
        if self._waiting:
            self._at_server = asked = self._waiting.popleft()
            asked.cursor = self._driver.cursor(binary=True).execute(*asked.statement)


def written(query: Query, dialect: str) -> Statement:
    """Write a query as its driver wants it."""
    compiled = query.compile(dialect=_DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
    return str(compiled), dict(compiled.params)


#: Asks one thing after the other: yields each question as it is written, and gets its rows.
Inquiry = Generator[Statement, Sequence[Any], T]


def side_by_side(connection: Connection, inquiries: Sequence[Inquiry[T]]) -> list[T]:
    """Run inquiries of one snapshot in turns: PostgreSQL works on what one asks while another looks at its rows."""
    found: dict[int, T] = {}
    with pipelined(connection) as send:

        def ask(place: int, rows: Sequence[Any] | None) -> None:
            try:
                statement = inquiries[place].send(rows) if rows is not None else next(inquiries[place])
            except StopIteration as end:
                found[place] = end.value
            else:
                waiting.append((place, send(statement) if statement[0] else tuple))

        waiting: deque[tuple[int, Rows]] = deque()
        for place in range(len(inquiries)):
            ask(place, None)
        while waiting:
            place, rows = waiting.popleft()
            ask(place, rows())
    return [found[place] for place in range(len(inquiries))]


class Values:
    """The values of a statement, and their names as its driver writes them; ``of`` ends each name."""

    def __init__(self, dialect: str, of: str = "") -> None:
        self._sqlite = dialect == "sqlite"
        self._of = of
        self.given: dict[str, Any] = {}

    def one(self, name: str, value: object) -> str:
        """Name a value."""
        name += self._of
        self.given[name] = value
        return f":{name}" if self._sqlite else f"%({name})s"

    def all(self, name: str, members: Sequence[str]) -> str:
        """Name each member; ``NULL``, which nothing equals, when there is none."""
        return ", ".join(self.one(f"{name}{number}", member) for number, member in enumerate(members)) or "NULL"

    def among(self, name: str, members: Sequence[str]) -> str:
        """Write the condition of being among these: on PostgreSQL one value, which is planned far quicker."""
        return f"IN ({self.all(name, members)})" if self._sqlite else f"= ANY({self.one(name, list(members))})"
