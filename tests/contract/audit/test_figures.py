"""Figures of the trail say what counting its entries says, however far they are folded and whatever was deleted."""

import random
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.contract.audit.conftest import START

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.audit.analytics import width_of
from custodes.planes.audit.model import AuditEntry, Context, Kind, Outcome, Reference, Review, ReviewState, RiskReason
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.audit_figures import LEVELS, Level
from custodes.storage.sql.audit_reading import cover
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.audit_figures import (
    audit_actor_figures,
    audit_duty_figures,
    audit_folds,
    audit_habit_figures,
    audit_habit_folds,
    audit_origin_figures,
)

#: Ranges: within an hour, at the borders of buckets and beside them, of weeks, and of all time.
RANGES = (
    (START + 7 * MINUTE, START + 19 * MINUTE),
    (START - START % DAY, START - START % DAY + DAY),
    (START + 5 * HOUR + 1, START + 3 * DAY + 7),
    (START + 11 * MINUTE, START + 33 * DAY + 2 * HOUR),
    (0, START + 100 * DAY),
)


@pytest.fixture
def drawn(make: Callable[..., AuditEntry]) -> Callable[[random.Random, int], list[AuditEntry]]:
    """Draw entries of 40 days in no order of time, as clocks that differ and commits that come late leave them."""

    def draw(chance: random.Random, count: int) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        for _ in range(count):
            flagged = chance.random() < 0.2
            rules = chance.sample(["new_address", "failure", "spray"], chance.randrange(3))
            entries.append(
                make(
                    chance.random() ** 2 * 40 * DAY / SECOND,
                    tenant=chance.choice(["acme", "bolt"]),
                    kind=chance.choice(list(Kind)),
                    action=chance.choice(["member.removed", "auth.login", "role.granted"]),
                    outcome=chance.choice(list(Outcome)),
                    actor=Reference("user", str(chance.randrange(6))),
                    impersonator=Reference("user", "9") if chance.random() < 0.1 else None,
                    context=Context(chance.choice(["", "1.1.1.1", "2.2.2.2", "::1"]), chance.choice(["", "A", "B"])),
                    risk_score=chance.randrange(100),
                    risk_reasons=tuple(RiskReason(rule, 5, "Because") for rule in rules),
                    flagged=flagged,
                    review=Review(chance.choice([ReviewState.OPEN, ReviewState.BENIGN])) if flagged else None,
                )
            )
        return entries

    return draw


async def answers(database: Database, store: SqlAuditStore) -> list[dict[str, Any]]:
    """What the dashboard tells: the trail as a whole, of two actors (one in a zone of half hours), and the report."""

    def ask(tx: Transaction, since: int, until: int, tenant: str | None) -> dict[str, Any]:
        whole = store.analyse(tx, tenant, since, until, width=width_of(since, until), top=4)
        actors = [
            store.behaviour(tx, tenant, f"user:{number}", since, until, shift)
            for number, shift in ((0, 0), (1, 5 * HOUR + 30 * MINUTE), (2, 7 * MINUTE))
        ]
        report = store.compliance(tx, tenant, since, until)
        return {**asdict(whole), "behaviour": [asdict(one) for one in actors], "report": asdict(report)}

    return [
        await database.read(lambda tx, given=(since, until, tenant): ask(tx, *given))
        for (since, until), tenant in product(RANGES, (None, "acme"))
    ]


async def counted(database: Database, store: SqlAuditStore) -> list[dict[str, Any]]:
    """The answers of counting entries: the figures are looked away from for a moment."""
    folded = {
        marks: await database.read(lambda tx, marks=marks: connection_of(tx).execute(select(marks.c.seq)).scalar()) or 0
        for marks in (audit_folds, audit_habit_folds)
    }
    for marks in folded:
        await database.write(lambda tx, marks=marks: connection_of(tx).execute(marks.update().values(seq=0)))
    try:
        return await answers(database, store)
    finally:
        for marks, seq in folded.items():
            back = marks.update().values(seq=seq)
            await database.write(lambda tx, back=back: connection_of(tx).execute(back))


async def folded(database: Database, store: SqlAuditStore, limit: int = 1_000) -> int:
    return await database.write(lambda tx: store.fold(tx, limit))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_folded_figures_are_those_of_counting_entries(database: Database, store: SqlAuditStore, drawn):
    chance = random.Random(7)
    await database.write(lambda tx: store.add(tx, drawn(chance, 250)))
    before = await answers(database, store)

    # Given one slice is folded, then all of it, then come late ones: the answers stay those of counting
    assert await folded(database, store, limit=90) == 90
    assert await answers(database, store) == before
    assert await folded(database, store) == 160
    assert await folded(database, store) == 0
    assert await answers(database, store) == before
    await database.write(lambda tx: store.add(tx, drawn(chance, 50)))
    after = await answers(database, store)
    assert after == await counted(database, store)
    assert after[-2]["total"] == 300
    assert await folded(database, store) == 50
    assert await answers(database, store) == after

    # and a range of weeks is answered from figures, not from entries
    for figures, part in (
        (audit_actor_figures, "actors"), (audit_habit_figures, "behaviour"), (audit_duty_figures, "report")
    ):  # fmt: skip
        wrong = figures.update().values(events=figures.c.events + 1_000)
        await database.write(lambda tx, wrong=wrong: connection_of(tx).execute(wrong))
        assert (await answers(database, store))[-1][part] != after[-1][part]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_what_retention_deleted_is_counted_no_more(database: Database, store: SqlAuditStore, drawn):
    chance = random.Random(11)
    await database.write(lambda tx: store.add(tx, drawn(chance, 250)))
    await folded(database, store)

    for days, limit in ((0.1, 5), (3.3, 40), (20.7, 1_000)):
        before = START + int(days * DAY)
        assert await database.write(lambda tx, before=before, limit=limit: store.purge(tx, before, limit)) > 0
        assert await answers(database, store) == await counted(database, store)

    # entries that come in with a moment of the past are counted, before and after they are folded
    await database.write(lambda tx: store.add(tx, drawn(chance, 50)))
    after = await answers(database, store)
    await folded(database, store)
    assert await answers(database, store) == after == await counted(database, store)

    # and the figures of what is gone are gone, too
    def oldest(tx):
        query = select(func.min(audit_origin_figures.c.bucket)).where(audit_origin_figures.c.level == Level.HOUR)
        return connection_of(tx).execute(query).scalar_one()

    assert await database.read(oldest) >= START + 20 * DAY


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_folding_passes_over_the_places_that_retention_emptied(database: Database, store: SqlAuditStore, make):
    await database.write(lambda tx: store.add(tx, [make(seconds) for seconds in range(30)]))
    await database.write(lambda tx: store.purge(tx, START + 25 * SECOND, 100))

    while await folded(database, store, limit=3):
        pass

    read = select(audit_folds.c.seq)
    assert await database.read(lambda tx: connection_of(tx).execute(read).scalar()) == 30
    assert await answers(database, store) == await counted(database, store)


def test_a_range_is_cut_into_the_widest_buckets_without_gap_or_overlap():
    chance = random.Random(3)
    for _ in range(200):
        since = chance.randrange(200 * DAY)
        until = since + chance.randrange(1, 100 * DAY)

        stretches = cover(since, until, LEVELS)

        borders = [since] + [each.until for each in stretches]
        assert [each.since for each in stretches] == borders[:-1]
        assert borders[-1] == until
        assert all(
            each.since % each.level.micros == each.until % each.level.micros == 0 for each in stretches if each.level
        )
        assert sum(each.until - each.since for each in stretches if each.level is None) < 2 * HOUR
        assert sum(len(each.buckets) for each in stretches if each.level) <= 2 * (23 + 9) + 10
