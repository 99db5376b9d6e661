"""An attack that goes on is one flag with a count; many reviews are moved at once; on every engine."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.contract.audit.conftest import START

from custodes.errors import Conflict
from custodes.kernel.clock import DAY, SECOND
from custodes.planes.audit.model import AuditEntry, Review, ReviewState
from custodes.planes.audit.ports import AuditQuery, ReviewChange
from custodes.planes.audit.reader import AuditReader
from custodes.planes.audit.reviews import Verdict
from custodes.planes.audit.risk import FLAG_WINDOW
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import Database, connection_of
from custodes.testing.clock import FakeClock

Make = Callable[..., AuditEntry]

BENIGN = Review(ReviewState.BENIGN, by="user:1", at=1)
HOUR_S = FLAG_WINDOW // SECOND


def flagged(make: Make, seconds: float, key: str = "ip_failures ip:1", **fields: object) -> AuditEntry:
    return make(seconds, flagged=True, flag_key=key, review=Review(ReviewState.OPEN), risk_score=70, **fields)


async def listed(database: Database, store: SqlAuditStore, **filters: object) -> list[AuditEntry]:
    query = AuditQuery(**filters)  # type: ignore[arg-type]
    return list((await database.read(lambda tx: store.page(tx, query))).items)


async def test_an_attack_is_one_flag_with_a_count_and_every_entry_is_kept(
    database: Database, store: SqlAuditStore, make: Make
):
    """Given 60 entries of one attack by both ways in at once, and one of another; then two reviews, 61 entries."""
    attack = [flagged(make, place) for place in range(60)]
    await asyncio.gather(
        *(store.append(entry) for entry in attack[:30]),
        *(database.write(lambda tx, entry=entry: store.add(tx, [entry])) for entry in attack[30:40]),
        database.write(lambda tx: store.add(tx, attack[40:])),
    )
    await store.append(flagged(make, 100, "ip_failures ip:2"))

    flags = await listed(database, store, flagged=True)

    assert [flag.occurrences for flag in flags] == [1, 60]
    assert flags[1].last_at == START + 59 * SECOND
    assert len(await listed(database, store, flag_id=flags[1].id, limit=500)) == 60
    everything = await listed(database, store, limit=500)
    assert len(everything) == 61
    assert all(entry.flagged for entry in everything)
    assert await database.read(store.unreviewed) == (2, min(flag.recorded_at for flag in flags))


async def test_after_the_window_or_a_verdict_it_is_flagged_anew(database: Database, store: SqlAuditStore, make: Make):
    first = flagged(make, 0)
    await store.append(first)
    await store.append(flagged(make, 10))
    await store.append(flagged(make, HOUR_S + 1))
    (later, _) = await listed(database, store, flagged=True)
    await database.write(lambda tx: store.set_review(tx, later.id, BENIGN, before=ReviewState.OPEN))

    await store.append(flagged(make, HOUR_S + 2))

    flags = await listed(database, store, flagged=True)
    assert [flag.occurrences for flag in flags] == [1, 1, 2]
    assert flags[2].id == first.id


async def test_another_tenant_or_a_case_without_a_pattern_is_a_flag_of_its_own(
    database: Database, store: SqlAuditStore, make: Make
):
    for entry in (flagged(make, 0), flagged(make, 1, tenant="other"), flagged(make, 2, ""), flagged(make, 3, "")):
        await store.append(entry)

    assert [flag.occurrences for flag in await listed(database, store, flagged=True)] == [1, 1, 1, 1]


async def test_what_belongs_to_a_flag_stays_until_somebody_decides(
    database: Database, store: SqlAuditStore, make: Make
):
    for place in range(3):
        await store.append(flagged(make, place))
    (flag,) = await listed(database, store, flagged=True)

    assert await database.write(lambda tx: store.purge(tx, START + DAY, 10)) == 0
    member = (await listed(database, store))[0]
    with pytest.raises(Exception, match="append-only"):
        await database.write(
            lambda tx: connection_of(tx).exec_driver_sql(f"DELETE FROM audit_logs WHERE id = '{member.id}'")
        )

    await database.write(lambda tx: store.set_review(tx, flag.id, BENIGN, before=ReviewState.OPEN))
    assert await database.read(lambda tx: store.count_purgeable(tx, START + DAY)) == 3
    assert await database.write(lambda tx: store.purge(tx, START + DAY, 10)) == 3


async def test_many_reviews_are_counted_and_moved_and_no_other(database: Database, store: SqlAuditStore, make: Make):
    for place in range(7):
        await store.append(flagged(make, place, f"k{place}", action="auth.login" if place < 5 else "data.read"))
    await store.append(make(8, action="auth.login"))
    states = (ReviewState.OPEN, ReviewState.ACKNOWLEDGED)
    query = AuditQuery(action="auth.*", until=START + 4 * SECOND)
    change = ReviewChange(ReviewState.FALSE_POSITIVE, "user:9", 77, note="load test")

    assert await database.read(lambda tx: store.count_reviews(tx, query, states)) == {ReviewState.OPEN: 4}
    moved = await database.write(lambda tx: store.review_many(tx, query, states, change, 3))
    rest = await database.write(lambda tx: store.review_many(tx, query, states, change, 100))

    assert (len(moved), len(rest)) == (3, 1)
    done = await listed(database, store, review_state=ReviewState.FALSE_POSITIVE)
    assert {entry.id for entry in done} == {*moved, *rest}
    assert {entry.review for entry in done} == {
        Review(ReviewState.FALSE_POSITIVE, note="load test", by="user:9", at=77)
    }
    assert len(await listed(database, store, review_state=ReviewState.OPEN)) == 3


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_of_two_who_decide_at_the_same_moment_one_is_told_so(database: Database, make: Make, clock: FakeClock):
    """Given two who have read that a review is open, When both decide, Then the second verdict replaces none."""
    both_have_read = threading.Barrier(2)

    class Simultaneous(SqlAuditStore):
        reads = 0

        def find(self, tx: Transaction, tenant: str | None, entry_id: str) -> AuditEntry | None:
            found = super().find(tx, tenant, entry_id)
            self.reads += 1
            if self.reads <= 2:
                both_have_read.wait(30)
            return found

    store = Simultaneous(database)
    flag = flagged(make, 0)
    await store.append(flag)
    reader = AuditReader(database, store, clock)

    verdicts = [Verdict(state, f"user:{state}") for state in (ReviewState.BENIGN, ReviewState.TRUE_POSITIVE)]
    outcomes = await asyncio.gather(*(reader.review(flag.id, one) for one in verdicts), return_exceptions=True)

    (refused,) = (one for one in outcomes if isinstance(one, BaseException))
    (moved,) = (one for one in outcomes if isinstance(one, AuditEntry))
    assert isinstance(refused, Conflict)
    (kept,) = await listed(database, store)
    assert kept.review == moved.review
