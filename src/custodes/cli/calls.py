"""``custodes calls`` and ``custodes trace``: single API calls, their errors, and what belongs to one trace."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    TenantOption,
    err,
    operator,
    out,
    plain,
    run,
    told_at,
    told_ms,
    write_fields,
    write_json,
    write_page,
    write_table,
)
from custodes.cli.moments import moment, stretch
from custodes.kernel.clock import MILLISECOND, to_iso
from custodes.kernel.figures import percent
from custodes.kernel.paging import Page
from custodes.planes.traffic.analytics import EndpointStats
from custodes.planes.traffic.model import ApiCall, CallFilter, ErrorGroup, GroupState
from custodes.traces import Trace, read_trace

app = typer.Typer(help="API calls: one by one, the slowest endpoints, kinds of errors.", no_args_is_help=True)

_Since = Annotated[str | None, typer.Option(help="From this moment on, or 2h for two hours ago.")]
_Until = Annotated[str | None, typer.Option(help="Before this moment.")]
_Group = Annotated[str, typer.Argument(help="Id of the kind of error.")]


@app.command("list")
def list_calls(
    route: Annotated[str | None, typer.Option(help="Only of this route template; (unmatched) for none.")] = None,
    method: Annotated[str | None, typer.Option(help="Only with this method.")] = None,
    status: Annotated[int | None, typer.Option(min=0, max=599, help="Only with this status; 5 for 500-599.")] = None,
    min_ms: Annotated[float | None, typer.Option(min=0, max=1e9, help="Only those that took this long.")] = None,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Only with this API key, by its id.")] = None,
    client_ip: Annotated[str | None, typer.Option(help="Only from this address.")] = None,
    trace: Annotated[str | None, typer.Option(help="Only of this trace.")] = None,
    text: Annotated[str | None, typer.Option(help="Part of path, user agent, error, user, key or address.")] = None,
    errors_only: Annotated[bool, typer.Option("--errors", help="Only answers from 500 on and exceptions.")] = False,
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List API calls, newest first; they show up within ten seconds."""

    async def action(custodes: Custodes) -> Page[ApiCall]:
        now = custodes.clock.now()
        wanted = CallFilter(
            since=moment(since, now),
            until=moment(until, now),
            route=route,
            method=method and method.upper(),
            status=status,
            min_total_us=None if min_ms is None else int(min_ms * MILLISECOND),
            user=user,
            api_key=api_key,
            client_ip=client_ip,
            trace_id=trace,
            text=text,
            errors_only=errors_only,
        )
        return await custodes.traffic.list_calls(wanted, tenant=tenant, limit=limit)

    def row(call: ApiCall) -> tuple[object, ...]:
        told = call.error or (f"refused by {call.limited_by}" if call.limited_by else "")
        who = call.user or call.api_key or call.client_ip
        return call.id, told_at(call.started_at), call.method, call.path, call.status, told_ms(call.total_us), who, told

    write_page(
        run(database, action), ("id", "at", "method", "path", "status", "took", "who", "error"), row, as_json=as_json
    )


@app.command()
def show(
    call: Annotated[str, typer.Argument(help="Id of the call.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one API call, and what belongs to its trace: limits, errors, webhooks in and out, audit entries."""

    async def action(custodes: Custodes) -> tuple[ApiCall, Trace | None]:
        found = await custodes.traffic.get_call(call)
        if not found.trace_id:
            return found, None
        return found, await read_trace(custodes, found.trace_id, tenant=found.tenant)

    found, trace = run(database, action)
    if as_json:
        write_json({**plain(found), "trace": trace})
        return
    write_fields(
        found.id,
        (
            ("at", to_iso(found.started_at)),
            ("request", f"{found.method} {found.path}"),
            ("route", found.route),
            ("status", f"{found.status}{', the client left' if found.disconnected else ''}"),
            ("took", f"{told_ms(found.total_us)}, first byte after {told_ms(found.ttfb_us)}"),
            ("in background", told_ms(found.background_us) if found.background_us else ""),
            ("bytes", f"{found.request_bytes:,} in, {found.response_bytes:,} out"),
            ("user", found.user),
            ("API key", found.api_key),
            ("address", found.client_ip),
            ("user agent", found.user_agent),
            ("tenant", found.tenant),
            ("refused by", found.limited_by),
            ("error", found.error),
            ("trace", found.trace_id),
        ),
    )
    if trace is not None:
        out.print()
        _show_trace(trace)


@app.command()
def slow(
    since: _Since = None,
    until: _Until = None,
    min_count: Annotated[int, typer.Option(min=1, help="Leave out endpoints with fewer requests.")] = 1,
    tenant: TenantOption = None,
    limit: LimitOption = 10,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the slowest endpoints by their 95th percentile; of the last day unless told otherwise."""

    async def action(custodes: Custodes) -> list[EndpointStats]:
        begin, end = stretch(since, until, custodes.clock.now())
        found = await custodes.traffic.get_slow_endpoints(begin, end, tenant=tenant, limit=limit, min_count=min_count)
        return list(found)

    found = run(database, action)
    if as_json:
        write_json(found)
        return
    rows = (
        (
            f"{one.method} {one.route}",
            f"{one.stats.count:,}",
            percent(one.stats.error_rate),
            *(told_ms(round(took)) for took in (one.stats.total.p50, one.stats.total.p95, one.stats.total.p99)),
        )
        for one in found
    )
    write_table(("endpoint", "requests", "failed", "p50", "p95", "p99"), rows)


@app.command()
def errors(
    state: Annotated[GroupState | None, typer.Option(help="Only open or only resolved ones.")] = None,
    since: Annotated[str | None, typer.Option(help="Occurred since, and how often since.")] = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List kinds of errors, the latest occurrence first."""

    async def action(custodes: Custodes) -> Page[ErrorGroup]:
        begin = moment(since, custodes.clock.now())
        return await custodes.traffic.list_error_groups(tenant=tenant, state=state, since=begin, limit=limit)

    def row(group: ErrorGroup) -> tuple[object, ...]:
        where = f"{group.method} {group.route or ''}".rstrip()
        return group.id, told_at(group.last_seen_at), f"{group.count:,}", group.state, where, group.title

    write_page(run(database, action), ("id", "last", "times", "state", "where", "error"), row, as_json=as_json)


@app.command()
def resolve(error: _Group, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Note that an error is mended; it opens again by itself when it occurs again."""
    _settle(error, database, to=GroupState.RESOLVED, as_json=as_json)


@app.command()
def reopen(error: _Group, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Take back that an error is mended."""
    _settle(error, database, to=GroupState.OPEN, as_json=as_json)


def _settle(error: str, database: str | None, *, to: GroupState, as_json: bool) -> None:
    async def action(custodes: Custodes) -> ErrorGroup:
        traffic = custodes.traffic
        group = await traffic.get_error_group(error)
        resolved = to is GroupState.RESOLVED
        entry = custodes.audit.admin_entry(
            "api_error.resolved" if resolved else "api_error.reopened",
            actor=operator(),
            target=f"api_error:{group.id}",
            tenant=group.tenant,
        )
        settle = traffic.resolve_error_group if resolved else traffic.reopen_error_group
        return await settle(group.id, by=operator(), also=entry)

    group = run(database, action)
    if as_json:
        write_json(group)
    else:
        out.print(f"It is {group.state} now.")


def trace(
    trace_id: Annotated[str, typer.Argument(help="Id of the trace: 32 hex digits.")],
    tenant: TenantOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything that belongs to one trace, across all parts, in order of time."""
    found = run(database, lambda custodes: read_trace(custodes, trace_id, tenant=tenant))
    if as_json:
        write_json(found)
    else:
        _show_trace(found)


def _show_trace(found: Trace) -> None:
    rows = (
        (
            to_iso(span.at),
            "" if span.duration_us is None else told_ms(span.duration_us),
            span.kind,
            span.outcome,
            span.title,
            span.detail,
        )
        for span in found.spans
    )
    write_table(("at", "took", "what", "outcome", "", ""), rows)
    if found.cut:
        err.print("There is more in this trace than can be shown.")
