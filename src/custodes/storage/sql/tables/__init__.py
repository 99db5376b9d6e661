"""The tables, one module per plane, all on one :data:`metadata`.

Every table has ``tenant_id`` as a column and as the prefix of its indexes. Moments are microseconds (BIGINT). Names
carry no prefix: in a host's database a schema of our own (``CUSTODES_DATABASE_SCHEMA``) keeps them apart.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import DDL, Index, MetaData, Table

#: Explicit names, so that migrations can speak of them on every engine.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: What the partition of PostgreSQL that takes in what belongs into no other is called, after the table's name.
REST = "_rest"


def partitioned(*by: str) -> dict[str, Any]:
    """Options of a table that PostgreSQL cuts by time (:mod:`custodes.storage.sql.partitions`)."""
    return {"postgresql_partition_by": f"RANGE ({', '.join(by)})", "listeners": [("after_create", _make_rest)]}


#: What says, among the ``info`` of an index, that one engine alone has it.
ONLY = "only"

#: Pages of 8 kB that a BRIN index has one line for: a quarter of a megabyte, some hundred rows of figures.
BRIN_PAGES = 32


def by_time(name: str, *columns: str) -> tuple[Index, Index]:
    """Make the index of figures that are found by their time and in no order, as each engine has it.

    Rows of a time lie together, so that PostgreSQL needs no more than a BRIN index (its documentation, "BRIN Indexes"),
    which takes a fraction of the space (ADR 0008). SQLite has B-trees only.
    """
    stored = {"pages_per_range": BRIN_PAGES, "autosummarize": "on"}
    brin = Index(f"{name}_brin", *columns, postgresql_using="brin", postgresql_with=stored, info={ONLY: "postgresql"})
    tree = Index(name, *columns, info={ONLY: "sqlite"})
    return brin.ddl_if(dialect="postgresql"), tree.ddl_if(dialect="sqlite")


def _make_rest(table: Table, connection: Any, **_: Any) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(DDL(f"CREATE TABLE {table.name}{REST} PARTITION OF {table.name} DEFAULT"))
