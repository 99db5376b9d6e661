"""Names of rate limit rules are unique in their tenant, and not over all tenants.

No row is another afterwards. On SQLite a constraint is part of the table, which is written anew; of rules there are a
few hundred at most.

Revision ID: 0021_names_of_rules
Revises: 0020_calls_of_an_error
"""

from __future__ import annotations

from alembic import op

revision = "0021_names_of_rules"
down_revision = "0020_calls_of_an_error"
branch_labels = None
depends_on = None

_ONE_TENANT = "uq_rate_limit_rules_tenant_id_name"
_ALL_TENANTS = "uq_rate_limit_rules_name"


def upgrade() -> None:
    with op.batch_alter_table("rate_limit_rules") as table:
        table.drop_constraint(_ALL_TENANTS, type_="unique")
        table.create_unique_constraint(_ONE_TENANT, ["tenant_id", "name"])


def downgrade() -> None:
    with op.batch_alter_table("rate_limit_rules") as table:
        table.drop_constraint(_ONE_TENANT, type_="unique")
        table.create_unique_constraint(_ALL_TENANTS, ["name"])
