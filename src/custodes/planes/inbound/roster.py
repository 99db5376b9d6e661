"""The roster: which handlers the processes of an install have, so that none is done with an event that another wants.

Each process that handles webhooks says so in a row, again and again, while it lives. No two clocks are compared: a row
that has not changed for a while, by the monotonic clock of whoever looks, is that of a process that has gone. What it
handled is remembered a while longer, for most come back: a restart, a deployment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.planes.inbound.handlers import Handlers, wants
from custodes.planes.inbound.model import Offer, Presence
from custodes.planes.inbound.ports import PresenceStore
from custodes.runtime.periodic import Periodic
from custodes.runtime.process import Named
from custodes.runtime.transactions import Store, Transaction

#: How often a process says that it lives, seconds: a small write without a wait for the disk.
BEAT_SECONDS = 10.0

#: Silence after which a process is taken for gone, microseconds: two beats may fail.
GONE_AFTER = 35 * SECOND

#: How long after its last sign the handlers of a process are waited for by events that nobody else handles,
#: microseconds: longer than a deployment takes.
REMEMBERED = 10 * MINUTE

#: Processes that are remembered at most: far more than an install has. One that dies and is started again all the time
#: is another one each time, and none of them lives long enough to see that those before it have gone.
MAX_PROCESSES = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """What this process has seen of another."""

    #: What its row says.
    presence: Presence
    #: Since when the row says so, by our monotonic clock, microseconds.
    since: int


class Roster:
    """This process's part in the list of those that handle webhooks.

    Args:
        store: runs units of work.
        presences: where the list is kept.
        handlers: those of this process.
        clock: source of time.
        process: what this process is called among them.
        takes_part: whether this process handles anything.
    """

    def __init__(
        self,
        *,
        store: Store,
        presences: PresenceStore,
        handlers: Handlers,
        clock: Clock,
        process: Named,
        takes_part: bool,
    ) -> None:
        self._store = store
        self._presences = presences
        self._handlers = handlers
        self._clock = clock
        self._process = process
        self._takes_part = takes_part
        self._seen: Mapping[str, _Seen] = {}
        self._beats = Periodic("inbound-roster", BEAT_SECONDS, self.beat)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Say which handlers there are here, now and from then on; idempotent."""
        await self._beats.run_once()
        await self._beats.start()

    async def stop(self) -> None:
        """Say that this process ends; idempotent."""
        await self._beats.stop()
        if self._takes_part and len(self._handlers):
            await Periodic("inbound-roster", BEAT_SECONDS, self._leave).run_once()

    async def beat(self) -> None:
        """Say that this process lives, look who else does, and forget who has long gone."""
        await self._store.write(self._beat, durable=False)

    def _beat(self, tx: Transaction) -> None:
        if self._takes_part and len(self._handlers):
            self._say(tx, self._clock.now())
        self.look(tx)
        by_age = sorted(self._seen.values(), key=lambda seen: seen.presence.said_at)
        for place, seen in enumerate(reversed(by_age)):
            # One of too many that lives all the same, by another clock, says so again with its next beat.
            if place >= MAX_PROCESSES or self._silence(seen) >= REMEMBERED:
                self._presences.forget(tx, seen.presence)

    async def _leave(self) -> None:
        await self._store.write(lambda tx: self._say(tx, 0), durable=False)

    def _say(self, tx: Transaction, at: int) -> None:
        offers = [Offer(handler.name, handler.source, handler.event_type) for handler in self._handlers]
        self._presences.say(tx, Presence(self._process(), at, offers))

    # ── Who does what ────────────────────────────────────────────────────────

    def look(self, tx: Transaction) -> None:
        """Look who else is there."""
        now, before, here = self._clock.monotonic(), self._seen, self._process()
        seen: dict[str, _Seen] = {}
        for presence in self._presences.all(tx):
            if presence.process != here:
                known = before.get(presence.process)
                same = known is not None and known.presence.said_at == presence.said_at
                seen[presence.process] = _Seen(presence, known.since if known is not None and same else now)
        self._seen = seen

    def mine(self, tx: Transaction, lanes: Sequence[str]) -> Sequence[str]:
        """Return the lanes (sources) that this process takes events from: not those that only others handle."""
        if not lanes:
            return lanes
        self.look(tx)
        here = {handler.source for handler in self._handlers}
        if "*" in here:
            return lanes
        there = {offer.source for offer in self._offers(lately=True)}
        return [lane for lane in lanes if lane in here or not (lane in there or "*" in there)]

    def elsewhere(self, source: str, event_type: str, *, lately: bool = False) -> Collection[str]:
        """Name the handlers of other processes that get such an event.

        Args:
            source: of the event.
            event_type: of the event.
            lately: also those of processes that have gone, and may come back.
        """
        return {
            offer.name
            for offer in self._offers(lately=lately)
            if wants(offer.source, offer.event_type, source, event_type)
        }

    def there(self, tx: Transaction, now: int) -> Sequence[Offer]:
        """List what processes handle that have said so lately by their own clocks: for who looks once, as a command.

        Args:
            tx: the transaction.
            now: wall clock, microseconds since the epoch.
        """
        return [
            offer for each in self._presences.all(tx) if abs(now - each.said_at) < REMEMBERED for offer in each.offers
        ]

    def has(self, name: str) -> bool:
        """Tell whether another process that lives has a handler of this name."""
        return any(offer.name == name for offer in self._offers())

    def _offers(self, *, lately: bool = False) -> Sequence[Offer]:
        most = REMEMBERED if lately else GONE_AFTER
        return [
            offer
            for seen in self._seen.values()
            if self._silence(seen) < most and (lately or seen.presence.said_at)
            for offer in seen.presence.offers
        ]

    def _silence(self, seen: _Seen) -> int:
        return self._clock.monotonic() - seen.since
