"""Replay: having stored events handled again, one or a selection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from custodes.errors import Conflict, InvalidInput, NotFound
from custodes.kernel.clock import HOUR, Clock
from custodes.planes.inbound.model import FINISHED, JOB_KIND, MAX_COUNTED, EventFilter, EventRecord, Status
from custodes.planes.inbound.ports import EventStore
from custodes.runtime.jobs import Jobs, NewJob
from custodes.runtime.transactions import Store, Transaction, Work, nothing
from custodes.runtime.worker import Worker

#: How long after it came an event that the host handles by itself, and nobody else is at, is taken to be under way,
#: microseconds: longer than anybody is at a webhook. Who has not said the end of it by then has died over it.
ABANDONED_AFTER = HOUR

#: Events that one call replays at most; the answer says where to go on.
MAX_SELECTION = 1_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of a selection did, or would do."""

    #: Ids of the events, newest first.
    event_ids: Sequence[str]
    #: Events of the selection that were left alone: a worker is at them.
    skipped: Sequence[str]
    #: Cursor to go on from; None when the whole selection is done.
    next_cursor: str | None
    #: Whether nothing was done.
    dry_run: bool
    #: Events of the whole selection, counted up to :data:`custodes.planes.inbound.model.MAX_COUNTED`; None unless dry.
    total: int | None = None


def untold(_: Replayed) -> Work:
    """Do nothing beside the replay of a selection."""
    return nothing


class Replays:
    """Gives stored events to the handlers again: all handlers, whatever they did before.

    An event that waits for its next try is tried at once, and keeps what its handlers have done.

    Args:
        store: where works are done.
        events: the events.
        jobs: their jobs.
        worker: does the jobs, and knows by which time who is at them.
        clock: source of time.
    """

    def __init__(self, *, store: Store, events: EventStore, jobs: Jobs, worker: Worker[Any], clock: Clock) -> None:
        self._store = store
        self._events = events
        self._jobs = jobs
        self._worker = worker
        self._clock = clock

    async def one(self, event_id: str, *, tenant: str | None, also: Work = nothing) -> EventRecord:
        """Replay one event.

        Raises:
            NotFound: no such event, or not this tenant's.
            Conflict: a worker is at it right now, or the host has said within the last hour that it is.
        """

        def work(tx: Transaction) -> EventRecord:
            self._events.hold(tx, [event_id])
            event = self._events.get(tx, tenant, event_id)
            if event is None:
                msg = "No such webhook event"
                raise NotFound(msg, remedy="Take the id from the list of webhook events")
            if not self._again(tx, event):
                raise self._refused(tx, event)
            also(tx)
            return self._events.get(tx, tenant, event_id) or event

        return await self._store.write(work)

    async def many(
        self, wanted: EventFilter, *, limit: int, cursor: str | None, dry_run: bool, also: Callable[[Replayed], Work]
    ) -> Replayed:
        """Replay the events that a filter means, newest first, all in one transaction.

        Args:
            wanted: which events.
            limit: events of this call at most.
            cursor: where the call before ended.
            dry_run: only say which, and how many the whole selection has.
            also: told what was replayed; its work commits with the replay.

        Raises:
            InvalidInput: the limit or the cursor is not acceptable.
        """
        if not 1 <= limit <= MAX_SELECTION:
            msg = f"The limit is {limit}"
            raise InvalidInput(msg, remedy=f"Give 1 to {MAX_SELECTION}, and go on with the cursor of the answer")

        def work(tx: Transaction) -> Replayed:
            page = self._events.find(tx, wanted, limit=limit, cursor=cursor)
            done, skipped = list[str](), list[str]()
            ids = [event.id for event in page.items]
            there = set(ids) if dry_run else self._events.hold(tx, ids)
            for event in (
                one for one in page.items if one.id in there
            ):  # the others were too old, and deleted just now
                replayed = not self._is_held(tx, event) if dry_run else self._again(tx, event)
                (done if replayed else skipped).append(event.id)
            if dry_run:
                return Replayed(done, skipped, page.next_cursor, dry_run, self._events.count(tx, wanted, MAX_COUNTED))
            replays = Replayed(done, skipped, page.next_cursor, dry_run)
            also(replays)(tx)
            return replays

        return await (self._store.read(work) if dry_run else self._store.write(work))

    def _again(self, tx: Transaction, event: EventRecord) -> bool:
        if self._is_held(tx, event):
            return False
        now = self._worker.at_once()
        was_without_job = self._jobs.put(tx, NewJob(event.tenant, JOB_KIND, event.id, event.source, now))
        if event.status in FINISHED or (event.status is Status.PROCESSING and was_without_job):
            self._events.reopen(tx, [event.id])
        if not was_without_job:
            self._jobs.hasten(tx, JOB_KIND, event.id, now)
        return True

    def _is_held(self, tx: Transaction, event: EventRecord) -> bool:
        """Tell whether somebody is at an event: a worker, by its lease, or the host, which has said so lately."""
        return event.status is Status.PROCESSING and (
            self._clock.now() < event.received_at + ABANDONED_AFTER or self._is_leased(tx, event)
        )

    def _is_leased(self, tx: Transaction, event: EventRecord) -> bool:
        return self._worker.is_at(tx, event.id)

    def _refused(self, tx: Transaction, event: EventRecord) -> Conflict:
        if self._is_leased(tx, event):
            return Conflict("A worker is at this event right now", remedy="Wait until it is done, then replay it")
        return Conflict(
            "The application has said that it is at this event",
            remedy="Say how it ended (update_webhook_status), or replay it an hour after it was received",
        )
