"""Rollups: the figures of one series in one bucket of time, and how they are added up.

A series is named by tenant, keyspace, name and method:

========== ======================= =========================================================================
keyspace   name                    what is counted
========== ======================= =========================================================================
total      empty                   all requests of a tenant: charts read few rows
endpoint   route template          requests of one method and route; wrapped callables too
error      digest of the group     occurrences of one kind of error
background route template; empty   work after the last byte of the answers; empty: of all routes
tenant     tenant                  requests of one tenant, in the rows of everybody; the heaviest, then ``(other)``
user       user id                 requests of one user; the heaviest, then ``(other)``
api_key    id of the key           requests of one API key; the heaviest, then ``(other)``
ip         client address          requests of one address; the heaviest, then ``(other)``
========== ======================= =========================================================================

Adding up is addition of integers throughout (minimum and maximum apart), so order, grouping and the number of workers
make no difference to any figure.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from custodes.kernel.clock import SECOND
from custodes.kernel.histogram import Histogram
from custodes.kernel.tenant import DEFAULT_TENANT

#: Tenant of the rows that add up every tenant but the default one; no tenant can be named like this. Everybody
#: together is this and the default tenant, so that an install without tenants writes each figure once.
ALL_NAMED = "*"

#: Name of the series of requests that no route matched.
UNMATCHED = "(unmatched)"

#: Name of the series that takes what came after the limit on series was reached.
OVERFLOW_SERIES = "(overflow)"

#: Name of the consumer that stands for all that are not among the heaviest.
OTHER = "(other)"


class Level(IntEnum):
    """Width of the buckets of a level, seconds.

    Each is at most ten times as wide as the one before: whatever stretch of time is asked for, few buckets of each
    level cover it (ADR 0005).
    """

    TEN_SECONDS = 10
    MINUTE = 60
    TEN_MINUTES = 600
    HOUR = 3_600
    SIX_HOURS = 21_600
    DAY = 86_400
    WEEK = 604_800

    @property
    def micros(self) -> int:
        """Width in microseconds."""
        return self.value * SECOND

    def start_of(self, at: int) -> int:
        """Begin of the bucket that a moment is in."""
        return at - at % self.micros


#: The levels, finest first; each is folded into the next.
LEVELS = tuple(Level)


class Keyspace(StrEnum):
    """What kind of thing a series is about."""

    TOTAL = "total"
    ENDPOINT = "endpoint"
    ERROR = "error"
    BACKGROUND = "background"
    USER = "user"
    API_KEY = "api_key"
    IP = "ip"
    TENANT = "tenant"


#: The keyspaces of consumers: bounded to the heaviest, without times.
CONSUMERS = (Keyspace.USER, Keyspace.API_KEY, Keyspace.IP, Keyspace.TENANT)

#: Consumers kept by name in one bucket of one tenant and kind; more is no list that anybody reads.
KEPT_CONSUMERS = 100


class Series(NamedTuple):
    """One series in one bucket."""

    #: Whose; :data:`ALL_NAMED` for everybody but the default tenant.
    tenant: str
    #: What kind of thing.
    keyspace: Keyspace
    #: Begin of the bucket, microseconds.
    bucket: int
    #: Which thing: route template, digest, user id, … ; empty for totals.
    name: str
    #: Method; empty where it makes no difference.
    method: str


class Figures:
    """What is known of a series in a bucket; mutable, added up in place.

    A refused request is counted and not timed, since the app never ran; nor is a WebSocket in the totals, since its
    length says nothing of speed.
    """

    __slots__ = (
        "client_errors",
        "count",
        "disconnected",
        "limited",
        "request_bytes",
        "response_bytes",
        "server_errors",
        "statuses",
        "timed",
        "total",
        "total_max",
        "total_min",
        "total_squares",
        "total_sum",
        "ttfb",
    )

    def __init__(self) -> None:
        #: Requests.
        self.count = 0
        #: Of these, answered 400–499.
        self.client_errors = 0
        #: Of these, answered 500 and above, or left by an exception.
        self.server_errors = 0
        #: Of these, refused by a rate limit or a block.
        self.limited = 0
        #: Of these, left by the client before the last byte.
        self.disconnected = 0
        #: Body bytes received.
        self.request_bytes = 0
        #: Body bytes sent.
        self.response_bytes = 0
        #: Requests that were timed.
        self.timed = 0
        #: Sum of their times to the last byte, microseconds.
        self.total_sum = 0
        #: Shortest of them; 0 when none was timed.
        self.total_min = 0
        #: Longest of them.
        self.total_max = 0
        #: At least the sum of the squares of those that :attr:`total` does not tell of, µs²: of sums of the store.
        self.total_squares = 0.0

    #: Status → requests.
    statuses: dict[int, int]
    #: Times to the last byte, microseconds.
    total: Histogram
    #: Times to the first byte, microseconds.
    ttfb: Histogram

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Make what is no number when it is touched for the first time: of most figures only sums are asked for."""
            made = _MADE_WHEN_TOUCHED.get(name)
            if made is None:
                raise AttributeError(name)
            setattr(self, name, made := made())
            return made

    def add(self, other: Figures, *, times: bool = True) -> None:
        """Add the figures of another bucket, series or worker; ``times=False`` leaves the times out."""
        self.count += other.count
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.limited += other.limited
        self.disconnected += other.disconnected
        self.request_bytes += other.request_bytes
        self.response_bytes += other.response_bytes
        self.total_squares += other.total_squares
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        if times and other.timed:
            self.add_times(other.timed, other.total_sum, other.total_min, other.total_max)
            self.total.merge(other.total)
            self.ttfb.merge(other.ttfb)

    def add_times(self, timed: int, total_sum: int, total_min: int, total_max: int) -> None:
        """Add the plain figures of times."""
        self.total_min = min(self.total_min, total_min) if self.timed else total_min
        self.total_max = max(self.total_max, total_max)
        self.timed += timed
        self.total_sum += total_sum

    def copy(self) -> Figures:
        """Make an independent copy."""
        twin = Figures()
        twin.add(self)
        return twin


_MADE_WHEN_TOUCHED = {"statuses": dict, "total": Histogram, "ttfb": Histogram}

#: Figures of many series; the keys say which.
Rollups = dict[Series, Figures]


def add_rollups(into: Rollups, other: Rollups) -> None:
    """Add rollups to others, series by series."""
    for series, figures in other.items():
        known = into.get(series)
        if known is None:
            into[series] = figures.copy()
        else:
            known.add(figures)


def coarsen(rollups: Rollups, level: Level) -> Rollups:
    """Add up buckets into those of a coarser level; consumers stay within their bound."""
    coarse: Rollups = {}
    for series, figures in rollups.items():
        wider = series._replace(bucket=level.start_of(series.bucket))
        coarse.setdefault(wider, Figures()).add(figures)
    return keep_heaviest(coarse)


def keep_heaviest(rollups: Rollups, keep: int = KEPT_CONSUMERS) -> Rollups:
    """Keep the heaviest consumers of each tenant, kind and bucket by name, and the rest together as ``(other)``.

    No request is lost: what a consumer may be undercounted by is at most what ``(other)`` holds.
    """
    kept: Rollups = {}
    crowds: dict[Series, list[tuple[Series, Figures]]] = {}
    for series, figures in rollups.items():
        if series.keyspace in CONSUMERS:
            crowds.setdefault(series._replace(name=OTHER), []).append((series, figures))
        else:
            kept[series] = figures
    for other, crowd in crowds.items():
        kept.update(_heaviest(other, crowd, keep))
    return kept


def _heaviest(other: Series, crowd: list[tuple[Series, Figures]], keep: int) -> Rollups:
    if len(crowd) <= keep:
        return dict(crowd)
    # Names break ties, so that every worker and every run keeps the same ones.
    crowd.sort(key=lambda member: (member[0].name == OTHER, -member[1].count, member[0].name))
    kept = dict(crowd[:keep])
    rest = kept[other] = Figures()
    for _, figures in crowd[keep:]:
        rest.add(figures)
    return kept


def tenants_of(tenant: str | None) -> tuple[str, ...]:
    """Name the tenants whose rows make up a scope: one tenant, or everybody for None."""
    return (ALL_NAMED, DEFAULT_TENANT) if tenant is None else (tenant,)


def route_name(route: str | None) -> str:
    """Name the series of a route."""
    return UNMATCHED if route is None else route
