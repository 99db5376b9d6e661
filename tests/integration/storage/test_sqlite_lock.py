"""Waiting for another process's write lock."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from custodes.storage.sql import sqlite_lock
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.storage.sql.sqlite_lock import LOOKS_MS, patiently


class Locked:
    """A file that another process has for so many waits."""

    def __init__(self, path: Path, waits: int) -> None:
        self.waits = waits
        self.tries = 0
        self.other = sqlite3.connect(path, isolation_level=None)
        self.other.execute("PRAGMA journal_mode=WAL")
        self.other.execute("BEGIN IMMEDIATE")
        self.mine = sqlite3.connect(path, isolation_level=None, timeout=0)

    def close(self) -> None:
        self.other.close()
        self.mine.close()

    def begin(self) -> str:
        self.tries += 1
        if self.tries > self.waits:
            self.other.execute("COMMIT")
        self.mine.execute("BEGIN IMMEDIATE")
        return "begun"


def test_a_locked_file_is_asked_for_again_until_it_is_free(tmp_path: Path):
    with closing(Locked(tmp_path / "x.db", waits=40)) as file:
        assert patiently(file.begin) == "begun"
        assert file.tries == 41


def test_who_has_waited_as_long_as_may_be_hears_that_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite_lock, "BUSY_TIMEOUT_MS", 0)
    with (
        closing(Locked(tmp_path / "x.db", waits=1)) as file,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        patiently(file.begin)


async def test_who_starts_while_another_migrates_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Given a process that has the file for longer than a write waits, When another starts, Then it waits longer."""
    monkeypatch.setattr(sqlite_lock, "BUSY_TIMEOUT_MS", 0)
    file = Locked(tmp_path / "x.db", waits=0)
    database = SqliteDatabase(f"sqlite:///{tmp_path}/x.db")
    write, tries = database.write, list[bool]()

    async def after_two_in_vain(work: Any, **how: Any) -> Any:
        tries.append(True)
        if len(tries) == 3:
            file.other.execute("COMMIT")
        return await write(work, **how)

    monkeypatch.setattr(database, "write", after_two_in_vain)
    await database.open()
    await database.close()
    file.close()

    assert len(tries) == 3


@pytest.mark.parametrize("error", [sqlite3.OperationalError("no such table"), sqlite3.IntegrityError()])
def test_another_error_is_raised_at_once(error: sqlite3.Error):
    tries: list[int] = []

    def fails() -> None:
        tries.append(1)
        raise error

    with pytest.raises(type(error)):
        patiently(fails)
    assert len(tries) == 1


async def test_the_writer_never_waits_longer_between_two_looks_than_that(tmp_path: Path):
    """SQLite's own wait grows to 100 ms between two looks, and whoever writes without a pause is never met."""
    database = SqliteDatabase(f"sqlite:///{tmp_path}/x.db")
    await database.open()

    found = await database.write(lambda tx: connection_of(tx).exec_driver_sql("PRAGMA busy_timeout").scalar_one())
    assert found == LOOKS_MS
    await database.close()
