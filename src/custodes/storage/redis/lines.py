"""Connections that carry one command after the other, with as little between us and the socket as there can be.

The client's own way of sending a command and waiting for the answer costs as much processor time as deciding on two
dozen requests. These keep what matters of it: connections come from its pool, which knows about TLS, passwords and
Sentinels. Once one is made, its bytes come here.
"""

from __future__ import annotations

import asyncio
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
        self._answer: asyncio.Future[Any] | None = None
        #: Whether it can be used no more.
        self.lost = False
        self._transport.set_protocol(self)

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send a command; the one before has been answered."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(command)
        return answer

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
        answer, self._answer = self._answer, None
        if answer is None or answer.done():
            return
        if isinstance(reply, Exception):
            answer.set_exception(reply)
            answer.exception()  # read: who does not wait leaves no "exception was never retrieved"
        else:
            answer.set_result(reply)


class Lines:
    """Sends commands to one server.

    Args:
        client: whose pool the connections are of.
    """

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        self._free: list[Line] = []

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return the answer.

        Raises:
            redis.RedisError: it failed, or the connection did.
        """
        free = self._free
        line = free.pop() if free and not free[-1].lost else await self._take()
        try:
            answer = await line.ask(_pack(args))
        except BaseException as error:
            from redis.exceptions import NoScriptError

            # A half-read answer must not be the next one's, and who says that it only reads is no primary any more.
            await line.give_back(self._pool, usable=isinstance(error, NoScriptError))
            raise
        free.append(line)
        return answer

    async def _take(self) -> Line:
        while self._free:
            line = self._free.pop()
            if not line.lost:
                return line
            await line.give_back(self._pool, usable=False)
        return Line(await self._pool.get_connection())

    async def close(self) -> None:
        """Give the connections back."""
        while self._free:
            await self._free.pop().give_back(self._pool, usable=True)


def _error(text: str) -> Exception:
    """Make the client's own error of one that the server tells."""
    from redis.exceptions import NoScriptError, ResponseError

    return NoScriptError(text) if text.startswith("NOSCRIPT") else ResponseError(text)
