"""Figures of the audit trail, which the leader folds from its entries; nothing is filled here.

Revision ID: 0006_audit_figures
Revises: 0005_webhook_completeness
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from custodes.storage.sql.types import String

revision = "0006_audit_figures"
down_revision = "0005_webhook_completeness"
branch_labels = None
depends_on = None


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
        "audit_folds",
        sa.Column("tenant_id", String(64), nullable=False),
        sa.Column("seq", _count(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_audit_folds")),
    )
    number, small, moment = sa.Integer(), sa.SmallInteger(), sa.BigInteger()
    _figures(
        "audit_group_figures",
        {"tenant_id": 64, "action": 100, "category": 40, "kind": 16, "outcome": 16},
        events=number,
    )
    _figures("audit_risk_figures", {"tenant_id": 64}, events=number, risk=_count(), max_risk=small, flagged=number)
    _figures(
        "audit_actor_figures",
        {"actor": 250, "tenant_id": 64},
        events=number,
        failures=number,
        max_risk=small,
        new_addresses=number,
        first_at=moment,
        last_at=moment,
    )
    _figures("audit_origin_figures", {"actor": 250, "tenant_id": 64, "ip": 64, "user_agent": 256}, events=number)
    _figures("audit_failure_figures", {"ip": 64, "tenant_id": 64, "actor": 250}, failures=number)
    _figures("audit_rule_figures", {"tenant_id": 64, "rule": 100}, entries=number)


def downgrade() -> None:
    for name in ("rule", "failure", "origin", "actor", "risk", "group"):
        op.drop_table(f"audit_{name}_figures")
    op.drop_table("audit_folds")
