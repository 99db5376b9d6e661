"""What retention is made of: policies and their runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

#: Removes the oldest rows before a moment, about so many, in one short transaction; returns how many. It is called
#: until it returns 0.
Purge = Callable[[int, int], Awaitable[int]]

#: Counts the rows that would be removed before a moment.
Count = Callable[[int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Policy:
    """What is deleted when."""

    #: Name, the plane first: ``inbound.events``.
    name: str
    #: What goes and what stays, for a person.
    description: str
    #: How long rows are kept, microseconds.
    keep: int
    #: Removes one batch.
    purge: Purge
    #: Counts what would go.
    count: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one policy."""

    #: UUIDv7 of its beginning.
    id: str
    #: Name of the policy.
    policy: str
    #: When it began, microseconds.
    started_at: int
    #: Rows older than this were to go, microseconds.
    before: int
    #: Rows removed; in a dry run: rows that would be. None when a dry run failed.
    removed: int | None
    #: How long it took, microseconds.
    duration_us: int
    #: Whether nothing was deleted, only counted.
    dry_run: bool
    #: False when it ran out of time or failed: the rest goes next time.
    finished: bool
    #: Why it failed; empty when it did not.
    error: str = ""


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """A policy and how it is doing."""

    #: The policy.
    policy: Policy
    #: Its newest run that was not a dry run; None when there was none, or it is too long ago.
    last_run: Run | None
