"""What the record of retention promises on every engine."""

import pytest
from sqlalchemy import event

from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.ids import uuid7
from custodes.planes.retention.model import Run
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.retention import SqlRunStore

AT = 1_790_000_000 * SECOND
store = SqlRunStore()


@pytest.fixture
def make(random_bits):
    def run(seconds: int = 0, **fields: object) -> Run:
        at = AT + seconds * SECOND
        given: dict[str, object] = {
            "id": uuid7(at, random_bits), "policy": "a.rows", "started_at": at, "before": at - DAY, "removed": 5,
            "duration_us": 7, "dry_run": False, "finished": True, "error": "",
        }  # fmt: skip
        return Run(**(given | fields))  # type: ignore[arg-type]

    return run


async def test_runs_read_back_newest_first_and_page_by_page(database: Database, make):
    runs = [make(place, removed=None if place == 2 else place) for place in range(5)]
    for run in runs:
        await database.write(lambda tx, run=run: store.add(tx, run))

    first = await database.read(lambda tx: store.page(tx, 3, ""))
    rest = await database.read(lambda tx: store.page(tx, 3, first.next_cursor or ""))

    assert [*first.items, *rest.items] == runs[::-1]


async def test_the_last_run_of_each_policy_is_the_newest_that_was_real(database: Database, make):
    for run in (make(1), make(2, removed=9), make(3, dry_run=True), make(4, policy="b.rows", dry_run=True)):
        await database.write(lambda tx, run=run: store.add(tx, run))

    last = await database.read(lambda tx: store.last(tx, ["a.rows", "b.rows", "c.rows"]))

    assert {policy: run.removed for policy, run in last.items()} == {"a.rows": 9}


async def test_the_last_success_of_each_policy_is_found_however_often_others_ran_and_up_to_a_moment(
    database: Database, make
):
    runs = [make(1), make(2, error="no"), make(3, policy="b.rows", error="no"), make(99, removed=99)]
    for run in (*runs, *(make(10 + place, policy="c.rows") for place in range(20))):
        await database.write(lambda tx, run=run: store.add(tx, run))

    async def last(until: int | None, *, succeeded: bool) -> dict[str, int]:
        names = ["a.rows", "b.rows", "c.rows"]
        found = await database.read(lambda tx: store.last(tx, names, until=until, succeeded=succeeded))
        return {name: (one.started_at - AT) // SECOND for name, one in found.items()}

    assert await last(AT + 90 * SECOND, succeeded=True) == {"a.rows": 1, "c.rows": 29}
    assert await last(AT + 90 * SECOND, succeeded=False) == {"a.rows": 2, "b.rows": 3, "c.rows": 29}
    assert await last(None, succeeded=True) == {"a.rows": 99, "c.rows": 29}
    assert await last(AT + SECOND, succeeded=True) == {"a.rows": 1}


async def test_old_records_go_oldest_first(database: Database, make):
    for place in range(5):
        await database.write(lambda tx, place=place: store.add(tx, make(place)))
    before = AT + 4 * SECOND

    assert await database.read(lambda tx: store.count_purgeable(tx, before)) == 4
    assert [await database.write(lambda tx: store.purge(tx, before, 3)) for _ in range(3)] == [3, 1, 0]
    assert [run.started_at for run in (await database.read(lambda tx: store.page(tx, 9, ""))).items] == [before]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_the_lists_are_read_by_index(database: Database, make):
    """Given fewer runs than are looked through first, one look tells of all policies; else each gets its own."""
    plans: list[str] = []

    def explain(tx):
        connection = connection_of(tx)

        def note(_connection, cursor, statement, parameters, _context, _many):
            if statement.startswith("SELECT"):
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(row[3] for row in cursor.fetchall()))

        event.listen(connection, "before_cursor_execute", note)
        store.page(tx, 10, "")
        store.last(tx, ["a.rows"])

    await database.read(explain)
    assert len(plans) == 2
    for place in range(2):
        await database.write(lambda tx, place=place: store.add(tx, make(place, policy="b.rows")))
    await database.read(explain)

    assert len(plans) == 5
    assert all("USING PRIMARY KEY" in plan for plan in plans)
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]
