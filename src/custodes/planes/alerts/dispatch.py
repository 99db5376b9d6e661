"""The dispatcher: sends waiting messages, at least once, and gives up in the open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.kernel.ids import RandomBits
from custodes.kernel.signals import FailureSignal
from custodes.planes.alerts.model import Delivery, Notification, SinkStatus, SinkTrial
from custodes.planes.alerts.ports import AlertStore
from custodes.planes.alerts.sinks import Sink, SinkFailed
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Transaction

#: Messages sent in one run, at most.
BATCH = 100

#: Attempts of one message; with the waits below they span about three hours.
MAX_ATTEMPTS = 10

#: Waits between attempts.
BACKOFF = Backoff(base=10 * SECOND, factor=3.0, cap=30 * MINUTE)

#: Longest that one sink is sent to before the others have their turn, microseconds: a receiver that takes its time for
#: each message must not make those of the others late.
TURN = 10 * SECOND

_log = get_logger("custodes.alerts")


class Dispatcher:
    """Sends what waits in the store to the sinks.

    A message is marked as sent after the sink took it, so a crash in between sends it again, with the same id. A sink
    that says "never again" is switched off, its messages are given up, and a failure is signalled, which the other
    sinks tell of.
    """

    def __init__(
        self,
        store: AlertStore,
        clock: Clock,
        random_bits: RandomBits,
        sinks: Sequence[Sink],
        emit: Callable[[FailureSignal], None],
        tenant: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits
        self._sinks = {sink.name: sink for sink in sinks}
        self._emit = emit
        self._tenant = tenant
        #: Messages that were given up, in this process.
        self.failed = 0

    @property
    def names(self) -> Sequence[str]:
        """Names of the sinks."""
        return list(self._sinks)

    async def dispatch(self) -> int:
        """Send what is due; returns how many messages were taken. Sinks do not wait for each other."""
        taken = 0
        slow: set[str] = set()
        while True:
            now = self._clock.now()
            due = await self._store.read(
                lambda tx, now=now: self._store.due_notifications(tx, now, BATCH, without=tuple(slow))
            )
            by_sink: dict[str, list[Notification]] = {}
            for notification in due:
                by_sink.setdefault(notification.sink, []).append(notification)
            sent = sum(await asyncio.gather(*(self._send_all(name, some, slow) for name, some in by_sink.items())))
            taken += sent
            # A sink that failed has nothing due any more, one that is slow waits for the next run; what was due behind
            # their messages is looked for again.
            if len(due) < BATCH or sent == len(due):
                return taken

    async def announce(self, notification: Notification) -> None:
        """Send one message to all sinks at once, kept nowhere: for when the store itself is the problem."""
        await asyncio.gather(*(self._try(sink, notification) for sink in self._sinks.values()))

    async def try_out(self, name: str, notification: Notification) -> SinkTrial:
        """Send one message to one sink, once, whatever comes of it: also to one that was switched off."""
        begun = self._clock.monotonic()
        failure = await self._try(self._sinks[name], notification)
        took = self._clock.monotonic() - begun
        return SinkTrial(name=name, taken=failure is None, error=str(failure or ""), duration=took)

    async def close(self) -> None:
        """Let go of the sinks' connections."""
        for sink in self._sinks.values():
            await sink.close()

    async def _send_all(self, name: str, notifications: Sequence[Notification], slow: set[str]) -> int:
        """Send to one sink, in order; after a failure the rest waits too, so that an outage costs one timeout.

        One whose turn is over before its messages are goes into ``slow``.
        """
        sink = self._sinks.get(name)
        taken = 0
        begun = self._clock.monotonic()
        for notification in notifications:
            if self._clock.monotonic() - begun >= TURN:
                slow.add(name)
                break
            if sink is None:
                await self._settle(notification, Delivery.FAILED, "There is no such sink any more")
                continue
            failure = await self._try(sink, notification)
            if failure is not None:
                await self._failed(notification, failure)
                break
            taken += 1
            await self._settle(notification, Delivery.SENT, "")
        return taken

    async def _try(self, sink: Sink, notification: Notification) -> SinkFailed | None:
        try:
            await sink.send(notification)
        except SinkFailed as failure:
            return failure
        except Exception as error:  # noqa: BLE001 - a sink of somebody else's may raise anything
            return SinkFailed(f"It raised {type(error).__name__}")
        return None

    async def _failed(self, notification: Notification, failure: SinkFailed) -> None:
        if failure.permanent:
            await self._switch_off(notification.sink, str(failure))
        elif notification.attempts + 1 >= MAX_ATTEMPTS:
            self.failed += 1
            await self._settle(notification, Delivery.FAILED, str(failure))
            _log.error("alert_given_up", sink=notification.sink, incident=notification.incident_id, error=str(failure))
        else:
            await self._settle(notification, Delivery.WAITING, str(failure))

    async def _settle(self, notification: Notification, state: Delivery, error: str) -> None:
        now = self._clock.now()
        attempts = notification.attempts + 1
        due_at = now + BACKOFF.delay(attempts, self._random_bits) if state is Delivery.WAITING else now

        def work(tx: Transaction) -> None:
            self._store.put_attempt(tx, notification.id, state, attempts, due_at, error, now)
            if state is Delivery.WAITING:
                # Before this one, which may be the only one that is refused.
                self._store.postpone(tx, notification.sink, due_at)

        await self._store.write(work)

    async def _switch_off(self, name: str, reason: str) -> None:
        now = self._clock.now()

        def work(tx: Transaction) -> int:
            self._store.put_sink(tx, SinkStatus(name=name, disabled_reason=reason, disabled_at=now))
            return self._store.fail_waiting(tx, name, reason, now)

        self.failed += await self._store.write(work)
        _log.error("alert_sink_disabled", sink=name, reason=reason)
        summary = f"The alert sink {name} was switched off: {reason}"
        self._emit(
            FailureSignal(
                at=now,
                tenant=self._tenant,
                system="alerts",
                name="alert.sink_disabled",
                about=(("sink", name),),
                title="An alert sink was switched off",
                summary=summary,
            )
        )
