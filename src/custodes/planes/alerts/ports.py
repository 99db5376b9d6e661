"""What the alerts plane needs: figures to look at, a place to keep incidents, sinks to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from custodes.planes.alerts.model import (
    Delivery,
    Incident,
    Labels,
    Notification,
    Rule,
    SinkStatus,
    State,
)
from custodes.runtime.transactions import Transaction

T = TypeVar("T")


class Figures(Protocol):
    """**Protocol:** where the figures of rules come from: the metrics plane."""

    async def meaning(self, name: str, labels: Labels, value: float) -> str:
        """Say in a sentence what a figure of a metric means; empty when there is no more to say than the figure."""
        ...

    def check_aggregation(self, aggregation: str) -> None:
        """Make sure that there is an aggregation; raises ``InvalidInput`` when there is not."""
        ...

    async def lack(self, name: str, *, labels: Mapping[str, str] | None = None, tenant: str | None = None) -> str:
        """Say what was never recorded, a metric or a series of it with these labels; empty when both were."""
        ...

    async def latest(
        self,
        name: str,
        aggregation: str,
        window: int,
        *,
        labels: Mapping[str, str] | None = None,
        by: Sequence[str] | None = None,
        tenant: str | None = None,
    ) -> list[tuple[Labels, float]]:
        """Return one figure for each value of the labels ``by``, over the last ``window`` microseconds."""
        ...


class AlertStore(Protocol):
    """**Protocol:** where rules, incidents and messages are kept.

    Methods with ``tx`` are steps inside a unit of work: an incident that fires and the messages about it commit
    together, so a crash neither loses a message nor sends one about nothing.
    """

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads."""
        ...

    async def write(self, work: Callable[[Transaction], T], *, once: str = "") -> T:
        """Run a work and commit it durably.

        Args:
            work: what to do.
            once: unique name of it; written again under it, because nobody knew whether it was kept, it is kept once.
        """
        ...

    # ── Incidents ────────────────────────────────────────────────────────────

    def open_incidents(self, tx: Transaction, limit: int) -> list[Incident]:
        """Return all incidents that are pending or firing."""
        ...

    def find_open(self, tx: Transaction, tenant: str, fingerprint: str) -> Incident | None:
        """Return the open incident of a fingerprint; there is one at most."""
        ...

    def last_silence(self, tx: Transaction, tenant: str, fingerprint: str) -> int | None:
        """Return ``silenced_until`` of the newest incident of a fingerprint, which took over that of the one before."""
        ...

    def put_incident(self, tx: Transaction, incident: Incident) -> None:
        """Insert an incident, or replace it."""
        ...

    def drop_incident(self, tx: Transaction, incident: Incident) -> None:
        """Delete an incident that turned out to be nothing; what was said of its silence holds for the one before."""
        ...

    def get_incident(self, tx: Transaction, tenant: str | None, identifier: str) -> Incident | None:
        """Return one incident; None when there is none, or it is another tenant's."""
        ...

    def list_incidents(
        self,
        tx: Transaction,
        *,
        tenant: str | None,
        state: State | None,
        since: int | None,
        until: int | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[Incident]:
        """Return incidents, newest start first, those beyond ``after`` (start, id)."""
        ...

    # ── Rules ────────────────────────────────────────────────────────────────

    def list_rules(self, tx: Transaction) -> list[Rule]:
        """Return all stored rules, by id."""
        ...

    def put_rule(self, tx: Transaction, rule: Rule) -> None:
        """Insert a rule, or replace it."""
        ...

    def delete_rule(self, tx: Transaction, identifier: str) -> bool:
        """Delete a stored rule; tells whether there was one."""
        ...

    # ── Messages ─────────────────────────────────────────────────────────────

    def add_notification(self, tx: Transaction, notification: Notification) -> None:
        """Add a message that waits to be sent."""
        ...

    def due_notifications(
        self, tx: Transaction, now: int, limit: int, *, without: Sequence[str] = ()
    ) -> list[Notification]:
        """Return messages whose next attempt is due, the longest due first; none for the sinks ``without``."""
        ...

    def put_attempt(
        self, tx: Transaction, identifier: str, state: Delivery, attempts: int, due_at: int, error: str, at: int
    ) -> None:
        """Note how an attempt went."""
        ...

    def postpone(self, tx: Transaction, sink: str, until: int) -> None:
        """Have no message that waits for a sink be due before a moment."""
        ...

    def fail_waiting(self, tx: Transaction, sink: str, error: str, at: int) -> int:
        """Give up all messages that wait for a sink; returns how many."""
        ...

    def list_notifications(self, tx: Transaction, incident_id: str, limit: int) -> list[Notification]:
        """Return the messages about an incident, oldest first."""
        ...

    def count_waiting(self, tx: Transaction) -> tuple[int, int | None]:
        """Return how many messages wait, and when the oldest of them was made."""
        ...

    # ── Sinks ────────────────────────────────────────────────────────────────

    def disabled_sinks(self, tx: Transaction) -> list[SinkStatus]:
        """Return the sinks that get nothing any more."""
        ...

    def put_sink(self, tx: Transaction, status: SinkStatus) -> None:
        """Note that a sink is off, or on again."""
        ...

    # ── Retention ────────────────────────────────────────────────────────────

    def purge(self, tx: Transaction, before: int, limit: int) -> int:
        """Delete incidents that were over before a moment, with their messages; returns how many incidents."""
        ...

    def count_purgeable(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        ...
