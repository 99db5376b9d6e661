"""What instances tell each other, by the notices of their PostgreSQL database."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

import msgspec

from custodes.runtime.fanout import MAX_MESSAGE, Listener, LocalFanout
from custodes.runtime.process import ProcessName
from custodes.storage.sql.postgresql_notices import PostgresNotices

#: Topic of the notices that carry news.
_NEWS = "news"

#: Characters of a message in one notice: the server takes less than 8,000 bytes (PostgreSQL documentation, "NOTIFY").
_PART = 7_000

#: Parts of the longest message.
_MAX_PARTS = 2 * MAX_MESSAGE // _PART

#: Instances whose messages are put together at a time; beyond that the oldest, which died amid a message, is forgotten.
_MAX_SENDERS = 200


class PostgresFanout:
    """The :class:`~custodes.runtime.fanout.Fanout` of all instances on one PostgreSQL database.

    A long message goes in parts, all in one transaction: the server hands them out in order and together.

    Args:
        notices: of this process; they are started and stopped by whoever owns them.
    """

    def __init__(self, notices: PostgresNotices) -> None:
        self._notices = notices
        self._here = LocalFanout()
        self._name = ProcessName()
        self._count = 0
        self._parts: dict[str, list[str]] = {}
        #: Messages that were not sent to others: too many, or too long.
        self.shed = 0
        notices.hear(_NEWS, self._take)

    def publish(self, topic: str, message: bytes) -> None:
        """Tell this process at once, and the others soon."""
        self._here.hand_out(topic, message)
        text = b64encode(msgspec.msgpack.encode((topic, message))).decode("ascii")
        parts = [text[begin : begin + _PART] for begin in range(0, len(text), _PART)]
        last = len(parts) - 1
        # Counted, so that no two notices are alike: of those that are, in one transaction, the server hands out one.
        self._count += 1
        notices = [f"{self._name()} {self._count} {at} {last} {part}" for at, part in enumerate(parts)]
        if len(message) > MAX_MESSAGE or not self._notices.say(_NEWS, notices):
            self.shed += 1

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have a listener called for each message of a topic; returns what ends that."""
        return self._here.subscribe(topic, listener)

    async def start(self) -> None:
        """Nothing to do: the notices are heard already."""

    async def stop(self) -> None:
        """Nothing to do."""

    def _take(self, notice: str) -> None:
        sender, _, rest = notice.partition(" ")
        if sender == self._name():
            return
        try:
            _, place, last, part = rest.split(" ", 3)
            at, end = int(place), int(last)
        except ValueError:
            return  # of another version
        known = self._parts.setdefault(sender, [])
        if len(self._parts) > _MAX_SENDERS:
            del self._parts[next(iter(self._parts))]
        if at == 0:
            known.clear()
        if at != len(known) or end > _MAX_PARTS:
            del self._parts[sender]
            return
        known.append(part)
        if at == end:
            del self._parts[sender]
            self._hand_out("".join(known))

    def _hand_out(self, text: str) -> None:
        try:
            topic, message = msgspec.msgpack.decode(b64decode(text), type=tuple[str, bytes])
        except (ValueError, msgspec.DecodeError):
            return  # of another version
        self._here.hand_out(topic, message)
