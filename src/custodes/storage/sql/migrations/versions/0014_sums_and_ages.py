"""What is ranked, added up and deleted by age: squares of times, counts of 64 bits, indexes for retention.

Squares of the times of endpoints are filled where the rows are few and last long; where they are missing, endpoints are
ranked by what the other sums tell. SQLite's integers have 64 bits already.

Revision ID: 0014_sums_and_ages
Revises: 0013_audit_lines
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from custodes.kernel.histogram import Histogram

revision = "0014_sums_and_ages"
down_revision = "0013_audit_lines"
branch_labels = None
depends_on = None

#: Levels of rollups, seconds, whose squares are filled: six hours, a day, a week.
_FILLED = (21_600, 86_400, 604_800)

_KEY = ("tenant_id", "keyspace", "level", "bucket", "name", "method", "writer_id")
_COLUMNS = (*(f"of_{name}" for name in _KEY), "squares")

_FILL_ROW = sa.text(
    f"UPDATE api_rollups SET total_squares = :squares WHERE {' AND '.join(f'{name} = :of_{name}' for name in _KEY)}"  # noqa: S608 - names of columns
)
_FILL_BUCKET = sa.text(f"""
    UPDATE api_rollups SET total_squares = filled.squares FROM unnest(
        CAST(:of_tenant_id AS text[]), CAST(:of_keyspace AS text[]), CAST(:of_level AS int[]),
        CAST(:of_bucket AS bigint[]), CAST(:of_name AS text[]), CAST(:of_method AS text[]),
        CAST(:of_writer_id AS text[]), CAST(:squares AS float8[])
    ) AS filled ({", ".join((*_KEY, "squares"))})
    WHERE {" AND ".join(f"api_rollups.{name} = filled.{name}" for name in _KEY)}
""")  # noqa: S608 - names of columns

#: Figures of the trail → columns of theirs that 31 bits are too few for: at 5,000 entries a second ten days are 4
#: billion.
_WIDER: Mapping[str, tuple[str, ...]] = {
    "audit_group_figures": ("events",),
    "audit_risk_figures": ("events", "flagged"),
    "audit_actor_figures": ("events", "failures", "new_addresses"),
    "audit_origin_figures": ("events",),
    "audit_failure_figures": ("failures",),
    "audit_rule_figures": ("entries",),
    "audit_habit_figures": ("events", "failures", "flagged", "impersonated"),
    "audit_lines": ("line", "events"),
    "audit_line_figures": ("line", "events"),
    "audit_line_addresses": ("line", "events"),
    "audit_span_figures": ("events",),
}

#: Index → its table and columns.
_BY_AGE: Mapping[str, tuple[str, list[str]]] = {
    "ix_webhook_refusals_received_at": ("webhook_refusals", ["received_at"]),
    "ix_webhook_refusal_counts_bucket": ("webhook_refusal_counts", ["bucket"]),
    "ix_webhook_rollups_level": ("webhook_rollups", ["level", "bucket"]),
    "ix_webhook_source_rollups_level": ("webhook_source_rollups", ["level", "bucket"]),
}


def upgrade() -> None:
    for name, (table, columns) in _BY_AGE.items():
        op.create_index(name, table, columns)
    op.add_column("api_rollups", sa.Column("total_squares", sa.Double()))
    _fill()
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _WIDER.items():  # each table is written anew once
            op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {name} TYPE BIGINT' for name in columns)}")


def _fill() -> None:
    """Fill squares, the rows of a bucket by one statement: PostgreSQL would plan each row's over all partitions."""
    connection = op.get_bind()
    rollups = sa.table("api_rollups", *(sa.column(name) for name in (*_KEY, "total")))
    key = [rollups.c[name] for name in _KEY]
    for level in _FILLED:
        of_level = rollups.c.level == level
        for bucket in connection.execute(sa.select(rollups.c.bucket).where(of_level).distinct()).scalars().all():
            rows = sa.select(*key, rollups.c.total).where(of_level, rollups.c.bucket == bucket)
            filled = [
                (*row[:-1], Histogram.decode(bytes(row.total)).squares())
                for row in connection.execute(rows.where(rollups.c.keyspace == "endpoint"))
            ]
            if filled and connection.dialect.name == "postgresql":
                connection.execute(_FILL_BUCKET, dict(zip(_COLUMNS, map(list, zip(*filled, strict=True)), strict=True)))
            elif filled:
                connection.execute(_FILL_ROW, [dict(zip(_COLUMNS, row, strict=True)) for row in filled])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in _WIDER.items():
            op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {name} TYPE INTEGER' for name in columns)}")
    op.drop_column("api_rollups", "total_squares")
    for name, (table, _) in _BY_AGE.items():
        op.drop_index(name, table)
