"""A passage on the scales: what a request costs that passes us.

The clock is read around everything of ours and left out while the host or the server is at it, so a weighed passage
costs more than another. One of :data:`WEIGH_EVERY` is weighed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle

from custodes.asgi.observation import Door
from custodes.asgi.passage import Message, Receive, Scope, Send
from custodes.asgi.passages import EachPassage

#: One request of so many is weighed. A prime: what comes every so many requests, as the recorder's folding does, is met
#: as often as it comes, neither always nor never.
WEIGH_EVERY = 251


def turns() -> Iterator[bool]:
    """Tell of one request after another whether it is weighed; the first, which finds everything cold, is not."""
    return cycle([*[False] * (WEIGH_EVERY - 1), True])


class WeighedPassage(EachPassage):
    """An HTTP request that is weighed."""

    __slots__ = ("_left_at", "_of_server", "_receive_of_server", "_send_of_server", "_spent", "_spoilt", "_waited")

    def open(self, door: Door, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin as any other, with the server's ``receive`` and ``send`` timed."""
        self._spent: int | None = None
        self._left_at = self._of_server = self._waited = 0
        self._spoilt = False
        self._receive_of_server = receive
        self._send_of_server = send
        super().open(door, kind, scope, self._wait_for_server, self._hand_to_server)

    def enter(self, began: int) -> None:
        """The host's turn begins: what has passed since ``began`` (ticks) was ours."""
        self._spent = self._now() - began

    def leave(self) -> None:
        """The host's turn ends: what follows is ours again."""
        self._left_at = self._now()

    def left(self, note: Callable[[int], object]) -> None:
        """Everything of ours is done: tell what it took, unless the host had no turn or something of ours broke."""
        # They hold this passage, which holds them: end the cycle here.
        self._receive, self._send = self._receive_of_server, self._send_of_server
        if self._spent is not None:
            spent = self._spent + self._now() - self._left_at
            if not self._spoilt:
                note(spent)

    async def receive(self) -> Message:
        """Hand on what the client sends."""
        began, waited = self._now(), self._waited
        try:
            return await super().receive()
        finally:
            self._spend(self._now() - began - (self._waited - waited))

    def send(self, message: Message) -> Awaitable[None]:
        """Hand on what the application answers."""
        began, theirs = self._now(), self._of_server
        try:
            return super().send(message)
        finally:
            self._spend(self._now() - began - (self._of_server - theirs))

    async def _wait_for_server(self) -> Message:
        began = self._now()
        try:
            return await self._receive_of_server()
        finally:
            self._waited += self._now() - began

    def _hand_to_server(self, message: Message) -> Awaitable[None]:
        began = self._now()
        try:
            return self._send_of_server(message)
        finally:
            self._of_server += self._now() - began

    def _spend(self, ticks: int) -> None:
        if self._spent is not None:
            self._spent += ticks

    def _now(self) -> int:
        """Read the clock; one that is broken spoils the weighing and nothing else."""
        try:
            return self.door.ticks()
        except BaseException as error:
            if not self.door.absorbs("middleware", error):
                raise
            self._spoilt = True
            return 0
