"""Each list is served by an index: nothing is sorted, nothing is read but what is shown."""

import re

import pytest

from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.paging import encode_cursor
from custodes.planes.audit.activity import MAX_TRACES
from custodes.planes.audit.model import ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.database import Database, connection_of

#: Plans read here are SQLite's; those of PostgreSQL are in tests/integration/storage/test_postgresql_plans.py.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

#: What may be read whole.
_SHORT = "folds|logs USING COVERING INDEX ix_audit_logs_review"

AT = 1_790_000_000 * SECOND
CURSOR = encode_cursor(AT, floor_id(AT))

LISTS = {
    "ix_audit_logs_recent": AuditQuery(tenant="a"),
    "ix_audit_logs_recent ": AuditQuery(tenant="a", cursor=CURSOR, since=AT, min_risk=5, outcome="denied"),
    "ix_audit_logs_actor": AuditQuery(tenant="a", actor="user:1", cursor=CURSOR),
    "ix_audit_logs_action": AuditQuery(tenant="a", action="auth.login", cursor=CURSOR),
    "ix_audit_logs_ip": AuditQuery(tenant="a", ip="1.1.1.1"),
    "ix_audit_logs_trace": AuditQuery(tenant="a", trace_id="abc"),
    "ix_audit_logs_flagged": AuditQuery(tenant="a", flagged=True),
    "ix_audit_logs_flagged ": AuditQuery(flagged=True, cursor=CURSOR),
    "ix_audit_logs_review": AuditQuery(tenant="a", review_state=ReviewState.OPEN),
    "sqlite_autoindex_audit_logs_1": AuditQuery(),
    "sqlite_autoindex_audit_logs_1 ": AuditQuery(cursor=CURSOR, since=AT),
    # over all tenants, where one is known: by the same index
    "ix_audit_logs_actor ": AuditQuery(actor="user:1"),
    "ix_audit_logs_trace ": AuditQuery(trace_id="abc"),
}


@pytest.fixture
async def plan_of(database: Database):
    """Run a reading work and return the plans of its statements, as text."""

    async def run(work) -> list[str]:
        from sqlalchemy import event

        def capture(tx):
            connection = connection_of(tx)
            statements: list[tuple[str, object]] = []

            def note(_connection, _cursor, statement, parameters, _context, _many):
                if not statement.startswith("BEGIN"):
                    statements.append((statement, parameters))

            event.listen(connection, "before_cursor_execute", note)
            work(tx)
            event.remove(connection, "before_cursor_execute", note)
            plans = []
            for statement, parameters in statements:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(row[3] for row in rows))
            return plans

        return await database.read(capture)

    return run


@pytest.fixture
async def store(database: Database) -> SqlAuditStore:
    store = SqlAuditStore(database)
    await database.write(
        lambda tx: connection_of(tx).exec_driver_sql(
            "INSERT INTO audit_logs VALUES (1, 'x', 'a', 1, 1, 1, 'event', 'a.b', 'other', 'success', 'user:1', '', '',"
            " '', '', '', NULL, '{\"actor\":{\"type\":\"user\",\"id\":\"1\"}}', '[]', '[]', '{}', '{}', 0, '[]', 0,"
            " NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
    )
    return store


@pytest.mark.parametrize("index", LISTS)
async def test_each_list_is_read_in_the_order_of_its_index(store: SqlAuditStore, plan_of, index: str):
    plans = await plan_of(lambda tx: store.page(tx, LISTS[index]))

    plan = plans[-1]
    assert re.search(rf"\b{index.strip()}\b", plan), plan
    assert "TEMP B-TREE" not in plan
    assert not re.search(r"SCAN audit_logs(?! USING)", plan)


async def test_a_target_is_found_by_its_own_table(store: SqlAuditStore, plan_of):
    (plan,) = await plan_of(lambda tx: store.page(tx, AuditQuery(tenant="a", target="invoice:1")))

    assert "SEARCH audit_targets USING PRIMARY KEY (tenant_id=? AND target=?)" in plan
    assert not re.search(r"SCAN audit_(logs|targets)(?! USING)", plan)


async def test_a_past_and_a_repetition_and_a_purge_are_found_by_index(store: SqlAuditStore, plan_of):
    mine, here = await plan_of(lambda tx: store.past(tx, "a", "user:1", "1.1.1.1"))
    assert "ix_audit_logs_actor" in mine
    assert "ix_audit_logs_ip" in here
    assert "TEMP" not in mine + here
    assert MAX_TRACES == 200

    (waiting,) = await plan_of(store.unreviewed)
    assert "ix_audit_logs_flagged" in waiting or "ix_audit_logs_review" in waiting

    (old,) = await plan_of(lambda tx: store.purge(tx, 1, 10))
    assert "SEARCH audit_logs USING INDEX sqlite_autoindex_audit_logs_1 (id<?)" in old


async def test_analytics_read_only_their_range(store: SqlAuditStore, plan_of):
    for tenant in ("a", None):
        plans = await plan_of(lambda tx, tenant=tenant: store.analyse(tx, tenant, AT, AT + SECOND, width=SECOND, top=5))

        # Whether anything came later, how far figures reach, then one a part of the answer; nobody acted: no origins
        assert len(plans) == 8
        plans = plans[2:]
        assert not [plan for plan in plans if re.search(r"SCAN audit_logs(?! USING)", plan)]
        # by the range of ids; what was flagged by its own index, which is shorter still
        assert all("id>? AND id<?" in plan or "ix_audit_logs_review" in plan for plan in plans), plans


async def test_analytics_of_weeks_read_figures_by_key_and_entries_by_place(
    database: Database, store: SqlAuditStore, plan_of
):
    def folded(tx):
        connection = connection_of(tx)
        connection.exec_driver_sql("INSERT INTO audit_folds VALUES ('default', 0, 0)")
        connection.exec_driver_sql(
            "UPDATE audit_logs SET review_state = 'open', reviewed_by = 'u', reviewed_at = 1 WHERE seq = 1"
        )
        assert store.fold(tx, 10) == 1
        buckets = "SELECT level, 1790208000000000, actor, tenant_id, '1.1.1.1', 'A', 1 FROM audit_origin_figures"
        connection.exec_driver_sql(f"INSERT INTO audit_origin_figures {buckets}")
        buckets = "SELECT level, 1790208000000000, actor, tenant_id, 1, 1, 1, 1, 1, 1 FROM audit_actor_figures"
        connection.exec_driver_sql(f"INSERT INTO audit_actor_figures {buckets}")

    await database.write(folded)
    for tenant in ("a", None):
        plans = await plan_of(
            lambda tx, tenant=tenant: store.analyse(tx, tenant, AT - DAY, AT + 35 * DAY, width=6 * HOUR, top=5)
        )

        (ranking,) = [plan for plan in plans if "audit_actor_figures" in plan and "actor=?" not in plan]
        assert "SEARCH audit_logs USING INTEGER PRIMARY KEY (rowid>?)" in ranking
        assert ranking.count("audit_actor_figures USING PRIMARY KEY (level=? AND bucket>? AND bucket<?)") == 5
        assert any("COVERING INDEX ix_audit_logs_review" in plan for plan in plans)
        (origins,) = [plan for plan in plans if "audit_origin_figures" in plan]
        assert "SEARCH audit_origin_figures USING PRIMARY KEY (level=? AND bucket=? AND actor=?" in origins
        # read whole are one row, and, of everybody, the short index of reviews alone
        assert not [plan for plan in plans if re.search(rf"SCAN audit_(?!{_SHORT})", plan)]
