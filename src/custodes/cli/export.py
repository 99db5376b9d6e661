"""``custodes export``: monitoring data as NDJSON or CSV, for analysis elsewhere."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.progress import Progress

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, err, json_text, operator, plain, rows_output, run
from custodes.cli.events import CARRIED, without_what_it_carries
from custodes.cli.moments import moment
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, to_iso
from custodes.kernel.csv_rows import csv_cell
from custodes.kernel.paging import MAX_LIMIT, Page, walk
from custodes.kernel.redact import visible
from custodes.kernel.tenant import EVERY_TENANT, check_tenant
from custodes.planes.alerts.model import Incident
from custodes.planes.audit.model import AuditEntry
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Profile
from custodes.planes.inbound.model import EventFilter, EventRecord, Refusal
from custodes.planes.metrics.takeout import Bucket
from custodes.planes.outbound.model import Delivery, Message
from custodes.planes.outbound.ports import DeliveryFilter
from custodes.planes.ratelimit.model import Access, Window
from custodes.planes.traffic.model import ApiCall, CallFilter, ErrorGroup


class Kind(StrEnum):
    """What can be exported."""

    #: Incoming webhooks, without their payloads.
    WEBHOOK_EVENTS = "webhook-events"
    #: Single API calls.
    API_CALLS = "api-calls"
    #: The audit trail.
    AUDIT_LOGS = "audit-logs"
    #: Blocks and bans, ended ones too.
    BLOCKS = "blocks"
    #: Allow list and deny list.
    RATE_LIMIT_LISTS = "rate-limit-lists"
    #: Windows of limits: who was admitted and refused how often, by which rule.
    RATE_LIMIT_WINDOWS = "rate-limit-windows"
    #: Emitted events, without what is sent.
    WEBHOOK_MESSAGES = "webhook-messages"
    #: Deliveries of outgoing webhooks, without what was sent.
    WEBHOOK_DELIVERIES = "webhook-deliveries"
    #: Samples of refused incoming webhooks, without what they carry.
    WEBHOOK_REFUSALS = "webhook-refusals"
    #: Kinds of errors of the API.
    API_ERRORS = "api-errors"
    #: Alerts.
    ALERTS = "alerts"
    #: Metrics, bucket by bucket; of the last day unless ``since`` says otherwise.
    SYSTEM_METRICS = "system-metrics"
    #: Who may administer.
    USER_PROFILES = "user-profiles"


#: Kinds whose rows carry headers, or what somebody sent.
_CARRIES = frozenset({Kind.WEBHOOK_MESSAGES, Kind.WEBHOOK_REFUSALS})

#: What a row of each kind is.
_ROWS: Mapping[Kind, type[Any]] = {
    Kind.WEBHOOK_EVENTS: EventRecord,
    Kind.API_CALLS: ApiCall,
    Kind.AUDIT_LOGS: AuditEntry,
    Kind.BLOCKS: Access,
    Kind.RATE_LIMIT_LISTS: Access,
    Kind.RATE_LIMIT_WINDOWS: Window,
    Kind.WEBHOOK_MESSAGES: Message,
    Kind.WEBHOOK_DELIVERIES: Delivery,
    Kind.WEBHOOK_REFUSALS: Refusal,
    Kind.API_ERRORS: ErrorGroup,
    Kind.ALERTS: Incident,
    Kind.SYSTEM_METRICS: Bucket,
    Kind.USER_PROFILES: Profile,
}

#: Kinds that are written whatever their time.
_NOT_BY: Mapping[Kind, Sequence[str]] = {
    Kind.BLOCKS: ("--since", "--until"),
    Kind.RATE_LIMIT_LISTS: ("--since", "--until"),
    Kind.USER_PROFILES: ("--since", "--until"),
    Kind.WEBHOOK_MESSAGES: ("--since", "--until"),
    Kind.API_ERRORS: ("--until",),
}


class Format(StrEnum):
    """How it is written."""

    #: One JSON object a line.
    NDJSON = "ndjson"
    #: Comma-separated, with a header line.
    CSV = "csv"


def export(
    kind: Annotated[Kind, typer.Argument(help="What.")],
    since: Annotated[str | None, typer.Option(help="From this moment on, or 7d for seven days ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.NDJSON,
    output: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    database: DatabaseOption = None,
) -> None:
    """Write monitoring data, newest first. The export itself is in the audit trail."""
    _check(kind, since, until, tenant)

    async def action(custodes: Custodes) -> int:
        now = custodes.clock.now()
        begin, end = moment(since, now), moment(until, now)
        rows = _rows(custodes, kind, begin, end, tenant)
        asked = {
            "format": str(form),
            "filters": {
                **({} if begin is None else {"since": to_iso(begin)}),
                **({} if end is None else {"until": to_iso(end)}),
                "tenant": tenant or EVERY_TENANT,
            },
        }
        with nullcontext(rows_output()) if output is None else _opened(output) as file:
            await custodes.audit.log_admin_action(
                "data.exported", actor=operator(), target=f"export:{kind}", context=asked, tenant=tenant
            )
            return await _write(rows, file, form, _columns(kind))

    count = run(database, action)
    err.print(f"{count:,} rows written{'' if output is None else f' to {output}'}.")


def _check(kind: Kind, since: str | None, until: str | None, tenant: str | None) -> None:
    """Refuse what would not be applied, before anything is written."""
    if tenant is not None:
        check_tenant(tenant)
    given = {"--since": since, "--until": until}
    for option in _NOT_BY.get(kind, ()):
        if given[option] is not None:
            msg = f"{kind} are not chosen by {option}"
            raise InvalidInput(msg, remedy="Leave it out; what is written has its moments in it")


def _opened(output: Path) -> TextIO:
    try:
        return output.open("w", encoding="utf-8", newline="")
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror}"
        raise InvalidInput(msg, remedy="Name a file in a folder that is there and may be written to") from None


def _columns(kind: Kind) -> list[str]:
    """Name the fields of a kind's rows: a table has its head though there is nothing in it."""
    return [field.name for field in fields(_ROWS[kind]) if kind not in _CARRIES or field.name not in CARRIED]


async def _write(rows: AsyncIterator[dict[str, Any]], file: TextIO, form: Format, columns: Sequence[str]) -> int:
    count = 0
    writer = csv.DictWriter(file, columns)
    is_seen = file.isatty()
    with Progress(console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task("exporting …", total=None)
        if form is Format.CSV:
            writer.writeheader()
        async for row in rows:
            count += 1
            if form is Format.NDJSON:
                file.write(json_text(row) + "\n")
            else:
                cells = {name: csv_cell(value) for name, value in row.items()}
                writer.writerow({name: visible(cell) for name, cell in cells.items()} if is_seen else cells)
            progress.update(task, advance=1, description=f"{count:,} rows …")
    return count


async def _rows(
    custodes: Custodes, kind: Kind, since: int | None, until: int | None, tenant: str | None
) -> AsyncIterator[dict[str, Any]]:
    async for item in _found(custodes, kind, _Asked(since, until, tenant)):
        yield without_what_it_carries(item) if kind in _CARRIES else plain(item)


@dataclass(frozen=True, slots=True)
class _Asked:
    since: int | None
    until: int | None
    tenant: str | None

    @property
    def by_time(self) -> dict[str, Any]:
        return {"tenant": self.tenant, "since": self.since, "until": self.until}


def _found(custodes: Custodes, kind: Kind, asked: _Asked) -> AsyncIterator[Any]:
    """Find what is to be written; each page is a short read of its own."""
    match kind:
        case Kind.AUDIT_LOGS:
            return custodes.audit.export_entries(AuditQuery(**asked.by_time))
        case Kind.SYSTEM_METRICS:
            end = custodes.clock.now() + 1 if asked.until is None else asked.until
            begin = end - DAY if asked.since is None else asked.since
            return custodes.metrics.takeout.buckets(begin, end, tenant=asked.tenant)
        case _:
            return walk(lambda cursor: _PAGES[kind](custodes, asked, cursor))


#: Reads one page of a kind.
_PAGES: Mapping[Kind, Callable[[Custodes, _Asked, str | None], Awaitable[Page[Any]]]] = {
    Kind.WEBHOOK_EVENTS: lambda custodes, asked, cursor: custodes.inbound.list_events(
        EventFilter(**asked.by_time), limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.WEBHOOK_REFUSALS: lambda custodes, asked, cursor: custodes.inbound.list_refusals(
        tenant=asked.tenant, since=asked.since or 0, until=asked.until, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.WEBHOOK_MESSAGES: lambda custodes, asked, cursor: custodes.outbound.list_messages(
        tenant=asked.tenant, limit=MAX_LIMIT, cursor=cursor or ""
    ),
    Kind.WEBHOOK_DELIVERIES: lambda custodes, asked, cursor: custodes.outbound.list_deliveries(
        DeliveryFilter(**asked.by_time), limit=MAX_LIMIT, cursor=cursor or ""
    ),
    Kind.API_CALLS: lambda custodes, asked, cursor: custodes.traffic.list_calls(
        CallFilter(since=asked.since, until=asked.until), tenant=asked.tenant, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.API_ERRORS: lambda custodes, asked, cursor: custodes.traffic.list_error_groups(
        tenant=asked.tenant, since=asked.since, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.BLOCKS: lambda custodes, asked, cursor: custodes.ratelimit.get_blocked_identifiers(
        tenant=asked.tenant, active=False, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.RATE_LIMIT_LISTS: lambda custodes, asked, cursor: custodes.ratelimit.list_access(
        tenant=asked.tenant, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.RATE_LIMIT_WINDOWS: lambda custodes, asked, cursor: custodes.ratelimit.list_windows(
        tenant=asked.tenant, since=asked.since or 0, until=asked.until, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.ALERTS: lambda custodes, asked, cursor: custodes.alerts.incidents.list(
        **asked.by_time, limit=MAX_LIMIT, cursor=cursor
    ),
    Kind.USER_PROFILES: lambda custodes, asked, cursor: custodes.identity.profiles.list_profiles(
        tenant=asked.tenant, limit=MAX_LIMIT, cursor=cursor
    ),
}
