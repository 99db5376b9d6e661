"""SQLite beneath the contract: durability, hot inserts, other people's locks and transactions."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import sqlite_connections
from custodes.storage.sql.database import Ingest, connection_of
from custodes.storage.sql.pipelined import pipelined
from custodes.storage.sql.sqlite import SqliteDatabase


def insert_notes(connection: sqlite3.Connection, rows) -> list[str]:
    if any(row == "poison" for row in rows):
        raise ValueError("poison")
    connection.executemany("INSERT INTO notes VALUES (?)", [(row,) for row in rows])
    return [f"kept {row}" for row in rows]


NOTES = Ingest("notes", insert_notes, postgresql=insert_notes)


@pytest.fixture
async def store(tmp_path: Path):
    database = SqliteDatabase(f"sqlite:///{tmp_path}/deep/er/custodes.db")
    await database.open()
    await database.write(lambda tx: connection_of(tx).exec_driver_sql("CREATE TABLE notes (text TEXT PRIMARY KEY)"))
    yield database
    await database.close()


def synchronous(tx) -> int:
    return connection_of(tx).exec_driver_sql("PRAGMA synchronous").scalar_one()


async def test_durable_commits_are_full_and_figures_are_normal(store: SqliteDatabase):
    assert await store.write(synchronous, durable=True) == 2
    assert await store.write(synchronous, durable=False) == 1


async def test_a_group_with_one_durable_member_is_durable(store: SqliteDatabase):
    levels = await asyncio.gather(*(store.write(synchronous, durable=index == 5) for index in range(20)))

    assert levels[5] == 2


async def test_the_file_is_in_wal_mode_so_readers_never_wait_for_the_writer(store: SqliteDatabase):
    mode = await store.read(lambda tx: connection_of(tx).exec_driver_sql("PRAGMA journal_mode").scalar_one())

    assert mode == "wal"


async def test_whoever_reads_alone_has_the_same_connection_with_the_pages_it_knows(store: SqliteDatabase):
    def driver(tx) -> int:
        return id(connection_of(tx).connection.driver_connection)

    all_at_once = threading.Barrier(2)

    def together(tx) -> int:
        all_at_once.wait(10)
        return driver(tx)

    both = await asyncio.gather(store.read(together), store.read(together))
    alone = {await store.read(driver) for _ in range(4)}

    assert len(set(both)) == 2
    assert len(alone) == 1


async def test_hot_inserts_answer_each_caller(store: SqliteDatabase):
    answers = await asyncio.gather(*(store.ingest(NOTES, f"n{index}") for index in range(50)))

    assert answers == [f"kept n{index}" for index in range(50)]


async def test_one_poisonous_row_fails_alone(store: SqliteDatabase):
    answers = await asyncio.gather(*(store.ingest(NOTES, row) for row in ("a", "poison", "b")), return_exceptions=True)

    assert answers[0] == "kept a"
    assert isinstance(answers[1], ValueError)
    assert answers[2] == "kept b"
    rows = await store.read(lambda tx: connection_of(tx).exec_driver_sql("SELECT text FROM notes").scalars().all())
    assert sorted(rows) == ["a", "b"]


async def test_another_process_holding_the_lock_is_a_clear_error_and_passes(store: SqliteDatabase, monkeypatch):
    # Given another process holds the write lock for longer than we wait
    monkeypatch.setattr("custodes.storage.sql.sqlite_lock.BUSY_TIMEOUT_MS", 20)
    other = sqlite3.connect(str(store.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match=r"locked\. Another program holds the file"):
        await store.ingest(NOTES, "a")

    # When it lets go, then the next write goes through
    other.execute("ROLLBACK")
    other.close()
    assert await store.ingest(NOTES, "a") == "kept a"


async def test_a_closed_database_opens_again(store: SqliteDatabase):
    await store.ingest(NOTES, "a")
    await store.close()
    with pytest.raises(StorageUnavailable, match="closed"):
        await store.ingest(NOTES, "b")

    await store.open()

    assert await store.ingest(NOTES, "b") == "kept b"


async def test_a_query_that_runs_wild_is_stopped(store: SqliteDatabase, monkeypatch):
    monkeypatch.setattr("custodes.storage.sql.sqlite.READ_TIMEOUT_SECONDS", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    with pytest.raises(StorageUnavailable, match="took longer"):
        await store.read(lambda tx: connection_of(tx).exec_driver_sql(endless).scalar_one())


@pytest.fixture(params=["file", "memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path):
    database = SqliteDatabase("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/custodes.db")
    await database.open()
    await database.write(lambda tx: connection_of(tx).exec_driver_sql("CREATE TABLE notes (text TEXT PRIMARY KEY)"))
    yield database
    await database.close()


@pytest.mark.parametrize("beneath", [False, True])
@pytest.mark.parametrize("doing", ["read", "write"])
async def test_what_the_engine_cannot_do_is_said_in_our_words_and_hurts_nothing_else(
    database: SqliteDatabase, beneath: bool, doing: str
):
    """Given works at once of which the engine cannot do one, whether it is asked through SQLAlchemy or beneath it, then
    that one is unavailable, no read takes another work with it, and what was there before still is."""
    await database.write(lambda tx: connection_of(tx).exec_driver_sql("INSERT INTO notes VALUES ('before')"))

    def impossible(tx) -> None:
        if beneath:
            with pipelined(connection_of(tx)) as send:
                send(("SELECT * FROM nowhere", {}))()
        else:
            connection_of(tx).exec_driver_sql("SELECT * FROM nowhere")

    def note(tx) -> None:
        connection_of(tx).exec_driver_sql("INSERT INTO notes VALUES ('beside')")

    works = [getattr(database, doing)(impossible), database.write(note)]
    refused, beside = await asyncio.gather(*works, return_exceptions=True)

    assert isinstance(refused, StorageUnavailable)
    assert "nowhere" in str(refused)
    notes = await database.read(lambda tx: connection_of(tx).exec_driver_sql("SELECT text FROM notes").scalars().all())
    assert "before" in notes
    assert doing == "write" or (beside is None and "beside" in notes)
    with pytest.raises(StorageUnavailable):
        await getattr(database, doing)(impossible)  # alone
    await database.write(lambda tx: connection_of(tx).exec_driver_sql("INSERT INTO notes VALUES ('after')"))


async def test_closing_stops_a_query_that_runs_and_holds_up_nobody(store: SqliteDatabase):
    begun = threading.Event()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    def read(tx: Transaction) -> object:
        begun.set()
        return connection_of(tx).exec_driver_sql(endless).scalar_one()

    reading = asyncio.create_task(store.read(read))
    await asyncio.to_thread(begun.wait)
    closing = asyncio.create_task(store.close())

    with pytest.raises(StorageUnavailable):
        await reading
    await closing


async def test_a_file_that_cannot_be_written_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Given a place where SQLite cannot write, When it is opened, Then that is said at once, not as if for a lock."""
    (tmp_path / "custodes.db-wal").mkdir()
    slept: list[float] = []
    monkeypatch.setattr(sqlite_connections, "time", SimpleNamespace(sleep=slept.append))
    database = SqliteDatabase(f"sqlite:///{tmp_path}/custodes.db")

    with pytest.raises(StorageUnavailable, match="disk has space"):
        await database.open()

    await database.close()
    assert sum(slept) < 0.2


async def test_a_file_that_another_program_keeps_locked_is_not_waited_for_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    Given a host's file without WAL, which SQLite itself waits for as long as it may while another has it,
    When it is opened and is not let go of,
    Then that is said when a migration has waited its time, and a file that cannot be had for hours does not hang.
    """
    monkeypatch.setattr(sqlite_connections, "BUSY_TIMEOUT_MS", 300)
    monkeypatch.setattr("custodes.storage.sql.sqlite.MIGRATION_TRIES", 2)
    host = sqlite3.connect(tmp_path / "host.db", isolation_level=None)
    host.execute("CREATE TABLE orders (id INTEGER)").close()
    host.execute("BEGIN EXCLUSIVE").close()
    waits: list[float] = []
    sleep = sqlite_connections.time.sleep
    monkeypatch.setattr(
        sqlite_connections, "time", SimpleNamespace(sleep=lambda seconds: (waits.append(seconds), sleep(seconds)))
    )
    database = SqliteDatabase(f"sqlite:///{tmp_path}/host.db")

    with pytest.raises(StorageUnavailable, match="locked") as caught:
        await database.open()

    await database.close()
    host.close()
    assert "Another program" in caught.value.remedy
    assert len(waits) <= 2


@pytest.mark.parametrize("name", ["x" * 300 + ".db", "%00.db", "custodes.db?mode=ro", "custodes.db?timeout"])
async def test_a_name_that_no_file_has_and_options_are_refused_in_a_sentence(tmp_path: Path, name: str):
    with pytest.raises((ConfigurationError, StorageUnavailable)) as caught:
        await SqliteDatabase(f"sqlite:///{tmp_path}/{name}").open()

    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


async def test_what_is_broken_in_a_file_is_the_storages_failure_and_the_rest_goes_on(store: SqliteDatabase):
    """Given a file of which one table is broken, Then whoever asks for it is told what to do, and other tables work."""

    def place(tx) -> tuple[int, int]:
        page = "SELECT rootpage FROM sqlite_master WHERE name = 'notes'"
        ask = connection_of(tx).exec_driver_sql
        return ask(page).scalar_one(), ask("PRAGMA page_size").scalar_one()

    page, size = await store.read(place)
    await store.close()
    assert store.path is not None
    with store.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    await store.open()

    def count(tx) -> int:
        return connection_of(tx).exec_driver_sql("SELECT count(*) FROM notes").scalar_one()

    def insert(tx) -> None:
        connection_of(tx).exec_driver_sql("INSERT INTO notes VALUES (1)")

    def fine(tx) -> int:
        return connection_of(tx).exec_driver_sql("SELECT 1").scalar_one()

    for failing in (store.read(count), store.write(insert)):
        with pytest.raises(StorageUnavailable) as caught:
            await failing
        assert "backup" in caught.value.remedy
    assert await store.write(fine) == 1


async def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("not a folder")
    database = SqliteDatabase(f"sqlite:///{tmp_path}/file/custodes.db")

    with pytest.raises(StorageUnavailable, match="folder"):
        await database.open()
    await database.close()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://me:hunter2@host/db", id="another engine"),
        pytest.param("sqlite:custodes.db", id="no slash"),
        pytest.param("sqlite:/var/hunter2.db", id="one slash"),
        pytest.param("sqlite://hunter2.db", id="two slashes, which would be kept in memory"),
    ],
)
def test_an_url_that_names_no_file_is_refused_without_showing_a_password(url: str):
    with pytest.raises(ConfigurationError, match="names no SQLite file") as caught:
        SqliteDatabase(url)

    assert "hunter2" not in str(caught.value)


class TestTheCallersOwnTransaction:
    """``join`` writes with the caller's business rows: both or neither."""

    @staticmethod
    def note(tx) -> None:
        connection_of(tx).execute(text("INSERT INTO notes VALUES ('joined')"))

    @staticmethod
    async def kept(store: SqliteDatabase) -> int:
        return await store.read(lambda tx: connection_of(tx).exec_driver_sql("SELECT count(*) FROM notes").scalar_one())

    @pytest.mark.parametrize("commit", [True, False])
    async def test_connection(self, store: SqliteDatabase, commit: bool):
        engine = create_engine(f"sqlite:///{store.path}")
        with engine.connect() as connection:
            await store.join(connection, self.note)
            connection.commit() if commit else connection.rollback()
        engine.dispose()
        assert await self.kept(store) == commit

    @pytest.mark.parametrize("commit", [True, False])
    async def test_session(self, store: SqliteDatabase, commit: bool):
        engine = create_engine(f"sqlite:///{store.path}")
        with Session(engine) as session:
            await store.join(session, self.note)
            session.commit() if commit else session.rollback()
        engine.dispose()
        assert await self.kept(store) == commit

    @pytest.mark.parametrize("commit", [True, False])
    async def test_async_connection(self, store: SqliteDatabase, commit: bool):
        engine = create_async_engine(f"sqlite+aiosqlite:///{store.path}")
        async with engine.connect() as connection:
            await store.join(connection, self.note)
            await (connection.commit() if commit else connection.rollback())
        await engine.dispose()
        assert await self.kept(store) == commit

    @pytest.mark.parametrize("commit", [True, False])
    async def test_async_session(self, store: SqliteDatabase, commit: bool):
        engine = create_async_engine(f"sqlite+aiosqlite:///{store.path}")
        async with AsyncSession(engine) as session:
            await store.join(session, self.note)
            await (session.commit() if commit else session.rollback())
        await engine.dispose()
        assert await self.kept(store) == commit

    async def test_anything_else_is_a_clear_error(self, store: SqliteDatabase):
        with pytest.raises(ConfigurationError, match="Cannot write in the transaction of a str"):
            await store.join("connection", self.note)


async def test_a_new_file_is_nobody_elses_to_read(store: SqliteDatabase):
    """Given payloads and password hashes in it, Then neither the file nor those beside it are for other users."""
    assert store.path is not None

    modes = {path.name: path.stat().st_mode & 0o777 for path in store.path.parent.iterdir()}

    assert modes == dict.fromkeys(("custodes.db", "custodes.db-wal", "custodes.db-shm"), 0o600)


async def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path):
    file = tmp_path / "shared.db"
    file.touch(0o660)
    file.chmod(0o660)
    database = SqliteDatabase(f"sqlite:///{file}")

    await database.open()
    await database.close()

    assert file.stat().st_mode & 0o777 == 0o660


class TestADamagedFile:
    """Given a file that a bad disk, or a copy that was cut short, has left half of."""

    @pytest.fixture
    async def damaged(self, tmp_path: Path):
        file = tmp_path / "custodes.db"
        database = SqliteDatabase(f"sqlite:///{file}")
        await database.open()
        await database.write(lambda tx: connection_of(tx).exec_driver_sql("CREATE TABLE notes (text TEXT PRIMARY KEY)"))
        await asyncio.gather(*(database.ingest(NOTES, f"{n} {'x' * 1_000}") for n in range(100)))
        await database.close()
        whole = file.read_bytes()
        page = int.from_bytes(whole[16:18], "big")
        file.write_bytes(whole[: 4 * page] + b"\x5a" * (len(whole) - 4 * page))
        database = SqliteDatabase(f"sqlite:///{file}")
        yield database
        await database.close()

    async def test_whoever_reads_or_writes_hears_of_it_in_our_words(self, damaged: SqliteDatabase):
        await damaged.open()

        def insert(tx: Transaction) -> None:
            for n in range(50):
                connection_of(tx).execute(text("INSERT INTO notes VALUES (:text)"), {"text": f"{n} new"})

        for attempt in (
            damaged.read(lambda tx: connection_of(tx).execute(text("SELECT text FROM notes")).all()),
            damaged.write(insert),
            asyncio.gather(*(damaged.write(insert) for _ in range(3))),
            damaged.ingest(NOTES, "50 new"),
        ):
            with pytest.raises(StorageUnavailable, match="malformed") as caught:
                await attempt
            assert "The file is damaged" in caught.value.remedy

    async def test_so_does_who_cannot_even_connect(self, tmp_path: Path):
        file = tmp_path / "custodes.db"
        connection = sqlite3.connect(file)
        connection.executescript("CREATE TABLE notes (text TEXT PRIMARY KEY); INSERT INTO notes VALUES ('one');")
        connection.close()
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])

        with pytest.raises(StorageUnavailable, match="malformed"):
            await SqliteDatabase(f"sqlite:///{file}").read(
                lambda tx: connection_of(tx).execute(text("SELECT text FROM notes")).all()
            )


async def test_a_file_that_another_program_holds_is_not_said_to_lack_space(
    store: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("custodes.storage.sql.sqlite_lock.BUSY_TIMEOUT_MS", 0)
    holder = sqlite3.connect(tmp_path / "deep/er/custodes.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match="locked") as caught:
        await store.write(lambda _tx: None)

    holder.close()
    assert "Another program holds the file" in caught.value.remedy
