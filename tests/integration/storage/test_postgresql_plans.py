"""PostgreSQL's plans of what is asked all the time: the real statements, each along an index, lists without a sort.

Sequential scans and sorts are made unattractive, so that the plan on an empty table shows what is possible on a large
one: where there is one all the same, there is no index that fits.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from custodes import Custodes
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.paging import encode_cursor
from custodes.kernel.stretches import Level as FigureLevel
from custodes.kernel.stretches import Steps
from custodes.planes.audit.model import ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.inbound.model import EventFilter, Status
from custodes.planes.traffic.model import CallFilter, GroupState
from custodes.planes.traffic.ports import RollupQuery
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.rollup import UNMATCHED, Keyspace, Level
from custodes.runtime.jobs import Claim
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.audit_filters import floor_id
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.inbound import SqlEventStore
from custodes.storage.sql.inbound_figures import SqlFigureStore
from custodes.storage.sql.jobs import SqlJobs
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.traffic import SqlTrafficStore
from custodes.testing.clock import FakeClock

NOW = FakeClock().now()
CURSOR = encode_cursor(NOW, floor_id(NOW))


@pytest.fixture
async def custodes(postgres_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(postgres_url, clock=clock)
    await install.database.open()
    await install.partitions.make()
    yield install
    await install.close()


@pytest.fixture
async def plans_of(custodes: Custodes) -> Callable[..., Any]:
    """Run something and return the plan of each statement that it sends."""

    async def run(action: Any) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}

        def explain(connection, cursor, statement, parameters, context, many):
            if many or not statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                return
            for choice in ("seqscan", "bitmapscan", "sort"):
                cursor.execute(f"SET LOCAL enable_{choice} = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            plan = cursor.fetchone()[0]
            found[statement] = list(nodes((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))

        event.listen(Engine, "before_cursor_execute", explain)
        try:
            await action
        finally:
            event.remove(Engine, "before_cursor_execute", explain)
        return found

    return run


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def of(found: dict[str, list[dict[str, Any]]], kind: str) -> list[str]:
    return [statement for statement, plan in found.items() if any(node["Node Type"] == kind for node in plan)]


TRAFFIC = [
    {}, {"since": NOW - DAY, "until": NOW}, {"route": "/x"}, {"route": UNMATCHED}, {"client_ip": "192.0.2.1"},
    {"user": "ann"}, {"api_key": "k"}, {"errors_only": True},
]  # fmt: skip


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_lists_of_calls_go_along_an_index_newest_piece_first(custodes: Custodes, plans_of, tenant: str | None):
    store = SqlTrafficStore(custodes.database)
    for where in TRAFFIC:
        for cursor in (None, CURSOR):
            found = await plans_of(store.calls(CallFilter(**where), tenant=tenant, limit=50, cursor=cursor))

            assert found
            assert of(found, "Seq Scan") == [], (where, tenant)
            # PostgreSQL does not see that rows without a route have one order in the index of routes.
            assert of(found, "Sort") == [] or where.get("route") == UNMATCHED, (where, tenant)


async def test_where_an_error_was_raised_is_told_along_the_index_of_its_calls(custodes: Custodes, plans_of):
    store = SqlTrafficStore(custodes.database)
    found = await plans_of(store.failing_endpoints("1.ab", tenant="acme", since=NOW - DAY, until=NOW))

    assert of(found, "Seq Scan") == []
    read = {node["Index Name"] for plan in found.values() for node in plan if "Index Name" in node}
    assert read
    assert all("_error_group_tenant_id_started_at_idx" in name for name in read), read


async def test_a_trace_is_looked_up_and_a_call_reads_one_piece(custodes: Custodes, plans_of):
    store = SqlTrafficStore(custodes.database)
    trace = await plans_of(store.calls(CallFilter(trace_id="a" * 32), tenant=None, limit=50, cursor=None))
    one = await plans_of(store.call(floor_id(NOW), tenant=None))

    assert of(trace, "Seq Scan") == of(one, "Seq Scan") == []
    [plan] = one.values()
    assert len({node["Relation Name"] for node in plan if "Relation Name" in node}) == 1


@pytest.mark.parametrize("names", [None, ("/a", "/b")])
async def test_charts_read_the_pieces_of_their_level_and_range_only(custodes: Custodes, plans_of, names):
    store = SqlTrafficStore(custodes.database)
    stretch = Stretch(Level.MINUTE, NOW - HOUR, NOW)
    query = RollupQuery(("acme",), Keyspace.ENDPOINT, (stretch,), NOW - HOUR, MINUTE, names=names)

    found = {**await plans_of(store.rollups(query)), **await plans_of(store.sums(query))}

    assert of(found, "Seq Scan") == []
    read = {node["Relation Name"] for plan in found.values() for node in plan if "Relation Name" in node}
    assert read
    assert all("_l10_" in name or "_l60_" in name or name.endswith("_rest") for name in read), read


async def test_error_groups_folds_and_retention(custodes: Custodes, plans_of):
    store = SqlTrafficStore(custodes.database)
    found = {
        **await plans_of(store.error_groups(tenant="acme", state=GroupState.OPEN, since=None, limit=5, cursor=CURSOR)),
        **await plans_of(store.error_groups(tenant=None, state=None, since=5, limit=5, cursor=None)),
        **await plans_of(store.foldable(Level.TEN_SECONDS, Level.MINUTE, NOW)),
    }
    squares = await plans_of(store.fill_squares())

    assert of(found | squares, "Seq Scan") == []
    assert of(squares, "Sort") == []
    read = {node["Index Name"] for plan in squares.values() for node in plan if "Index Name" in node}
    assert read
    assert all("_level_bucket_idx" in name for name in read), read


async def test_the_trail_is_listed_along_indexes(custodes: Custodes, plans_of):
    store = SqlAuditStore(custodes.database)
    for query in (
        AuditQuery(tenant="a"), AuditQuery(tenant="a", cursor=CURSOR, min_risk=5), AuditQuery(tenant="a", actor="u:1"),
        AuditQuery(tenant="a", action="auth.login", cursor=CURSOR), AuditQuery(tenant="a", ip="192.0.2.1"),
        AuditQuery(tenant="a", trace_id="abc"), AuditQuery(tenant="a", review_state=ReviewState.OPEN), AuditQuery(),
        AuditQuery(flagged=True, cursor=CURSOR),
    ):  # fmt: skip
        found = await plans_of(custodes.database.read(lambda tx, query=query: store.page(tx, query)))

        assert found
        assert of(found, "Seq Scan") == [], query
    found = await plans_of(custodes.database.read(lambda tx: store.past(tx, "a", "user:1", "192.0.2.1")))
    assert of(found, "Seq Scan") == of(found, "Sort") == []


async def test_events_refusals_and_figures(custodes: Custodes, plans_of):
    events, figures, read = SqlEventStore(custodes.database), SqlFigureStore(), custodes.database.read
    for wanted in (
        EventFilter(tenant="a"), EventFilter(tenant="a", source="stripe"), EventFilter(tenant="a", event_id="evt_1"),
        EventFilter(tenant="a", trace_id="0" * 32), EventFilter(tenant="a", status=Status.DEAD),
    ):  # fmt: skip
        found = await plans_of(read(lambda tx, wanted=wanted: events.find(tx, wanted, limit=9, cursor=CURSOR)))
        assert found
        assert of(found, "Seq Scan") == [], wanted
    minutes = Steps.of(FigureLevel.MINUTE, NOW - HOUR, NOW)
    found = {
        **await plans_of(read(lambda tx: figures.figures(tx, "a", FigureLevel.MINUTE, NOW - HOUR, NOW))),
        **await plans_of(read(lambda tx: figures.sums(tx, "a", minutes))),
        **await plans_of(read(lambda tx: figures.refused(tx, "a", NOW - HOUR, NOW))),
        **await plans_of(read(lambda tx: figures.overview(tx, "a", minutes, NOW, 9))),
        **await plans_of(read(lambda tx: figures.states(tx, "a"))),
        **await plans_of(read(lambda tx: figures.refusals(tx, "a", None, NOW - HOUR, NOW, limit=9, cursor=None))),
    }
    assert of(found, "Seq Scan") == []


async def test_jobs_are_claimed_along_the_lane(custodes: Custodes, plans_of):
    jobs = SqlJobs()
    claim = Claim("w", NOW, NOW, NOW + 30 * SECOND, frozenset({"busy"}), True)

    found = {
        **await plans_of(custodes.database.write(lambda tx: jobs.lanes(tx, "webhook"))),
        **await plans_of(
            custodes.database.write(lambda tx: jobs.claim(tx, "webhook", {"stripe": 10, "github": 3}, claim))
        ),
        **await plans_of(custodes.database.write(lambda tx: jobs.backlog(tx, "webhook", NOW))),
    }

    assert len(found) >= 4
    assert of(found, "Seq Scan") == of(found, "Sort") == []


async def test_limits_are_read_along_indexes(custodes: Custodes, plans_of):
    store = SqlRateLimitStore(custodes.database)

    usages = store.usages(tenant=None, since=NOW - DAY, until=NOW, bucket=HOUR, top=5)
    found = {**await plans_of(store.version()), **await plans_of(store.shared(NOW)), **await plans_of(usages)}

    assert found
    # All rules are read, and few there are; blocks are found by their end.
    assert [one for one in of(found, "Seq Scan") if "rate_limit_rules" not in one] == []


async def test_time_is_the_only_filter_that_a_whole_piece_is_read_for(custodes: Custodes):
    """A count over days goes over whole pieces: those of other days are not touched."""

    def explain(tx):
        query = "EXPLAIN (FORMAT JSON) SELECT count(*) FROM api_monitoring WHERE started_at >= :since"
        return connection_of(tx).execute(text(query), {"since": NOW + DAY}).scalar_one()

    plan = await custodes.database.read(explain)
    names = {node["Relation Name"] for node in nodes(plan[0]["Plan"]) if "Relation Name" in node}
    assert len(names) == 2  # tomorrow's, and the rest
