"""Forwarding: incoming webhooks go on to a URL, by the same engine as those of our own.

Each source that is forwarded has one endpoint, which gets nothing else. Its id is made of tenant and source, so that
every process of an install means the same one, whichever makes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.tenant import check_tenant
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.emitter import Emission, Emitter
from custodes.planes.outbound.headers import forwarded_headers
from custodes.planes.outbound.keys import Keys
from custodes.planes.outbound.model import Endpoint, Message, Options
from custodes.planes.outbound.ports import EndpointStore
from custodes.runtime.transactions import Store, Transaction

#: Headers that say where a forwarded webhook came from: the name of its source, and its id here.
SOURCE_HEADER = "custodes-source"
EVENT_HEADER = "custodes-event"

#: Longest type of an event that is kept, characters; and of the kind of its body.
_MAX_TYPE = 255
_MAX_CONTENT_TYPE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """A webhook that came in and goes on."""

    #: Whose it is.
    tenant: str
    #: Name of the source.
    source: str
    #: Id of the event.
    event_id: str
    #: The sender's name of what happened; empty when it gives none.
    event_type: str
    #: The exact bytes.
    body: bytes
    #: As they came, names in lower case, values as latin-1.
    headers: Sequence[tuple[str, str]]
    #: Trace that it belongs to.
    trace_id: str
    #: What goes on with it, as :attr:`custodes.kernel.trace.Trace.context` writes it; empty when unknown.
    trace_context: str = ""
    #: Tells apart when it goes on again, on purpose; empty the first time.
    again: str = ""


class Forwarder:
    """Forwards; keeps the endpoints that it forwards to."""

    def __init__(
        self,
        *,
        store: Store,
        endpoints: EndpointStore,
        keys: Keys,
        emitter: Emitter,
        clock: Clock,
        random_bits: RandomBits,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._keys = keys
        self._emitter = emitter
        self._clock = clock
        self._random_bits = random_bits

    async def keep_endpoint(self, source: str, url: str, tenant: str) -> Endpoint:
        """Make the endpoint of a source, or have it lead where it leads now; idempotent, in whatever process.

        Raises:
            InvalidInput: the URL or the tenant is none.
            ConfigurationError: there is no key to seal its secret with.
        """
        check_tenant(tenant)
        now = self._clock.now()
        fresh = Endpoint(
            id=endpoint_of(tenant, source),
            tenant=tenant,
            url=checked_url(url, allow_http=True, name=f"The URL that webhooks of {source} go on to"),
            description=f"Webhooks of the source {source}, forwarded",
            event_types=(f"{source}/*",),
            options=Options(disable_after=0),  # it is the operator's own: it is waited for, however long
            source=source,
            created_at=now,
            updated_at=now,
            held_before=now,  # what a removed one has held stays so: it may have led elsewhere
        )

        def work(tx: Transaction) -> Endpoint:
            known = self._endpoints.find(tx, tenant, fresh.id, locked=True)
            if known is not None:
                if known.url == fresh.url:
                    return known
                wanted = replace(known, url=fresh.url, updated_at=now)
            else:  # put() makes a new one of the tombstone of an old one
                wanted = fresh
            self._endpoints.put(tx, wanted)
            self._keys.complete(tx, wanted)
            return wanted

        return await self._store.write(work)

    async def forward(self, forward: Forward) -> Message:
        """Put a webhook in for the endpoint of its source; once, however often it is asked for.

        Raises:
            NotFound: the endpoint is not there (any more); nothing was put in.
            StorageUnavailable: nothing was put in.
        """
        return await self._emitter.put(self._draft(forward))

    def _draft(self, forward: Forward) -> Emission:
        now = self._clock.now()
        kind = f"{forward.source}/{forward.event_type}" if forward.event_type else forward.source
        headers = forwarded_headers(forward.headers)
        told = {**headers, SOURCE_HEADER: forward.source, EVENT_HEADER: forward.event_id}
        message = Message(
            id=uuid7(now, self._random_bits),
            tenant=forward.tenant,
            event_type=kind[:_MAX_TYPE],
            created_at=now,
            idempotency_key=":".join(filter(None, ("forward", forward.event_id, forward.again))),
            trace_id=forward.trace_id,
            trace_context=forward.trace_context,
            content_type=headers.get("content-type", "")[:_MAX_CONTENT_TYPE],
            headers=tuple(told.items()),
        )
        return Emission(message, {"": forward.body}, only=endpoint_of(forward.tenant, forward.source))


def endpoint_of(tenant: str, source: str) -> str:
    """Return the id of a source's endpoint: a UUIDv7 of no moment, so it stands last in lists."""
    digest = hashlib.sha256(f"{tenant}\0{source}".encode()).digest()
    return uuid7(0, lambda bits: int.from_bytes(digest) >> (len(digest) * 8 - bits))
