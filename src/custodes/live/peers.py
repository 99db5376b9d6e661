"""Other instances: they tell what happens there while somebody looks here, and the other way round.

Over the fan-out, so only news: who looks asks every few seconds, who was asked tells for a minute. An instance at which
nobody looks asks nobody, so two cannot keep each other awake.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from custodes.live.happening import Happening
from custodes.runtime.fanout import Fanout
from custodes.runtime.process import Named

#: Topic of those who look: tell me.
ASKED = "live.asked"

#: Topic of what happened.
TOLD = "live.told"

#: Seconds between two requests to be told.
ASK_SECONDS = 10.0

#: Seconds that somebody who asked is told; several requests may be lost.
TELL_SECONDS = 60.0

#: Events in one message: their titles at the longest, in UTF-8, fit into what the fan-out takes.
MAX_EVENTS = 40

#: Events of a step that others are told, the newest.
MAX_TOLD = 200

#: Events of others that wait for the next step; the oldest go first.
MAX_WAITING = 2_000

_News = tuple[str, list[Happening]]


class Peers:
    """The other instances.

    Args:
        fanout: reaches them.
        name: of this instance, so that it does not hear itself.
        wanted: called when somebody begins to look elsewhere.
    """

    def __init__(self, fanout: Fanout, name: Named, *, wanted: Callable[[], object]) -> None:
        self._fanout = fanout
        self._name = name
        self._wanted = wanted
        self._heard: deque[Happening] = deque(maxlen=MAX_WAITING)
        self._ends: list[Callable[[], None]] = []
        self._asked_at = float("-inf")
        self._tell_until = float("-inf")

    def start(self) -> None:
        """Begin to hear; idempotent."""
        if not self._ends:
            self._ends = [self._fanout.subscribe(ASKED, self._on_asked), self._fanout.subscribe(TOLD, self._on_told)]

    def stop(self) -> None:
        """Hear no more; idempotent."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()
        self._tell_until = float("-inf")

    @property
    def look(self) -> bool:
        """Whether somebody looks at another instance."""
        return _now() < self._tell_until

    def ask(self) -> None:
        """Ask to be told; sent once in a few seconds, however often it is called."""
        now = _now()
        if self._ends and now >= self._asked_at + ASK_SECONDS:
            self._asked_at = now
            self._fanout.publish(ASKED, self._name().encode())

    def tell(self, events: Sequence[Happening]) -> None:
        """Tell what happened here, when somebody looks elsewhere."""
        if not events or not self.look:
            return
        newest = events[-MAX_TOLD:]
        for begin in range(0, len(newest), MAX_EVENTS):
            news: _News = (self._name(), list(newest[begin : begin + MAX_EVENTS]))
            self._fanout.publish(TOLD, msgspec.json.encode(news))

    def take(self) -> list[Happening]:
        """Return what others have told since the last time."""
        taken = list(self._heard)
        self._heard.clear()
        return taken

    def _on_asked(self, message: bytes) -> None:
        if message != self._name().encode():
            self._tell_until = _now() + TELL_SECONDS
            self._wanted()

    def _on_told(self, message: bytes) -> None:
        try:
            sender, events = msgspec.json.decode(message, type=_News)
        except msgspec.DecodeError:
            return  # of another version
        if sender != self._name():
            self._heard.extend(events)


def _now() -> float:
    return asyncio.get_running_loop().time()
