"""The tables, one module per plane, all on one :data:`metadata`.

Every table has ``tenant_id`` as a column and as the prefix of its indexes. Moments are microseconds (BIGINT). Names
carry no prefix unless the install asks for one (``Settings.table_prefix``), so that they can live in a host's database.
"""

from __future__ import annotations

from sqlalchemy import MetaData

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
