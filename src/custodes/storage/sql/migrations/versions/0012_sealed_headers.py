"""The values of endpoints' own headers are sealed: they are in ``webhook_secrets``, ``options`` has the names only.

No table changes. The rows there are are sealed in the same transaction by whoever has the keys (``Custodes.migrate``);
the revision is for an older version, which would not find the values, to refuse to start.

Revision ID: 0012_sealed_headers
Revises: 0011_finer_figures
"""

from __future__ import annotations

revision = "0012_sealed_headers"
down_revision = "0011_finer_figures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
