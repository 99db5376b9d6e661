"""Connections that carry one command after the other, with as little between us and the socket as there can be.

The client's own way of sending a command and waiting for the answer costs as much processor time as deciding on two
dozen requests. These keep what matters of it: connections come from its pool, which knows about TLS, passwords and
Sentinels. Once one is made, its bytes come here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import hiredis

if TYPE_CHECKING:
    from redis.asyncio import Redis

_pack = cast("Any", hiredis).pack_command


class Line(asyncio.Protocol):
    """A connection of the client's, whose answers come here until it is given back."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport  # noqa: SLF001 - it has no other name
        self._streams = cast("asyncio.Protocol", self._transport.get_protocol())
        self._reader: Any = cast("Any", hiredis).Reader(replyError=_error)
        self._hear: Callable[[Any], None] | None = None
        #: Whether it can be used no more.
        self.lost = False
        self._transport.set_protocol(self)

    def ask(self, args: Sequence[Any], hear: Callable[[Any], None]) -> None:
        """Send a command; the one before has been answered.

        Args:
            args: the command.
            hear: called with the answer, or with what went wrong.
        """
        self._hear = hear
        self._transport.write(_pack(args))

    def give_up(self) -> None:
        """Hear no answer; the connection is of no use any more."""
        self._hear = None

    async def give_back(self, pool: Any, *, usable: bool) -> None:
        """Let the pool have the connection; one that is not usable makes itself anew when it is taken again."""
        if not self.lost:
            self._transport.set_protocol(self._streams)
        if self.lost or not usable:
            await self._connection.disconnect(nowait=True)
        await pool.release(self._connection)

    # ── What the event loop says ─────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer, or the whole of it."""
        self._reader.feed(data)
        try:
            reply = self._reader.gets()
        except Exception as error:  # noqa: BLE001 - whatever it was, it was not Redis who spoke
            self._settle(error)
            self._transport.abort()
            return
        if reply is not False:  # which says that there is more to come
            self._settle(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Have whoever waits hear of it, and the client, too."""
        from redis.exceptions import ConnectionError as ConnectionFailed

        self.lost = True
        self._settle(ConnectionFailed("The connection was lost"))
        self._streams.connection_lost(exc)

    def _settle(self, reply: Any) -> None:
        hear, self._hear = self._hear, None
        if hear is not None:
            hear(reply)


class Lines:
    """Sends commands to one server.

    Args:
        client: whose pool the connections are of.
    """

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        self._free: list[Line] = []
        self._leaving: set[asyncio.Task[None]] = set()

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return the answer.

        Raises:
            redis.RedisError: it failed, or the connection did.
        """
        line = self.take_free() or await self._take()
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            line.ask(args, partial(_hand_over, answer))
            reply = await answer
        except BaseException as error:
            from redis.exceptions import NoScriptError

            # A half-read answer must not be the next one's, and who says that it only reads is no primary any more.
            line.give_up()
            await line.give_back(self._pool, usable=isinstance(error, NoScriptError))
            raise
        self._free.append(line)
        return reply

    def take_free(self) -> Line | None:
        """Return a connection that is free; None when none is."""
        return self._free.pop() if self._free and not self._free[-1].lost else None

    def put_back(self, line: Line, *, usable: bool) -> None:
        """Take a connection back; one that is not usable is made anew when it is needed again."""
        if usable and not line.lost:
            self._free.append(line)
            return
        leaving = asyncio.get_running_loop().create_task(line.give_back(self._pool, usable=False))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _take(self) -> Line:
        while self._free:
            line = self._free.pop()
            if not line.lost:
                return line
            await line.give_back(self._pool, usable=False)
        return Line(await self._pool.get_connection())

    async def close(self) -> None:
        """Give the connections back."""
        await asyncio.gather(*self._leaving)
        while self._free:
            await self._free.pop().give_back(self._pool, usable=True)


def _hand_over(answer: asyncio.Future[Any], reply: Any) -> None:
    if answer.done():
        return
    if isinstance(reply, Exception):
        answer.set_exception(reply)
        answer.exception()  # read: who does not wait leaves no "exception was never retrieved"
    else:
        answer.set_result(reply)


def _error(text: str) -> Exception:
    """Make the client's own error of one that the server tells."""
    from redis.exceptions import NoScriptError, ResponseError

    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
