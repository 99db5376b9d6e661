"""``custodes alerts rules``: what raises an alert; and ``custodes alerts sinks``: who is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from custodes.app import Custodes
from custodes.cli.console import (
    DatabaseOption,
    JsonOption,
    ReasonOption,
    TenantOption,
    operator,
    out,
    plain,
    run,
    told_at,
    write_fields,
    write_json,
    write_table,
)
from custodes.cli.metrics import labels_of
from custodes.cli.moments import span
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.alerts.model import Comparator, Rule, Severity, SinkStatus
from custodes.planes.audit.model import Reference

app = typer.Typer(help="Rules: when a metric becomes an alert, and when it is over.", no_args_is_help=True)
sinks = typer.Typer(help="Where alerts go.", no_args_is_help=True)

_RuleId = Annotated[str, typer.Argument(metavar="RULE", help="Id of the rule.")]
_WHEN = re.compile(r"\s*(>=|<=|>|<)\s*(\S+)\s*")
_When = Annotated[str | None, typer.Option("--when", help="Comparison and threshold: '> 0.05', '<= 3'.")]
_Aggregation = Annotated[
    str | None, typer.Option("--as", help="What is compared: rate, avg, max, last, p95, …; default: avg.")
]
_Name = Annotated[str | None, typer.Option("--name", help="One line for a person.")]
_Clear = Annotated[float | None, typer.Option(help="Must pass back over this to be over; default: the threshold.")]
_Critical = Annotated[float | None, typer.Option(help="From this value on it is critical.")]
_Severity = Annotated[Severity | None, typer.Option(help="How much it matters; default: warning.")]
_Label = Annotated[list[str] | None, typer.Option("--label", help="Only series with this label, name:value.")]
_By = Annotated[list[str] | None, typer.Option(help="One alert for each value of this label; repeatable.")]
_Window = Annotated[str | None, typer.Option(help="Time that the figure is taken over; default: 1m.")]
_Hold = Annotated[str | None, typer.Option(help="How long it must be broken before it fires; default: 1m.")]
_ClearHold = Annotated[str | None, typer.Option(help="How long it must be fine to be over; default: 1m.")]
_Remind = Annotated[str | None, typer.Option(help="Tell again after this long; 0s: never; default: 4h.")]
_Message = Annotated[str | None, typer.Option(help="Sentence: {name}, {value}, {percent}, {threshold}, {labels}, …")]
_Enabled = Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it is looked at.")]


@app.command("list")
def list_rules(tenant: TenantOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the rules: those that come with Custodes, of the code, and stored ones."""

    async def action(custodes: Custodes) -> list[tuple[Rule, str]]:
        return [(rule, await custodes.alerts.no_data(rule)) for rule in await custodes.alerts.rules.list(tenant)]

    found = run(database, action)
    if as_json:
        write_json([told(rule, no_data) for rule, no_data in found])
        return
    rows = (
        (one.id, one.name, _condition(one), one.severity, one.tenant or "all", one.origin, _state(one, no_data))
        for one, no_data in found
    )
    write_table(("id", "rule", "when", "severity", "tenant", "from", ""), rows)


@app.command()
def show(rule: _RuleId, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show a rule."""

    async def action(custodes: Custodes) -> tuple[Rule, str]:
        found = await custodes.alerts.rules.get(rule)
        return found, await custodes.alerts.no_data(found)

    _write(*run(database, action), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="One line for a person.")],
    metric: Annotated[str, typer.Argument(help="Name of the metric.")],
    when: Annotated[str, typer.Option("--when", help="Comparison and threshold: '> 0.05', '<= 3'.")],
    aggregation: _Aggregation = None,
    clear: _Clear = None,
    critical: _Critical = None,
    severity: _Severity = None,
    label: _Label = None,
    by: _By = None,
    window: _Window = None,
    hold: _Hold = None,
    clear_hold: _ClearHold = None,
    remind: _Remind = None,
    message: _Message = None,
    enabled: _Enabled = None,
    tenant: Annotated[str | None, typer.Option(help="Whose metric; default: all tenants'.")] = None,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a rule; the running server looks at it within its next evaluation."""
    given = _given(
        when=when,
        labels=label,
        by=by,
        spans={"window": window, "hold": hold, "clear_hold": clear_hold, "remind": remind},
        plainly={
            "aggregation": aggregation or "avg",
            "clear": clear,
            "critical": critical,
            "severity": severity,
            "message": message,
            "enabled": enabled,
        },
    )
    asked = Rule(id="", name=name, metric=metric, tenant=tenant, **given)

    async def action(custodes: Custodes) -> tuple[Rule, str]:
        rule_id = custodes.new_id()
        entry = custodes.audit.admin_entry(
            "alert_rule.created",
            actor=operator(),
            target=Reference("alert_rule", rule_id, name),
            context={"name": name, "metric": metric, "threshold": asked.threshold, "enabled": asked.enabled},
            reason=reason,
            tenant=tenant,
        )
        made = await custodes.alerts.rules.create(asked, rule_id=rule_id, also=entry)
        return made, await custodes.alerts.no_data(made)

    _write(*run(database, action), as_json=as_json)


@app.command()
def update(
    rule: _RuleId,
    name: _Name = None,
    metric: Annotated[str | None, typer.Option(help="Name of the metric.")] = None,
    when: _When = None,
    aggregation: _Aggregation = None,
    clear: _Clear = None,
    critical: _Critical = None,
    severity: _Severity = None,
    label: _Label = None,
    by: _By = None,
    window: _Window = None,
    hold: _Hold = None,
    clear_hold: _ClearHold = None,
    remind: _Remind = None,
    message: _Message = None,
    enabled: _Enabled = None,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change a rule; what is not given stays. One that is not stored is overridden until that is deleted."""
    given = _given(
        when=when,
        labels=label,
        by=by,
        spans={"window": window, "hold": hold, "clear_hold": clear_hold, "remind": remind},
        plainly={
            "name": name,
            "metric": metric,
            "aggregation": aggregation,
            "clear": clear,
            "critical": critical,
            "severity": severity,
            "message": message,
            "enabled": enabled,
        },
    )
    if not given:
        msg = "Nothing says what to change"
        raise InvalidInput(msg, remedy="Give at least one option, such as --when or --disable")

    async def action(custodes: Custodes) -> tuple[Rule, str]:
        before = await custodes.alerts.rules.get(rule)
        changed = replace(before, **given)
        entry = custodes.audit.admin_entry(
            "alert_rule.updated",
            actor=operator(),
            target=Reference("alert_rule", rule, changed.name),
            context={"name": changed.name},
            changes=[(one, _plainly(getattr(before, one)), _plainly(value)) for one, value in given.items()],
            reason=reason,
            tenant=before.tenant,
        )
        made = await custodes.alerts.rules.replace(rule, changed, also=entry)
        return made, await custodes.alerts.no_data(made)

    _write(*run(database, action), as_json=as_json)


@app.command()
def delete(
    rule: _RuleId, reason: ReasonOption = "", database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """Delete a stored rule; one that it stood above comes back."""

    async def action(custodes: Custodes) -> None:
        found = await custodes.alerts.rules.get(rule)
        entry = custodes.audit.admin_entry(
            "alert_rule.deleted",
            actor=operator(),
            target=Reference("alert_rule", rule, found.name),
            reason=reason,
            tenant=found.tenant,
        )
        await custodes.alerts.rules.delete(rule, also=entry)

    run(database, action)
    if as_json:
        write_json({"id": rule, "deleted": True})
    else:
        out.print("Deleted.")


@sinks.command("list")
def list_sinks(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List where alerts go, by the settings of this environment, and which was switched off and why."""

    async def action(custodes: Custodes) -> list[SinkStatus]:
        return await custodes.alerts.list_sinks()

    found = run(database, action)
    if as_json:
        write_json(found)
        return
    rows = (
        (one.name, one.disabled_reason, "" if one.disabled_at is None else told_at(one.disabled_at)) for one in found
    )
    write_table(("sink", "switched off because", "at"), rows)


@sinks.command()
def enable(
    sink: Annotated[str, typer.Argument(help="Its name, as custodes alerts sinks list writes it.")],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Switch a sink on again that was switched off."""

    async def action(custodes: Custodes) -> None:
        entry = custodes.audit.admin_entry(
            "alert_sink.enabled", actor=operator(), target=f"alert_sink:{sink}", context={"sink": sink}
        )
        await custodes.alerts.enable_sink(sink, also=entry)

    run(database, action)
    if as_json:
        write_json({"name": sink, "enabled": True})
    else:
        out.print("It is told again.")


def told(rule: Rule, no_data: str = "") -> dict[str, Any]:
    """Tell a rule as the admin API does."""
    values: dict[str, Any] = plain(rule) | {"no_data": no_data}
    del values["updated_at"]  # of a rule that is not stored it is none
    for name in ("window", "hold", "clear_hold", "remind"):
        values[f"{name}_seconds"] = values.pop(name) // SECOND
    return values


def _given(
    *,
    when: str | None,
    labels: list[str] | None,
    by: list[str] | None,
    spans: Mapping[str, str | None],
    plainly: Mapping[str, object],
) -> dict[str, Any]:
    """Gather what was given of a rule, and only that."""
    given = {name: value for name, value in plainly.items() if value is not None}
    given |= {name: span(text) for name, text in spans.items() if text is not None}
    if when is not None:
        given |= _compared(when)
    if labels is not None:
        given["labels"] = labels_of(labels)
    if by is not None:
        given["by"] = tuple(by)
    return given


def _compared(text: str) -> dict[str, Any]:
    found = _WHEN.fullmatch(text)
    try:
        threshold = float(found[2]) if found else None
    except ValueError:
        threshold = None
    if found is None or threshold is None:
        msg = f"{text[:60]!r} is no comparison"
        raise InvalidInput(msg, remedy="Write --when '> 0.05': one of > >= < <= and a number")
    return {"comparator": Comparator(found[1]), "threshold": threshold}


def _condition(rule: Rule) -> str:
    return f"{rule.aggregation} of {rule.metric} {rule.comparator} {rule.threshold:g} for {_length(rule.hold)}"


def _length(micros: int) -> str:
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if micros and micros % size == 0:
            return f"{micros // size}{unit}"
    return f"{micros // SECOND}s"


def _plainly(value: object) -> object:
    told_of: object = plain(value)
    return told_of


def _state(rule: Rule, no_data: str) -> str:
    return no_data if rule.enabled else "off"


def _write(rule: Rule, no_data: str, *, as_json: bool) -> None:
    if as_json:
        write_json(told(rule, no_data))
        return
    labels = ", ".join(f"{name}={value}" for name, value in rule.labels.items())
    write_fields(
        rule.id,
        (
            ("rule", rule.name),
            ("when", _condition(rule)),
            ("taken over", _length(rule.window)),
            ("only", labels),
            ("one alert each", ", ".join(rule.by)),
            ("over at", rule.clear),
            ("critical at", rule.critical),
            ("fine for", _length(rule.clear_hold)),
            ("severity", rule.severity),
            ("reminds", _length(rule.remind) if rule.remind else "never"),
            ("message", rule.message),
            ("tenant", rule.tenant or "all"),
            ("from", rule.origin),
            ("state", "on" if rule.enabled else "off"),
            ("no data", no_data),
        ),
    )
