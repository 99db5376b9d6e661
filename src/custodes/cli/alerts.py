"""``custodes alerts``: what fires, and saying that somebody looks."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli import alert_rules
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    ReasonOption,
    TenantOption,
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
from custodes.cli.moments import moment, span
from custodes.kernel.clock import MILLISECOND, to_iso
from custodes.kernel.paging import Page
from custodes.planes.alerts.model import Incident, Notification, SinkTrial, State

app = typer.Typer(
    help="Alerts: what fires, who was told, saying that somebody looks; rules and sinks.", no_args_is_help=True
)
app.add_typer(alert_rules.app, name="rules")
app.add_typer(alert_rules.sinks, name="sinks")

_Alert = Annotated[str, typer.Argument(help="Id of the alert.")]


@app.command("list")
def list_alerts(
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[str | None, typer.Option(help="Begun from this moment on, or 7d for seven days ago.")] = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List alerts, the newest begin first; what calls for somebody: --state firing."""

    async def action(custodes: Custodes) -> Page[Incident]:
        begin = moment(since, custodes.clock.now())
        return await custodes.alerts.incidents.list(tenant=tenant, state=state, since=begin, limit=limit)

    def row(one: Incident) -> tuple[object, ...]:
        return one.id, told_at(one.started_at), one.state, one.severity, one.name, one.summary, one.acknowledged_by

    columns = ("id", "since", "state", "severity", "alert", "what", "seen by")
    write_page(run(database, action), columns, row, as_json=as_json)


@app.command()
def show(alert: _Alert, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an alert, and who was told of it."""

    async def action(custodes: Custodes) -> tuple[Incident, list[Notification]]:
        incidents = custodes.alerts.incidents
        return await incidents.get(alert), await incidents.notifications(alert)

    found, told = run(database, action)
    if as_json:
        write_json({**plain(found), "notifications": told})
        return
    write_fields(
        found.id,
        (
            ("alert", found.name),
            ("what", found.summary),
            ("state", found.state),
            ("severity", found.severity),
            ("since", told_at(found.started_at)),
            ("last sign", told_at(found.last_seen_at)),
            ("over", "" if found.resolved_at is None else told_at(found.resolved_at)),
            ("times", f"{found.occurrences:,}"),
            ("seen by", found.acknowledged_by),
            ("silent until", "" if found.silenced_until is None else told_at(found.silenced_until)),
            ("tenant", found.tenant),
            ("trace", found.trace_id),
        ),
    )
    if told:
        out.print()
        rows = ((one.sink, one.news, one.state, one.attempts, told_at(one.created_at), one.error) for one in told)
        write_table(("told to", "why", "state", "attempts", "at", "error"), rows)


@app.command()
def acknowledge(alert: _Alert, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Say that somebody has seen it: no more reminders."""

    async def action(custodes: Custodes) -> Incident:
        tenant = (await custodes.alerts.incidents.get(alert)).tenant
        entry = custodes.audit.admin_entry(
            "alert.acknowledged", actor=operator(), target=f"alert:{alert}", tenant=tenant
        )
        return await custodes.alerts.incidents.acknowledge(alert, operator(), also=entry)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        out.print(f"Seen by {found.acknowledged_by}.", markup=False)


@app.command()
def silence(
    alert: _Alert,
    duration: Annotated[str, typer.Option("--for", help="How long nobody is told: 30m, 2h, 7d.")],
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell nobody of a problem for a while, also when it comes back in the meantime."""
    lasts = span(duration)

    async def action(custodes: Custodes) -> Incident:
        until = custodes.clock.now() + lasts
        tenant = (await custodes.alerts.incidents.get(alert)).tenant
        entry = custodes.audit.admin_entry(
            "alert.silenced",
            actor=operator(),
            target=f"alert:{alert}",
            context={"until": to_iso(until)},
            reason=reason,
            tenant=tenant,
        )
        return await custodes.alerts.incidents.silence(alert, until, also=entry)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        out.print(f"Nobody is told until {told_at(found.silenced_until or 0)}.")


@app.command()
def unsilence(
    alert: _Alert, reason: ReasonOption = "", database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Tell of a problem again before its silence is over."""

    async def action(custodes: Custodes) -> Incident:
        tenant = (await custodes.alerts.incidents.get(alert)).tenant
        entry = custodes.audit.admin_entry(
            "alert.unsilenced", actor=operator(), target=f"alert:{alert}", reason=reason, tenant=tenant
        )
        return await custodes.alerts.incidents.end_silence(alert, also=entry)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        out.print("It is told of again.")


@app.command("test")
def try_sinks(
    sink: Annotated[
        str | None, typer.Argument(help="Only this sink, as custodes alerts sinks list writes it. Default: all.")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a test message to where alerts go, by the settings of this environment; exit code 1 when one fails."""

    async def action(custodes: Custodes) -> list[SinkTrial]:
        tried = await custodes.alerts.try_sinks(sink, by=operator())
        await custodes.audit.log_admin_action(
            "alert_sink.tested",
            actor=operator(),
            targets=[f"alert_sink:{one.name}" for one in tried],
            context={"failed": {one.name: one.error for one in tried if not one.taken}},
        )
        return tried

    tried = run(database, action)
    if as_json:
        write_json([_told(one) for one in tried])
    else:
        rows = ((one.name, "taken" if one.taken else one.error, told_ms(one.duration)) for one in tried)
        write_table(("sink", "what came of it", "time"), rows)
    if not all(one.taken for one in tried):
        raise typer.Exit(1)


def _told(one: SinkTrial) -> dict[str, object]:
    took = round(one.duration / MILLISECOND, 1)
    return {"name": one.name, "taken": one.taken, "error": one.error, "duration_ms": took}
