"""A webhook monitor on a real store, with a clock that stands still."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from custodes.kernel.sealing import Sealer
from custodes.kernel.signals import FailureSignal, SecuritySignal, Signal
from custodes.planes.inbound.monitor import WebhookMonitor
from custodes.planes.inbound.receiver import Receipt
from custodes.planes.inbound.sources.registry import make_source
from custodes.runtime.bus import Bus
from custodes.storage.sql.database import Database
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_figures import SqlFigureStore
from custodes.storage.sql.inbound_roster import SqlPresenceStore
from custodes.storage.sql.inbound_rotation import SqlSecretStore
from custodes.storage.sql.jobs import SqlJobs
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

SECRET = "whsec_test_of_the_inbound_plane"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SEALER = Sealer(["an install's key, which is long enough"], lambda bits: 1)


class House:
    """A monitor, what it tells the bus, and a sender."""

    def __init__(
        self,
        database: Database,
        clock: FakeClock,
        random_bits,
        writer: str = "w1",
        sealer=lambda: SEALER,
        **options: Any,
    ) -> None:
        self.database = database
        self.clock = clock
        self.bus = Bus()
        self.told: list[Signal] = []
        self.bus.subscribe(SecuritySignal, self.told.append)
        self.bus.subscribe(FailureSignal, self.told.append)
        self.inbound = WebhookMonitor(
            store=database,
            events=SqlEventStore(database),
            figures=SqlFigureStore(),
            presences=SqlPresenceStore(),
            secrets=SqlSecretStore(),
            sealer=sealer,
            jobs=SqlJobs(),
            clock=clock,
            random_bits=random_bits,
            bus=self.bus,
            tenant="default",
            writer=lambda: writer,
            **options,
        )
        self.inbound.add_source(make_source("stripe", [SECRET]))

    async def deliver(
        self, event_id: str = "evt_1", event_type: str = "invoice.paid", *, secret: str = SECRET, **more: Any
    ) -> Receipt:
        """Deliver an event as Stripe would."""
        body = json.dumps({"id": event_id, "type": event_type, **more}).encode()
        signed = signed_webhook("stripe", body, secret, now=self.clock.now())
        registration = self.inbound.source("stripe")
        assert registration is not None
        return await self.inbound.receive(registration, signed.request, trace_id=TRACE, client_ip="203.0.113.9")

    def actions(self) -> list[str]:
        """Names of what was told, in order."""
        return [signal.action if isinstance(signal, SecuritySignal) else signal.name for signal in self.told]


@pytest.fixture
async def house(database: Database, clock: FakeClock, random_bits) -> AsyncIterator[House]:
    made = House(database, clock, random_bits)
    yield made
    await made.inbound.stop()
