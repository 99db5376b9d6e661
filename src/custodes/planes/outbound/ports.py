"""What outgoing webhooks need kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from custodes.kernel.paging import Page
from custodes.kernel.stretches import Level, Steps
from custodes.planes.outbound.figures import Figures, Only, Series, Sums
from custodes.planes.outbound.health import Standing
from custodes.planes.outbound.model import (
    Attempt,
    Delivery,
    DeliveryStatus,
    Endpoint,
    EndpointHealth,
    EndpointState,
    EventType,
    Message,
    SealedSecret,
    SecretKind,
)
from custodes.runtime.transactions import Transaction


class EndpointStore(Protocol):
    """**Protocol:** the registry of endpoints and their sealed secrets. Deleted endpoints are not found by any read."""

    def put(self, tx: Transaction, endpoint: Endpoint) -> None:
        """Insert an endpoint, or replace what a person may change of it; counters stay as they are in the store."""
        ...

    def find(self, tx: Transaction, tenant: str | None, endpoint_id: str, *, locked: bool = False) -> Endpoint | None:
        """Read one endpoint; None when there is none of this id, or not in this tenant.

        ``locked``: to change it; nobody else changes it before this transaction ends.
        """
        ...

    def several(self, tx: Transaction, ids: Iterable[str]) -> dict[str, Endpoint]:
        """Read endpoints by id, the deleted ones too; without their counters, which are 0."""
        ...

    def of_tenants(self, tx: Transaction, tenants: Iterable[str]) -> list[Endpoint]:
        """Read all endpoints of some tenants; without their counters, which are 0."""
        ...

    def page(
        self, tx: Transaction, tenant: str | None, state: EndpointState | None, limit: int, cursor: str
    ) -> Page[Endpoint]:
        """Read a page of endpoints, newest first.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        ...

    def count(self, tx: Transaction, tenant: str) -> int:
        """Count a tenant's endpoints."""
        ...

    def take_turn(self, tx: Transaction, tenant: str) -> None:
        """Wait until no other transaction that took its turn for the tenant is open: one counts, then adds."""
        ...

    def of_sources(self, tx: Transaction) -> list[Endpoint]:
        """Read the endpoints that sources are forwarded to, of all tenants."""
        ...

    def add_counts(self, tx: Transaction, counts: Mapping[str, Counts]) -> None:
        """Add to the counters of endpoints, by id."""
        ...

    # ── Health ───────────────────────────────────────────────────────────────

    def health(self, tx: Transaction, ids: Iterable[str]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing, by id; one that is left out is well."""
        ...

    def hold_health(self, tx: Transaction, endpoints: Sequence[Endpoint]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing, by id, and keep others from it until the transaction ends.

        One that another transaction holds, or changes, is left out: nobody is waited for, but for whoever holds it for
        the first time.
        """
        ...

    def take_health(self, tx: Transaction, endpoints: Sequence[Endpoint]) -> dict[str, EndpointHealth]:
        """Read how endpoints are doing, all of them, by id, to write it: nobody else does before the transaction ends.

        Who has one of them is waited for. One that turns out to be well has to be put, too. Whoever locks an endpoint
        (:meth:`find`) in the same transaction does so afterwards.
        """
        ...

    def put_health(self, tx: Transaction, tenant: str, endpoint_id: str, health: EndpointHealth) -> None:
        """Write how an endpoint is doing, whose row is held, or which is well."""
        ...

    def put_healths(self, tx: Transaction, found: Sequence[tuple[Endpoint, EndpointHealth]]) -> None:
        """Write how endpoints are doing, each of them once: at most two statements for all.

        What the rate of one allows never comes nearer by it, unless it is well.
        """
        ...

    # ── Secrets ──────────────────────────────────────────────────────────────

    def put_secret(self, tx: Transaction, secret: SealedSecret) -> None:
        """Add a secret."""
        ...

    def secrets(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind | None = None) -> list[SealedSecret]:
        """Read the secrets of an endpoint, newest first."""
        ...

    def secrets_of(self, tx: Transaction, ids: Iterable[str]) -> list[SealedSecret]:
        """Read the secrets of several endpoints, newest first."""
        ...

    def retire_secrets(self, tx: Transaction, endpoint: Endpoint, kind: SecretKind, expires_at: int) -> None:
        """Let the secrets of a kind end at a moment, unless they end before."""
        ...

    def remove_secrets(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        expired_before: int | None = None,
        kind: SecretKind | None = None,
    ) -> None:
        """Remove secrets of an endpoint for good: all of them, or those that ended before a moment, or of a kind."""
        ...

    def key_samples(self, tx: Transaction) -> list[SealedSecret]:
        """Read one secret for each key that secrets are sealed with."""
        ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What to add to the counters of an endpoint."""

    #: Deliveries that were answered with 2xx, and when the last of them was, microseconds; 0: none.
    successes: int = 0
    last_success_at: int = 0
    #: Attempts that were not, and when the last of them was.
    failures: int = 0
    last_failure_at: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are meant; what is None does not matter."""

    #: Whose.
    tenant: str | None = None
    #: To which endpoint.
    endpoint_id: str | None = None
    #: Of which message.
    message_id: str | None = None
    #: Of which type of event, exactly.
    event_type: str | None = None
    #: Where they are.
    statuses: tuple[DeliveryStatus, ...] = ()
    #: Made at or after, microseconds.
    since: int | None = None
    #: Made before, microseconds.
    until: int | None = None
    #: This one.
    delivery_id: str | None = None
    #: Of messages that belong to this trace.
    trace_id: str | None = None
    #: Not of this type.
    without_type: str | None = None
    #: Only to endpoints that are enabled: to others nothing is sent.
    to_enabled: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The deliveries of one order key to one endpoint that have not ended."""

    #: Last place, those that are held included.
    last: int
    #: Whether one is on its way: who comes has to wait.
    moving: bool


#: A line: whose, to which endpoint, of which order key.
LineKey = tuple[str, str, str]


#: A place among the deliveries that are open or held: only the store knows what it says.
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A delivery that nobody will move on: pending without a job, waiting behind none, held by an enabled endpoint."""

    #: The delivery.
    delivery: Delivery
    #: Whether its endpoint is enabled.
    enabled: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What it takes to make one attempt."""

    #: The delivery.
    delivery: Delivery
    #: The message, without its other bodies.
    message: Message
    #: What is sent, exactly.
    body: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt changes of its delivery."""

    #: Where the delivery is now.
    status: DeliveryStatus
    #: When it ended; None while it has not.
    finished_at: int | None
    #: When the next attempt is due; None when there is none.
    next_attempt_at: int | None


@dataclass(frozen=True, slots=True)
class Old:
    """What is past its time and goes at once."""

    #: Messages that go with all of theirs.
    messages: tuple[str, ...] = ()
    #: Deliveries that go with their attempts: those of the messages, or some of one that has too many.
    deliveries: tuple[str, ...] = ()
    #: Id of the message after which to look on; None: that was all.
    upto: str | None = None


class DeliveryStore(Protocol):
    """**Protocol:** messages, their deliveries and the attempts."""

    def add_keyed(self, tx: Transaction, messages: Sequence[Message]) -> dict[str, Message]:
        """Add messages that have an idempotency key, each key once at most.

        Returns:
            For those that were not added, because there is one of their key: that one, by the id of the new one. When
            another transaction is adding it just now, this waits until that ends.
        """
        ...

    def add(
        self,
        tx: Transaction,
        messages: Sequence[Message],
        bodies: Sequence[tuple[Message, str, bytes]],
        deliveries: Sequence[Delivery],
    ) -> None:
        """Add messages that have no idempotency key, bodies by version, and deliveries; pending ones with a job."""
        ...

    def take_turns(self, tx: Transaction, endpoint_ids: Iterable[str]) -> None:
        """Wait until no other transaction that took its turn for one of the endpoints is open.

        Who looks at a line and then puts a delivery into it, or begins one, does so in its turn: else neither sees the
        other. It comes last of all that a transaction waits for, and never in a transaction that is not our own.
        """
        ...

    def in_line(self, tx: Transaction, endpoint: Endpoint, order_keys: Iterable[str]) -> dict[str, Line]:
        """Tell how the lines of order keys stand; one that is left out is empty."""
        ...

    def begin(self, tx: Transaction, lines: Iterable[LineKey], due_at: int) -> list[str]:
        """Have the first that waits begin, in each line in which nothing is pending, in our turn; returns their ids."""
        ...

    def put_jobs(self, tx: Transaction, ids: Sequence[str], due_at: int) -> int:
        """Put in jobs for those of some deliveries that are pending and have none; returns how many."""
        ...

    def stuck(self, tx: Transaction, after: Place | None, limit: int) -> tuple[list[Stuck], Place | None]:
        """Find what is stuck among the next ``limit`` deliveries that are open or held.

        Args:
            tx: transaction.
            after: where the call before ended; None: from the first on.
            limit: how many are looked at.

        Returns:
            What is stuck, and where the next call goes on; None: there are no more.
        """
        ...

    def load(self, tx: Transaction, ids: Sequence[str]) -> dict[str, Load]:
        """Read what it takes to deliver, by id of the delivery."""
        ...

    def record(self, tx: Transaction, records: Sequence[tuple[Delivery, Attempt, Result]]) -> None:
        """Add attempts and move their deliveries on."""
        ...

    def move(self, tx: Transaction, delivery: Delivery, status: DeliveryStatus) -> None:
        """Move a delivery without an attempt."""
        ...

    def hold(self, tx: Transaction, endpoint: Endpoint) -> int:
        """Hold all deliveries to an endpoint that are open and under nobody's hands; returns how many.

        What is given back meanwhile keeps its job.
        """
        ...

    def find(self, tx: Transaction, wanted: DeliveryFilter, limit: int, cursor: str) -> Page[Delivery]:
        """Read a page of deliveries, newest first."""
        ...

    def get(self, tx: Transaction, tenant: str | None, delivery_id: str) -> Delivery | None:
        """Read one delivery."""
        ...

    def count(self, tx: Transaction, wanted: DeliveryFilter) -> int:
        """Count deliveries."""
        ...

    def again(self, tx: Transaction, wanted: DeliveryFilter, due_at: int, limit: int, after: str) -> list[str]:
        """Have deliveries that have ended sent again, oldest first; returns the ids of at most ``limit`` of them.

        Args:
            tx: transaction.
            wanted: which; those that are open are left alone.
            due_at: when they are due.
            limit: how many at most.
            after: ids up to this one are passed over.
        """
        ...

    def standing(self, tx: Transaction, tenant: str | None, now: int, since: int) -> Standing:
        """Tell how everything stands at a moment; what was given up counts from ``since`` on."""
        ...

    def messages(
        self, tx: Transaction, tenant: str | None, event_type: str | None, limit: int, cursor: str
    ) -> Page[Message]:
        """Read a page of messages, newest first."""
        ...

    def message(self, tx: Transaction, tenant: str | None, message_id: str) -> Message | None:
        """Read one message."""
        ...

    def body(self, tx: Transaction, message: Message, version: str = "") -> bytes | None:
        """Read a body of a message."""
        ...

    def attempts(self, tx: Transaction, delivery: Delivery, limit: int) -> list[Attempt]:
        """Read the attempts of a delivery, newest first."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count the messages that :meth:`purge` would remove."""
        ...

    def old(self, tx: Transaction, before: int, limit: int, after: str) -> Old:
        """Choose the oldest messages that were emitted before a moment and of which nothing is to be sent any more.

        Args:
            tx: transaction; it only reads.
            before: the moment, microseconds.
            limit: rows that may go at once, those of deliveries, attempts and bodies among them. A message that has
                more goes piece by piece.
            after: ids up to this one are passed over.
        """
        ...

    def purge(self, tx: Transaction, old: Old) -> int:
        """Remove what was chosen, but for messages of which something is sent again; returns how many messages."""
        ...


class FigureStore(Protocol):
    """**Protocol:** figures over time."""

    def add(self, tx: Transaction, figures: Sequence[tuple[Series, Figures]]) -> None:
        """Add to what is there of each series, given once each; whoever adds to the same waits, never in a circle."""
        ...

    def fold(self, tx: Transaction, before: int, limit: int) -> int:
        """Add rows that processes of a version before wrote for themselves to those that all share.

        Args:
            tx: a write; the rows go and are added in it, so that no sum differs before and after.
            before: only of stretches that ended before this moment; microseconds since the epoch.
            limit: most rows that are added.

        Returns:
            how many were; fewer than ``limit``: there are no more.
        """
        ...

    def sums(self, tx: Transaction, steps: Steps, only: Only) -> Sums:
        """Add all rows up, over time and by part."""
        ...

    def count_purgeable(self, tx: Transaction, level: Level, before: int) -> int:
        """Count the rows that :meth:`purge` would remove."""
        ...

    def purge(self, tx: Transaction, level: Level, before: int, limit: int) -> int:
        """Remove the oldest rows of a level from before a moment; returns how many."""
        ...


class EventTypeStore(Protocol):
    """**Protocol:** the catalogue."""

    def put(self, tx: Transaction, event_type: EventType) -> None:
        """Insert or replace one."""
        ...

    def all(self, tx: Transaction) -> list[EventType]:
        """Read all, by name."""
        ...
