"""Completeness: events that never arrived are found at their origin and fetched; unusual silence is told.

A comparison goes through the sender's own list, newest first, from the last proof to a little before now, and asks the
store which of a page it has. What is missing is fetched and taken in through the ordinary door: deduplicated, kept with
its job, marked ``reconciled``. When the list is at its end, the source is complete up to where the comparison began. A
comparison that reaches a bound goes on at its cursor in the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from custodes.errors import ConfigurationError, CustodesError, NotFound
from custodes.kernel.clock import DAY, MINUTE, SECOND, Clock
from custodes.kernel.health import SystemHealth, Threshold, judge
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.signals import FailureSignal
from custodes.kernel.stretches import Level, Steps
from custodes.planes.inbound.completeness_model import Proof, ago
from custodes.planes.inbound.figures import Only
from custodes.planes.inbound.model import EventFilter
from custodes.planes.inbound.origins import Gone, Listed, Origin, OriginFailed
from custodes.planes.inbound.ports import EventStore, FigureStore, ProofStore
from custodes.planes.inbound.receiver import Receipt, Registration
from custodes.planes.inbound.rhythm import LEARNED_DAYS, Silence, silence
from custodes.planes.inbound.sources.base import Verified, WebhookRequest
from custodes.runtime.bus import Bus
from custodes.runtime.log import get_logger
from custodes.runtime.outgoing.client import OutgoingClient
from custodes.runtime.outgoing.failure import OutgoingFailed
from custodes.runtime.scheduler import Scheduler
from custodes.runtime.transactions import Store, Transaction, Work, nothing

#: Between two comparisons of all sources, and between two looks for silence, seconds. A silence is told at each look,
#: so that its incident lasts as long as it does.
EVERY_SECONDS = 300.0

#: Age below which an event is not missing yet: it may be on its way, microseconds.
SETTLE = 5 * MINUTE

#: How far a comparison goes back before the last proof, for what a list shows late, microseconds.
OVERLAP = 10 * MINUTE

#: Pages and fetched events of one turn at most, and its time, seconds; the next turn goes on.
MAX_PAGES = 20
MAX_FETCHED = 500
TURN_SECONDS = 120.0

#: Furthest that a first comparison may look back, microseconds: Stripe lists 30 days.
MAX_LOOK_BACK = 30 * DAY

#: Sources whose rhythm is followed, at most.
MAX_FOLLOWED = 200

#: What the figures are held against. A comparison runs every five minutes.
THRESHOLDS = (
    Threshold(
        "unproven_seconds",
        degraded=3_600.0,
        unhealthy=21_600.0,
        unit=" s",
        says="Completeness has been unproven for {}",
    ),
    Threshold(
        "silent_sources", degraded=1.0, unhealthy=50.0, says="Sources that are silent though they should send: {}"
    ),
)

#: What failures are called where people read them.
_TITLES = {
    "webhook.gap_healed": "Webhooks had not arrived, and were fetched",
    "webhook.lost": "Webhooks are lost",
    "webhook.silent": "A source of webhooks is silent",
}

_log = get_logger("custodes.completeness")


class Door(Protocol):
    """**Protocol:** what completeness needs of the monitor."""

    def source(self, name: str) -> Registration | None:
        """Return the source of a name."""
        ...

    def list_sources(self, *, tenant: str | None = None) -> Sequence[Registration]:
        """Return the sources."""
        ...

    def admit(
        self, registration: Registration, verified: Verified, request: WebhookRequest, *, trace_id: str
    ) -> Awaitable[Receipt]:
        """Take an event in that was fetched."""
        ...


@dataclass(slots=True)
class _Turn:
    """A comparison on its way."""

    #: What is known by now.
    proof: Proof
    #: Events that the sender was asked for.
    asked: int = 0


class Completeness:
    """Proves that nothing is missing, and fetches what is.

    Args:
        door: takes in what was fetched.
        store: runs units of work.
        events: where events are kept.
        figures: where counts are kept.
        proofs: where proofs are kept.
        client: asks origins.
        clock: source of time.
        random_bits: source of randomness for trace ids.
        bus: where findings are told.
        scheduler: runs it, on the leader.
    """

    def __init__(
        self,
        door: Door,
        *,
        store: Store,
        events: EventStore,
        figures: FigureStore,
        proofs: ProofStore,
        client: OutgoingClient,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        scheduler: Scheduler,
    ) -> None:
        self._door = door
        self._store = store
        self._events = events
        self._figures = figures
        self._proofs = proofs
        self._client = client
        self._clock = clock
        self._random_bits = random_bits
        self._bus = bus
        self._origins: dict[str, tuple[Origin, int]] = {}
        self._turn = asyncio.Lock()
        scheduler.every(EVERY_SECONDS, "inbound.completeness", self.reconcile_all)
        scheduler.every(EVERY_SECONDS, "inbound.silence", self.look_for_silence)

    async def start(self) -> None:
        """Nothing: the scheduler runs it."""

    async def stop(self) -> None:
        """Nothing: the scheduler runs it."""

    # ── Which sources ────────────────────────────────────────────────────────

    def add_origin(self, source: str, origin: Origin, *, look_back: int = 0) -> None:
        """Have the events of a source compared with what its sender lists.

        Args:
            source: name of the source; its kind is that of the origin.
            origin: the sender's list.
            look_back: how far the first comparison looks back, microseconds. 0: what was sent before is not fetched,
                for it may have been handled elsewhere.

        Raises:
            ConfigurationError: no such source, or of another kind, or it has an origin, or the time cannot be.
        """
        registration = self._door.source(source)
        if registration is None or type(registration.source).name != origin.kind:
            msg = f"There is no source {source[:60]!r} of kind {origin.kind}"
            raise ConfigurationError(msg, remedy="Add the source first: custodes.source(…)")
        if source in self._origins:
            msg = f"The source {source!r} has an origin already"
            raise ConfigurationError(msg, remedy="Give each source one")
        if not 0 <= look_back <= MAX_LOOK_BACK:
            msg = "A first comparison cannot look back so far"
            raise ConfigurationError(msg, remedy=f"Give 0 to {MAX_LOOK_BACK // DAY} days")
        self._origins[source] = (origin, look_back)

    # ── What is missing ──────────────────────────────────────────────────────

    async def reconcile_all(self) -> None:
        """Compare every source that has an origin; one that fails stops no other."""
        for name in list(self._origins):
            try:
                await self.reconcile(name)
            except CustodesError as error:
                _log.warning("source_not_compared", source=name, error=error.message)

    async def reconcile(self, source: str, *, tenant: str | None = None, also: Work = nothing) -> Proof:
        """Compare a source with its origin now, and fetch what is missing.

        Args:
            source: name of the source.
            tenant: only if it is this tenant's.
            also: what commits with the result.

        Raises:
            NotFound: no such source, or none that has an origin.
        """
        registration = self._door.source(source)
        if registration is None or source not in self._origins or tenant not in (None, registration.tenant):
            msg = "No such source with an origin"
            raise NotFound(msg, remedy="See docs/planes/inbound.md for how to give it one")
        async with self._turn:
            return await self._compare(registration, *self._origins[source], also)

    async def _compare(self, registration: Registration, origin: Origin, look_back: int, also: Work) -> Proof:
        now = self._clock.now()
        before = await self._read(registration)
        if before.since is None:
            before = replace(before, since=now - look_back, proven_until=now - look_back)
        turn = _Turn(replace(before, asked_at=now, error="", window_until=before.window_until or now - SETTLE))
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._go_through(registration, origin, turn)
        except TimeoutError:
            pass  # a turn's time is up: the next one goes on at the cursor
        except OriginFailed as error:
            # It may be the cursor that the sender does not take any more: begin anew, and count anew what is lost.
            turn.proof = replace(turn.proof, error=error.message, window_until=None, cursor="", lost=before.lost)
        except OutgoingFailed as error:
            turn.proof = replace(turn.proof, error=error.message)
        proof = turn.proof
        await self._write(proof, also)
        self._tell_found(proof, proof.fetched - before.fetched, proof.lost - before.lost)
        return proof

    async def _go_through(self, registration: Registration, origin: Origin, turn: _Turn) -> None:
        """Go through the list of a sender, as far as the bounds of a turn allow."""
        tenant, source = registration.tenant, registration.source.name
        since, proven, until = turn.proof.since or 0, turn.proof.proven_until or 0, turn.proof.window_until or 0
        if until <= proven:
            turn.proof = replace(turn.proof, window_until=None, cursor="")
            return
        begin = max(since, proven - OVERLAP)
        for _ in range(MAX_PAGES):
            page = await origin.page(self._client, begin, until, turn.proof.cursor)
            ids = [listed.event_id for listed in page.items]
            known = await self._store.read(lambda tx, ids=ids: self._events.known(tx, tenant, source, ids))
            lost = 0
            for listed in reversed(page.items):  # oldest first
                if listed.event_id not in known:
                    if turn.asked >= MAX_FETCHED:
                        return  # this page again in the next turn: what was fetched is known then
                    lost += not await self._fetched(registration, origin, listed, turn) and listed.at > proven
            # With the page, so that a page that comes again is not counted again; those of the overlap were before.
            turn.proof = replace(turn.proof, lost=turn.proof.lost + lost)
            if not page.next_cursor:
                turn.proof = replace(
                    turn.proof, proven_until=until, proven_at=self._clock.now(), window_until=None, cursor=""
                )
                return
            turn.proof = replace(turn.proof, cursor=page.next_cursor)

    async def _fetched(self, registration: Registration, origin: Origin, listed: Listed, turn: _Turn) -> bool:
        """Fetch an event and take it in; False when the sender has it no more."""
        source, now = registration.source, self._clock.now()
        turn.asked += 1
        try:
            verified, request = await origin.fetch(self._client, source, listed, now)
            if len(request.body) > source.max_body:
                msg = "The event is larger than its source takes"
                raise Gone(msg)
        except Gone:
            return False
        trace_id = uuid7(now, self._random_bits).replace("-", "")
        receipt = await self._door.admit(registration, verified, request, trace_id=trace_id)
        if receipt.first:
            turn.proof = replace(turn.proof, fetched=turn.proof.fetched + 1)
        return True

    def _tell_found(self, proof: Proof, fetched: int, lost: int) -> None:
        if fetched > 0:
            text = f"{_events(fetched)} of {proof.source} had never arrived, fetched from the sender"
            self._tell("webhook.gap_healed", text, proof, events=fetched)
        if lost > 0:
            text = f"{_events(lost)} of {proof.source} never arrived, and the sender keeps no copy"
            self._tell("webhook.lost", text, proof, events=lost)

    # ── Silence ──────────────────────────────────────────────────────────────

    async def look_for_silence(self) -> None:
        """Hold the silence of every source against its rhythm, and tell of what is unusual."""
        now = self._clock.now()
        for registration in self._door.list_sources()[:MAX_FOLLOWED]:
            tenant, source = registration.tenant, registration.source.name
            found, last_at = await self._store.read(
                lambda tx, tenant=tenant, source=source: self._silence(tx, tenant, source, now)
            )
            proof = await self._read(registration)
            if found is None and proof.silent_since is not None and last_at == proof.silent_since:
                found = Silence(proof.silent_since, proof.silent_expected)  # older than what its rhythm can tell
            since, expected = (found.since, found.expected) if found else (None, 0)
            if (since, expected) != (proof.silent_since, proof.silent_expected):
                await self._write(replace(proof, silent_since=since, silent_expected=expected))
            if found:
                length = ago(now - found.since)
                text = f"No event of {source} for {length}; usually {found.expected} come in this time"
                self._tell("webhook.silent", text, proof, expected=found.expected)

    def _silence(self, tx: Transaction, tenant: str, source: str, now: int) -> tuple[Silence | None, int | None]:
        newest = self._events.find(tx, EventFilter(tenant=tenant, source=source), limit=1, cursor=None).items
        if not newest:
            return None, None
        last_at = newest[0].received_at
        since = now - (LEARNED_DAYS + 1) * DAY
        sums = self._figures.sums(tx, tenant, Steps.of(Level.HOUR, since, now + 1), Only.of(source, None))
        hours = {at: its.received for (at, _), its in sums.by_source.items()}
        return silence(hours, last_at, now), last_at

    # ── What is known ────────────────────────────────────────────────────────

    async def list_proofs(self, *, tenant: str | None = None) -> Sequence[Proof]:
        """Return what is known of every source, also of those without an origin, by name."""
        known = {
            (proof.tenant, proof.source): proof for proof in await self._store.read(lambda tx: self._all(tx, tenant))
        }
        for each in self._door.list_sources(tenant=tenant):
            key = each.tenant, each.source.name
            known.setdefault(key, Proof(tenant=key[0], source=key[1]))
        return [known[key] for key in sorted(known, key=lambda key: (key[1], key[0]))]

    def has_origin(self, source: str) -> bool:
        """Tell whether the events of a source are compared with its sender's list."""
        return source in self._origins

    async def get_health_status(self, *, tenant: str | None = None) -> SystemHealth:
        """Judge how complete the webhooks are, of one tenant or of all."""
        now = self._clock.now()
        proofs = await self._store.read(lambda tx: self._all(tx, tenant))
        compared = [proof for proof in proofs if proof.source in self._origins and proof.proven_until is not None]
        figures = {
            "compared_sources": float(len(self._origins)),
            "silent_sources": float(sum(proof.silent_since is not None for proof in proofs)),
            "fetched_events": float(sum(proof.fetched for proof in compared)),
            "lost_events": float(sum(proof.lost for proof in compared)),
        }
        if compared:
            # The oldest moment up to which something is proven; what is younger than SETTLE cannot be.
            oldest = min(proof.proven_until or 0 for proof in compared)
            figures["unproven_seconds"] = max(0, now - SETTLE - oldest) / SECOND
        return judge("webhook_completeness", figures, THRESHOLDS)

    # ── Parts ────────────────────────────────────────────────────────────────

    def _all(self, tx: Transaction, tenant: str | None) -> Sequence[Proof]:
        return self._proofs.all(tx, tenant)

    async def _read(self, registration: Registration) -> Proof:
        tenant, source = registration.tenant, registration.source.name
        found = await self._store.read(lambda tx: self._proofs.get(tx, tenant, source))
        return found or Proof(tenant=tenant, source=source)

    async def _write(self, proof: Proof, also: Work = nothing) -> None:
        def work(tx: Transaction) -> None:
            self._proofs.put(tx, proof)
            also(tx)

        await self._store.write(work)

    def _tell(self, name: str, text: str, proof: Proof, **context: object) -> None:
        facts: Mapping[str, object] = {"source": proof.source, **context}
        at = self._clock.now()
        self._bus.emit(
            FailureSignal(
                at=at,
                tenant=proof.tenant,
                system="webhooks",
                name=name,
                about=(("source", proof.source),),
                title=_TITLES[name],
                summary=text,
                context=facts,
            )
        )


def _events(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"
