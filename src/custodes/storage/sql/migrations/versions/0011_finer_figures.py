"""Limits are counted by the hour, webhooks by source, actors by their habits, beside the rows that say the same.

Hours of the limits are filled from the windows there are. Webhooks need no filling: what has no row of its source is
added up from the rows of its types. Habits are folded by the leader, from the begin of the trail.

Revision ID: 0011_finer_figures
Revises: 0010_saved_views
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String

revision = "0011_finer_figures"
down_revision = "0010_saved_views"
branch_labels = None
depends_on = None

_HOUR = 3_600_000_000

#: What is counted of all identifiers, and of each that was refused or would have been.
_FILLED = (
    """SELECT 0, {hour}, tenant_id, rule, '', '', endpoint, sum(allowed), sum(refused), sum(would_refuse)
    FROM rate_limit_tracking WHERE identifier = '' GROUP BY {hour}, tenant_id, rule, endpoint""",
    """SELECT 1, {hour}, tenant_id, '', kind, identifier, '', 0, sum(refused), sum(would_refuse)
    FROM rate_limit_tracking WHERE identifier <> '' AND (refused > 0 OR would_refuse > 0)
    GROUP BY {hour}, tenant_id, kind, identifier""",
)


def _count() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _figures(name: str, keys: dict[str, int], **figures: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        name,
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(key, String(length), nullable=False) for key, length in keys.items()),
        *(sa.Column(figure, kind, nullable=False) for figure, kind in figures.items()),
        sa.PrimaryKeyConstraint("level", "bucket", *keys, name=op.f(f"pk_{name}")),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    op.create_table(
        "rate_limit_figures",
        sa.Column("identified", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("rule", String(100), nullable=False),
        sa.Column("kind", String(64), nullable=False),
        sa.Column("identifier", String(256), nullable=False),
        sa.Column("endpoint", String(256), nullable=False),
        *(sa.Column(name, _count(), nullable=False) for name in ("allowed", "refused", "would_refuse")),
        sa.PrimaryKeyConstraint(
            "identified",
            "bucket",
            "tenant_id",
            "rule",
            "kind",
            "identifier",
            "endpoint",
            name=op.f("pk_rate_limit_figures"),
        ),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (bucket)",
    )
    op.create_index("ix_rate_limit_figures_bucket", "rate_limit_figures", ["bucket"], unique=False)
    op.create_table(
        "webhook_source_rollups",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=False),
        sa.Column("source", String(64), nullable=False),
        sa.Column("writer", String(36), nullable=False),
        *(
            sa.Column(name, _count(), nullable=False)
            for name in ("received", "duplicates", "succeeded", "retried", "dead")
        ),
        sa.Column("processing", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "level", "bucket", "source", "writer", name=op.f("pk_webhook_source_rollups")
        ),
        sqlite_with_rowid=False,
        postgresql_partition_by="RANGE (level, bucket)",
    )
    op.create_table(
        "audit_habit_folds",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("seq", _count(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_habit_folds")),
    )
    number, small, moment = sa.Integer(), sa.SmallInteger(), sa.BigInteger()
    _figures(
        "audit_habit_figures",
        {"actor": 250, "tenant_id": 64, "habit": 16, "value": 256, "category": 40},
        events=number,
        failures=number,
        flagged=number,
        impersonated=number,
        risk=_count(),
        max_risk=small,
        first_at=moment,
        last_at=moment,
    )
    _figures(
        "audit_duty_figures",
        {"duty": 16, "actor": 250, "tenant_id": 64, "action": 100, "outcome": 16, "ip": 64},
        events=number,
        last_at=moment,
    )
    _figures("audit_span_figures", {"tenant_id": 64}, events=number, first_seq=_count(), last_seq=_count())
    if op.get_bind().dialect.name == "postgresql":
        for table in ("rate_limit_figures", "webhook_source_rollups"):
            op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")
    hour = f"window_start - window_start % {_HOUR}"
    for rows in _FILLED:
        op.execute(f"INSERT INTO rate_limit_figures {rows.format(hour=hour)}")


def downgrade() -> None:
    for name in ("span_figures", "duty_figures", "habit_figures", "habit_folds"):
        op.drop_table(f"audit_{name}")
    op.drop_table("webhook_source_rollups")
    op.drop_table("rate_limit_figures")
