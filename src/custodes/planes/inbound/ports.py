"""What the inbound plane needs kept.

Methods that take a transaction are parts of a unit of work; those that do not are units of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from custodes.kernel.paging import Page
from custodes.kernel.stretches import Level, Steps
from custodes.planes.inbound.completeness_model import Proof
from custodes.planes.inbound.figures import ALL, REFUSAL_BUCKET, Figures, Only, Overview, RefusalCount, Series, Sums
from custodes.planes.inbound.model import (
    Arrival,
    Attempt,
    Ending,
    EventFilter,
    EventRecord,
    Facets,
    Payload,
    Presence,
    Progress,
    Refusal,
    Status,
    WebhookEvent,
)
from custodes.planes.inbound.rotation_model import SecretUse
from custodes.runtime.transactions import Transaction
from custodes.runtime.writer import Told


class EventStore(Protocol):
    """**Protocol:** the accepted webhooks."""

    def accept(self, arrival: Arrival, told: Told | None = None) -> Awaitable[str]:
        """Keep an event and its job, on the disk when what this returns resolves.

        Args:
            arrival: the event.
            told: called once with the id, or with None and the error, as soon as either is known: also when that is
                after this has raised because it took too long, or nobody waits any more. Not when this raises at once.

        Returns:
            The id under which the event is kept: the arrival's own, or that of the delivery that came first. Then the
            event gets a new job if it is open and has none: an event is never stranded, and a repeat writes nothing.

        Raises:
            StorageUnavailable: it was not kept in time; it may be kept later.
        """
        ...

    def log(self, tx: Transaction, arrival: Arrival, status: Status) -> str:
        """Keep an event without a job, in a given state; returns its id as :meth:`accept` does."""
        ...

    def load(self, tx: Transaction, event_ids: Sequence[str]) -> Mapping[str, tuple[WebhookEvent, Progress]]:
        """Return events as handlers get them, each with how far it has come.

        By id; one that is gone is not among them.
        """
        ...

    def begin(self, tx: Transaction, event_ids: Sequence[str]) -> None:
        """Note that a worker is at these events: ``processing``, one attempt more."""
        ...

    def conclude(self, tx: Transaction, endings: Sequence[Ending]) -> None:
        """Note how attempts at events ended."""
        ...

    def add_attempts(self, tx: Transaction, made: Sequence[tuple[WebhookEvent, Attempt]]) -> None:
        """Note the handlers' attempts at events; one that is there already is left as it is."""
        ...

    def hold(self, tx: Transaction, event_ids: Sequence[str]) -> set[str]:
        """Have events stay until the transaction ends, whatever is cleaned up; return those that are there."""
        ...

    def reopen(self, tx: Transaction, event_ids: Sequence[str]) -> None:
        """Make finished events ``received`` again, with no handler done."""
        ...

    def get(self, tx: Transaction, tenant: str | None, event_id: str) -> EventRecord | None:
        """Return one event; None when there is none, or not of this tenant."""
        ...

    def find(self, tx: Transaction, wanted: EventFilter, *, limit: int, cursor: str | None) -> Page[EventRecord]:
        """Return events, newest first."""
        ...

    def known(self, tx: Transaction, tenant: str, source: str, event_ids: Sequence[str]) -> set[str]:
        """Return which of the sender's ids are among the events of a source."""
        ...

    def count(self, tx: Transaction, wanted: EventFilter, at_most: int) -> int:
        """Count the events that a filter means, and stop at so many."""
        ...

    def facets(self, tx: Transaction, wanted: EventFilter) -> Facets:
        """Count the values of each filter with all the others in force, of the newest events only."""
        ...

    def payload(self, tx: Transaction, tenant: str | None, event_id: str) -> Payload | None:
        """Return what was received, exactly."""
        ...

    def attempts(self, tx: Transaction, tenant: str | None, event_id: str, limit: int) -> Sequence[Attempt]:
        """Return the attempts at one event, newest first."""
        ...

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete finished events received before, with their attempts; returns how many, at most ``limit``."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        ...


class PresenceStore(Protocol):
    """**Protocol:** which processes handle webhooks."""

    def say(self, tx: Transaction, presence: Presence) -> None:
        """Insert or replace what a process says."""
        ...

    def all(self, tx: Transaction) -> Sequence[Presence]:
        """Return what all processes say, in any order."""
        ...

    def forget(self, tx: Transaction, presence: Presence) -> None:
        """Delete what a process said, unless it has said something since."""
        ...


class SecretStore(Protocol):
    """**Protocol:** when the secrets of sources last signed."""

    def put(self, tx: Transaction, use: SecretUse) -> None:
        """Insert or renew what is known of a secret: the first ``since`` stays, and the latest ``last_at``."""
        ...

    def all(self, tx: Transaction, tenant: str | None) -> Sequence[SecretUse]:
        """Return what is known of all secrets, in any order."""
        ...

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete what is known of secrets that were said last before; returns how many, at most ``limit``."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        ...


class ProofStore(Protocol):
    """**Protocol:** what is proven of the completeness of sources."""

    def get(self, tx: Transaction, tenant: str, source: str) -> Proof | None:
        """Return what is known of a source; None when it was never looked at."""
        ...

    def all(self, tx: Transaction, tenant: str | None) -> Sequence[Proof]:
        """Return what is known of all sources, by name."""
        ...

    def put(self, tx: Transaction, proof: Proof) -> None:
        """Insert or replace what is known of a source."""
        ...


class FigureStore(Protocol):
    """**Protocol:** counts and times, folded; refused deliveries, counted and sampled."""

    def put_figures(self, tx: Transaction, writer: str, figures: Sequence[tuple[Series, Figures]]) -> None:
        """Write the rows of one writer anew: each holds all that this writer counted in its stretch of time."""
        ...

    def put_refusals(
        self, tx: Transaction, writer: str, refused: Sequence[RefusalCount], samples: Sequence[Refusal]
    ) -> None:
        """Write the counts of one writer anew, and add samples."""
        ...

    def figures(
        self, tx: Transaction, tenant: str | None, level: Level, since: int, until: int
    ) -> Sequence[tuple[Series, Figures]]:
        """Return the folded figures of all writers, oldest first: one entry per stretch of time, source and type."""
        ...

    def sums(self, tx: Transaction, tenant: str | None, steps: Steps, only: Only = ALL) -> Sums:
        """Add up what :meth:`figures` would return, by time and by type: far quicker for a long range."""
        ...

    def refused(
        self, tx: Transaction, tenant: str | None, since: int, until: int, step: int = REFUSAL_BUCKET
    ) -> Sequence[RefusalCount]:
        """Return how many deliveries were refused, by stretch of time of a length, source and reason."""
        ...

    def refusals(
        self,
        tx: Transaction,
        tenant: str | None,
        source: str | None,
        since: int,
        until: int,
        *,
        limit: int,
        cursor: str | None,
        reason: str | None = None,
        client_ip: str | None = None,
    ) -> Page[Refusal]:
        """Return samples of refused deliveries, newest first."""
        ...

    def refusal(self, tx: Transaction, tenant: str | None, refusal_id: str) -> Refusal | None:
        """Return one sample; None when there is none, or not of this tenant."""
        ...

    def states(self, tx: Transaction, tenant: str | None) -> dict[Status, int]:
        """Count the events that are not (yet) well, by state."""
        ...

    def overview(
        self, tx: Transaction, tenant: str | None, steps: Steps, until: int, limit: int, only: Only = ALL
    ) -> Overview:
        """Return all that a range is told by, in less time than one after the other.

        Args:
            tx: the unit of work.
            tenant: whose; None: everybody's.
            steps: the range, and in which stretches.
            until: end of what was refused and what failed.
            limit: most groups of failed attempts, of the same source, handler and class of error: the most frequent.
            only: of which sources and types; what was refused has no type, and is not narrowed here.
        """
        ...

    def purge_figures(self, tx: Transaction, level: Level, before: int, limit: int) -> int:
        """Delete folded figures of a level from before; returns how many rows, at most ``limit``."""
        ...

    def count_purgeable_figures(self, tx: Transaction, level: Level, before: int) -> int:
        """Count what :meth:`purge_figures` would delete in the end."""
        ...

    def purge_refusals(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete samples and counts of refused deliveries from before; returns how many rows, at most ``limit``."""
        ...

    def count_purgeable_refusals(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge_refusals` would delete in the end."""
        ...
