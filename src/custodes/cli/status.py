"""``custodes status``: key figures and what calls for somebody, where there is only a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, out, run, write_json, write_table
from custodes.cli.moments import moment
from custodes.kernel.clock import HOUR, to_iso
from custodes.kernel.figures import percent
from custodes.planes.alerts.model import Incident, State
from custodes.planes.ratelimit.model import FOREVER, Access
from custodes.planes.traffic.model import ErrorGroup, GroupState

#: Rows of each list: what fits on a screen in an incident; ``custodes export`` has the rest.
_ROWS = 5


@dataclass(frozen=True, slots=True)
class Status:
    """How it has been since a moment."""

    since: int
    requests: int
    #: Share of the requests that failed; None without one.
    error_rate: float | None
    p95_ms: float | None
    webhooks_received: int
    webhook_success_rate: float | None
    to_review: int
    alerts: list[Incident]
    errors: list[ErrorGroup]
    blocks: list[Access]
    #: Which of these lists go on beyond what is told.
    more: list[str]


def status(
    since: Annotated[str, typer.Option(help="From this moment on, or 1h for an hour ago.")] = "1h",
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how it has been lately: key figures, alerts that fire, open errors, blocks in force."""

    async def action(custodes: Custodes) -> Status:
        now = custodes.clock.now()
        return await _look(custodes, moment(since, now) or now - HOUR, now, tenant)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        _show(found)


async def _look(custodes: Custodes, since: int, until: int, tenant: str | None) -> Status:
    api = (await custodes.traffic.get_api_analytics(since, until, tenant=tenant)).totals
    webhooks = (await custodes.inbound.get_webhook_analytics(since=since, until=until, tenant=tenant)).total
    audit = await custodes.audit.get_audit_analytics(since, until, tenant=tenant)
    alerts = await custodes.alerts.incidents.list(tenant=tenant, state=State.FIRING, limit=_ROWS)
    errors = await custodes.traffic.list_error_groups(tenant=tenant, state=GroupState.OPEN, since=since, limit=_ROWS)
    blocks = await custodes.ratelimit.get_blocked_identifiers(tenant=tenant, active=True, limit=_ROWS)
    return Status(
        since=since,
        requests=api.count,
        error_rate=api.error_rate if api.count else None,
        p95_ms=api.total.p95 / 1_000 if api.timed else None,
        webhooks_received=webhooks.received,
        webhook_success_rate=webhooks.success_rate,
        to_review=audit.by_review_state.get("open", 0),
        alerts=list(alerts.items),
        errors=list(errors.items),
        blocks=list(blocks.items),
        more=[name for name, page in (("alerts", alerts), ("errors", errors), ("blocks", blocks)) if page.next_cursor],
    )


def _show(found: Status) -> None:
    """Write it for people."""
    out.print(f"[bold]Since {to_iso(found.since)}[/]")
    write_table(
        ("requests", "failed", "p95", "webhooks", "succeeded", "to review"),
        [
            (
                f"{found.requests:,}",
                _share(found.error_rate),
                "–" if found.p95_ms is None else f"{found.p95_ms:,.1f} ms",
                f"{found.webhooks_received:,}",
                _share(found.webhook_success_rate),
                f"{found.to_review:,}",
            )
        ],
    )
    lists = (
        (
            "alerts",
            "Alerts that fire",
            [(to_iso(one.started_at), one.severity, one.name, one.summary) for one in found.alerts],
        ),
        ("errors", "Open errors", [(to_iso(one.last_seen_at), f"{one.count:,} ×", one.title) for one in found.errors]),
        (
            "blocks",
            "Blocks in force",
            [
                (one.identifier, one.reason, to_iso(one.ends_at) if one.ends_at < FOREVER else "until lifted")
                for one in found.blocks
            ],
        ),
    )
    for name, title, rows in lists:
        out.print(f"\n[bold]{title}[/]{'' if rows else ': none'}")
        if rows:
            write_table(("",) * len(rows[0]), rows)
        if name in found.more:
            out.print("… and more, see the dashboard or the admin API")


def _share(share: float | None) -> str:
    return "–" if share is None else percent(share)
