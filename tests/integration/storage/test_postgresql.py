"""What is particular to PostgreSQL as an engine: many writers at once, a server that may go away."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, delete, false, text
from tests.servers.postgresql import PostgresServer

from custodes import Custodes, app
from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.kernel.clock import SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.audit.model import AuditEntry, Kind, Outcome, Reference
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.model import Arrival, EventFilter
from custodes.planes.metrics.model import Kind as MetricKind
from custodes.planes.metrics.model import Sample, Series
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import postgresql
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.metrics import SqlMetricStore
from custodes.storage.sql.pipelined import pipelined
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.storage.sql.postgresql_work import driver_of
from custodes.storage.sql.tables.ratelimit import rate_limit_tracking

AT = 1_790_000_000 * SECOND

Open = Callable[[], PostgresDatabase]


@pytest.fixture
async def open_database(postgres_url: str) -> AsyncIterator[Open]:
    """Open the test's database as another process would."""
    opened: list[PostgresDatabase] = []

    def open_one() -> PostgresDatabase:
        opened.append(PostgresDatabase(postgres_url))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


@pytest.fixture
def bits() -> Callable[[int], int]:
    return random.Random(5).getrandbits


@pytest.fixture
def arrival(bits) -> Callable[..., Arrival]:
    def make(place: int, **fields: str) -> Arrival:
        known = {"event_id": f"evt_{place}", "event_type": "invoice.paid", "dedupe_key": f"evt_{place}", **fields}
        return Arrival(
            tenant="default", id=uuid7(AT + place, bits), received_at=AT + place, source="stripe",
            verdict="verified", trace_id="0" * 32, client_ip="192.0.2.1", body_bytes=2, headers="[]", body=b"{}",
            **known,
        )  # fmt: skip

    return make


@pytest.fixture
def entry(bits) -> Callable[..., AuditEntry]:
    def make(place: int, **fields: str) -> AuditEntry:
        return AuditEntry(
            id=uuid7(AT + place, bits), tenant="default", recorded_at=AT + place, time=AT + place, kind=Kind.EVENT,
            action="member.removed", category="other", outcome=Outcome.SUCCESS, actor=Reference("user", "1"), **fields,
        )  # fmt: skip

    return make


# ── Text that SQLite takes ───────────────────────────────────────────────────


async def test_text_with_nul_is_kept_without_it_and_harms_nobody_else(open_database: Open, arrival):
    database = open_database()
    events = SqlEventStore(database)

    # Given an event whose type holds NUL, in a group with others
    ids = await asyncio.gather(*(events.accept(arrival(n, event_type="a\0b" if n == 3 else "ok")) for n in range(8)))

    # Then all are kept, and it can be read
    found = await database.read(lambda tx: events.find(tx, EventFilter(), limit=20, cursor=None))
    assert {one.id for one in found.items} == set(ids)
    assert sorted(one.event_type for one in found.items) == ["a\ufffdb", *["ok"] * 7]
    # And it is the same event when it comes again
    again = arrival(3, event_type="a\0b")
    assert await events.accept(again) == ids[3]


async def test_works_take_text_with_nul_too(open_database: Open):
    database = open_database()

    def work(tx: Transaction) -> str:
        return connection_of(tx).execute(text("SELECT CAST(:name AS TEXT)"), {"name": "a\0b"}).scalar_one()

    assert await database.write(work) == "a\ufffdb"
    # And the connection is as before
    assert await database.write(lambda tx: connection_of(tx).execute(text("SELECT 1 + :n"), {"n": 1}).scalar_one()) == 2


async def test_prefixes_are_ranges_whatever_the_language_of_the_database(postgres_server: PostgresServer, entry):
    """Given a database that is ordered by a language, when a prefix is asked for, then nothing else comes."""
    url = postgres_server.url(postgres_server.new_database("template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"))
    custodes = Custodes(url)
    await custodes.open()
    store = SqlAuditStore(custodes.database)
    for place, key in enumerate(["team-b", "team_a", "Team.a", "team.a", "teama", "team.z"]):
        await store.append(AuditEntry(**{**_fields(entry(place)), "action": key}))

    query = AuditQuery(action="team.*")
    found = await custodes.database.read(lambda tx: store.page(tx, query))

    assert [one.action for one in found.items] == ["team.z", "team.a"]
    await custodes.close()


def _fields(entry: AuditEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in AuditEntry.__dataclass_fields__}


# ── Several processes at once ────────────────────────────────────────────────


async def test_the_trail_has_no_gap_and_no_overtaking_with_several_writers(open_database: Open, entry):
    """Given three processes of which some works roll back, then whoever reads sees places 1…n, whenever they read."""
    databases = [open_database() for _ in range(3)]
    stores = [SqlAuditStore(database) for database in databases]
    seen: list[list[int]] = []

    async def failing(place: int) -> None:
        def work(tx: Transaction) -> None:
            stores[place % 3].add(tx, [entry(place)])
            raise LookupError

        with pytest.raises(LookupError):
            await databases[place % 3].write(work)

    async def adding(place: int) -> None:
        await databases[place % 3].write(lambda tx: stores[place % 3].add(tx, [entry(place)]))

    async def looking() -> None:
        page = await databases[0].read(lambda tx: stores[0].page(tx, AuditQuery(limit=500)))
        seen.append(sorted(one.sequence for one in page.items))

    await asyncio.gather(
        *(stores[n % 3].append(entry(n, idempotency_key=f"k{n % 10}")) for n in range(60)),
        *(failing(100 + n) for n in range(15)),
        *(adding(200 + n) for n in range(15)),
        *(looking() for _ in range(20)),
    )
    await looking()

    assert seen[-1] == list(range(1, 26))
    assert all(places == list(range(1, len(places) + 1)) for places in seen)


async def test_two_processes_may_add_the_same_new_series_at_once(open_database: Open):
    stores = [SqlMetricStore(open_database()) for _ in range(2)]
    series = [Series("default", f"queue.{n}", MetricKind.GAUGE, (), f"{n:032x}") for n in range(20)]
    samples = [Sample(one, AT, 1, 1.0, 1.0, 1.0, 1.0, AT, None) for one in series]

    for turn in range(5):
        await asyncio.gather(
            stores[0].append(samples, f"a{turn}", AT + turn), stores[1].append(samples[::-1], f"b{turn}", AT + turn)
        )

    infos = await stores[0].list_metrics("default", None, 100)
    assert [info.name for info in infos] == sorted(one.name for one in series)


async def test_an_event_that_reaches_two_processes_at_once_is_one(open_database: Open, arrival):
    databases = [open_database() for _ in range(2)]
    stores = [SqlEventStore(database) for database in databases]

    ids = [
        await asyncio.gather(stores[0].accept(arrival(n)), stores[1].accept(arrival(n)), stores[0].accept(arrival(n)))
        for n in range(30)
    ]

    assert all(len(set(same)) == 1 for same in ids)
    jobs = await databases[0].read(lambda tx: connection_of(tx).execute(text("SELECT ref FROM custodes_jobs")).all())
    assert sorted(ref for (ref,) in jobs) == sorted(same[0] for same in ids)


# ── A server that goes away ──────────────────────────────────────────────────


async def test_reads_are_not_compiled_and_leave_no_setting_behind(open_database: Open):
    database = open_database()

    def compiles(tx: Transaction) -> str:
        return connection_of(tx).execute(text("SELECT current_setting('jit')")).scalar_one()

    assert await database.read(compiles) == "off"
    assert await database.write(compiles) == "on"  # the server's own


async def test_connections_that_the_server_broke_off_are_made_anew(
    open_database: Open, postgres_server: PostgresServer, arrival
):
    """Given idle connections of every kind, when the server has broken them off, then nobody notices."""
    database, other = open_database(), open_database()
    events = SqlEventStore(database)

    async def use() -> None:
        await events.accept(arrival(random.randrange(10**9)))
        assert await database.read(lambda tx: connection_of(tx).execute(text("SELECT 1")).scalar_one()) == 1
        assert await database.write(lambda tx: connection_of(tx).execute(text("SELECT 1")).scalar_one()) == 1

    await use()
    ended = text("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                 " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
    await other.write(lambda tx: connection_of(tx).execute(ended).all())

    await use()


async def test_a_server_that_does_not_answer_is_unavailable_and_holds_no_thread(
    open_database: Open, postgres_server: PostgresServer, arrival, monkeypatch: pytest.MonkeyPatch
):
    database = open_database()
    events = SqlEventStore(database)
    await events.accept(arrival(1))
    await database.write(lambda tx: connection_of(tx).execute(text("SELECT 1")).all())
    monkeypatch.setattr(postgresql, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(postgresql, "INGEST_TIMEOUT_SECONDS", 0.5)

    # Given the server is frozen
    try:
        postgres_server.freeze()
        answers = await asyncio.gather(
            events.accept(arrival(2)),
            database.write(lambda tx: connection_of(tx).execute(text("SELECT 1")).all()),
            return_exceptions=True,
        )
    finally:
        postgres_server.thaw()

    # Then it is said, and when it is back, all is well
    assert [type(answer) for answer in answers] == [StorageUnavailable, StorageUnavailable]
    monkeypatch.undo()
    await events.accept(arrival(3))
    await database.write(lambda tx: connection_of(tx).execute(text("SELECT 1")).all())


async def test_a_server_that_does_not_answer_is_not_ready_and_that_is_said_in_time(
    postgres_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
):
    custodes = Custodes(postgres_url, secret_key="k" * 32)
    await custodes.start()
    try:
        assert await custodes.is_ready()
        monkeypatch.setattr(app, "READY_SECONDS", 0.1)
        postgres_server.freeze()
        try:
            async with asyncio.timeout(10):  # half of what a read may take
                assert not await custodes.is_ready()
        finally:
            postgres_server.thaw()
        monkeypatch.undo()
        async with asyncio.timeout(60):
            while not await custodes.is_ready():
                await asyncio.sleep(0.01)
    finally:
        await custodes.stop()


async def test_a_slow_query_is_stopped_and_the_connection_goes_on(open_database: Open, monkeypatch):
    database = open_database()
    with monkeypatch.context() as hasty:
        hasty.setattr(postgresql, "TIMEOUT_SECONDS", 0.3)
        with pytest.raises(StorageUnavailable, match=r"within 0\.3 s"):
            await database.read(lambda tx: connection_of(tx).execute(text("SELECT pg_sleep(30)")).all())

    assert await database.read(lambda tx: connection_of(tx).execute(text("SELECT 1")).scalar_one()) == 1


async def test_a_server_that_became_a_standby_is_unavailable_and_its_connection_is_not_used_again(open_database: Open):
    database = open_database()
    pids: list[int] = []

    def insert(tx: Transaction) -> None:
        pids.append(connection_of(tx).exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        if len(pids) == 1:
            connection_of(tx).exec_driver_sql("SET TRANSACTION READ ONLY")
        connection_of(tx).execute(delete(rate_limit_tracking).where(false()))

    with pytest.raises(StorageUnavailable):
        await database.write(insert)
    await database.write(insert)

    assert len(set(pids)) == 2


async def test_accepted_events_go_on_when_the_connection_leads_to_a_standby(open_database: Open, arrival):
    """Given a pooler, or a name, that led to the old primary; when it leads to the new one, then nobody is refused."""
    database = open_database()
    events = SqlEventStore(database)
    await events.accept(arrival(1))
    assert database._ingesting is not None
    driver_of(database._ingesting).execute("SET default_transaction_read_only = on")

    await asyncio.gather(*(events.accept(arrival(place)) for place in range(2, 6)))

    def count(tx: Transaction) -> int:
        return connection_of(tx).execute(text("SELECT count(*) FROM webhook_events")).scalar_one()

    assert await database.read(count) == 5

    # Given there is no primary: it is said as what it is
    with psycopg.connect(database.url.set(drivername="postgresql").render_as_string(False), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {database.url.database} SET default_transaction_read_only = on")
    driver_of(database._ingesting).execute("SET default_transaction_read_only = on")
    with pytest.raises(StorageUnavailable, match="read-only transaction"):
        await events.accept(arrival(6))


def _slowly(connection: Connection) -> None:
    connection.exec_driver_sql("SELECT pg_sleep(5)")


def _slowly_in_a_pipeline(connection: Connection) -> None:
    with pipelined(connection) as send:
        first, slow, last = send(("SELECT 1", {})), send(("SELECT pg_sleep(5)", {})), send(("SELECT 2", {}))
        assert first() == [(1,)]
        last()
        slow()


@pytest.mark.parametrize("sleep", [_slowly, _slowly_in_a_pipeline])
async def test_a_query_that_the_server_itself_stops_is_run_twice_at_most(
    open_database: Open, sleep: Callable[[Connection], None]
):
    database = open_database()
    runs: list[int] = []

    def slow(tx: Transaction) -> None:
        runs.append(1)
        connection_of(tx).exec_driver_sql("SET LOCAL statement_timeout = 10")
        sleep(connection_of(tx))

    with pytest.raises(StorageUnavailable, match="statement timeout"):
        await database.read(slow)

    # and the connection is as good as before
    assert len(runs) == 2
    assert await database.read(lambda tx: connection_of(tx).execute(text("SELECT 1")).scalar_one()) == 1


async def test_a_connection_that_breaks_under_statements_sent_ahead_is_made_anew(
    open_database: Open, postgres_url: str
):
    """Given a server that goes away while several statements are under way, when it is back, they are sent again."""
    database = open_database()
    end = "SELECT pg_terminate_backend(%(pid)s::int, 5000)"
    pids: list[int] = []

    def ask(tx: Transaction) -> list[Any]:
        pids.append(connection_of(tx).exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        with pipelined(connection_of(tx)) as send:
            first, second = send(("SELECT 1", {})), send(("SELECT 2", {}))
            found = [*first()]
            if len(pids) == 1:
                with psycopg.connect(postgres_url.replace("+psycopg", "")) as ender:
                    ender.execute(end, {"pid": pids[0]})
                send(("SELECT 3", {}))()
            return [*found, *second()]

    assert await database.read(ask) == [(1,), (2,)]
    assert len(set(pids)) == 2


async def test_a_server_that_is_not_there_is_unavailable_and_the_password_is_not_told():
    custodes = Custodes("postgresql://ann:sesame@127.0.0.1:1/app")

    with pytest.raises(StorageUnavailable) as refused:
        await custodes.open()

    await custodes.close()
    assert "sesame" not in str(refused.value)


# ── What is asked of the server and of the install ───────────────────────────


async def test_a_database_that_cannot_hold_every_text_is_refused(postgres_server: PostgresServer):
    url = postgres_server.url(postgres_server.new_database("template0 ENCODING 'LATIN1' LOCALE 'C'"))
    database = PostgresDatabase(url)

    with pytest.raises(ConfigurationError, match="LATIN1"):
        await database.open()

    await database.close()


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_the_engine_is_chosen_by_the_url(url: str):
    assert Custodes(url).database.dialect == "postgresql"


@pytest.mark.parametrize("url", ["mysql://u:sesame@h/d", "nothing", "postgresql//u:sesame@h/d"])
def test_other_urls_are_refused_without_telling_the_password(url: str):
    with pytest.raises(ConfigurationError) as refused:
        _ = Custodes(url).database

    assert "sesame" not in str(refused.value) + refused.value.remedy


def test_a_missing_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    for module in ("postgresql", "postgresql_text", "postgresql_work"):
        monkeypatch.delitem(__import__("sys").modules, f"custodes.storage.sql.{module}", raising=False)

    with pytest.raises(ConfigurationError) as refused:
        _ = Custodes("postgresql://u@h/d").database

    assert refused.value.remedy == "pip install 'custodes[postgres]'"


async def test_secrets_ask_for_a_key_that_all_processes_share(postgres_url: str):
    """Given no key, then everything else works, and what needs one says so."""
    custodes = Custodes(postgres_url)
    await custodes.database.open()

    with pytest.raises(ConfigurationError) as refused:
        await custodes.outbound.create_endpoint("https://example.com/hook")

    assert "CUSTODES_SECRET_KEY" in refused.value.remedy
    await custodes.close()


async def test_no_more_connections_are_opened_than_were_allowed(postgres_url: str):
    database = PostgresDatabase(postgres_url, readers=2, writers=1)
    count = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    reading = lambda tx: connection_of(tx).execute(count).scalar_one()  # noqa: E731

    counts = await asyncio.gather(
        *(database.read(reading) for _ in range(30)), *(database.write(reading) for _ in "ab")
    )

    assert max(counts) <= 3
    await database.close()
