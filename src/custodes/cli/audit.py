"""``custodes audit``: the trail, the reviews of what was flagged, and how actors behave."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli import report
from custodes.cli.console import (
    ROWS,
    DatabaseOption,
    JsonOption,
    LimitOption,
    TenantOption,
    operator,
    out,
    run,
    told_at,
    write_fields,
    write_json,
    write_page,
    write_table,
)
from custodes.cli.moments import moment, stretch
from custodes.kernel.clock import MINUTE, to_iso
from custodes.kernel.paging import Page
from custodes.planes.audit.analytics import MAX_TOP, ActorBehaviour
from custodes.planes.audit.behaviour import Behaviour, Habit
from custodes.planes.audit.model import AuditEntry, Outcome, ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.audit.reviews import Verdict

app = typer.Typer(help="The audit trail, reviews of what was flagged, and how actors behave.", no_args_is_help=True)

#: Longest that a zone is away from UTC, minutes.
_MAX_OFFSET = 14 * 60

_Entry = Annotated[str, typer.Argument(help="Id of the entry.")]
_Since = Annotated[str | None, typer.Option(help="From this moment on, or 7d for seven days ago.")]
_Until = Annotated[str | None, typer.Option(help="Before this moment.")]


@app.command("list")
def list_entries(
    actor: Annotated[str, typer.Option(help="Only of this actor, as type:id; * stands for any characters.")] = "",
    action: Annotated[str, typer.Option(help="Only this action; webhook.* for a family.")] = "",
    target: Annotated[str, typer.Option(help="Only what was done to this, as type:id.")] = "",
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so.")] = None,
    ip: Annotated[str, typer.Option(help="Only from this address.")] = "",
    trace: Annotated[str, typer.Option(help="Only of this trace.")] = "",
    review: Annotated[ReviewState | None, typer.Option(help="Only flagged entries whose review is so.")] = None,
    min_risk: Annotated[int, typer.Option(min=0, max=100, help="Only scores from this on.")] = 0,
    text: Annotated[str, typer.Option(help="Part of a reason, name, id, path or label.")] = "",
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    limit: LimitOption = ROWS,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List entries of the trail, newest first; what waits for somebody: --review open."""

    async def search(custodes: Custodes) -> Page[AuditEntry]:
        now = custodes.clock.now()
        wanted = AuditQuery(
            tenant=tenant,
            actor=actor,
            action=action,
            target=target,
            outcome=outcome or "",
            ip=ip,
            trace_id=trace,
            review_state=review,
            min_risk=min_risk,
            since=moment(since, now),
            until=moment(until, now),
            text=text,
            limit=limit,
        )
        return await custodes.audit.list_entries(wanted)

    def row(entry: AuditEntry) -> tuple[object, ...]:
        state = entry.review.state if entry.review else ""
        at = told_at(entry.recorded_at)
        return entry.id, at, entry.action, entry.actor, _targets(entry), entry.outcome, entry.risk_score, state

    columns = ("id", "at", "action", "actor", "target", "outcome", "risk", "review")
    write_page(run(database, search), columns, row, as_json=as_json)


@app.command()
def show(entry: _Entry, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show an entry: who did what to what, what changed, why it scored as it did, and its review."""
    found = run(database, lambda custodes: custodes.audit.get_entry(entry))
    if as_json:
        write_json(found)
        return
    context, review = found.context, found.review
    write_fields(
        found.id,
        (
            ("at", to_iso(found.recorded_at)),
            ("action", found.action),
            ("outcome", found.outcome),
            ("actor", f"{found.actor} {found.actor.name}".rstrip()),
            ("acted by", found.impersonator),
            ("with the rights of", found.effective),
            ("target", _targets(found)),
            ("reason", found.reason),
            ("tenant", found.tenant),
            ("address", context.ip),
            ("user agent", context.user_agent),
            ("trace", context.trace_id),
            *(("changed", f"{one.path}: {one.old!r} → {one.new!r}") for one in found.changes),
            *(("context", f"{name}: {value}") for name, value in context.extra.items()),
            ("risk", found.risk_score),
            *(("", f"+{why.points} {why.sentence}") for why in found.risk_reasons),
            ("review", review.state if review else ""),
            ("assigned to", review.assignee if review else ""),
            ("note", review.note if review else ""),
        ),
    )


@app.command("review")
def review_entry(
    entry: _Entry,
    state: Annotated[ReviewState, typer.Argument(help="Where it goes: open, acknowledged, or a verdict.")],
    assignee: Annotated[str | None, typer.Option(help="Who is to look; default: as before.")] = None,
    note: Annotated[str | None, typer.Option(help="What was found; default: as before.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the review of an entry; what was recorded stays as it is."""

    async def move(custodes: Custodes) -> AuditEntry:
        before = await custodes.audit.get_entry(entry)
        was = before.review
        changes: list[tuple[str, object, object]] = [("review.state", was.state if was else None, state)]
        if assignee is not None:
            changes.append(("review.assignee", was.assignee if was else "", assignee))
        also = custodes.audit.admin_entry(
            "audit.reviewed",
            actor=operator(),
            target=f"audit_log:{entry}",
            changes=changes,
            reason=note or "",
            tenant=before.tenant,
        )
        return await custodes.audit.review(entry, Verdict(state, operator(), assignee, note), also=also)

    moved = run(database, move)
    if as_json:
        write_json(moved)
    else:
        out.print(f"The review is {state} now.")


@app.command()
def actors(
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_TOP, help="Actors at most.")] = MAX_TOP,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who did most; of the last day unless told otherwise."""

    async def rank(custodes: Custodes) -> tuple[ActorBehaviour, ...]:
        begin, end = stretch(since, until, custodes.clock.now())
        return (await custodes.audit.get_audit_analytics(begin, end, tenant=tenant, top=limit)).actors

    found = run(database, rank)
    if as_json:
        write_json(found)
        return
    rows = (
        (
            one.actor,
            f"{one.events:,}",
            f"{one.failures:,}",
            one.max_risk,
            one.addresses,
            one.new_addresses,
            one.devices,
            told_at(one.last_at),
        )
        for one in found
    )
    write_table(("actor", "entries", "failed", "risk", "addresses", "new", "devices", "last"), rows)


@app.command()
def actor(
    who: Annotated[str, typer.Argument(metavar="ACTOR", help="Who, as type:id: user:42.")],
    since: _Since = None,
    until: _Until = None,
    utc_offset: Annotated[
        int, typer.Option(min=-_MAX_OFFSET, max=_MAX_OFFSET, help="Minutes east of UTC that hours are told in.")
    ] = 0,
    tenant: TenantOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how one actor behaves: since when it is known, its usual hours, addresses, devices and actions."""

    async def look(custodes: Custodes) -> Behaviour:
        begin, end = stretch(since, until, custodes.clock.now())
        return await custodes.audit.get_actor_behaviour(who, begin, end, tenant=tenant, shift=utc_offset * MINUTE)

    found = run(database, look)
    if as_json:
        write_json(found)
        return
    write_fields(
        f"{found.actor} {found.name}".rstrip(),
        (
            ("known since", to_iso(found.first_seen_at)),
            ("last seen", to_iso(found.last_seen_at)),
            ("entries", f"{found.events:,}, of these {found.failures:,} failed and {found.flagged:,} flagged"),
            ("in its name by others", found.impersonated or ""),
            ("risk", f"{found.mean_risk:.1f} on average, {found.max_risk} at most"),
            ("hours", " ".join(f"{hour}h:{events}" for hour, events in enumerate(found.hours) if events)),
        ),
    )
    if found.actions:
        out.print()
        write_table(("action", "entries", "failed"), ((one.action, one.events, one.failures) for one in found.actions))
    for title, habits in (("address", found.addresses), ("device", found.devices)):
        if habits:
            out.print()
            write_table((title, "entries", "failed", "first", "last"), map(_habit, habits))


app.command()(report.report)


def _habit(one: Habit) -> tuple[object, ...]:
    return one.value, one.events, one.failures, told_at(one.first_at), told_at(one.last_at)


def _targets(entry: AuditEntry) -> str:
    return ", ".join(map(str, entry.targets))
