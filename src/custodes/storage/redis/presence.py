"""How many instances live: each says so now and then, and hears how many others did."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import blake2b

from custodes.kernel.clock import SECOND
from custodes.runtime.periodic import Periodic
from custodes.runtime.process import ProcessName
from custodes.storage.redis.scripts import Commands, Script, read

#: How often an instance says that it lives, seconds, and after how many of these in silence it is taken for gone.
BEAT_SECONDS = 2.0
_BEATS = 3

#: Longest that this may take, seconds: nobody waits for it.
_SECONDS = 1.0


class Presence:
    """This instance's part in the list of those of its install that live.

    Args:
        client: where the list is.
        secret: the same in all instances of an install, and in no other's.
    """

    def __init__(self, client: Commands, secret: bytes) -> None:
        self._client = client
        self._key = b"custodes:{0}:%b:instances" % blake2b(key=secret, digest_size=8).hexdigest().encode()
        self._script = Script(read("presence"))
        self._name = ProcessName()
        self._beats = Periodic("redis-presence", BEAT_SECONDS, self.beat)
        #: How many there were when that was last known, this one included.
        self.instances = 1

    async def start(self) -> None:
        """Begin to say so; idempotent."""
        await self._beats.start()
        self._beats.wake()

    async def stop(self) -> None:
        """Say that this instance goes; idempotent."""
        await self._beats.stop()
        with suppress(Exception):  # who says nothing more is gone soon, too
            async with asyncio.timeout(_SECONDS):
                await self._script.run(self._client, [self._key], self._name(), "")

    async def beat(self) -> None:
        """Say so once; what is known is kept when Redis does not answer, which others notice soon enough."""
        with suppress(Exception):
            async with asyncio.timeout(_SECONDS):
                alive = await self._script.run(
                    self._client, [self._key], self._name(), int(_BEATS * BEAT_SECONDS * SECOND)
                )
                self.instances = max(1, int(alive))
