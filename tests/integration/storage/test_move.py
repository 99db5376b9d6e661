"""``custodes migrate sqlite-to-postgres``: an install moves whole, counted, whatever breaks it off."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.servers.postgresql import PostgresServer
from typer.testing import CliRunner

from custodes import Custodes
from custodes.cli.doctor import Verdict, examine
from custodes.cli.main import app
from custodes.errors import ConfigurationError, Conflict, StorageUnavailable
from custodes.kernel.clock import DAY
from custodes.planes.identity.model import Method, Principal, Role
from custodes.planes.inbound.model import Arrival
from custodes.planes.traffic.report import CallReport
from custodes.storage.sql import move
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.move import Move
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.tables import metadata

#: Not moved: who leads, and the counter that is set at the end.
LEFT = {"leader_leases", "webhook_handlers", "audit_sequence"}

ENTRIES = 60


@pytest.fixture
def file(sqlite_url: str) -> Path:
    """A SQLite install in which every kind of value occurs: NUL, all bytes, old and new times, NULL, sealed secrets."""
    asyncio.run(_fill(sqlite_url))
    return Path(sqlite_url.removeprefix("sqlite:///"))


async def _fill(url: str) -> None:
    custodes = Custodes(url)
    await custodes.open()
    now = custodes.clock.now()
    for number in range(ENTRIES):
        await custodes.audit.log_audit_event("member.removed", actor=f"user:{number % 7}", target=f"member:{number}")
    await custodes.audit.log_admin_action("settings.changed", actor="user:1", changes=[])
    events = SqlEventStore(custodes.database)
    for number in range(30):
        at = now - number * DAY
        await events.accept(
            Arrival("default", custodes.new_id(), at, "stripe", f"evt_{number}", "a\0b", f"evt_{number}", "verified",
                    "0" * 32, "192.0.2.1", 256, "[]", bytes(range(256)))
        )  # fmt: skip
    ann = (await custodes.identity.profiles.create("ann", role=Role.OWNER)).profile
    by = Principal(profile_id=ann.id, subject="ann", role=Role.OWNER, tenant=None, method=Method.HOST)
    for shared in (True, False):
        view = (await custodes.identity.views.create(f"Shared {shared}", "/api?q=%00", by=by, shared=shared)).view
        await custodes.identity.views.set_default(view.id, by=by, on=True)
    await custodes.ratelimit.block_identifier("192.0.2.9", reason="abuse", actor="user:1")
    await custodes.outbound.create_endpoint("https://example.com/hook")
    custodes.metrics.gauge("queue.depth", 4.0)
    await custodes.metrics.flush()
    for status in (200, 500):
        custodes.traffic.log_api_call(CallReport(method="GET", route="/orders", status=status, total_us=3_000))
    await custodes.traffic.flush()
    await custodes.close()


@pytest.fixture
def target(postgres_url: str) -> str:
    """An empty database with the schema of this version."""
    asyncio.run(_migrated(postgres_url))
    return postgres_url


async def _migrated(url: str) -> None:
    custodes = Custodes(url)
    await custodes.open()
    await custodes.close()


def moved(file: Path, target: str, report: Callable[..., None] = lambda *_: None) -> list[move.Moved]:
    return Move(file, PostgresDatabase(target), report).run()


def contents(cursor: Any, table: Any) -> list[tuple[Any, ...]]:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    rows = cursor.execute(f"SELECT {names} FROM {table.name}").fetchall()
    return sorted((tuple(_plain(value) for value in row) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    return bytes(value) if isinstance(value, (bytes, memoryview)) else value


def assert_same(file: Path, target: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    with sqlite3.connect(file) as source, psycopg.connect(target) as postgres:
        for table in metadata.sorted_tables:
            if table.name not in LEFT:
                rows = contents(source, table)
                assert rows == contents(postgres, table), table.name
                counts[table.name] = len(rows)
    source.close()
    return counts


def test_every_row_of_every_table_is_moved_and_counted(file: Path, target: str):
    done = moved(file, target)

    counts = assert_same(file, target)
    assert {one.table: one.rows for one in done} == counts
    assert counts["audit_logs"] > ENTRIES
    assert (counts["admin_saved_views"], counts["admin_view_defaults"]) == (2, 1)
    assert sum(rows > 0 for rows in counts.values()) >= 16


def test_old_rows_are_in_pieces_that_retention_can_drop(file: Path, target: str):
    moved(file, target)

    with psycopg.connect(target) as postgres:
        (rest,) = postgres.execute("SELECT count(*) FROM ONLY api_monitoring_rest").fetchone()
    assert rest == 0


def test_the_install_goes_on_where_it_was(file: Path, target: str):
    with sqlite3.connect(file) as source:
        (last,) = source.execute("SELECT max(seq) FROM audit_logs").fetchone()
    source.close()
    moved(file, target)

    async def go_on() -> int:
        custodes = Custodes(target, secret_key=file.with_name(f"{file.name}.key").read_text().strip())
        await custodes.open()
        [endpoint] = (await custodes.outbound.list_endpoints()).items
        assert await custodes.outbound.signing_secrets(endpoint.id)
        entry = await custodes.audit.log_audit_event("member.removed", actor="user:1")
        found = await custodes.audit.get_entry(entry.id)
        await custodes.close()
        return found.sequence

    assert asyncio.run(go_on()) == last + 1


KILLED = """
import os, signal, sys
from pathlib import Path
from custodes.storage.sql import move
from custodes.storage.sql.postgresql import PostgresDatabase
move.CHUNK_ROWS = 10
reports = 0
def report(table, done, total):
    global reports
    reports += 1
    if reports == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
move.Move(Path(sys.argv[1]), PostgresDatabase(sys.argv[2]), report).run()
"""


def test_a_move_that_was_killed_goes_on_where_it_was(file: Path, target: str, monkeypatch: pytest.MonkeyPatch):
    # Given it is killed twice, in the middle of tables
    for reports in (7, 25):
        killed = subprocess.run([sys.executable, "-c", KILLED, file, target, str(reports)], timeout=60, check=False)
        assert killed.returncode == -9

    # When it is run again
    monkeypatch.setattr(move, "CHUNK_ROWS", 10)
    first: dict[str, int] = {}
    moved(file, target, lambda table, done, _total: first.setdefault(table, done))

    # Then nothing is there twice, nothing is missing, and what was done was not done again
    assert_same(file, target)
    assert any(first.values())


INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs behind a shell is started without it
from custodes.cli.main import main
from custodes.storage.sql import move
move.CHUNK_ROWS = 10
copy, left = move.Move._copy, [3]
def interrupted(self, *args):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGINT)
        assert self._stopping.wait(30)
    copy(self, *args)
move.Move._copy = interrupted
sys.argv = ["custodes", "migrate", "sqlite-to-postgres", "--from", f"sqlite:///{sys.argv[1]}", "--to", sys.argv[2]]
main()
"""


def test_ctrl_c_stops_a_move_which_goes_on_when_it_is_run_again(file: Path, target: str):
    # When Ctrl-C is pressed in the middle of it
    stopped = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, file, target], timeout=60, check=False, capture_output=True, text=True
    )

    # Then it stops, says what to do, and there is no install to serve yet
    assert (stopped.returncode, "it goes on where it was" in stopped.stderr) == (130, True), stopped.stderr
    assert "Traceback" not in stopped.stderr
    custodes = Custodes(target)
    with pytest.raises(ConfigurationError, match="not come to its end"):
        asyncio.run(custodes.start())
    [told] = [one for one in asyncio.run(examine(target)) if "SQLite" in one.text]
    assert (told.area, told.verdict) == ("database", Verdict.FAILURE)

    # And when it is run again, it comes to its end
    moved(file, target)
    assert_same(file, target)


def test_a_move_of_another_file_is_not_gone_on_with(file: Path, target: str, tmp_path: Path):
    """Given a move that was killed; when another file is named, then it is refused, and the first can still end."""
    subprocess.run([sys.executable, "-c", KILLED, file, target, "12"], timeout=60, check=False)
    other = tmp_path / "other.db"
    asyncio.run(_migrated(f"sqlite:///{other}"))

    with pytest.raises(ConfigurationError, match="A move of another file into this database is under way"):
        moved(other, target)

    moved(file, target)
    assert_same(file, target)


def test_a_move_that_was_killed_after_its_end_says_what_it_moved(file: Path, target: str):
    """Given it was over, and nobody heard; when it is run again, then it says the same; once one goes on there, not."""
    done = moved(file, target)

    assert moved(file, target) == done
    assert_same(file, target)

    with psycopg.connect(target) as postgres:
        postgres.execute("UPDATE rate_limit_blocks SET id = 'another-' || substr(id, 9)")
    with pytest.raises(ConfigurationError, match="holds data"):
        moved(file, target)


def test_an_install_without_rows_is_moved_again(sqlite_url: str, target: str):
    """Given a move of what holds nothing yet was over; when it is run again, then it says the same."""
    asyncio.run(_migrated(sqlite_url))
    empty = Path(sqlite_url.removeprefix("sqlite:///"))
    done = moved(empty, target)

    assert moved(empty, target) == done


def test_a_database_that_holds_data_is_refused_and_left_alone(file: Path, target: str):
    async def use() -> None:
        custodes = Custodes(target)
        await custodes.open()
        await custodes.audit.log_audit_event("member.removed", actor="user:1")
        await custodes.close()

    asyncio.run(use())

    with pytest.raises(ConfigurationError, match="audit_logs"):
        moved(file, target)

    with psycopg.connect(target) as postgres:
        assert postgres.execute("SELECT count(*) FROM webhook_events").fetchone() == (0,)


def test_a_file_in_use_is_not_moved_and_one_that_is_moved_takes_nothing_in(
    file: Path, target: str, monkeypatch: pytest.MonkeyPatch
):
    other = sqlite3.connect(file, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnavailable, match="locked"):
        moved(file, target)
    other.execute("ROLLBACK")

    def write(*_: Any) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM webhook_payloads")

    moved(file, target, write)
    other.close()


def test_counts_that_differ_are_told_and_nothing_is_finished(file: Path, target: str):
    def meddle(table: str, done: int, total: int) -> None:
        if table == "webhook_payloads" and done == total:
            with psycopg.connect(target) as postgres:
                postgres.execute("DELETE FROM webhook_payloads")

    with pytest.raises(Conflict, match="webhook_payloads: 30 and 0"):
        moved(file, target, meddle)


def test_a_file_of_another_version_is_refused(file: Path, target: str):
    with sqlite3.connect(file) as source:
        source.execute("DELETE FROM custodes_schema_version")
    source.close()

    with pytest.raises(ConfigurationError, match="schema"):
        moved(file, target)


class TestCommand:
    def test_it_moves_and_writes_the_counts(self, file: Path, postgres_server: PostgresServer):
        url = postgres_server.url(postgres_server.new_database())

        result = CliRunner().invoke(
            app, ["migrate", "sqlite-to-postgres", "--from", f"sqlite:///{file}", "--to", url, "--json"]
        )

        assert result.exit_code == 0, result.output
        counts = {one["table"]: one["rows"] for one in json.loads(result.stdout)["moved"]}
        assert counts == assert_same(file, url)
        assert "CUSTODES_SECRET_KEY" in result.stderr

    @pytest.mark.parametrize(
        "words",
        [("--from", "postgresql://h/d", "--to", "postgresql://h/d"), ("--from", "sqlite:///a", "--to", "sqlite:///b")],
    )
    def test_other_engines_are_refused(self, words: tuple[str, ...]):
        result = CliRunner().invoke(app, ["migrate", "sqlite-to-postgres", *words])

        assert isinstance(result.exception, ConfigurationError)
