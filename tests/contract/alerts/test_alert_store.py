"""What every alert store promises."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event

from custodes.planes.alerts.model import Delivery, Incident, News, Notification, Severity, SinkStatus, State
from custodes.planes.alerts.rules import BUILT_IN
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.alerts import SqlAlertStore
from custodes.storage.sql.database import Database, connection_of


@pytest.fixture
def store(database: Database) -> SqlAlertStore:
    return SqlAlertStore(database)


def incident(number: int = 1, **changes: object) -> Incident:
    base = Incident(
        id=f"0190-{number}",
        tenant="acme",
        fingerprint="f" * 32,
        rule_id="queue-deep",
        name="The queue is deep \u2028 größer",
        labels=(("queue", "mail"),),
        severity=Severity.WARNING,
        state=State.FIRING,
        summary="deep",
        value=1.5,
        started_at=number,
        last_seen_at=number,
        trace_id="a" * 32,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def notification(number: int, due_at: int, sink: str = "log") -> Notification:
    return Notification(
        id=f"0191-{number}",
        tenant="acme",
        incident_id="0190-1",
        sink=sink,
        news=News.FIRING,
        payload={"summary": "deep"},
        created_at=number,
        due_at=due_at,
    )


async def put(store: SqlAlertStore, *incidents: Incident) -> None:
    def work(tx: Transaction) -> None:
        for one in incidents:
            store.put_incident(tx, one)

    await store.write(work)


async def test_an_incident_is_kept_exactly(store: SqlAlertStore):
    full = incident(fired_at=2, clear_since=3, notified_at=4, acknowledged_by="user:ada", acknowledged_at=5)
    await put(store, full)

    assert await store.read(lambda tx: store.get_incident(tx, "acme", full.id)) == full
    assert await store.read(lambda tx: store.get_incident(tx, None, full.id)) == full
    assert await store.read(lambda tx: store.get_incident(tx, "globex", full.id)) is None


async def test_a_problem_has_one_open_incident(store: SqlAlertStore):
    """Given an open incident, when another of its fingerprint is opened, then the engine itself refuses."""
    await put(store, incident(1))

    with pytest.raises(Exception, match=r"UNIQUE|unique|duplicate"):
        await put(store, incident(2))
    await put(store, incident(1, state=State.RESOLVED, resolved_at=9), incident(2), incident(3, tenant="globex"))

    found = await store.read(lambda tx: store.find_open(tx, "acme", "f" * 32))
    assert found is not None
    assert found.id == "0190-2"
    assert len(await store.read(lambda tx: store.open_incidents(tx, 10))) == 2


async def test_the_silence_of_the_newest_incident_of_a_problem_is_remembered(store: SqlAlertStore):
    await put(
        store,
        incident(1, state=State.RESOLVED, started_at=1, silenced_until=50),
        incident(2, state=State.RESOLVED, started_at=2, silenced_until=20),
        incident(3, started_at=3, fingerprint="e" * 32, silenced_until=90),
    )

    assert await store.read(lambda tx: store.last_silence(tx, "acme", "f" * 32)) == 20
    assert await store.read(lambda tx: store.last_silence(tx, "globex", "f" * 32)) is None


async def test_incidents_are_filtered_and_paged(store: SqlAlertStore):
    some = [incident(n, fingerprint=f"f{n}", state=State.RESOLVED if n % 2 else State.FIRING) for n in range(1, 7)]
    await put(store, *some)

    def ids(state: State | None, since: int | None, until: int | None, after: tuple[int, str] | None):
        return lambda tx: [
            one.started_at
            for one in store.list_incidents(
                tx, tenant="acme", state=state, since=since, until=until, after=after, limit=3
            )
        ]

    assert await store.read(ids(None, None, None, None)) == [6, 5, 4]
    assert await store.read(ids(None, None, None, (4, "0190-4"))) == [3, 2, 1]
    assert await store.read(ids(State.FIRING, None, None, None)) == [6, 4, 2]
    assert await store.read(ids(None, 2, 4, None)) == [3, 2]


async def test_rules_are_kept_exactly_and_replaced(store: SqlAlertStore):
    rule = replace(BUILT_IN[0], id="r1", tenant="acme", updated_at=7)
    await store.write(lambda tx: store.put_rule(tx, rule))
    await store.write(lambda tx: store.put_rule(tx, replace(rule, threshold=5)))

    [found] = await store.read(store.list_rules)
    assert replace(found, origin=rule.origin) == replace(rule, threshold=5)
    assert await store.write(lambda tx: store.delete_rule(tx, "r1"))
    assert not await store.write(lambda tx: store.delete_rule(tx, "r1"))


async def test_messages_wait_until_they_are_due_and_settle(store: SqlAlertStore):
    def fill(tx: Transaction) -> None:
        for one in (notification(1, 30), notification(2, 10), notification(3, 99), notification(4, 20, "pager")):
            store.add_notification(tx, one)

    await store.write(fill)
    assert [one.id for one in await store.read(lambda tx: store.due_notifications(tx, 50, 10))] == [
        "0191-2",
        "0191-4",
        "0191-1",
    ]

    await store.write(lambda tx: store.put_attempt(tx, "0191-2", Delivery.WAITING, 1, 70, "down", 50))
    await store.write(lambda tx: store.put_attempt(tx, "0191-1", Delivery.SENT, 1, 50, "", 50))
    assert await store.write(lambda tx: store.fail_waiting(tx, "pager", "gone", 50)) == 1

    assert await store.read(lambda tx: store.due_notifications(tx, 50, 10)) == []
    assert await store.read(store.count_waiting) == (2, 2)
    states = {one.id: one.state for one in await store.read(lambda tx: store.list_notifications(tx, "0190-1", 10))}
    assert states == {
        "0191-1": Delivery.SENT,
        "0191-2": Delivery.WAITING,
        "0191-3": Delivery.WAITING,
        "0191-4": Delivery.FAILED,
    }


async def test_sinks_go_off_and_on(store: SqlAlertStore):
    off = SinkStatus(name="webhook:a", disabled_reason="It answered 410", disabled_at=5)
    await store.write(lambda tx: store.put_sink(tx, off))
    assert await store.read(store.disabled_sinks) == [off]

    await store.write(lambda tx: store.put_sink(tx, SinkStatus(name="webhook:a", disabled_at=6)))
    assert await store.read(store.disabled_sinks) == []


async def test_a_purge_takes_what_is_over_with_its_messages_in_bounds(store: SqlAlertStore):
    some = [incident(n, fingerprint=f"f{n}", state=State.RESOLVED, resolved_at=n) for n in range(1, 6)]
    await put(store, *some, incident(9))
    await store.write(lambda tx: store.add_notification(tx, notification(1, 1)))

    assert await store.write(lambda tx: store.purge(tx, 5, 3)) == 3
    assert await store.write(lambda tx: store.purge(tx, 5, 3)) == 1
    assert await store.read(lambda tx: store.list_notifications(tx, "0190-1", 10)) == []
    assert await store.read(lambda tx: store.get_incident(tx, None, "0190-9")) is not None


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_is_asked_all_the_time_uses_an_index(store: SqlAlertStore, database: Database):
    """Given the real statements of the store, then SQLite's plan of each scans no table and sorts nothing."""
    plans: dict[str, str] = {}

    def explain(tx: Transaction) -> None:
        connection = connection_of(tx)

        def before(conn, cursor, statement, parameters, context, executemany):
            if not statement.startswith("EXPLAIN"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = " | ".join(row[3] for row in cursor.fetchall())

        event.listen(connection, "before_cursor_execute", before)
        try:
            store.open_incidents(tx, 10)
            store.find_open(tx, "acme", "f")
            store.last_silence(tx, "acme", "f")
            store.due_notifications(tx, 5, 10)
            store.due_notifications(tx, 5, 10, without=("slow",))
            store.list_notifications(tx, "i", 10)
            store.count_waiting(tx)
            store.purge(tx, 5, 10)
            for tenant in ("acme", None):
                store.list_incidents(tx, tenant=tenant, state=None, since=1, until=9, after=(5, "x"), limit=10)
        finally:
            event.remove(connection, "before_cursor_execute", before)

    await database.write(explain)

    assert len(plans) == 10
    for statement, plan in plans.items():
        assert "USING" in plan, statement
        assert "TEMP B-TREE" not in plan, statement
        assert "SCAN" not in plan.replace("SCAN alert_incidents USING", ""), statement
