"""Notices: a process tells the others that there is something to look at, so that none waits for its next poll.

Nothing depends on them. Whoever listens also polls; a notice only makes it look at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

#: There is a webhook to handle, and no free place in the process that took it in.
WEBHOOKS = "webhooks"

#: There is an event to deliver, and no free place in the process that took it in.
EVENTS = "events"

#: Rules or blocks have changed.
LIMITS = "limits"


class Notices(Protocol):
    """**Protocol:** notices among the processes of an install."""

    def on(self, topic: str, then: Callable[[], object]) -> None:
        """Call something, in the event loop, whenever a process tells of a topic."""
        ...

    def tell(self, topic: str) -> None:
        """Tell all processes, soon; never waits, never raises."""
        ...

    async def start(self) -> None:
        """Begin to listen; idempotent."""
        ...

    async def stop(self) -> None:
        """Stop listening; idempotent."""
        ...


class NoNotices:
    """Of an engine on which processes cannot be told: they poll."""

    def on(self, topic: str, then: Callable[[], object]) -> None:
        """Note nothing."""

    def tell(self, topic: str) -> None:
        """Tell nobody."""

    async def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""
