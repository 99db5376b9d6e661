"""Notices between processes over PostgreSQL's LISTEN and NOTIFY: a topic alone, or with a message.

A notice is sent after the commit that it is about, in a transaction of its own that waits for no disk, together with
others of the same moment: the server commits transactions that notify one after the other (PostgreSQL documentation,
"NOTIFY"), which the hot path must never wait for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import text

from custodes.errors import StorageUnavailable
from custodes.runtime.log import get_logger
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.postgresql import CONNECT_TIMEOUT_SECONDS, PostgresDatabase, checked

#: How long notices of the same topic are gathered, seconds.
GATHER_SECONDS = 0.02

#: Longest silence after which the connection is tried, seconds.
CHECK_SECONDS = 15.0

#: Wait before a new connection after one that failed, seconds.
RETRY_SECONDS = 5.0

#: Messages that wait to be sent at most; beyond, they are refused.
MAX_WAITING = 1_000

_log = get_logger("custodes.notices")


class PostgresNotices:
    """The :class:`~custodes.runtime.notices.Notices` of processes on one PostgreSQL database.

    Args:
        database: where notices are sent.
        listen_url: where they are heard: the server itself, not a pooler; empty: the database's own URL, unless a
            pooler answers there.
    """

    def __init__(self, database: PostgresDatabase, listen_url: str = "") -> None:
        self._database = database
        url = database.url if not listen_url else checked(listen_url)
        self._may_be_pooled = not listen_url
        self._listen_url = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._schema = database.schema
        self._then: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)
        self._hear: defaultdict[str, list[Callable[[str], object]]] = defaultdict(list)
        self._topics: set[str] = set()
        self._said: list[str] = []
        self._sending: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        #: Set while notices are heard.
        self.heard = asyncio.Event()

    def on(self, topic: str, then: Callable[[], object]) -> None:
        """Call something whenever another process, or this one, tells of a topic."""
        self._then[topic].append(then)

    def tell(self, topic: str) -> None:
        """Tell all processes, soon; what cannot be sent is lost, and polling finds what it was about."""
        self._topics.add(topic)
        self._send_soon()

    def hear(self, topic: str, then: Callable[[str], object]) -> None:
        """Call something with each message that a process says about a topic, this one included."""
        self._hear[topic].append(then)

    def say(self, topic: str, messages: Sequence[str]) -> bool:
        """Say something to all processes, soon: the messages together and in order, or none of them.

        Args:
            topic: a word without a space.
            messages: each shorter than 8,000 bytes with its topic. Of those that are alike, and said at the same
                moment, one is heard (PostgreSQL documentation, "NOTIFY").

        Returns:
            False when too much waits already.
        """
        if len(self._said) + len(messages) > MAX_WAITING:
            return False
        self._said.extend(f"{topic} {message}" for message in messages)
        self._send_soon()
        return True

    async def start(self) -> None:
        """Begin to listen; idempotent."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen_for_ever(), name="custodes-listen")

    async def stop(self) -> None:
        """Send what is to be sent, stop listening; idempotent."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        if self._sending is not None:
            await self._sending

    def _send_soon(self) -> None:
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send(), name="custodes-tell")

    async def _send(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        notices = [*sorted(self._topics), *self._said]
        self._topics, self._said, self._sending = set(), [], None
        try:
            await self._database.write(
                lambda tx: connection_of(tx).execute(_NOTIFY, {"notices": notices}).all(),
                durable=False,
            )
        except StorageUnavailable as error:
            _log.debug("notices_not_sent", count=len(notices), error=error.message)

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                await self._listen()
            except _Pooled:
                _log.warning("notices_not_heard", error="a pooler answers", remedy="Set CUSTODES_DATABASE_LISTEN_URL")
                return
            except (psycopg.Error, OSError) as error:
                _log.info("notices_not_heard", error=type(error).__name__)
            finally:
                self.heard.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def meets_a_pooler(self) -> bool:
        """Tell whether a pooler answers where notices would be heard; then they are not."""
        try:
            async with await self._connect() as connection:
                return await self._channel(connection) is None
        except (psycopg.Error, OSError):
            return False  # nobody answers at all

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            self._listen_url,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="custodes-listen",
        )

    async def _channel(self, connection: psycopg.AsyncConnection[Any]) -> str | None:
        """Name the channel; None where another process than the one that we greeted answers: a pooler's server.

        What a session listens to there would be left to whoever has that server's connection next.
        """
        # The channel is the schema's own: installs in two schemas of one database do not hear each other.
        found = await (await connection.execute(_WHERE, (self._schema,))).fetchone()
        assert found is not None
        channel, backend = found
        return None if self._may_be_pooled and backend != connection.info.backend_pid else channel

    async def _listen(self) -> None:
        async with await self._connect() as connection:
            channel = await self._channel(connection)
            if channel is None:
                raise _Pooled
            await connection.execute(f"LISTEN {channel}".encode())
            self.heard.set()
            for topic in self._then:  # something may have happened while nobody listened
                self._fire(topic)
            while True:
                async for notice in connection.notifies(timeout=CHECK_SECONDS):
                    self._fire(notice.payload)
                async with asyncio.timeout(CHECK_SECONDS):
                    await connection.execute("SELECT 1")

    def _fire(self, notice: str) -> None:
        topic, _, message = notice.partition(" ")
        heard = [partial(hear, message) for hear in self._hear.get(topic, ())] if message else self._then.get(topic, ())
        for tell in heard:
            try:
                tell()
            except Exception as error:  # noqa: BLE001 - one that fails keeps nobody from hearing what comes
                _log.warning("notice_failed", topic=topic, error=repr(error))


class _Pooled(Exception):
    """A pooler stands before the server."""


#: The channel, and the process of the server. No setting of the session takes part.
_WHERE = "SELECT quote_ident('custodes_' || coalesce(nullif(%s, ''), current_schema())), pg_backend_pid()"

_NOTIFY = text(
    "SELECT pg_notify('custodes_' || current_schema(), notice) FROM unnest(CAST(:notices AS text[])) AS notice"
)
