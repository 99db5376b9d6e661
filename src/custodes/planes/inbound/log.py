"""The webhook log: events by hand, and reading what is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from custodes.errors import InvalidInput, NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.redact import storable
from custodes.kernel.spelling import one_of
from custodes.kernel.tenant import check_tenant
from custodes.planes.inbound.model import (
    Arrival,
    Attempt,
    Ending,
    EventFilter,
    EventRecord,
    Facets,
    Payload,
    Status,
    Verdict,
)
from custodes.planes.inbound.ports import EventStore
from custodes.planes.inbound.receiver import masked_headers
from custodes.planes.inbound.recorder import Recorder
from custodes.planes.inbound.sources.base import Headers
from custodes.runtime.transactions import Store, Transaction, Work, nothing

T = TypeVar("T")

#: Longest text that is kept of an error told by the host, characters.
_MAX_ERROR = 2_000


class WebhookLog:
    """The stored events: what the host logs by itself, and what can be read of all."""

    def __init__(
        self,
        *,
        store: Store,
        events: EventStore,
        recorder: Recorder,
        clock: Clock,
        random_bits: RandomBits,
        tenant: str,
    ) -> None:
        self._store = store
        self._events = events
        self._recorder = recorder
        self._clock = clock
        self._random_bits = random_bits
        self._tenant = tenant

    # ── By hand ──────────────────────────────────────────────────────────────

    async def log_webhook_event(
        self,
        source: str,
        event_type: str,
        payload: bytes | str | Mapping[str, object],
        *,
        event_id: str = "",
        headers: Iterable[tuple[bytes, bytes]] = (),
        status: Status | str = Status.SUCCEEDED,
        verified: bool = False,
        tenant: str = "",
        client_ip: str = "",
        trace_id: str = "",
        connection: object = None,
    ) -> EventRecord:
        """Log a webhook that the host received by itself.

        Args:
            source: who sent it.
            event_type: what happened, in the sender's words.
            payload: the exact bytes; a mapping is written as JSON.
            event_id: the sender's id; a second event with the same one is the same event.
            headers: as received.
            status: where it is on its way; it is not handed to handlers.
            verified: whether the host has checked its signature.
            tenant: whose it is.
            client_ip: where it came from.
            trace_id: trace that it belongs to.
            connection: SQLAlchemy handle of the caller's own transaction, to commit with it.

        Raises:
            InvalidInput: a value is too long, the tenant is no tenant id, the payload is nothing that can be written as
                JSON, or there is no such status.
            StorageUnavailable: it was not kept.
        """
        now = self._clock.now()
        known = one_of(Status, status, "status of a webhook event")
        whose = tenant or self._tenant
        check_tenant(whose)
        body = _bytes_of(payload)
        identifier = uuid7(now, self._random_bits)
        arrival = Arrival(
            whose,
            identifier,
            now,
            _short("source", source, 64),
            _short("event_id", event_id, 255),
            _short("event_type", event_type, 255),
            event_id or identifier,
            Verdict.VERIFIED if verified else Verdict.UNVERIFIED,
            _short("trace_id", trace_id, 32) or identifier.replace("-", ""),
            _short("client_ip", client_ip, 45),
            len(body),
            masked_headers(Headers(headers)),
            body,
        )

        def work(tx: Transaction) -> EventRecord:
            kept = self._events.log(tx, arrival, known)
            return _found(self._events.get(tx, arrival.tenant, kept))

        record = await (self._store.write(work) if connection is None else self._store.join(connection, work))
        if record.id == identifier:
            self._recorder.logged(record)
        return record

    async def update_webhook_status(
        self,
        event_id: str,
        status: Status | str,
        *,
        error: str | None = None,
        processing_us: int | None = None,
        tenant: str | None = None,
        also: Work = nothing,
    ) -> EventRecord:
        """Say where an event is on its way, when the host handles it by itself.

        Raises:
            NotFound: no such event, or not this tenant's.
            InvalidInput: there is no such status.
        """
        now = self._clock.now()
        known = one_of(Status, status, "status of a webhook event")
        message = None if error is None else storable(error[:_MAX_ERROR])

        def work(tx: Transaction) -> EventRecord:
            event = _found(self._events.get(tx, tenant, event_id))
            ending = Ending(
                event_id=event_id,
                status=known,
                progress=event.progress,
                at=now,
                processing_us=processing_us,
                next_retry_at=None,
                error=message,
            )
            self._events.conclude(tx, [ending])
            also(tx)
            return _found(self._events.get(tx, tenant, event_id))

        record = await self._store.write(work)
        self._recorder.updated(record)
        return record

    # ── Reading ──────────────────────────────────────────────────────────────────

    async def list_events(
        self, wanted: EventFilter | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[EventRecord]:
        """Return events without their payloads, newest first."""
        chosen = wanted or EventFilter()
        return await self._store.read(lambda tx: self._events.find(tx, chosen, limit=limit, cursor=cursor))

    async def count_facets(self, wanted: EventFilter | None = None) -> Facets:
        """Count events by source, type, state and verdict, each with the other filters in force; the newest only."""
        chosen = wanted or EventFilter()
        return await self._store.read(lambda tx: self._events.facets(tx, chosen))

    async def get_event(self, event_id: str, *, tenant: str | None = None) -> EventRecord:
        """Return one event without its payload, or raise ``NotFound``."""
        return _found(await self._store.read(lambda tx: self._events.get(tx, tenant, event_id)))

    async def get_payload(self, event_id: str, *, tenant: str | None = None) -> Payload:
        """Return what was received, exactly, or raise ``NotFound``."""
        return _found(await self._store.read(lambda tx: self._events.payload(tx, tenant, event_id)))

    async def list_attempts(
        self, event_id: str, *, tenant: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Sequence[Attempt]:
        """Return the attempts at one event, newest first, or raise ``NotFound``."""

        def work(tx: Transaction) -> Sequence[Attempt]:
            _found(self._events.get(tx, tenant, event_id))
            return self._events.attempts(tx, tenant, event_id, limit)

        return await self._store.read(work)


def _found(thing: T | None) -> T:
    if thing is None:
        msg = "No such webhook event"
        raise NotFound(msg, remedy="Take the id from the list of webhook events")
    return thing


def _bytes_of(payload: bytes | str | Mapping[str, object]) -> bytes:
    if isinstance(payload, bytes):
        return payload
    try:
        return (
            payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"), allow_nan=False)
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"The payload cannot be written as JSON: {str(error)[:200]}"
        raise InvalidInput(msg, remedy="Give bytes, text, or a mapping of what JSON can say") from None


def _short(name: str, text: str, longest: int) -> str:
    if len(text) > longest or storable(text) != text:
        msg = f"{name} has {len(text)} characters or one that cannot be kept"
        raise InvalidInput(msg, remedy=f"Give at most {longest} characters, no NUL and no half of a surrogate pair")
    return text
