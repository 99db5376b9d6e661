"""Statements on one snapshot, each sent before the rows of the one before it are fetched.

PostgreSQL then works on the next ones while rows are added up here (PostgreSQL documentation, "Pipeline Mode"), and
sends integers and bytes as they are. SQLite works in the thread that asks: a statement runs when its rows are wanted.
Both go beneath SQLAlchemy, whose rows cost as much as adding them up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")

#: A statement with the names of its parameters as the driver writes them, and their values.
Statement = tuple[str, dict[str, Any]]

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

    def send(statement: Statement) -> Rows:
        fetch: Rows = driver.cursor(binary=True).execute(*statement).fetchall
        return fetch

    with driver.pipeline():
        yield send


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
