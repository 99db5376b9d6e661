"""How commands take a rate limit rule, and how they tell one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from custodes.cli.console import plain, write_fields, write_table
from custodes.kernel.clock import SECOND, to_iso
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.ratelimit.language import meter_of
from custodes.planes.ratelimit.model import EVERY_ENDPOINT, Limit, Rule
from custodes.planes.ratelimit.rules import given_of, spell_subjects

#: Longest value that the audit trail is told of a rule, characters.
_TOLD = 200

LimitsArgument = Annotated[str, typer.Argument(help="In the rule language: '5/minute; 100/day'.")]
NameOption = Annotated[
    str,
    typer.Option(
        "--name",
        help="Name; no other rule of the tenant, or for all, has it. Default: made of --by, --method and --route.",
    ),
]
ByOption = Annotated[
    str | None, typer.Option("--by", help="Whom to count: ip, user, api_key, tenant, or ip+user. Default: ip.")
]
RouteOption = Annotated[
    str | None, typer.Option("--route", help="Path template: /items/{id}, /api/*. Default: every path.")
]
MethodOption = Annotated[
    list[str] | None, typer.Option("--method", help="Only this method; give it again for more; '' for all.")
]
ExemptOption = Annotated[
    list[str] | None,
    typer.Option("--exempt", help="Path template that it does not hold for; give it again for more; '' for none."),
]
CostOption = Annotated[int | None, typer.Option("--cost", help="Units that a request costs. Default: 1.")]
LeaseOption = Annotated[
    int | None,
    typer.Option("--lease", help="Units that an instance may take from Redis at once; more may pass. Default: 1."),
]


def gather(**options: Any) -> dict[str, Any]:
    """Gather what a rule is to be, of the options that were given and only those; an empty text stands for none."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in ("methods", "exempt"):
        if name in given:
            given[name] = [one for one in given[name] if one]
    if "on_failure" in given:
        given["on_failure"] = given["on_failure"] or None
    return given


def told(given: dict[str, Any]) -> dict[str, str]:
    """Write what a rule is to be, small enough for the audit trail; what is taken from it is told as empty."""
    return {name: "" if value is None else str(value)[:_TOLD] for name, value in given.items()}


def told_whole(rule: Rule) -> dict[str, str]:
    """Write a whole rule for the audit trail."""
    return told({name: value for name, value in given_of(rule).items() if value is not None})


def plain_rule(rule: Rule) -> dict[str, Any]:
    """Write a rule for programs, as the admin API does.

    But for what leases let pass: a command does not know how many instances live, so it tells the share of each.
    """
    return {
        **plain(rule),
        "id": rule.id or None,
        "tenant": tenant_of(rule),
        "limits": [_promise(limit) for limit in rule.limits],
        "by": spell_subjects(rule),
        "over_admission_each": rule.lease - 1,
        "methods": sorted(rule.methods),
        "updated_at": to_iso(rule.updated_at) if rule.updated_at else None,
    }


def tenant_of(rule: Rule) -> str | None:
    """Tell whose requests it holds for; None for all."""
    return None if rule.tenant == EVERY_TENANT else rule.tenant


def text_of(rule: Rule) -> str:
    """Write its limits in the rule language."""
    return "; ".join(limit.text for limit in rule.limits)


def state_of(rule: Rule) -> str:
    """Tell in a word whether it refuses anybody."""
    if rule.overruled:
        return "overruled by the code"
    if not rule.enabled:
        return "off"
    return "shadow" if rule.shadow else "enforced"


def write_rule(rule: Rule) -> None:
    """Write a rule for people."""
    write_fields(
        rule.name,
        (
            ("id", rule.id),
            ("limits", text_of(rule)),
            ("counts by", spell_subjects(rule)),
            ("route", "every path" if rule.route == EVERY_ENDPOINT else rule.route),
            ("methods", " ".join(sorted(rule.methods)) or "all"),
            ("not for", " ".join(rule.exempt)),
            ("a request costs", rule.cost),
            ("state", state_of(rule)),
            ("when undecided", rule.on_failure),
            ("lease", rule.lease if rule.lease > 1 else ""),
            ("tenant", tenant_of(rule) or "all"),
            ("changed", f"{to_iso(rule.updated_at)} by {rule.actor}, version {rule.version}"),
        ),
    )


def write_promises(rule: Rule) -> None:
    """Write for people what its limits promise."""
    leased = f", and {rule.lease - 1:,} more for each instance on Redis" if rule.lease > 1 else ""
    rows = (
        (
            one["text"],
            one["algorithm"],
            f"{one['worst_case_factor']:g} × the limit in any window{leased}",
            f"{one['lateness_seconds']:g} s",
        )
        for one in map(_promise, rule.limits)
    )
    write_table(("limit", "counted by", "at worst", "quota back late by"), rows)


def _promise(limit: Limit) -> dict[str, Any]:
    meter = meter_of(limit)
    return {
        "text": limit.text,
        "algorithm": limit.algorithm.value,
        "worst_case_factor": meter.worst_case_factor,
        "lateness_seconds": meter.lateness / SECOND,
    }
