"""Figures of the audit trail, folded from its entries (:mod:`custodes.storage.sql.audit_figures`).

The keys begin with level and bucket, not with the tenant: most questions are about a stretch of time of everybody, and
one about a tenant then reads no more rows than that. No row of these says anything that the trail does not.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, SmallInteger, Table

from custodes.storage.sql.tables import metadata
from custodes.storage.sql.types import Count, Micros, String, Tenant


def _folds(name: str) -> Table:
    """One row: how far the trail is folded into a set of figures."""
    return Table(
        name,
        metadata,
        Column("tenant_id", Tenant, primary_key=True),
        # Entries up to this place in the trail are in the figures.
        Column("seq", Count, nullable=False),
        # Retention has deleted from here back: figures of earlier moments do not count.
        Column("valid_from", Micros, nullable=False),
    )


#: How far the figures of the trail are, how far those of habits and duties, and how far those of lines, each of which
#: came later: a process of a version before them folds the former and must not move the mark of the latter.
audit_folds = _folds("audit_folds")
audit_habit_folds = _folds("audit_habit_folds")
audit_line_folds = _folds("audit_line_folds")


def _figures(name: str, *columns: Column[object]) -> Table:
    """A table of figures: one row for each series in each stretch of time."""
    return Table(
        name,
        metadata,
        Column("level", SmallInteger, primary_key=True, autoincrement=False),
        Column("bucket", Micros, primary_key=True, autoincrement=False),
        *columns,
        sqlite_with_rowid=False,
    )


#: Entries by what they are.
audit_group_figures = _figures(
    "audit_group_figures",
    Column("tenant_id", Tenant, primary_key=True),
    Column("action", String(100), primary_key=True),
    Column("category", String(40), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("events", Count, nullable=False),
)

#: Entries and their risk over time.
audit_risk_figures = _figures(
    "audit_risk_figures",
    Column("tenant_id", Tenant, primary_key=True),
    Column("events", Count, nullable=False),
    Column("risk", Count, nullable=False),
    Column("max_risk", SmallInteger, nullable=False),
    Column("flagged", Count, nullable=False),
)

#: What each actor did; the actor before the tenant, because a few actors are asked for.
audit_actor_figures = _figures(
    "audit_actor_figures",
    Column("actor", String(250), primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    Column("events", Count, nullable=False),
    Column("failures", Count, nullable=False),
    Column("max_risk", SmallInteger, nullable=False),
    Column("new_addresses", Count, nullable=False),
    Column("first_at", Micros, nullable=False),
    Column("last_at", Micros, nullable=False),
)

#: Where from and with what each actor came.
audit_origin_figures = _figures(
    "audit_origin_figures",
    Column("actor", String(250), primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    Column("ip", String(64), primary_key=True),
    Column("user_agent", String(256), primary_key=True),
    Column("events", Count, nullable=False),
)

#: Failures by address and actor; the address before the tenant, because a few addresses are asked for.
audit_failure_figures = _figures(
    "audit_failure_figures",
    Column("ip", String(64), primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    Column("actor", String(250), primary_key=True),
    Column("failures", Count, nullable=False),
)

#: Entries with a review by the rules that scored.
audit_rule_figures = _figures(
    "audit_rule_figures",
    Column("tenant_id", Tenant, primary_key=True),
    Column("rule", String(100), primary_key=True),
    Column("entries", Count, nullable=False),
)

#: What each actor did, how, from where and when: see :mod:`custodes.storage.sql.audit_behaviour`. Days and tens of days
#: only: entries of one actor are found by an index.
audit_habit_figures = _figures(
    "audit_habit_figures",
    Column("actor", String(250), primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    # ``all``, ``address``, ``device``, ``action`` or ``time``; which; and the category of an action.
    Column("habit", String(16), primary_key=True),
    Column("value", String(256), primary_key=True),
    Column("category", String(40), primary_key=True),
    Column("events", Count, nullable=False),
    Column("failures", Count, nullable=False),
    Column("flagged", Count, nullable=False),
    Column("impersonated", Count, nullable=False),
    Column("risk", Count, nullable=False),
    Column("max_risk", SmallInteger, nullable=False),
    Column("first_at", Micros, nullable=False),
    Column("last_at", Micros, nullable=False),
)

#: Lines of a compliance report: of each duty (``admin``, ``sign_in``, ``privileged``) who did what and how it ended,
#: under a number, so that ranking them adds up and sorts numbers. A line is the same in every tenant, so the tenant is
#: a constant here; the figures tell whose entries they are.
audit_lines = Table(
    "audit_lines",
    metadata,
    Column("tenant_id", Tenant, nullable=False),
    Column("line", Count, primary_key=True, autoincrement=False),
    Column("duty", String(16), nullable=False),
    Column("actor", String(250), nullable=False),
    Column("action", String(100), nullable=False),
    Column("outcome", String(16), nullable=False),
    # Entries that are in figures: no range holds more of them.
    Column("events", Count, nullable=False),
    # The last of them: once figures of that time are forgotten, nothing needs the number.
    Column("last_at", Micros, nullable=False),
    Index("ix_audit_lines_name", "actor", "action", "outcome", "duty", unique=True),
    Index("ix_audit_lines_events", "duty", "events"),
    Index("ix_audit_lines_last_at", "last_at"),
)

#: Entries by line, duty after duty.
audit_line_figures = _figures(
    "audit_line_figures",
    Column("duty", String(16), primary_key=True),
    Column("line", Count, primary_key=True, autoincrement=False),
    Column("tenant_id", Tenant, primary_key=True),
    Column("events", Count, nullable=False),
)

#: Where the entries of a line are from. The line before the time: some hundred lines are asked for, each a search.
audit_line_addresses = Table(
    "audit_line_addresses",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("duty", String(16), primary_key=True),
    Column("line", Count, primary_key=True, autoincrement=False),
    Column("bucket", Micros, primary_key=True, autoincrement=False),
    Column("tenant_id", Tenant, primary_key=True),
    Column("ip", String(64), primary_key=True),
    Column("events", Count, nullable=False),
    Column("last_at", Micros, nullable=False),
    # Retention deletes a level by age.
    Index("ix_audit_line_addresses_level", "level", "bucket"),
    sqlite_with_rowid=False,
)

#: Lines of a report by name, as versions before :data:`audit_line_figures` wrote them. Nothing reads these any more; a
#: table goes in a release after.
audit_duty_figures = _figures(
    "audit_duty_figures",
    Column("duty", String(16), primary_key=True),
    Column("actor", String(250), primary_key=True),
    Column("tenant_id", Tenant, primary_key=True),
    Column("action", String(100), primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("ip", String(64), primary_key=True),
    Column("events", Integer, nullable=False),
    Column("last_at", Micros, nullable=False),
)

#: Entries, and their first and last place in the trail.
audit_span_figures = _figures(
    "audit_span_figures",
    Column("tenant_id", Tenant, primary_key=True),
    Column("events", Count, nullable=False),
    Column("first_seq", Count, nullable=False),
    Column("last_seq", Count, nullable=False),
)
