"""A throw-away PostgreSQL, and PgBouncer before it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Sequence

import psycopg
from tests.servers.programs import Program, find, free_port

#: Longest a server may take to answer, seconds.
_START_SECONDS = 30

_USER = "custodes"

#: What the server says of a deadlock that it has found, and who waited there for what (lines that begin with a tab
#: belong to the one before).
_DEADLOCK = re.compile(r"^.*deadlock detected\n(?:(?:\t|.*(?:DETAIL|HINT|CONTEXT|STATEMENT): ).*\n)*", re.MULTILINE)


class PostgresServer:
    """One server; each test gets a database of its own, copied from a template.

    Args:
        durable: whether commits reach the disk; only drills need that.
        settings: settings of the server's own, ``name=value``.
    """

    def __init__(self, *, durable: bool = False, settings: Sequence[str] = ()) -> None:
        self._postgres = find("postgres", "postgresql")
        initdb = find("initdb", "postgresql")
        self._program = Program("postgresql", user="postgres")
        self._data = self._program.folder / "data"
        self.port = free_port()
        self._durable = durable
        self._settings = settings
        self._databases = 0
        self._program.run(
            [initdb, "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        )
        self.start()

    def start(self) -> None:
        """Start it, also after :meth:`stop` or :meth:`kill`, and wait until it answers."""
        safety = [] if self._durable else ["-c", "fsync=off", "-c", "full_page_writes=off"]
        options = ["-c", "max_connections=200", "-c", "listen_addresses=127.0.0.1", *safety]
        options += [part for setting in self._settings for part in ("-c", setting)]
        command = [self._postgres, "-D", self._data, "-p", str(self.port), "-k", self._program.folder, *options]
        self._program.start(command, at_end=signal.SIGQUIT)
        wait_until_it_answers(self.url("postgres"), self._program)

    def stop(self) -> None:
        """Shut it down cleanly, breaking connections off."""
        self._program.signal(signal.SIGINT, wait=True)

    def kill(self) -> None:
        """Stop it as a crash does (``pg_ctl stop -m immediate``)."""
        self._program.signal(signal.SIGQUIT, wait=True)

    def freeze(self) -> None:
        """Have it neither answer nor go away."""
        self._program.freeze()

    def thaw(self) -> None:
        """Have it go on."""
        self._program.thaw()

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template1") -> str:
        """Make a database; returns its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            # Copying files is twice as fast as writing pages through the log; before 15 there was nothing else.
            strategy = "STRATEGY file_copy" if connection.info.server_version >= 150_000 else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}".encode())
        return name

    def drop_database(self, name: str) -> None:
        """Delete a database, breaking its connections off."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def deadlocks(self) -> list[str]:
        """Return what it said, line by line, where it ended a work because several waited for each other."""
        log = self._program.log(whole=True)
        return [line for lines in _DEADLOCK.findall(log) for line in lines.splitlines()]

    def remove(self) -> None:
        """End it and delete everything."""
        self._program.remove()


#: What a test may have changed beside rows: what each table of the catalogue says of what is not the server's own
#: (whose ids are below 16384), as digests; and what only changes in number. A copy of a database has the very ids of
#: what it was copied from.
_SHAPE = """
    SELECT (SELECT md5(string_agg(concat_ws(' ', oid, relname, relnamespace, relkind, relnatts, relchecks, reloptions,
                relrowsecurity, relispartition), ',' ORDER BY oid)) FROM pg_class WHERE oid >= 16384),
        (SELECT md5(string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attcollation),
                ',' ORDER BY attrelid, attnum)) FROM pg_attribute WHERE attrelid >= 16384),
        (SELECT md5(string_agg(concat_ws(' ', oid, adbin), ',' ORDER BY oid)) FROM pg_attrdef),
        (SELECT md5(string_agg(concat_ws(' ', oid, conname, convalidated, conbin), ',' ORDER BY oid))
            FROM pg_constraint WHERE oid >= 16384),
        (SELECT md5(string_agg(concat_ws(' ', indexrelid, indisvalid, indisunique, indkey, indpred), ',' ORDER BY
                indexrelid)) FROM pg_index WHERE indexrelid >= 16384),
        (SELECT md5(string_agg(concat_ws(' ', oid, tgname, tgfoid, tgtype, tgenabled, tgqual), ',' ORDER BY oid))
            FROM pg_trigger),
        (SELECT md5(string_agg(concat_ws(' ', oid, proname, pronamespace, prosrc, proconfig), ',' ORDER BY oid))
            FROM pg_proc WHERE oid >= 16384),
        (SELECT count(*) FROM pg_namespace), (SELECT count(*) FROM pg_type), (SELECT count(*) FROM pg_rewrite),
        (SELECT count(*) FROM pg_statistic), (SELECT count(*) FROM pg_db_role_setting)
"""

#: Tables that have had rows.
_USED = """
    SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND pg_relation_size(oid) > 0
"""

_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

#: Longest that connections of a test may take to end after it, seconds.
_LEAVE_SECONDS = 0.5


class Databases:
    """Copies of a template, one for each test that asks; those that tests gave back are emptied and used again.

    Emptying one takes a tenth of making one. One that is not as the template in all but rows is not used again, nor is
    one to which somebody is connected still.
    """

    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        with psycopg.connect(server.url(template), autocommit=True) as connection:
            self._shape = connection.execute(_SHAPE).fetchone()
            self._rows = {name: _rows(connection, name) for (name,) in connection.execute(_USED).fetchall()}

    def take(self) -> str:
        """Return the name of a database that is as the template."""
        return self._free.pop() if self._free else self._server.new_database(self._template)

    def give_back(self, name: str) -> None:
        """Have a database used again, or deleted."""
        with psycopg.connect(self._server.url(name), autocommit=True) as connection:
            again = self._everybody_left(connection) and connection.execute(_SHAPE).fetchone() == self._shape
            if again:
                self._empty(connection)
        if again:
            self._free.append(name)
        else:
            self._server.drop_database(name)

    def _everybody_left(self, connection: psycopg.Connection) -> bool:
        end = time.monotonic() + _LEAVE_SECONDS
        while connection.execute(_OTHERS).fetchone() != (0,):
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def _empty(self, connection: psycopg.Connection) -> None:
        used = [name for (name,) in connection.execute(_USED).fetchall()]
        changed = [name for name in used if name not in self._rows or _rows(connection, name) != self._rows[name]]
        if not changed:
            return
        connection.execute("SET session_replication_role = replica")  # the guards of the trail sleep
        connection.execute(f"TRUNCATE {', '.join(changed)} RESTART IDENTITY CASCADE".encode())
        for name in changed:
            for row in self._rows.get(name, ()):
                places = ", ".join(["%s"] * len(row))
                connection.execute(f"INSERT INTO {name} VALUES ({places})".encode(), row)


def _rows(connection: psycopg.Connection, table: str) -> list[tuple[object, ...]]:
    return sorted(connection.execute(f"SELECT * FROM {table}".encode()).fetchall())


class PgBouncer:
    """A connection pooler in transaction mode before a server."""

    def __init__(self, server: PostgresServer) -> None:
        pgbouncer = find("pgbouncer", "pgbouncer")
        self._program = Program("pgbouncer", user="postgres")
        self.port = free_port()
        settings = self._program.folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user={_USER}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 5\n"
        )
        self._program.start([pgbouncer, settings])
        wait_until_it_answers(self.url("postgres"), self._program)

    def url(self, database: str) -> str:
        """Return the URL of a database through the pooler."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        """End it."""
        self._program.remove()


def wait_until_it_answers(url: str, program: Program) -> None:
    """Wait for the first connection."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if not program.running or time.monotonic() > end:
                msg = f"The server did not start: {error}\n{program.log()}"
                raise RuntimeError(msg) from error
            time.sleep(0.02)
        else:
            return
