"""What an endpoint for outgoing webhooks is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import HOUR, SECOND


class EndpointState(StrEnum):
    """Whether an endpoint gets webhooks."""

    #: It does.
    ENABLED = "enabled"
    #: Not for now: an administrator said so, and may resume it.
    PAUSED = "paused"
    #: Not any more: it failed for too long.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a delivery is tried."""

    #: Attempts in all, the first included.
    max_attempts: int = 8
    #: Longest wait for an answer, microseconds.
    timeout: int = 15 * SECOND
    #: Wait after the first failure, microseconds; see :class:`custodes.kernel.backoff.Backoff`.
    first_delay: int = 5 * SECOND
    #: What each further failure multiplies the wait with.
    factor: float = 3.0
    #: Longest wait, microseconds.
    max_delay: int = 6 * HOUR

    @property
    def backoff(self) -> Backoff:
        """The waits between attempts."""
        return Backoff(self.first_delay, self.factor, self.max_delay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A place that webhooks are sent to (a row of ``webhook_configurations``)."""

    #: UUIDv7.
    id: str
    #: Whose it is.
    tenant: str
    #: Where it is; ``https``, or ``http`` where the install allows it.
    url: str
    #: What it is for, for people.
    description: str
    #: Types of events it gets: ``order.shipped``, ``order.*``, ``*``.
    event_types: tuple[str, ...]
    #: How deliveries are retried.
    retry: RetryPolicy = RetryPolicy()
    #: Whether it gets webhooks.
    state: EndpointState = EndpointState.ENABLED
    #: Why it is in this state; empty when enabled.
    state_reason: str = ""
    #: Deliveries that were answered with 2xx.
    success_count: int = 0
    #: Attempts that were not.
    failure_count: int = 0
    #: When the last success was, microseconds; 0 when never.
    last_success_at: int = 0
    #: When the last failure was, microseconds; 0 when never.
    last_failure_at: int = 0
    #: When it was made, microseconds.
    created_at: int
    #: When it was changed last by a person, microseconds.
    updated_at: int
    #: When it was deleted, microseconds; 0 while it is not. The row stays, so that past deliveries keep their name.
    deleted_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """A signing secret of an endpoint, as it is kept."""

    #: UUIDv7.
    id: str
    #: Whose it is.
    tenant: str
    #: Endpoint it signs for.
    endpoint_id: str
    #: Id of the key it is sealed with.
    key_id: str
    #: The sealed secret.
    sealed: bytes
    #: When it was made, microseconds.
    created_at: int
    #: Until when deliveries are signed with it too, microseconds; 0: without end.
    expires_at: int = 0
