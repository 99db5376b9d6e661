"""``custodes metrics``: what is measured, its course over any range, and its greatest values."""

from __future__ import annotations

from collections.abc import Sequence
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
    out,
    run,
    told_at,
    write_json,
    write_page,
    write_table,
)
from custodes.cli.moments import span, stretch
from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND
from custodes.kernel.paging import Page
from custodes.planes.metrics.model import Answer, Labels, MetricInfo, Query, Ranked

app = typer.Typer(help="Metrics: which there are, their course, their greatest values.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="METRIC", help="Name of the metric.")]
_Aggregation = Annotated[
    str,
    typer.Option("--as", help="rate, count_rate, sum, count, avg, min, max, last, or a percentile such as p95."),
]
_Label = Annotated[list[str] | None, typer.Option("--label", help="Only series with this label, name:value.")]
_Since = Annotated[str | None, typer.Option(help="From this moment on, or 7d for seven days ago; default: a day.")]
_Until = Annotated[str | None, typer.Option(help="Before this moment.")]


@app.command("list")
def list_metrics(
    tenant: TenantOption = None, limit: LimitOption = ROWS, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the metrics that exist, by tenant and name."""

    async def action(custodes: Custodes) -> Page[MetricInfo]:
        return await custodes.metrics.list_metrics(tenant=tenant, limit=limit)

    def row(one: MetricInfo) -> tuple[object, ...]:
        return one.name, one.kind, one.series, told_at(one.last_seen), one.tenant

    write_page(run(database, action), ("metric", "kind", "series", "last hour with it", "tenant"), row, as_json=as_json)


@app.command()
def query(
    name: _Name,
    aggregation: _Aggregation = "avg",
    by: Annotated[list[str] | None, typer.Option(help="One line for each value of this label; repeatable.")] = None,
    label: _Label = None,
    merge: Annotated[bool, typer.Option("--merge", help="All series in one line.")] = False,
    step: Annotated[str | None, typer.Option(help="Width of a step: 30s, 5m, 1h; default: one that fits.")] = None,
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the course of a metric; of what the server measured in its last ten seconds nothing is there yet."""
    width = 0 if step is None else span(step)
    pairs = labels_of(label)

    async def action(custodes: Custodes) -> Answer:
        begin, end = stretch(since, until, custodes.clock.now())
        lines = by or (() if merge else None)
        return await custodes.metrics.query(Query(name, aggregation, begin, end, width, pairs, lines, tenant))

    found = run(database, action)
    if as_json:
        lines = [{"labels": dict(line.labels), "points": line.points} for line in found.lines]
        write_json(
            {
                "name": name,
                "kind": found.kind,
                "aggregation": aggregation,
                "step_seconds": found.step // SECOND,
                "lines": lines,
                "hidden": found.hidden,
            }
        )
        return
    if found.kind is None:
        err.print("Nothing is known under this name; look at custodes metrics list.")
    for line in found.lines:
        out.print(_told(line.labels) or name, markup=False, soft_wrap=True)
        write_table(("from", aggregation), ((told_at(point.at), f"{point.value:,.6g}") for point in line.points))
        out.print()
    if found.hidden:
        err.print(f"{found.hidden} more lines are not shown: narrow them down with --label or --by.")


@app.command()
def top(
    name: _Name,
    by: Annotated[str, typer.Argument(metavar="LABEL", help="Label whose values are ranked.")],
    aggregation: _Aggregation = "avg",
    label: _Label = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Values at most.")] = 10,
    since: _Since = None,
    until: _Until = None,
    tenant: TenantOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the values of a label by a figure over the whole range."""
    pairs = labels_of(label)

    async def action(custodes: Custodes) -> list[Ranked]:
        begin, end = stretch(since, until, custodes.clock.now())
        asked = Query(name, aggregation, begin, end, labels=pairs, tenant=tenant)
        return await custodes.metrics.top(asked, by, limit)

    found = run(database, action)
    if as_json:
        write_json(found)
    else:
        write_table((by, aggregation), ((one.value or "(none)", f"{one.figure:,.6g}") for one in found))


def labels_of(given: Sequence[str] | None) -> dict[str, str]:
    """Read labels, ``name:value`` each.

    Raises:
        InvalidInput: one is none, or a label is named twice.
    """
    pairs = [one.partition(":") for one in given or ()]
    labels = {label: value for label, colon, value in pairs if label and colon}
    if len(labels) != len(pairs):
        msg = "A label is not name:value, or is named twice"
        raise InvalidInput(msg, remedy="Write --label region:eu, once for each label")
    return labels


def _told(labels: Labels) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels)
