"""The receiver: a delivery is verified, then kept with its job, then answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import msgspec

from custodes.errors import CustodesError, MalformedPayload, SignatureRefused
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.redact import MASK, sensitive_name, storable
from custodes.planes.inbound.model import OVER_LIMIT, Arrival, Refusal, Verdict
from custodes.planes.inbound.ports import EventStore
from custodes.planes.inbound.recorder import Recorder
from custodes.planes.inbound.rotation import Rotation
from custodes.planes.inbound.sources.base import MAX_NAME, Headers, Source, Verified, WebhookRequest
from custodes.runtime.log import get_logger

#: Bytes of a refused body that are kept.
SAMPLE_BYTES = 4_096

#: Bytes of the headers of a refused delivery that are kept.
SAMPLE_HEADER_BYTES = 8_192

#: Longest name of a header of which it is remembered what it means, bytes.
_MAX_REMEMBERED = 100

#: Longest that a stop waits to learn what became of deliveries, seconds: more than the eight after which an insert has
#: ended on a server that hangs.
SETTLE_SECONDS = 10.0

#: Events, by their ids, of which it is remembered that nobody knows whether they were kept: 1 MB.
MAX_IN_DOUBT = 10_000

_log = get_logger("custodes.inbound")

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Registration:
    """A source that deliveries are accepted from."""

    #: The source.
    source: Source
    #: Whose webhooks these are.
    tenant: str
    #: Whether the host's code may put another in its place: it came from the environment.
    replaceable: bool = False


class Receipt(NamedTuple):
    """What became of a delivery that was not refused."""

    #: Id under which the event is kept; empty for a handshake.
    event_id: str
    #: Whether this was the first delivery of the event.
    first: bool
    #: Body of the answer that the sender's handshake asks for; None for an event.
    challenge: bytes | None = None


class Receiver:
    """Takes deliveries in; the recorder is told and ``kept`` called after each that was kept, also when that is late.

    Nothing of a body is decoded or stored before its signature holds. What is accepted is on the disk, with its job,
    before :meth:`receive` returns. What is refused writes nothing: it is counted, and a few samples wait for the next
    flush.
    """

    def __init__(
        self,
        *,
        events: EventStore,
        recorder: Recorder,
        rotation: Rotation,
        clock: Clock,
        random_bits: RandomBits,
        kept: Callable[[], None],
    ) -> None:
        self._events = events
        self._recorder = recorder
        self._rotation = rotation
        self._clock = clock
        self._random_bits = random_bits
        self._kept = kept
        # By their ids: what the store was given and has not answered, and what it could not say of whether it is kept.
        self._under_way: set[str] = set()
        self._in_doubt: dict[str, None] = {}
        self._nothing_under_way: asyncio.Event | None = None

    def receive(
        self, registration: Registration, request: WebhookRequest, *, trace_id: str, client_ip: str, event_id: str = ""
    ) -> Awaitable[Receipt]:
        """Take one delivery in: it is verified at once, and kept when this is awaited.

        What was only needed to verify it is let go of before the wait: the garbage collector looks at every object of
        all deliveries that wait for their commit.

        Args:
            registration: whose delivery it is.
            request: the delivery.
            trace_id: trace that it belongs to.
            client_ip: where it came from.
            event_id: id of the event, when the caller has made one; a UUIDv7 of now.

        Raises:
            SignatureRefused: the signature does not hold.
            MalformedPayload: it holds, and the body is not what this sender sends.
            StorageUnavailable: the store did not take it in time; the sender must deliver again.
        """
        source, tenant = registration.source, registration.tenant
        now = self._clock.now()
        try:
            verified, challenge = _ask(source, request, now)
        except CustodesError as error:
            self.refuse(registration, request, error, trace_id=trace_id, client_ip=client_ip)
            raise
        if challenge is not None:
            self._rotation.signed(source, verified.signed_with, now)
            self._recorder.greeted(tenant, source.name, ip=client_ip, trace_id=trace_id, now=now)
            return _at_once(Receipt("", False, challenge))
        event_id = event_id or uuid7(now, self._random_bits)
        arrival = Arrival(
            tenant,
            event_id,
            now,
            source.name,
            verified.event_id,
            verified.event_type,
            verified.dedupe_key,
            Verdict.VERIFIED,
            trace_id,
            client_ip,
            len(request.body),
            masked_headers(request.headers),
            request.body,
        )
        return self._keep(source, arrival, verified.signed_with)

    def admit(
        self, registration: Registration, verified: Verified, request: WebhookRequest, *, trace_id: str
    ) -> Awaitable[Receipt]:
        """Take in an event that was fetched from its origin: kept, deduplicated and handled like any other.

        Raises:
            StorageUnavailable: the store did not take it in time.
        """
        source, now = registration.source, self._clock.now()
        arrival = Arrival(
            registration.tenant,
            uuid7(now, self._random_bits),
            now,
            source.name,
            verified.event_id,
            verified.event_type,
            verified.dedupe_key,
            Verdict.RECONCILED,
            trace_id,
            "",
            len(request.body),
            masked_headers(request.headers),
            request.body,
        )
        return self._keep(source, arrival)

    async def _keep(self, source: Source, arrival: Arrival, signed_with: int | None = None) -> Receipt:
        keeping = self._events.accept(arrival, partial(self._learn, source, arrival, signed_with))
        self._under_way.add(arrival.id)
        kept = await keeping
        return Receipt(kept, kept == arrival.id)

    def _learn(
        self,
        source: Source,
        arrival: Arrival,
        signed_with: int | None,
        kept: str | None,
        error: BaseException | None,
    ) -> None:
        """Note what became of a delivery. Its sender may have gone, and what comes again would be a repeat."""
        self._under_way.discard(arrival.id)
        if self._nothing_under_way is not None and not self._under_way:
            self._nothing_under_way.set()
        if error is not None or kept is None:
            # The line may have broken behind the commit: then the next delivery finds it under this id.
            self._in_doubt[arrival.id] = None
            if len(self._in_doubt) > MAX_IN_DOUBT:
                del self._in_doubt[next(iter(self._in_doubt))]
            return
        self._rotation.signed(source, signed_with, arrival.received_at)
        if kept in self._in_doubt:
            del self._in_doubt[kept]
            self._recorder.accepted(source, arrival._replace(id=kept), kept)
        self._recorder.accepted(source, arrival, kept)
        self._kept()

    async def settle(self) -> None:
        """Wait until it is known what became of every delivery, for :data:`SETTLE_SECONDS` at most."""
        self._nothing_under_way = known = asyncio.Event()
        if not self._under_way:
            return
        try:
            await asyncio.wait_for(known.wait(), SETTLE_SECONDS)
        except TimeoutError:
            _log.warning("deliveries_left_unknown", count=len(self._under_way), waited_seconds=SETTLE_SECONDS)

    def refuse(
        self,
        registration: Registration,
        request: WebhookRequest,
        error: CustodesError,
        *,
        trace_id: str,
        client_ip: str,
    ) -> None:
        """Note a refused delivery; nothing is written now."""
        now = self._clock.now()
        self._recorder.refused(
            self._sample(registration, request, now, reason_of(error), trace_id=trace_id, client_ip=client_ip)
        )

    def turn_away(
        self, registration: Registration, raw: Sequence[tuple[bytes, bytes]], *, trace_id: str, client_ip: str
    ) -> None:
        """Note a delivery that the rate limiter refused; neither its signature nor its body was looked at."""
        now = self._clock.now()
        self._recorder.turned_away(
            registration.tenant,
            registration.source.name,
            OVER_LIMIT,
            now,
            lambda: self._sample(
                registration,
                WebhookRequest(Headers(raw), b""),
                now,
                OVER_LIMIT,
                trace_id=trace_id,
                client_ip=client_ip,
            ),
        )

    def _sample(
        self,
        registration: Registration,
        request: WebhookRequest,
        now: int,
        reason: str,
        *,
        trace_id: str,
        client_ip: str,
    ) -> Refusal:
        return Refusal(
            tenant=registration.tenant,
            id=uuid7(now, self._random_bits),
            received_at=now,
            source=registration.source.name,
            reason=reason,
            client_ip=client_ip,
            trace_id=trace_id,
            body_bytes=len(request.body),
            headers=_shown(request.headers),
            body_head=request.body[:SAMPLE_BYTES],
        )


async def _at_once(receipt: Receipt) -> Receipt:
    return receipt


def _ask(source: Source, request: WebhookRequest, now: int) -> tuple[Verified, bytes | None]:
    try:
        verified, challenge = source.verify(request, now), source.challenge(request)
        _check_answers(verified, challenge)
        return verified, challenge
    except CustodesError:
        raise
    except Exception as error:  # a source of the host's own with a fault in it: the door stays shut
        _log.exception("source_failed", source=source.name)
        msg = f"The verifier of source {source.name!r} failed"
        raise SignatureRefused(msg, reason="verifier-failed") from error


def _check_answers(verified: object, challenge: object) -> None:
    """Hold a source to its word: what no store takes would keep back what is kept and counted of all the others.

    Raises:
        TypeError: it returned something else than it should.
        ValueError: a text that cannot be kept, or no key: then all its events would be the same one.
    """
    if not isinstance(verified, Verified):
        msg = f"verify returned a {type(verified).__name__}, not a Verified"
        raise TypeError(msg)
    if challenge is not None and not isinstance(challenge, bytes):
        msg = f"challenge returned a {type(challenge).__name__}, not bytes"
        raise TypeError(msg)
    _check_text("event_id", verified.event_id)
    _check_text("event_type", verified.event_type)
    _check_text("dedupe_key", verified.dedupe_key)
    if not verified.dedupe_key:
        msg = "dedupe_key is empty: all events would be the same one"
        raise ValueError(msg)


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        msg = f"{name} is a {type(text).__name__}, not a text"
        raise TypeError(msg)
    if len(text) > MAX_NAME or not (text.isprintable() or storable(text) == text):
        msg = f"{name} has more than {MAX_NAME} characters, NUL or half of a surrogate pair"
        raise ValueError(msg)


def reason_of(error: CustodesError) -> str:
    """Name why a delivery was refused, in the same few words for everybody."""
    if isinstance(error, SignatureRefused):
        return error.reason[:64]
    return "malformed-body" if isinstance(error, MalformedPayload) else error.code


def masked_headers(headers: Headers) -> str:
    """Write headers as JSON text; of those that carry credentials only the name is kept."""
    return _encode(_masked(headers)).decode()


def _masked(headers: Headers) -> list[tuple[str, str]]:
    masked: list[tuple[str, str]] = []
    for name, value in headers.raw:
        shown, secret = _name_of(name)
        masked.append((shown, MASK if secret else value.decode("latin-1")))
    return masked


def _name_of(name: bytes) -> tuple[str, bool]:
    """Return a header's name as text, and whether its value is a secret."""
    return _known_name(name) if len(name) <= _MAX_REMEMBERED else _known_name.__wrapped__(name)


@lru_cache(maxsize=1_024)
def _known_name(name: bytes) -> tuple[str, bool]:
    shown = name.decode("latin-1").lower()
    return shown, sensitive_name(shown)


def _shown(headers: Headers) -> list[tuple[str, str]]:
    """Return the masked headers up to a total size; what is beyond it, which may be megabytes, is not even read."""
    left, kept = SAMPLE_HEADER_BYTES, list[tuple[str, str]]()
    for name, value in headers.raw:
        left -= len(name)
        if left < 0:
            break
        shown, secret = _name_of(name)
        left -= len(MASK) if secret else len(value)
        if left < 0:
            break
        kept.append((shown, MASK if secret else value.decode("latin-1")))
    return kept
