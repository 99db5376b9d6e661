"""``custodes limits check | what-if``: trying a rate limit rule out before it counts."""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli.console import DatabaseOption, JsonOption, operator, out, plain, run, write_json, write_table
from custodes.cli.moments import stretch
from custodes.cli.rule import (
    ByOption,
    CostOption,
    ExemptOption,
    LeaseOption,
    LimitsArgument,
    MethodOption,
    NameOption,
    RouteOption,
    gather,
    plain_rule,
    told_whole,
    write_promises,
)
from custodes.kernel.clock import to_iso
from custodes.kernel.figures import percent
from custodes.planes.ratelimit.model import Source
from custodes.planes.ratelimit.rules import make_rule
from custodes.planes.ratelimit.what_if import Hit, WhatIf


def check(
    limits: LimitsArgument,
    name: NameOption = "",
    by: ByOption = None,
    route: RouteOption = None,
    method: MethodOption = None,
    exempt: ExemptOption = None,
    cost: CostOption = None,
    lease: LeaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether a rule could be made as written, and what its limits promise; nothing is opened or changed."""
    given = gather(by=by, route=route, methods=method, exempt=exempt, cost=cost, lease=lease)
    found = make_rule(limits, name=name, source=Source.API, **given)
    if as_json:
        write_json(plain_rule(found))
    else:
        write_promises(found)


def what_if(
    limits: LimitsArgument,
    name: NameOption = "",
    by: ByOption = None,
    route: RouteOption = None,
    method: MethodOption = None,
    exempt: ExemptOption = None,
    cost: CostOption = None,
    since: Annotated[str | None, typer.Option(help="Calls from this moment on, or 7d ago. Default: a day.")] = None,
    until: Annotated[str | None, typer.Option(help="Calls before this moment. Default: now.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only calls of this tenant.")] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay recorded calls against a rule: whom would it have refused? At most the newest 100,000 calls."""
    given = gather(limits=limits, name=name, by=by, route=route, methods=method, exempt=exempt, cost=cost)

    async def action(custodes: Custodes) -> WhatIf:
        limiter = custodes.ratelimit
        await limiter.refresh()
        rule = limiter.draft(given, tenant=tenant)
        begin, end = stretch(since, until, custodes.clock.now())
        found = await limiter.what_if(rule, since=begin, until=end, tenant=tenant)
        context = {**told_whole(rule), "calls": found.calls, "refused": found.refused}
        entry = custodes.audit.admin_entry(
            "rate_limit.what_if", actor=operator(), target=f"rule:{rule.name}", context=context, tenant=tenant
        )
        await custodes.audit.commit(entry)
        return found

    found = run(database, action)
    if as_json:
        write_json({**plain(found), "rule": plain_rule(found.rule), "refusal_rate": found.refusal_rate})
        return
    out.print(
        f"From {to_iso(found.since)} to {to_iso(found.until)}{' (cut: too many calls)' if found.cut else ''} "
        f"{found.recorded:,} calls were recorded; the rule holds for {found.calls:,} of them.",
        soft_wrap=True,
    )
    out.print(
        f"It would have refused {found.refused:,} ({percent(found.refusal_rate)}), of which "
        f"{found.successes_refused:,} were answered with success: {found.subjects_refused:,} of {found.subjects:,} "
        "callers.",
        soft_wrap=True,
    )
    for title, hits in (("who", found.identifiers), ("where", found.endpoints)):
        if hits:
            out.print()
            write_table((title, "calls", "refused", "of these successes"), map(_row, hits))


def _row(hit: Hit) -> tuple[object, ...]:
    return hit.label, f"{hit.calls:,}", f"{hit.refused:,}", f"{hit.successes_refused:,}"
