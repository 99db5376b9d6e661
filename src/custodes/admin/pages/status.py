"""The status page: how every system is, and what happened lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from custodes.admin.pages.markup import Html, html, join, page
from custodes.kernel.clock import to_iso
from custodes.kernel.health import SystemHealth
from custodes.planes.identity.model import Principal
from custodes.planes.metrics.health import HealthReport

_BODY = """<header class="top"><strong>Custodes</strong>
<span class="state {state}">{state}</span>
<span class="who">{who} ({role})</span>{leave}
</header>
<main>
<h1>System overview</h1>
<p class="note">As of {at}. <a href="{base}">Refresh</a></p>
<div class="cards">{cards}</div>
{happened}
</main>"""

_LEAVE = """<a href="{base}/password">Password</a>
<form method="post" action="{base}/logout"><input type="hidden" name="csrf" value="{csrf}">
<button class="quiet">Sign out</button></form>"""

_CARD = """<section class="sheet card"><h3>{system}<span class="state {state}">{state}</span></h3>
{reasons}<dl>{figures}</dl></section>"""

_HAPPENED = """<h2>{title}</h2>
<div class="sheet scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"""

#: Figures of one system that are shown.
MAX_FIGURES = 12


@dataclass(frozen=True, slots=True)
class Happened:
    """A table of recent events."""

    #: Heading.
    title: str
    #: Names of the columns after the moment.
    columns: Sequence[str]
    #: Moment (microseconds) and one text for each column.
    rows: Sequence[tuple[int, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Status:
    """What the page shows."""

    #: Who looks.
    principal: Principal
    #: CSRF token of the session; empty without one.
    csrf: str
    #: How every system is.
    health: HealthReport
    #: What happened lately.
    happened: Sequence[Happened] = ()


def status_page(base: str, status: Status) -> str:
    """Write the status page; figures count all tenants and are for those who may see all."""
    whole = status.principal.tenant is None
    body = html(
        _BODY,
        base=base,
        state=status.health.overall,
        who=status.principal.subject,
        role=status.principal.role,
        leave=html(_LEAVE, base=base, csrf=status.csrf) if status.csrf else Html(""),
        at=_moment(status.health.at),
        cards=join(_card(system, whole=whole) for system in status.health.systems),
        happened=join(_table(events) for events in status.happened),
    )
    return page("Overview", base, body)


def _card(system: SystemHealth, *, whole: bool) -> Html:
    reasons = join(html("<li>{reason}</li>", reason=reason) for reason in system.reasons if whole)
    figures = join(
        html("<dt>{name}</dt><dd>{value}</dd>", name=name.replace("_", " "), value=_figure(value))
        for name, value in list(system.figures.items())[:MAX_FIGURES]
        if whole
    )
    return html(
        _CARD,
        system=system.system.replace("_", " "),
        state=system.state,
        reasons=html("<ul>{reasons}</ul>", reasons=reasons) if reasons else Html(""),
        figures=figures,
    )


def _table(events: Happened) -> Html:
    heads = join(html('<th scope="col">{name}</th>', name=name) for name in ("When (UTC)", *events.columns))
    rows = join(
        html(
            '<tr><td class="moment">{at}</td>{cells}</tr>',
            at=_moment(at),
            cells=join(html("<td>{cell}</td>", cell=cell) for cell in cells),
        )
        for at, cells in events.rows
    )
    empty = html('<tr><td colspan="{width}">Nothing yet</td></tr>', width=len(events.columns) + 1)
    return html(_HAPPENED, title=events.title, heads=heads, rows=rows or empty)


def _figure(value: float) -> str:
    """Write a figure with three digits that matter, and whole numbers whole."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.3g}"


def _moment(micros: int) -> str:
    return f"{to_iso(micros)[:19].replace('T', ' ')} UTC"
