"""What instances tell each other, by Redis Pub/Sub: sealed, for it holds paths and tenants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import msgspec

from custodes.errors import ConfigurationError
from custodes.kernel.sealing import Sealer
from custodes.runtime.fanout import MAX_MESSAGE, Listener, LocalFanout
from custodes.runtime.log import get_logger
from custodes.runtime.process import ProcessName
from custodes.storage.redis.connection import connect, disconnect

#: What messages are sealed for.
_PURPOSE = "news"

#: Messages that wait to be sent at most; beyond, they are shed and counted.
_MAX_WAITING = 1_000

#: Before the next try after the connection was lost, seconds.
_AGAIN_SECONDS = 0.5

#: Silence after which it is asked whether Redis still answers, seconds.
_SILENCE_SECONDS = 2.0

#: Longest that sending may take, seconds.
_SEND_SECONDS = 1.0

_log = get_logger("custodes.fanout")


class RedisFanout:
    """The :class:`~custodes.runtime.fanout.Fanout` of all instances of an install on one Redis.

    Args:
        url: see :func:`custodes.storage.redis.connection.connect`.
        sealer: seals messages; with the same keys in all instances.
    """

    def __init__(self, url: str, sealer: Sealer) -> None:
        self._client: Any = connect(url)
        self._sealer = sealer
        # One channel for all topics: an instance listens to all of them anyway. Channels know nothing of the number of
        # a database, so it is the key that keeps installs apart.
        self._channel = f"custodes:{sealer.derive(b'channel of an install', 8).hex()}:news"
        self._here = LocalFanout()
        self._name = ProcessName()
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        #: Whether others are heard now.
        self.connected = False
        #: Messages that were not sent to others: too many, too long, or no Redis.
        self.shed = 0

    def publish(self, topic: str, message: bytes) -> None:
        """Tell this process at once, and the others soon."""
        self._here.hand_out(topic, message)
        if len(message) > MAX_MESSAGE:
            self.shed += 1
            return
        try:
            self._waiting.put_nowait(msgspec.msgpack.encode((self._name().encode(), topic, message)))
        except asyncio.QueueFull:
            self.shed += 1

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have a listener called for each message of a topic; returns what ends that."""
        return self._here.subscribe(topic, listener)

    async def start(self) -> None:
        """Begin to send and to listen; idempotent."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        """End both; what was not sent is lost. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.connected = False
        await disconnect(self._client)

    async def _send(self) -> None:
        while True:
            message = await self._waiting.get()
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await self._client.execute_command("PUBLISH", self._channel, self._sealer.seal(message, _PURPOSE))
            except Exception as error:  # noqa: BLE001 - news may be lost
                self.shed += 1
                _log.debug("news_not_sent", error=repr(error))

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except Exception as error:  # noqa: BLE001 - whatever it was, listening goes on
                _log.debug("news_not_heard", error=repr(error))
            self.connected = False
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _hear(self) -> None:
        await self._client.initialize()  # a cluster's nodes have to be known first
        pubsub = self._client.pubsub()
        try:
            await pubsub.subscribe(self._channel)
            unanswered = 0
            while unanswered <= 1:  # a connection that died without a word is found out by the second ping
                said = await pubsub.get_message(timeout=_SILENCE_SECONDS)
                unanswered = 0 if said else unanswered + 1
                if said is None:
                    await pubsub.ping()
                elif said["type"] == "subscribe":
                    self.connected = True
                elif said["type"] == "message":
                    self._take(cast("bytes", said["data"]))
        finally:
            with contextlib.suppress(Exception):
                await pubsub.aclose()

    def _take(self, sealed: bytes) -> None:
        try:
            packed = self._sealer.open(sealed, _PURPOSE)
            sender, topic, message = msgspec.msgpack.decode(packed, type=tuple[bytes, str, bytes])
        except (ConfigurationError, msgspec.DecodeError):
            return  # somebody else's, or another version's
        if sender != self._name().encode():
            self._here.hand_out(topic, message)
