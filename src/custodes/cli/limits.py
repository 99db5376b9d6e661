"""``custodes limits``: the rate limit rules that are made at run time.

Rules that are written in an app's code are known to the app's processes only, and are changed there.
"""

from __future__ import annotations

from typing import Annotated

import typer

from custodes.app import Custodes
from custodes.cli import trial
from custodes.cli.console import (
    DatabaseOption,
    JsonOption,
    ReasonOption,
    TenantOption,
    err,
    operator,
    out,
    run,
    write_json,
    write_table,
)
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
    state_of,
    tenant_of,
    text_of,
    told,
    told_whole,
    write_promises,
    write_rule,
)
from custodes.errors import InvalidInput, NotFound
from custodes.planes.audit.model import Reference
from custodes.planes.ratelimit.model import Rule
from custodes.planes.ratelimit.rules import given_of, spell_subjects

app = typer.Typer(help="Rate limit rules made at run time; those in code are changed in code.", no_args_is_help=True)

_RuleArgument = Annotated[str, typer.Argument(help="Name or id of the rule.")]
_Owner = Annotated[
    str | None, typer.Option("--tenant", help="Whose rule it is, where several tenants have one of that name.")
]
_Shadow = Annotated[
    bool | None, typer.Option("--shadow/--enforce", help="Whether it refuses nobody and only tells whom it would.")
]
_Enabled = Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it counts at all.")]
_OnFailure = Annotated[
    str | None,
    typer.Option(help="When limits cannot be decided: open, closed, degraded; '' for what the install has chosen."),
]


@app.command("list")
def list_rules(tenant: TenantOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the rules made at run time, by name; and the names of what else has counted within a day."""

    async def action(custodes: Custodes) -> tuple[list[Rule], list[str]]:
        await custodes.ratelimit.refresh()
        counted = await custodes.ratelimit.get_rate_limit_analytics(tenant=tenant)
        names = [one.label for one in counted.rules if not one.label.startswith("(")]
        return custodes.ratelimit.list_rules(tenant=tenant), names

    found, counted = run(database, action)
    if as_json:
        write_json([plain_rule(rule) for rule in found])
        return
    rows = (
        (
            rule.name,
            text_of(rule),
            spell_subjects(rule),
            rule.route,
            tenant_of(rule) or "all",
            state_of(rule),
            rule.actor,
        )
        for rule in found
    )
    write_table(("name", "limits", "by", "route", "tenant", "state", "changed by"), rows)
    known = {rule.name for rule in found}
    others = sorted(name for name in counted if name not in known)
    if others:
        told = f"In code, or deleted since, and counted within a day: {', '.join(others)}."
        err.print(told, markup=False, soft_wrap=True)
    err.print(
        "Rules in an app's code are known to its own processes: the dashboard shows them (Rate limits, Rules), "
        "and GET /api/admin/enterprise/rate-limits/rules does.",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def show(
    rule: _RuleArgument, tenant: _Owner = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Show a rule, and what its limits promise."""
    found = run(database, lambda custodes: _find(custodes, rule, tenant))
    if as_json:
        write_json(plain_rule(found))
        return
    write_rule(found)
    out.print()
    write_promises(found)


@app.command()
def create(
    limits: LimitsArgument,
    name: NameOption = "",
    by: ByOption = None,
    route: RouteOption = None,
    method: MethodOption = None,
    exempt: ExemptOption = None,
    cost: CostOption = None,
    lease: LeaseOption = None,
    shadow: _Shadow = None,
    enabled: _Enabled = None,
    on_failure: _OnFailure = None,
    tenant: Annotated[str | None, typer.Option(help="Only for requests of this tenant. Default: all.")] = None,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a rule; every worker holds it within two seconds."""
    given = gather(
        limits=limits,
        name=name,
        by=by,
        route=route,
        methods=method,
        exempt=exempt,
        cost=cost,
        lease=lease,
        shadow=shadow,
        enabled=enabled,
        on_failure=on_failure,
    )

    async def action(custodes: Custodes) -> Rule:
        limiter = custodes.ratelimit
        await limiter.refresh()
        drafted = limiter.draft(given, tenant=tenant)
        rule_id = custodes.new_id()
        entry = custodes.audit.admin_entry(
            "rate_limit.rule_changed",
            actor=operator(),
            target=Reference("rule", rule_id, drafted.name),
            context=told_whole(drafted),
            reason=reason,
            tenant=tenant,
        )
        return await limiter.create_rule(
            actor=operator(), tenant=tenant, rule_id=rule_id, also=entry, **given_of(drafted)
        )

    _done(run(database, action), as_json=as_json)


@app.command()
def update(
    rule: _RuleArgument,
    limits: Annotated[str | None, typer.Option(help="In the rule language: '5/minute; 100/day'.")] = None,
    by: ByOption = None,
    route: RouteOption = None,
    method: MethodOption = None,
    exempt: ExemptOption = None,
    cost: CostOption = None,
    lease: LeaseOption = None,
    shadow: _Shadow = None,
    enabled: _Enabled = None,
    on_failure: _OnFailure = None,
    tenant: _Owner = None,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a rule; what is not given stays, and so does what was counted under limits that stay the same."""
    changes = gather(
        limits=limits,
        by=by,
        route=route,
        methods=method,
        exempt=exempt,
        cost=cost,
        lease=lease,
        shadow=shadow,
        enabled=enabled,
        on_failure=on_failure,
    )
    if not changes:
        msg = "Nothing says what to change"
        raise InvalidInput(msg, remedy="Give at least one option, such as --shadow")

    async def action(custodes: Custodes) -> Rule:
        found = await _find(custodes, rule, tenant)
        entry = custodes.audit.admin_entry(
            "rate_limit.rule_changed",
            actor=operator(),
            target=Reference("rule", found.id, found.name),
            context=told(changes),
            reason=reason,
            tenant=tenant_of(found),
        )
        return await custodes.ratelimit.change_rule(found.id, actor=operator(), also=entry, **changes)

    _done(run(database, action), as_json=as_json)


@app.command()
def delete(
    rule: _RuleArgument,
    tenant: _Owner = None,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a rule."""

    async def action(custodes: Custodes) -> Rule:
        found = await _find(custodes, rule, tenant)
        entry = custodes.audit.admin_entry(
            "rate_limit.rule_deleted",
            actor=operator(),
            target=Reference("rule", found.id, found.name),
            reason=reason,
            tenant=tenant_of(found),
        )
        return await custodes.ratelimit.delete_rule(found.id, also=entry)

    found = run(database, action)
    if as_json:
        write_json(plain_rule(found))
    else:
        out.print(f"Rule {found.name} is deleted.", markup=False)


app.command()(trial.check)
app.command("what-if")(trial.what_if)


async def _find(custodes: Custodes, rule: str, tenant: str | None) -> Rule:
    """Find a rule by its name or id.

    Raises:
        NotFound: there is none.
        InvalidInput: several tenants have one of that name.
    """
    await custodes.ratelimit.refresh()
    found = [
        one for one in custodes.ratelimit.list_rules() if rule in (one.name, one.id) and tenant in (None, one.tenant)
    ]
    if not found:
        whose = "" if tenant is None else f" for tenant {tenant[:64]!r} alone"
        msg = f"There is no rule {rule[:100]!r} made at run time{whose}"
        remedy = "Look at custodes limits list; rules in code are shown in the dashboard and changed in code"
        raise NotFound(msg, remedy=remedy)
    if len(found) > 1:
        whose = ", ".join(one.tenant for one in found[:5])
        msg = f"{len(found)} tenants have a rule {rule[:100]!r}: {whose}{', …' if len(found) > 5 else ''}"
        raise InvalidInput(msg, remedy="Say whose: --tenant, or give the id of the rule")
    return found[0]


def _done(rule: Rule, *, as_json: bool) -> None:
    if as_json:
        write_json(plain_rule(rule))
    else:
        out.print(f"Rule {rule.name}: {text_of(rule)}, {state_of(rule)}.", markup=False)
