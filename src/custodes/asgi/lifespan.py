"""Starting and stopping with the host, without ever being the reason that it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from custodes.asgi.first_owner import announce_owner
from custodes.asgi.passage import Message, Receive, Scope, Send
from custodes.errors import CustodesError
from custodes.kernel.clock import SECOND
from custodes.runtime.log import get_logger

if TYPE_CHECKING:
    from custodes.app import Custodes

#: Longest that the host's own start and stop wait for ours, seconds.
START_LIMIT = 30.0
STOP_LIMIT = 15.0

#: Time between attempts to start when it failed or when no server told us to, microseconds.
RETRY_EVERY = 30 * SECOND

#: What a host says when it is over.
_OVER = frozenset({"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"})

_log = get_logger("custodes.start")


class Life:
    """The life of one install inside one host.

    Args:
        custodes: the install.
    """

    def __init__(self, custodes: Custodes) -> None:
        self._custodes = custodes
        self._shield = custodes.shield
        self._clock = custodes.clock
        #: True while it runs.
        self.running = False
        self._tried_at: int | None = None
        #: Why the last attempt failed; None when it only took too long.
        self._failure: Exception | None = None
        #: What was last said of that: each reason is said once, not every 30 s.
        self._said = ""
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start; a failure is logged, and tried again while requests come in. A first start prints a login."""
        self._tried_at = self._clock.monotonic()
        self._failure = None
        self.running = await self._shield.wait("start", self._begin(), False, seconds=START_LIMIT)
        self._say_how_it_went()
        if self.running:
            await self._shield.wait("first-owner", announce_owner(self._custodes), False, seconds=START_LIMIT)

    async def _begin(self) -> bool:
        try:
            await self._custodes.start()
        except Exception as error:
            self._failure = error
            raise
        return True

    def _say_how_it_went(self) -> None:
        """Say loudly that the host goes on alone, and what to do; whoever reads its log may look for nothing else."""
        if self.running:
            if self._said:
                _log.info("custodes_is_on")
            self._said = ""
            return
        failure, remedy = self._failure, "custodes doctor tells what is configured and what is reachable"
        if isinstance(failure, CustodesError):
            reason, remedy = failure.message, failure.remedy or remedy
        else:
            reason = repr(failure)[:500] if failure else f"It did not start within {START_LIMIT:g} s"
        if reason != self._said:
            self._said = reason
            _log.error(
                "custodes_is_off",
                consequence="The app goes on without it: nothing is monitored, limited, received or audited",
                reason=reason,
                remedy=remedy,
                tried_again_after_seconds=RETRY_EVERY // SECOND,
            )

    async def stop(self) -> None:
        """Stop, and write what is buffered."""
        if self.running:
            self.running = False
            await self._shield.wait("stop", _done(self._custodes.stop), False, seconds=STOP_LIMIT)

    def rouse(self) -> None:
        """Start in the background: there are requests, and nobody has started us."""
        now = self._clock.monotonic()
        if self._tried_at is None or now - self._tried_at >= RETRY_EVERY:
            self._tried_at = now
            by_host = self._custodes.started
            self._task = asyncio.get_running_loop().create_task(self._start_beside(by_host), name="custodes-start")

    async def _start_beside(self, by_host: bool) -> None:
        """Start without holding up the host's loop, which serves already: what is to be imported is in a thread.

        A host that has started us itself may have stopped us since, and is not to find us running behind it.
        """
        if not by_host:
            await self._shield.wait("load", asyncio.to_thread(self._custodes.load), None, seconds=START_LIMIT)
        elif not self._custodes.started:
            return
        await self.start()

    async def serve(
        self, host: Callable[[Any, Any, Any], Awaitable[None]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve the ``lifespan`` scope: start before the host, stop after it."""
        lifespan = _Lifespan(self, receive, send)
        try:
            await host(scope, lifespan.receive, lifespan.send)
        except Exception:
            # By the ASGI specification a host that raises before it has listened does not know this protocol.
            if lifespan.heard:
                await self.stop()
                raise
        except BaseException:
            await self.stop()
            raise
        if lifespan.heard:
            await self.stop()
        else:
            await lifespan.speak()


class _Lifespan:
    """The messages between server and host, overheard."""

    def __init__(self, life: Life, receive: Receive, send: Send) -> None:
        self._life = life
        self._receive = receive
        self._send = send
        #: Whether the host has asked for a message.
        self.heard = False

    async def receive(self) -> Message:
        self.heard = True
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            await self._life.start()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] in _OVER:
            await self._life.stop()
        await self._send(message)

    async def speak(self) -> None:
        """Speak for a host that does not know the protocol."""
        await self.receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self._receive()
        await self._life.stop()
        await self._send({"type": "lifespan.shutdown.complete"})


async def _done(step: Callable[[], Awaitable[None]]) -> bool:
    await step()
    return True
