"""Lists of values in statements that are run again and again: one parameter or one row, however long the list.

``IN (…)`` with a place for each value is another text for each length: SQLAlchemy writes it anew each time, and no
server can keep it prepared. PostgreSQL gets an array, SQLite a JSON text that it takes apart itself; both find the rows
through an index of the column.

What comes back comes as one row on SQLite: ``sqlite3`` gives the interpreter lock back for each row that it fetches,
and beside an event loop that is busy it waits for it up to 5 ms each time (``sys.getswitchinterval``), in a transaction
that keeps all others from writing.
"""

from __future__ import annotations

import json
from typing import Any, cast

from sqlalchemy import BindParameter, ColumnElement, Dialect, Select, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Text, TypeDecorator, TypeEngine


class _Texts(TypeDecorator[Any]):
    """A list of texts as one parameter."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return ARRAY(Text()) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


class _Among(FunctionElement[bool]):
    # Without a type: a boolean would get ``= 1`` on SQLite, which then finds no index for it.
    inherit_cache = True


class _NotAmong(_Among):
    inherit_cache = True


def among(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Say that a text is one of the list that is given under a name when the statement is run."""
    return _Among(column, _parameter(name))


def not_among(column: ColumnElement[str], name: str) -> ColumnElement[bool]:
    """Say that a text is none of such a list."""
    return _NotAmong(column, _parameter(name))


def in_one_row(query: Select[Any], each: str = "") -> Select[Any]:
    """Read a query on SQLite as one row: a JSON text of its rows, each an array of its columns; no bytes among them.

    Args:
        query: what to read.
        each: column for each of whose values there is a row.
    """
    rows = query.subquery()
    whole = select(func.json_group_array(func.json_array(*rows.c)))
    return whole.group_by(rows.c[each]) if each else whole


def _parameter(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=_Texts())


@compiles(_Among, "postgresql")
def _array(element: _Among, compiler: SQLCompiler, **given: Any) -> str:
    column, values = _parts(element, compiler, given)
    return f"{column} <> ALL ({values})" if isinstance(element, _NotAmong) else f"{column} = ANY ({values})"


@compiles(_Among, "sqlite")
def _json(element: _Among, compiler: SQLCompiler, **given: Any) -> str:
    column, values = _parts(element, compiler, given)
    negated = "NOT " if isinstance(element, _NotAmong) else ""
    return f"{column} {negated}IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both are our own text


def _parts(element: _Among, compiler: SQLCompiler, given: dict[str, Any]) -> tuple[str, str]:
    column, values = cast("Any", element.clauses)
    return compiler.process(column, **given), compiler.process(values, **given)
