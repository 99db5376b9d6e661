"""Emitting: an event and its deliveries, in one transaction, the caller's own when there is one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from custodes.errors import Conflict, CustodesError, InvalidInput, NotFound, PayloadTooLarge
from custodes.kernel.clock import Clock, to_iso
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.json_bounds import JsonBounds, parse_json
from custodes.kernel.tenant import valid_tenant
from custodes.planes.outbound.catalogue import OWN_PREFIX, Catalogue, checked_type
from custodes.planes.outbound.filters import matches
from custodes.planes.outbound.match import matches_payload
from custodes.planes.outbound.mender import Mender
from custodes.planes.outbound.model import Delivery, DeliveryStatus, Endpoint, EndpointState, Message
from custodes.planes.outbound.ports import DeliveryStore, EndpointStore, Line
from custodes.planes.outbound.rules import checked_channels
from custodes.runtime.batches import Batches
from custodes.runtime.current import current_trace
from custodes.runtime.transactions import Store, Transaction

#: Largest body, bytes: what receivers commonly take (the specification recommends below 20 kB).
MAX_BODY = 1_048_576

#: Type of what is sent to try an endpoint: one attempt, which says nothing of its health.
TEST = f"{OWN_PREFIX}test"

#: Longest keys, characters.
MAX_KEY = 255

_BOUNDS = JsonBounds(size=MAX_BODY, nodes=100_000)

#: Makes an older version of a payload out of the newest.
Converter = Callable[[Any], Any]


@dataclass(frozen=True)
class Emission:
    """An event that is ready to be put in."""

    #: The event.
    message: Message
    #: What is sent, by version; ``""`` is the newest.
    bodies: Mapping[str, bytes]
    #: Whether the payload stands in an envelope of ours; else the body is what was given, byte for byte.
    enveloped: bool = False
    #: Only to this endpoint, whatever it subscribes to: a test, or what is forwarded. Empty: to all that want it.
    only: str = ""

    @cached_property
    def content(self) -> Any:
        """What filters look at: the body as its receivers read it; None when it is not JSON, or beyond our bounds."""
        body = self.bodies[""]
        if self.enveloped:
            return json.loads(body)
        if "json" not in self.message.content_type:
            return None
        try:
            return parse_json(body, _BOUNDS)
        except InvalidInput:
            return None

    def data(self) -> Any:
        """Return what the schema of its type is of: the payload without the envelope."""
        return self.content["data"] if self.enveloped else self.content


@dataclass(frozen=True, slots=True)
class Put:
    """What became of an emission."""

    #: The event; the one before when it was emitted with the same idempotency key.
    message: Message
    #: Deliveries that were made.
    deliveries: Sequence[Delivery] = ()
    #: Why it was not put in; None when it was.
    error: CustodesError | None = None


@dataclass(slots=True)
class _Draft:
    bodies: list[tuple[Message, str, bytes]] = field(default_factory=list[tuple[Message, str, bytes]])
    deliveries: list[Delivery] = field(default_factory=list[Delivery])


class Emitter:
    """Puts events in.

    Events that are emitted side by side share transactions; each is durable when its ``emit`` returns.
    """

    def __init__(
        self,
        *,
        store: Store,
        endpoints: EndpointStore,
        deliveries: DeliveryStore,
        catalogue: Catalogue,
        clock: Clock,
        random_bits: RandomBits,
        default_tenant: str,
        mender: Mender,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._catalogue = catalogue
        self._clock = clock
        self._random_bits = random_bits
        self._default_tenant = default_tenant
        self._mender = mender
        #: Has the deliverer look for what was put in.
        self.wake = wake
        self._converters: dict[str, dict[str, Converter]] = {}
        self._batches: Batches[Emission, Put] = Batches(self._write)

    def converter(self, event_type: str, version: str, function: Converter) -> None:
        """Have payloads of a type converted for endpoints that are pinned to a version."""
        self._converters.setdefault(checked_type(event_type), {})[version] = function

    async def emit(
        self,
        event_type: str,
        payload: object,
        *,
        tenant: str = "",
        idempotency_key: str = "",
        order_key: str = "",
        channels: Iterable[str] = (),
        content_type: str = "application/json",
        trace_id: str | None = None,
        connection: object = None,
    ) -> Message:
        """Emit an event; see :meth:`custodes.planes.outbound.webhooks.OutgoingWebhooks.emit`."""
        if event_type.startswith(OWN_PREFIX):
            msg = f"Event types below {OWN_PREFIX} are our own"
            raise InvalidInput(msg, remedy="Choose another first word")
        trace = current_trace()
        if trace_id is None:
            trace_id = trace.trace_id if trace is not None else ""
        emission = self.draft(
            event_type,
            payload,
            tenant=tenant,
            idempotency_key=idempotency_key,
            order_key=order_key,
            channels=channels,
            content_type=content_type,
            trace_id=trace_id,
            trace_context=trace.context if trace is not None and trace.trace_id == trace_id else "",
        )
        await self._catalogue.check(event_type, emission.data)
        if connection is None:
            return await self.put(emission)
        made: list[Delivery] = []

        def committed() -> None:
            self.wake()
            self._mender.look_soon(made)

        def insert(tx: Transaction) -> list[Put]:
            return self.insert(tx, [emission], joined=True)

        [put] = await self._store.join(connection, insert, committed=committed)
        made += put.deliveries
        if put.error is not None:
            raise put.error
        return put.message

    async def put(self, emission: Emission) -> Message:
        """Put an event in that was drafted; it is durable when this returns.

        Raises:
            Conflict: another event was emitted with this idempotency key.
            NotFound: the only endpoint that it is for is gone.
            StorageUnavailable: nothing was kept.
        """
        put = await self._batches.do(emission)
        if put.error is not None:
            raise put.error
        if put.deliveries:
            self.wake()
        return put.message

    def draft(
        self,
        event_type: str,
        payload: object,
        *,
        tenant: str = "",
        idempotency_key: str = "",
        order_key: str = "",
        channels: Iterable[str] = (),
        content_type: str = "application/json",
        trace_id: str = "",
        trace_context: str = "",
        only: str = "",
    ) -> Emission:
        """Write an event, without asking the catalogue.

        Raises:
            InvalidInput: something is not acceptable.
        """
        checked_type(event_type)
        tenant = tenant or self._default_tenant
        if not valid_tenant(tenant):
            msg = "The tenant is not acceptable"
            raise InvalidInput(msg, remedy="Use 1–64 of A–Z a–z 0–9 . _ : @ -, starting with a letter or digit")
        now = self._clock.now()
        message = Message(
            id=uuid7(now, self._random_bits),
            tenant=tenant,
            event_type=event_type,
            created_at=now,
            idempotency_key=_short("idempotency key", idempotency_key, MAX_KEY),
            order_key=_short("order key", order_key, MAX_KEY),
            channels=checked_channels(channels),
            trace_id=_short("trace id", trace_id, 32),
            trace_context=trace_context,
            content_type=_short("content type", content_type, 100),
        )
        if isinstance(payload, bytes | bytearray | memoryview):
            body = bytes(cast("bytes", payload))
            return Emission(message, {"": _bounded(body)}, only=only)
        bodies = {"": _envelope(message, payload)}
        for version, convert in self._converters.get(event_type, {}).items():
            bodies[version] = _envelope(message, convert(payload))
        return Emission(message, bodies, enveloped=True, only=only)

    def insert(self, tx: Transaction, emissions: Sequence[Emission], *, joined: bool = False) -> list[Put]:
        """Put events in, inside a transaction: one statement a table, however many there are.

        An idempotency key belongs to who puts its event in first, in whatever process: the others wait for that
        transaction to end and get its event.

        A transaction that was ``joined`` ends when its owner likes, so nobody may wait for what it puts into lines:
        that stands there until it is looked at after the commit.
        """
        endpoints = self._endpoints.of_tenants(tx, sorted({emission.message.tenant for emission in emissions}))
        there = {"", *(endpoint.id for endpoint in endpoints)}
        mine: dict[tuple[str, str], Message] = {}
        for emission in emissions:
            if emission.only in there:
                mine.setdefault(_key(emission.message), emission.message)
        keyed = [message for message in mine.values() if message.idempotency_key]
        before = self._deliveries.add_keyed(tx, keyed) if keyed else {}
        draft, results = _Draft(), list[Put]()
        new = [one for one in emissions if mine.get(_key(one.message)) is one.message and one.message.id not in before]
        in_line = self._in_line(tx, endpoints, new, joined=joined)
        for emission in emissions:
            message = emission.message
            if emission.only not in there:
                results.append(Put(message, error=NotFound("The endpoint is gone", remedy="Add it again")))
                continue
            first = mine[_key(message)]
            first = before.get(first.id, first)
            if first is not message:
                results.append(_repeated(first, message))
                continue
            made = [
                self._delivery(endpoint, emission, in_line, joined=joined)
                for endpoint in endpoints
                if endpoint.tenant == message.tenant and _wants(endpoint, emission)
            ]
            versions = {"", *(delivery.version for delivery in made)}
            draft.bodies += [(message, version, emission.bodies[version]) for version in sorted(versions)]
            draft.deliveries += made
            results.append(Put(message, made))
        free = [one.message for one in new if not one.message.idempotency_key]
        self._deliveries.add(tx, free, draft.bodies, draft.deliveries)
        return results

    async def _write(self, emissions: Sequence[Emission]) -> Sequence[Put]:
        return await self._store.write(lambda tx: self.insert(tx, emissions))

    def _in_line(
        self, tx: Transaction, endpoints: Sequence[Endpoint], emissions: Sequence[Emission], *, joined: bool
    ) -> dict[str, dict[str, Line]]:
        """Find, for endpoints that keep order, the last places of the lines that are open."""
        keys: dict[str, set[str]] = {}
        for emission in emissions:
            if emission.message.order_key:
                keys.setdefault(emission.message.tenant, set()).add(emission.message.order_key)
        ordered = [one for one in endpoints if one.options.ordered and one.tenant in keys]
        if not joined:
            self._deliveries.take_turns(tx, [endpoint.id for endpoint in ordered])
        return {one.id: self._deliveries.in_line(tx, one, sorted(keys[one.tenant])) for one in ordered}

    def _delivery(
        self, endpoint: Endpoint, emission: Emission, in_line: dict[str, dict[str, Line]], *, joined: bool
    ) -> Delivery:
        message = emission.message
        key = message.order_key if endpoint.options.ordered else ""
        status, position = DeliveryStatus.PENDING, 0
        held = endpoint.state is not EndpointState.ENABLED and message.event_type != TEST
        if held:
            status = DeliveryStatus.HELD
        if key:
            lines = in_line.setdefault(endpoint.id, {})
            line = lines.get(key, Line(0, moving=False))
            if (line.moving or joined) and not held:
                status = DeliveryStatus.WAITING
            position = line.last + 1
            lines[key] = Line(position, moving=line.moving or not held)
        version = endpoint.options.payload_version
        return Delivery(
            id=uuid7(message.created_at, self._random_bits),
            tenant=message.tenant,
            message_id=message.id,
            endpoint_id=endpoint.id,
            event_type=message.event_type,
            version=version if version in emission.bodies else "",
            order_key=key,
            position=position,
            status=status,
            created_at=message.created_at,
            next_attempt_at=message.created_at if status is DeliveryStatus.PENDING else None,
        )


def _wants(endpoint: Endpoint, emission: Emission) -> bool:
    if emission.only:
        return endpoint.id == emission.only
    if endpoint.source:
        return False  # it gets what its source sends, and nothing that is emitted
    message, options = emission.message, endpoint.options
    if not matches(endpoint.event_types, message.event_type):
        return False
    if message.event_type.startswith(OWN_PREFIX) and not any(
        pattern.startswith(OWN_PREFIX) for pattern in endpoint.event_types
    ):
        return False  # "*" is every event of the host's, not our own
    if options.channels and not set(options.channels) & set(message.channels):
        return False
    return not options.match or matches_payload(options.match, emission.content)


def _key(message: Message) -> tuple[str, str]:
    """Return what an event is known by: its idempotency key, or else its own id, which no key can be of."""
    return (message.tenant, message.idempotency_key) if message.idempotency_key else ("", message.id)


def _repeated(before: Message, message: Message) -> Put:
    if before.event_type != message.event_type:
        msg = "Another event was emitted with this idempotency key"
        return Put(before, error=Conflict(msg, remedy="Use a key for one event only"))
    return Put(before)


def _envelope(message: Message, payload: object) -> bytes:
    """Write the body that Standard Webhooks recommends: type, timestamp, data."""
    whole = {"type": message.event_type, "timestamp": to_iso(message.created_at), "data": payload}
    try:
        text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        msg = "The payload cannot be written as JSON"
        raise InvalidInput(msg, remedy="Give what json.dumps takes, or bytes") from None
    return _bounded(text)


def _bounded(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        msg = f"The body has {len(body)} bytes"
        raise PayloadTooLarge(msg, remedy=f"Send at most {MAX_BODY}: a link to what is larger")
    return body


def _short(name: str, text: object, longest: int) -> str:
    if not isinstance(text, str) or len(text) > longest or not text.isprintable() or not text.isascii():
        msg = f"The {name} is not acceptable"
        raise InvalidInput(msg, remedy=f"Give at most {longest} printable ASCII characters, or leave it out")
    return text
