"""Alembic's environment: runs on the connection it is handed, with a version table of our own.

The host's migrations never meet ours: other version table, other script folder, and ``custodes.alembic_include_name``
keeps our tables out of the host's autogenerate.
"""

from __future__ import annotations

from alembic import context

from custodes.storage.sql.schema import VERSION_TABLE, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
