"""``custodes audit report``: the compliance report of a period, to read or to take away."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    DatabaseOption,
    JsonOption,
    TenantOption,
    err,
    operator,
    out,
    run,
    told_at,
    write_bytes,
    write_fields,
    write_table,
)
from custodes.cli.moments import stretch
from custodes.errors import InvalidInput
from custodes.kernel.clock import to_iso
from custodes.kernel.tenant import EVERY_TENANT, check_tenant

if TYPE_CHECKING:
    from custodes.admin.routes.audit_report_models import ReportModel, TallyModel


class Format(StrEnum):
    """How it is taken away."""

    #: As the admin API tells it.
    JSON = "json"
    #: Every line of every section.
    CSV = "csv"


def report(
    since: Annotated[str | None, typer.Option(help="From this moment on, or 90d for ninety days ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this moment.")] = None,
    tenant: TenantOption = None,
    form: Annotated[Format | None, typer.Option("--format", help="Take it away as json or csv.")] = None,
    output: Annotated[Path | None, typer.Option(help="File to write. Default: standard output.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report on a period for auditors: who has access, what was done, flagged and decided, and what is kept how long.

    That it was taken away is in the trail.
    """
    if tenant is not None:
        check_tenant(tenant)
    form = form or (Format.JSON if as_json or output else None)
    if output is not None:
        _check(output)

    async def action(custodes: Custodes) -> ReportModel:
        # Only here: it is part of the admin API, which takes a while to load.
        from custodes.admin.fields import Range
        from custodes.admin.routes.audit_report import make_report

        period = Range(*stretch(since, until, custodes.clock.now()))
        if form is not None:
            context = {"since": to_iso(period.since), "until": to_iso(period.until), "format": form.value}
            context |= {"tenant": tenant or EVERY_TENANT}
            entry = custodes.audit.admin_entry(
                "audit.exported", actor=operator(), target="report:compliance", context=context, tenant=tenant
            )
            await custodes.audit.commit(entry)
        return await make_report(custodes, period, tenant=tenant, whole=True)

    found = run(database, action)
    if form is None:
        _show(found)
        return
    written = _written(found, form)
    if output is None:
        write_bytes(written.encode())
    else:
        output.write_text(written, "utf-8")
        err.print(f"Written to {output}.", markup=False)


def _written(found: ReportModel, form: Format) -> str:
    from custodes.admin.routes.audit_report import csv_lines

    return "".join(csv_lines(found)) if form is Format.CSV else found.model_dump_json(indent=2) + "\n"


def _check(output: Path) -> None:
    """Find out that a file cannot be written before the trail says that it was.

    Raises:
        InvalidInput: it cannot.
    """
    try:
        output.open("a").close()
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror}"
        raise InvalidInput(msg, remedy="Name a file in a folder that is there and may be written to") from None


def _show(found: ReportModel) -> None:
    write_fields(
        "compliance report",
        (
            ("from", told_at(found.since)),
            ("to", told_at(found.until)),
            ("tenant", found.tenant or "all"),
            ("trail", "; ".join([found.trail_state, *found.trail_reasons])),
            ("entries", f"{found.entries:,}"),
            ("reviews", ", ".join(f"{state} {number:,}" for state, number in found.reviews.items() if number)),
        ),
    )
    access = ((one.subject, one.role, one.tenant or "all", _at(one.last_seen_at)) for one in found.access)
    _section("may administer", ("who", "role", "tenant", "last seen"), access, cut=found.access_cut)
    keys = ((one.name, one.role, one.tenant or "all", _at(one.last_used_at)) for one in found.api_keys)
    _section("API keys that work", ("name", "role", "tenant", "last used"), keys, cut=found.api_keys_cut)
    tallies = (
        ("actions of administrators", found.admin_actions, found.admin_actions_cut),
        ("privileged actions", found.privileged, False),
        ("sign-ins", found.sign_ins, found.sign_ins_cut),
    )
    for title, lines, cut in tallies:
        _section(title, ("action", "actor", "outcome", "entries", "last"), map(_tally, lines), cut=cut)
    flagged = (
        (
            told_at(one.recorded_at),
            one.action,
            f"{one.actor.type}:{one.actor.id}",
            one.risk_score,
            one.review.state if one.review else "",
        )
        for one in found.flagged
    )
    _section("flagged", ("at", "action", "actor", "risk", "review"), flagged, cut=found.flagged_cut)
    kept = ((one.name, f"{one.keep_days:g}", one.description) for one in found.retention)
    _section("retention", ("what", "days", ""), kept)


def _section(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], *, cut: bool = False) -> None:
    lines = list(rows)
    out.print(f"\n[bold]{title}[/]{'' if lines else ': none'}")
    if lines:
        write_table(columns, lines)
    if cut:
        err.print(f"There are more lines of {title} than are told.")


def _tally(one: TallyModel) -> tuple[object, ...]:
    return one.action, one.actor, one.outcome, f"{one.events:,}", told_at(one.last_at)


def _at(moment: int | None) -> str:
    return "never" if moment is None else told_at(moment)
