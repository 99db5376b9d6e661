"""Connections that are used again and again without asking the client each time whether they are well.

The client's own way of sending a command costs as much processor time as deciding on a dozen requests. These keep what
matters of it: connections come from its pool, which knows about TLS, passwords and Sentinels.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import hiredis

if TYPE_CHECKING:
    from redis.asyncio import Redis

_pack = cast("Any", hiredis).pack_command

#: A connection that was silent for longer is given to the pool, which looks whether it still stands, seconds.
_FRESH_SECONDS = 1.0


class Lines:
    """Sends commands to one server.

    Args:
        client: whose pool the connections are of.
    """

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        self._free: list[tuple[Any, float]] = []

    async def execute_command(self, *args: Any) -> Any:
        """Send a command and return the answer.

        Raises:
            redis.RedisError: it failed, or the connection did.
        """
        connection = await self._take()
        try:
            await connection.send_packed_command(_pack(args), check_health=False)
            answer = await connection.read_response()
        except BaseException as error:
            from redis.exceptions import ResponseError

            if not isinstance(error, ResponseError):  # a half-read answer must not be the next one's
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._free.append((connection, asyncio.get_running_loop().time()))
        return answer

    async def _take(self) -> Any:
        now = asyncio.get_running_loop().time()
        while self._free:
            connection, used_at = self._free.pop()
            if now - used_at <= _FRESH_SECONDS:
                return connection
            await self._pool.release(connection)
        return await self._pool.get_connection()

    async def close(self) -> None:
        """Give the connections back."""
        while self._free:
            connection, _ = self._free.pop()
            await self._pool.release(connection)
