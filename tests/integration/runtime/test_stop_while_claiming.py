"""A process told to stop just after it has leased events is done with them, or hands them on, before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from custodes import Custodes
from custodes.planes.inbound.model import JOB_KIND, Status
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.runtime.worker import Worker
from custodes.testing import FakeClock, signed_webhook


class Gate:
    """A store that tells when the first write has committed, and only then lets its caller know."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.committed = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def write(self, work: Callable[[Any], Any], *, durable: bool = True) -> Any:
        result = await self._store.write(work, durable=durable)
        self.committed.set()
        await self.goes_on.wait()
        return result


async def test_what_was_leased_while_stopping_is_done(custodes: Custodes, custodes_clock: FakeClock):
    # Given an event that waits
    handled: list[str] = []
    source = custodes.source("stripe", secrets=["whsec_test"])

    @custodes.webhook("stripe")
    async def handle(event):
        handled.append(event.event_id)

    webhook = signed_webhook("stripe", {"id": "evt_1", "type": "a.b"}, "whsec_test", now=custodes_clock.now())
    raw = [(name.lower().encode(), value.encode()) for name, value in webhook.headers.items()]
    registration = custodes.inbound.source(source.name)
    assert registration is not None
    await custodes.inbound.receive(registration, WebhookRequest(Headers(raw), webhook.body), trace_id="", client_ip="")

    # When a worker is stopped between the commit of its lease and hearing of it
    worker: Worker = custodes.inbound.worker
    gate = Gate(custodes.database)
    real, worker._store = worker._store, gate
    await worker.start()
    await gate.committed.wait()
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    worker._store = real
    gate.goes_on.set()
    await stopping

    # Then the event is done
    assert handled == ["evt_1"]
    assert [event.status for event in (await custodes.inbound.list_events()).items] == [Status.SUCCEEDED]
    assert worker.kind == JOB_KIND
