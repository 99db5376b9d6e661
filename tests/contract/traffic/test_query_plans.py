"""Every list and every chart reads an index: no full scan, and no sorting of the main lists."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Select, select

from custodes.kernel.clock import DAY, HOUR
from custodes.kernel.paging import encode_cursor
from custodes.planes.traffic.model import CallFilter, GroupState
from custodes.planes.traffic.ports import RollupQuery
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import Keyspace, Level
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import traffic_reading, traffic_squares
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.traffic import api_error_groups, api_monitoring, api_rollups
from custodes.storage.sql.traffic import calls_query, counts_query
from custodes.storage.sql.traffic_errors import failing_query, groups_query

#: Plans read here are SQLite's; those of PostgreSQL are in tests/integration/storage/test_postgresql_plans.py.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

CURSOR = encode_cursor(5, "01a20714-d4cb-745e-833c-4d8b75eec673")


async def plan(database: Database, query: Any) -> str:
    def explain(tx: Transaction) -> str:
        connection = connection_of(tx)
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        return "\n".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}"))

    return await database.read(explain)


async def plan_of_text(database: Database, statement: str, values: dict[str, Any]) -> str:
    def explain(tx: Transaction) -> str:
        rows = connection_of(tx).exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        return "\n".join(row[3] for row in rows)

    return await database.read(explain)


@pytest.mark.parametrize(
    ("where", "tenant", "index"),
    [
        ({}, "acme", "sqlite_autoindex_api_monitoring_1 (tenant_id=?"),
        ({}, None, "ix_api_monitoring_started_at"),
        ({"since": 1, "until": DAY}, "acme", "sqlite_autoindex_api_monitoring_1 (tenant_id=?"),
        ({"route": "/x"}, None, "ix_api_monitoring_route (route=?"),
        ({"route": "(unmatched)"}, None, "ix_api_monitoring_route (route=?"),
        ({"client_ip": "198.51.100.1"}, "acme", "ix_api_monitoring_client_ip (client_ip=?"),
        ({"client_ip": "198.51.100.1"}, None, "ix_api_monitoring_client_ip (client_ip=?"),
        ({"user": "ann"}, "acme", "ix_api_monitoring_user_id (user_id=?"),
        ({"user": "ann"}, None, "ix_api_monitoring_user_id (user_id=?"),
        ({"api_key": "k"}, "acme", "ix_api_monitoring_api_key_id (api_key_id=?"),
        ({"api_key": "k"}, None, "ix_api_monitoring_api_key_id (api_key_id=?"),
        ({"route": "/x"}, "acme", "ix_api_monitoring_route (route=?"),
        ({"errors_only": True}, None, "ix_api_monitoring_errors"),
        ({"errors_only": True}, "acme", "ix_api_monitoring_errors"),
        ({"error_group": "1.ab"}, None, "ix_api_monitoring_errors"),
        ({"error_group": "1.ab"}, "acme", "ix_api_monitoring_errors"),
    ],
)
@pytest.mark.parametrize("cursor", [None, CURSOR])
async def test_lists_of_calls(database: Database, where: Any, tenant: str | None, index: str, cursor: str | None):
    found = await plan(database, calls_query(CallFilter(**where), tenant, 50, cursor))

    assert index in found
    assert "TEMP B-TREE FOR ORDER BY" not in found  # at most the rows of one and the same microsecond are sorted


@pytest.mark.parametrize(
    ("where", "tenant", "index"),
    [
        ({"since": 1, "until": DAY}, "acme", "sqlite_autoindex_api_monitoring_1 (tenant_id=? AND started_at>?"),
        ({"since": 1, "until": DAY, "status": 2, "method": "GET"}, None, "ix_api_monitoring_started_at (started_at>?"),
        ({"route": "/x", "since": 1, "until": DAY}, "acme", "ix_api_monitoring_route (route=? AND started_at>?"),
        ({"errors_only": True, "since": 1, "until": DAY}, "acme", "ix_api_monitoring_errors (started_at>?"),
    ],
)
async def test_counts_of_calls_look_at_the_newest_only(database: Database, where: Any, tenant: str | None, index: str):
    found = await plan(database, counts_query(CallFilter(**where), tenant, 20_000))

    assert index in found
    assert "TEMP B-TREE FOR ORDER BY" not in found  # else all were read, not the newest


async def test_a_trace_is_looked_up(database: Database):
    found = await plan(database, calls_query(CallFilter(trace_id="a" * 32), None, 50, None))

    assert "ix_api_monitoring_trace_id (trace_id=?)" in found


async def test_a_call_is_looked_up_by_the_moment_in_its_id(database: Database):
    t = api_monitoring
    query = select(t).where(t.c.started_at >= 5, t.c.started_at < 9, t.c.id == "x")

    assert "(started_at>? AND started_at<?)" in await plan(database, query)


@pytest.mark.parametrize("tenants", [("acme",), ("*", "default")])
@pytest.mark.parametrize("names", [None, ("/a", "/b")])
async def test_charts_and_sums(database: Database, tenants: tuple[str, ...], names: tuple[str, ...] | None):
    stretch, unfolded = Stretch(Level.HOUR, 0, 30 * DAY), (Stretch(Level.MINUTE, 30 * DAY - HOUR, 30 * DAY),)
    query = RollupQuery(tenants, Keyspace.ENDPOINT, (stretch,), 0, DAY, names=names)
    key = "PRIMARY KEY (tenant_id=? AND keyspace=? AND level=? AND bucket>? AND bucket<?)"
    series = "ix_api_rollups_series (tenant_id=? AND keyspace=? AND level=? AND name=? AND bucket>? AND bucket<?)"

    for write in (traffic_reading.rows_query, traffic_reading.totals_query, traffic_reading.sums_query):
        found = await plan_of_text(database, *write(query, unfolded, "sqlite"))
        lines = [line for line in found.splitlines() if "api_rollups" in line]

        # Both stretches in the order of the key, or of the index of names
        assert len(lines) == 2
        assert all((key if names is None else series) in line for line in lines)


async def test_counts_are_listed_in_the_order_of_the_key(database: Database):
    stretch, unfolded = Stretch(Level.HOUR, 0, 30 * DAY), (Stretch(Level.MINUTE, 30 * DAY - HOUR, 30 * DAY),)
    query = RollupQuery(("*", "default"), Keyspace.ENDPOINT, (stretch,), 0, DAY, figures=("count",))

    found = await plan_of_text(database, *traffic_reading.counts_query(query, unfolded))

    # Of each tenant both stretches, and nothing is sorted
    key = "PRIMARY KEY (tenant_id=? AND keyspace=? AND level=? AND bucket>? AND bucket<?)"
    assert len([line for line in found.splitlines() if key in line]) == 4
    assert "TEMP B-TREE" not in found


async def test_what_is_not_folded_is_found_in_an_index_of_it_alone(database: Database):
    query = RollupQuery(("*", "default"), Keyspace.ENDPOINT, (Stretch(Level.HOUR, 0, 30 * DAY),), 0, DAY)
    statement = traffic_reading.unfolded_query((query,), "sqlite")
    assert statement is not None

    lines = [line for line in (await plan_of_text(database, *statement)).splitlines() if " t USING" in line]

    # The first of each level, and from each the next one
    short = "INDEX ix_api_rollups_unfolded (level=? AND tenant_id=? AND keyspace=? AND bucket>? AND bucket<?)"
    assert len(lines) == 2
    assert all(short in line for line in lines)


async def test_where_an_error_was_raised_is_told_by_its_calls_alone(database: Database):
    found = await plan(database, failing_query("1.ab", "acme", 5, 9))

    range_of_it = "(error_group=? AND tenant_id=? AND started_at>? AND started_at<?)"
    assert f"ix_api_monitoring_error_group {range_of_it}" in found


async def test_lists_of_error_groups(database: Database):
    mine = await plan(database, groups_query("acme", GroupState.OPEN, None, 50, CURSOR))
    all_of_them = await plan(database, groups_query(None, None, 5, 50, CURSOR))

    assert "ix_api_error_groups_list (tenant_id=?" in mine
    assert "ix_api_error_groups_last_seen" in all_of_them
    assert "TEMP B-TREE" not in mine + all_of_them


async def test_retention_and_folding_read_indexes(database: Database):
    t = api_rollups
    old: Select[Any] = select(t.c.bucket).where(t.c.level == 10, t.c.bucket < 5, t.c.folded == 1).order_by(t.c.bucket)
    calls = select(api_monitoring.c.id).where(api_monitoring.c.started_at < 5).order_by(api_monitoring.c.started_at)
    groups = select(api_error_groups.c.id).where(api_error_groups.c.last_seen_at < 5)

    assert "ix_api_rollups_level (level=? AND bucket<?)" in await plan(database, old)
    assert "ix_api_rollups_lacking" in await plan(database, traffic_squares.NEXT)
    assert "TEMP B-TREE" not in await plan(database, traffic_squares.NEXT)
    assert "ix_api_rollups_lacking (level=? AND bucket=?)" in await plan(database, traffic_squares.lacking(86_400, 0))
    assert "ix_api_monitoring_started_at" in await plan(database, calls)
    assert "ix_api_error_groups_last_seen" in await plan(database, groups)
