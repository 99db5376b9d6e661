"""What instances tell each other at once: news that nobody has to have, because what counts is in the database.

A message reaches every instance that listens, the sender's own included. It may be lost and is never repeated, so it
says "look again" or "this just happened", never the only copy of anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from custodes.runtime.log import get_logger

#: Takes a message; returns quickly.
Listener = Callable[[bytes], None]

#: Longest message, bytes: longer ones are not sent to other instances.
MAX_MESSAGE = 64 * 1024

_log = get_logger("custodes.fanout")


class Fanout(Protocol):
    """**Protocol:** tells all instances."""

    def publish(self, topic: str, message: bytes) -> None:
        """Tell all instances, this one at once; never waited for."""
        ...

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have a listener called for each message of a topic; returns what ends that."""
        ...

    async def start(self) -> None:
        """Begin to hear of others; idempotent."""
        ...

    async def stop(self) -> None:
        """End; idempotent."""
        ...


class LocalFanout:
    """The :class:`Fanout` of one process, and the part of every other that hands messages to listeners."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        #: Exceptions raised by listeners since the start.
        self.failures = 0

    def publish(self, topic: str, message: bytes) -> None:
        """Tell the listeners of this process."""
        self.hand_out(topic, message)

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have a listener called for each message of a topic; returns what ends that."""
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(listener)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    def hand_out(self, topic: str, message: bytes) -> None:
        """Call the listeners; what one raises harms neither the others nor the sender."""
        for listener in tuple(self._listeners.get(topic, ())):
            try:
                listener(message)
            except Exception as error:  # noqa: BLE001 - a listener never harms the sender
                self.failures += 1
                _log.warning("listener_failed", topic=topic, error=repr(error))

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""
