"""Alembic's environment: runs on the connection it is handed, with a version table of our own.

The host's migrations never meet ours: other version table, other script folder, and ``custodes.alembic_include_name``
keeps our tables out of the host's autogenerate.
"""

from __future__ import annotations

from typing import Any

from alembic import context

from custodes.storage.sql.schema import VERSION_TABLE, is_on, metadata
from custodes.storage.sql.types import JsonText


def render_item(kind: str, item: Any, autogen_context: Any) -> Any:
    """Write our own column types as what they are in the database."""
    del autogen_context
    return "sa.Text()" if kind == "type" and isinstance(item, JsonText) else False


def include_object(found: Any, *_: object) -> bool:
    """Leave out of a comparison what another engine alone has."""
    return is_on(connection.dialect.name, found)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transaction_per_migration=False,
    render_item=render_item,
    include_object=include_object,
)
with context.begin_transaction():
    context.run_migrations()
