"""Writes the past of all planes into an empty install."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, text

from benchmarks.history import limits, metrics, trail
from benchmarks.history.traffic import TrafficHistory
from benchmarks.history.webhooks import WebhookHistory
from custodes.app import Custodes
from custodes.kernel.clock import DAY, HOUR
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.ratelimit.model import Window
from custodes.storage.sql import traffic as sql_traffic
from custodes.storage.sql import traffic_rollups
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.audit_rows import COLUMNS as AUDIT_COLUMNS
from custodes.storage.sql.bulk import Bulk
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.metrics import _catalogue
from custodes.storage.sql.partitions import SLICES, make_piece
from custodes.storage.sql.ratelimit_record import _columns, _figures
from custodes.storage.sql.tables.audit import audit_logs, audit_targets
from custodes.storage.sql.tables.inbound import (
    webhook_attempts,
    webhook_events,
    webhook_payloads,
    webhook_refusal_counts,
    webhook_rollups,
    webhook_source_rollups,
)
from custodes.storage.sql.tables.metrics import system_metrics
from custodes.storage.sql.tables.ratelimit import rate_limit_figures, rate_limit_tracking
from custodes.storage.sql.tables.traffic import api_error_groups

#: Rows of one transaction; hours of limits, each of some six thousand windows; entries of the trail folded at once.
CHUNK = 20_000
HOURS = 2
FOLDED = 50_000

_audit = Bulk(audit_logs, AUDIT_COLUMNS)
_targets = Bulk(audit_targets, ("tenant_id", "target", "entry_id"))
_events, _payloads, _attempts, _type_figures, _source_figures, _refusals = (
    Bulk(table, [column.name for column in table.columns])
    for table in (
        webhook_events,
        webhook_payloads,
        webhook_attempts,
        webhook_rollups,
        webhook_source_rollups,
        webhook_refusal_counts,
    )
)
_windows, _limit_figures = (
    Bulk(table, [column.name for column in table.columns]) for table in (rate_limit_tracking, rate_limit_figures)
)
_points = Bulk(system_metrics, metrics.COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is of everything."""

    #: API calls that the rollups tell of, and in how many days they came.
    requests: int = 100_000_000
    days: int = 90
    #: Processes that wrote the finest level.
    writers: int = 1
    #: Webhook events, audit entries.
    events: int = 200_000
    entries: int = 1_000_000
    #: Only these tables; empty: all.
    only: tuple[str, ...] = ()


@dataclass(slots=True)
class Filled:
    """What was written."""

    #: What → rows.
    rows: dict[str, int] = field(default_factory=dict[str, int])
    #: API calls that the rollups tell of.
    requests: int = 0
    #: How long it took, seconds.
    seconds: float = 0.0


async def fill(custodes: Custodes, size: Size, tell: Callable[[str], None] = lambda _: None) -> Filled:
    """Write everything; the install is open and empty."""
    now = custodes.clock.now()
    filled = Filled()
    await make_pieces(custodes, now)
    began = time.perf_counter()
    traffic = TrafficHistory(size.requests, size.days, now, DEFAULT_TENANT, size.writers)
    webhooks = WebhookHistory(size.events, now, DEFAULT_TENANT)
    series = metrics.catalogue(DEFAULT_TENANT)

    async def write(
        what: str, rows: Iterable[Any], put: Callable[[Connection, Sequence[Any]], object], at_once: int = CHUNK
    ) -> None:
        if size.only and what not in size.only:
            return
        started, count = time.perf_counter(), 0
        for chunk in _chunks(rows, at_once):
            await custodes.database.write(lambda tx, chunk=chunk: put(connection_of(tx), chunk), durable=False)
            count += len(chunk)
        filled.rows[what] = count
        tell(f"{what}: {count:,} rows in {time.perf_counter() - started:.0f} s")

    await write("api_rollups", traffic.rollups(), traffic_rollups.insert_rows)
    await write("api_monitoring", traffic.calls(), sql_traffic._calls.insert)
    await write("api_error_groups", traffic.error_groups(), lambda c, rows: c.execute(insert(api_error_groups), rows))
    await write("webhook_rollups", webhooks.rollups(), _put_webhook_figures)
    await write("webhook_refusal_counts", webhooks.refusals(), _refusals.insert)
    await write("webhook_events", webhooks.events(), _put_events)
    await write("audit_logs", trail.entries(size.entries, now, DEFAULT_TENANT), _put_entries)
    await custodes.database.migrate(lambda tx: connection_of(tx).execute(text(trail.VERDICTS)))
    await fold(custodes, tell)
    await write("hours of rate_limit_tracking", limits.hours(now, DEFAULT_TENANT), _put_windows, HOURS)
    await write("metric_series", [series], lambda c, rows: _catalogue(c, rows[0], now - now % HOUR, now))
    await write("system_metrics", metrics.points(series, now - size.days * DAY, now), _points.insert)
    if custodes.database.dialect == "postgresql":
        # As a migration: it takes longer than a work may.
        await custodes.database.migrate(lambda tx: connection_of(tx).exec_driver_sql("ANALYZE"))
    filled.requests = traffic.requests
    filled.seconds = time.perf_counter() - began
    return filled


async def fold(custodes: Custodes, tell: Callable[[str], None] = lambda _: None) -> None:
    """Fold the trail into its figures as the leader would have, in larger slices: nobody waits meanwhile."""
    started, folded = time.perf_counter(), 0
    entries = SqlAuditStore(custodes.database)
    # As a migration: a slice takes longer than a work may.
    while count := await custodes.database.migrate(lambda tx: entries.fold(tx, FOLDED)):
        folded += count
    if folded:
        tell(f"audit figures: {folded:,} entries folded in {time.perf_counter() - started:.0f} s")


async def make_pieces(custodes: Custodes, now: int) -> None:
    """PostgreSQL: make the pieces that would have been made while time went by."""
    if custodes.database.dialect != "postgresql":
        return
    for slices in SLICES:
        kept = slices.width * 7  # a piece is a sixth of how long rows are kept, about
        for start in range(slices.start_of(max(0, now - kept)), now + slices.width, slices.width):
            await custodes.database.write(lambda tx, each=slices, at=start: make_piece(connection_of(tx), each, at))


def _put_webhook_figures(connection: Connection, rows: Sequence[Any]) -> None:
    _type_figures.insert(connection, [row for of_source, row in rows if not of_source])
    _source_figures.insert(connection, [row for of_source, row in rows if of_source])


def _put_windows(connection: Connection, hours: Sequence[Sequence[Window]]) -> None:
    """Write windows of whole hours and the figures of these, as the product would have by and by."""
    windows = [window for hour in hours for window in hour]
    _windows.insert(connection, [_in_order(rate_limit_tracking, _columns(window)) for window in windows])
    _limit_figures.insert(connection, [_in_order(rate_limit_figures, row) for row in _figures(windows)])


def _in_order(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table.columns)


def _put_events(connection: Connection, rows: Sequence[Any]) -> None:
    _events.insert(connection, [event for event, _, _ in rows])
    _payloads.insert(connection, [payload for _, payload, _ in rows])
    _attempts.insert(connection, [attempt for _, _, attempts in rows for attempt in attempts])


def _put_entries(connection: Connection, rows: Sequence[Any]) -> None:
    _audit.insert(connection, [values for values, _ in rows])
    targets = [(values[1], target, values[0]) for values, names in rows for target in names]
    _targets.insert(connection, targets)


def _chunks(rows: Iterable[Any], at_once: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, at_once)):
        yield chunk
