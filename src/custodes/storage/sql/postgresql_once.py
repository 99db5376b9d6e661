"""Works that are kept once, also when the server went away while one of them committed.

Whoever waits for such a commit is not told what became of it. The server knows: a transaction that writes has a number,
under which ``pg_xact_status`` tells its end later, also after a crash (PostgreSQL documentation, "Transaction ID and
Snapshot Information Functions").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

from sqlalchemy import text

from custodes.errors import StorageUnavailable
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import connection_of

T = TypeVar("T")

#: Works of unknown end that are remembered; beyond, the oldest is forgotten: whoever wrote it has long given up.
MAX_UNKNOWN = 1_000

#: Empty where nothing was written.
_NUMBER = text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)")

#: A number that is still to come is one of before the database was put back to an older state.
_END = text(
    "SELECT CASE WHEN CAST(:number AS xid8) < pg_current_xact_id()"
    " THEN pg_xact_status(CAST(:number AS xid8)) ELSE 'aborted' END"
)


class _Unknown(NamedTuple):
    number: str
    result: object


class Endings:
    """What ran to its end under a name, and of which nobody knows yet whether it was kept. For any thread."""

    def __init__(self) -> None:
        self._unknown: dict[str, _Unknown] = {}

    def once(self, name: str, work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        """Make a work that does nothing when one of its name was kept: it returns what that one did.

        Raises (when run):
            StorageUnavailable: the server does not know the end of that one yet.
        """

        def run(tx: Transaction) -> T:
            before = self._unknown.get(name)
            if before is not None and self._kept(tx, before):
                return cast("T", before.result)
            result = work(tx)
            number: str | None = connection_of(tx).execute(_NUMBER).scalar_one()
            if number is not None:
                self._unknown[name] = _Unknown(number, result)
                if len(self._unknown) > MAX_UNKNOWN:
                    self._unknown.pop(next(iter(self._unknown)), None)
            return result

        return run

    def known(self, name: str) -> None:
        """Forget a work: whoever wrote it was told that it was kept."""
        self._unknown.pop(name, None)

    def _kept(self, tx: Transaction, before: _Unknown) -> bool:
        end: str | None = connection_of(tx).execute(_END, {"number": before.number}).scalar_one()
        if end == "in progress":
            msg = "PostgreSQL does not know yet whether the write before was kept"
            raise StorageUnavailable(msg, remedy="Nothing: it is asked again at the next write")
        return end != "aborted"
