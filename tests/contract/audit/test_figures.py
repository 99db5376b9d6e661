"""Figures of the trail say what counting its entries says, however far they are folded and whatever was deleted."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count, product
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.contract.audit import counting
from tests.contract.audit.conftest import START

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.audit.analytics import AuditAnalytics, width_of
from custodes.planes.audit.behaviour import Behaviour, Compliance
from custodes.planes.audit.model import AuditEntry, Context, Kind, Outcome, Reference, Review, ReviewState, RiskReason
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import audit_compliance
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.audit_figures import LEVELS, Level
from custodes.storage.sql.audit_reading import Asked, cover
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.audit_figures import (
    audit_actor_figures,
    audit_folds,
    audit_group_figures,
    audit_habit_figures,
    audit_line_addresses,
    audit_line_figures,
    audit_lines,
    audit_origin_figures,
    audit_span_figures,
)

#: Ranges: within an hour, at the borders of buckets and beside them, of weeks, and of all time.
RANGES = (
    (START + 7 * MINUTE, START + 19 * MINUTE),
    (START - START % DAY, START - START % DAY + DAY),
    (START + 5 * HOUR + 1, START + 3 * DAY + 7),
    (START + 11 * MINUTE, START + 33 * DAY + 2 * HOUR),
    (0, START + 100 * DAY),
)

#: Everybody's trail, and that of one.
TENANTS = (None, "acme")

#: Actors whose behaviour is asked for, and how far their zones are off: one of half hours, one of odd minutes.
ACTORS = (("user:0", 0), ("user:1", 5 * HOUR + 30 * MINUTE), ("user:2", 7 * MINUTE))

#: Actors and addresses of a ranking: fewer than there are.
TOP = 4

Answer = dict[str, Any]


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


@dataclass
class Trail:
    """A trail in a store, and beside it the list of the entries that it keeps."""

    database: Database
    store: SqlAuditStore
    kept: list[AuditEntry] = field(default_factory=list[AuditEntry])
    #: Places to come.
    places: Iterator[int] = field(default_factory=lambda: count(1))

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        await self.database.write(lambda tx: self.store.add(tx, entries))
        self.kept += [replace(entry, sequence=next(self.places)) for entry in entries]

    async def purge(self, before: int, limit: int) -> None:
        """Delete the oldest: those that nobody has to decide about."""
        open_ones = {one.id for one in self.kept if one.review and one.review.state is ReviewState.OPEN}
        gone = sorted(one.id for one in self.kept if one.recorded_at < before and one.id not in open_ones)[:limit]
        assert await self.database.write(lambda tx: self.store.purge(tx, before, limit)) == len(gone) > 0
        self.kept = [one for one in self.kept if one.id not in gone]

    async def fold(self, limit: int = 1_000) -> int:
        return await self.database.write(lambda tx: self.store.fold(tx, limit))

    async def answers(self, ranges: Sequence[tuple[int, int]] = RANGES) -> list[Answer]:
        """What the dashboard tells: the trail as a whole, of some actors, and the report."""

        def ask(tx: Transaction, since: int, until: int, tenant: str | None) -> Answer:
            return answer(
                self.store.analyse(tx, tenant, since, until, width=width_of(since, until), top=TOP),
                [self.store.behaviour(tx, tenant, actor, since, until, shift) for actor, shift in ACTORS],
                self.store.compliance(tx, tenant, since, until),
            )

        return [
            await self.database.read(lambda tx, given=(*limits, tenant): ask(tx, *given))
            for limits, tenant in product(ranges, TENANTS)
        ]

    def counted(self) -> list[Answer]:
        """The same, of going through the list."""
        told: list[Answer] = []
        for (since, until), tenant in product(RANGES, TENANTS):
            theirs = [entry for entry in self.kept if tenant in (None, entry.tenant)]
            asked = [entry for entry in theirs if since <= entry.recorded_at < until]
            told.append(
                answer(
                    counting.analytics(asked, since, until, width_of(since, until), TOP),
                    [counting.behaviour(theirs, asked, actor, shift) for actor, shift in ACTORS],
                    counting.compliance(theirs, asked),
                )
            )
        return told


def answer(whole: AuditAnalytics, actors: Sequence[Behaviour], report: Compliance) -> Answer:
    # Which of two actions that were as frequent comes first is open.
    ranked = sorted(whole.actions, key=lambda one: (-one.events, one.action))
    assert [one.events for one in ranked] == [one.events for one in whole.actions]
    told = asdict(replace(whole, actions=tuple(ranked)))
    return {**told, "behaviour": [asdict(one) for one in actors], "report": asdict(report)}


@pytest.fixture
def trail(database: Database, store: SqlAuditStore) -> Trail:
    return Trail(database, store)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_folded_figures_are_those_of_counting_entries(database: Database, trail: Trail, drawn):
    chance = random.Random(7)
    await trail.add(drawn(chance, 250))
    before = trail.counted()
    assert await trail.answers() == before

    # Given one slice is folded, then all of it, then come late ones: the answers stay those of counting
    assert await trail.fold(limit=90) == 90
    assert await trail.answers() == before
    assert await trail.fold() == 160
    assert await trail.fold() == 0
    assert await trail.answers() == before
    await trail.add(drawn(chance, 50))
    after = trail.counted()
    assert await trail.answers() == after
    assert after[-2]["total"] == 300
    assert await trail.fold() == 50
    assert await trail.answers() == after

    # and a range of weeks is answered from figures, not from entries
    for figures, part in (
        (audit_actor_figures, "actors"), (audit_habit_figures, "behaviour"), (audit_line_addresses, "report")
    ):  # fmt: skip
        wrong = figures.update().values(events=figures.c.events + 1_000)
        await database.write(lambda tx, wrong=wrong: connection_of(tx).execute(wrong))
        assert (await trail.answers(RANGES[-1:]))[-1][part] != after[-1][part]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_the_first_lines_of_a_report_are_the_same_however_they_are_found(
    database: Database, trail: Trail, drawn, make: Callable[..., AuditEntry], monkeypatch: pytest.MonkeyPatch
):
    """Given more lines than are listed, then the likely ones are enough, or all are looked at: the answer is one."""
    monkeypatch.setattr(audit_compliance, "MAX_LINES", 3)
    monkeypatch.setattr(audit_compliance, "_MOST", 4)
    chance = random.Random(5)
    await trail.add(drawn(chance, 250))
    # and somebody who did much in the first hours after what is deleted below, and nothing else
    await trail.add(
        [make((3 * DAY + 4 * HOUR) / SECOND, actor=Reference("user", "once"), kind=Kind.ADMIN) for _ in range(90)]
    )
    await trail.fold()
    await trail.add(drawn(chance, 30))
    # the third is most of what is kept when some has been deleted, and begins after that
    asked = list(product((*RANGES[-2:], (START + 5 * DAY, START + 100 * DAY)), TENANTS))

    for turn in range(2):
        for likely, worth in ((0, 1_000_000), (0, 1), (6, 1), (1_000, 1)):
            monkeypatch.setattr(audit_compliance, "LIKELY", likely)
            monkeypatch.setattr(audit_compliance, "WORTH_LEAVING_OUT", worth)
            reports = await database.read(
                lambda tx: [trail.store.compliance(tx, tenant, *limits) for limits, tenant in asked]
            )
            for ((since, until), tenant), report in zip(asked, reports, strict=True):
                theirs = [entry for entry in trail.kept if tenant in (None, entry.tenant)]
                told = counting.compliance(theirs, [one for one in theirs if since <= one.recorded_at < until])
                assert report.privileged == told.privileged[:3]
                assert report.sign_ins == told.sign_ins[:3]
                assert report.admin_actions == told.admin_actions[:3]
                assert report.admin_actions_cut
        # and when retention has deleted some, the lines count what is left
        await trail.purge(START + (3 + turn) * DAY, 1_000)

    most = select(func.sum(audit_lines.c.events), func.min(audit_lines.c.last_at))
    lasting = select(func.sum(audit_line_figures.c.events)).where(audit_line_figures.c.level == Level.HOUR)
    events, oldest = await database.read(lambda tx: connection_of(tx).execute(most).one())
    assert events == await database.read(lambda tx: connection_of(tx).execute(lasting).scalar_one())
    assert oldest >= START + 2 * DAY


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_lines_with_few_entries_of_all_time_are_left_out_only_where_they_cannot_be_among_the_first(
    database: Database, trail: Trail, make: Callable[..., AuditEntry], monkeypatch: pytest.MonkeyPatch
):
    """Given many who did as much on each day, then most lines are left out; given a range of others, then none is."""
    monkeypatch.setattr(audit_compliance, "MAX_LINES", 3)
    monkeypatch.setattr(audit_compliance, "_MOST", 4)
    bounds: list[int] = []
    written = Asked.written

    def watched(asked, question, *made_of, least=0, **rest):
        if question is audit_compliance._of_ranked_lines and made_of[0] == "admin":
            bounds.append(least)
        return written(asked, question, *made_of, least=least, **rest)

    monkeypatch.setattr(Asked, "written", watched)

    def did(name: str, day: int, times: int) -> list[AuditEntry]:
        actor = Reference("user", name)
        return [make(day * DAY / SECOND + number, actor=actor, kind=Kind.ADMIN) for number in range(times)]

    async def of_days(first: int, last: int) -> list[tuple[str, int]]:
        since, until = START + first * DAY, START + last * DAY
        report = await database.read(lambda tx: trail.store.compliance(tx, None, since, until))
        theirs = [one for one in trail.kept if since <= one.recorded_at < until]
        assert report.admin_actions == counting.compliance(trail.kept, theirs).admin_actions[:3]
        return [(line.actor, line.events) for line in report.admin_actions]

    # Given five who do ten things each day, one who does one, and two days that belong to others
    for day in range(10):
        for number in range(5):
            await trail.add(did(f"steady{number}", day, 10 if day not in {4, 5} else 1))
        await trail.add(did(f"rare{day}", day, 1))
    for number in range(5):
        await trail.add(did(f"guest{number}", 4, 3))
    await trail.fold()

    assert await of_days(0, 3) == [("user:steady0", 30), ("user:steady1", 30), ("user:steady2", 30)]
    assert bounds == [24]
    bounds.clear()

    # when a range is theirs, then the last that is listed says which lines could have been before it
    assert await of_days(4, 6) == [("user:guest0", 3), ("user:guest1", 3), ("user:guest2", 3)]
    assert bounds == [16, 2]
    bounds.clear()

    # and what is not folded yet counts, whoever did it
    await trail.add(did("late", 2, 40))
    await trail.add(did("rare1", 2, 35))
    assert (await of_days(0, 3))[:2] == [("user:late", 40), ("user:rare1", 36)]
    assert bounds == [24]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_what_retention_deleted_is_counted_no_more(database: Database, trail: Trail, drawn):
    chance = random.Random(11)
    await trail.add(drawn(chance, 250))
    await trail.fold()

    for days, limit in ((0.1, 5), (3.3, 40), (20.7, 1_000)):
        await trail.purge(START + int(days * DAY), limit)
        assert await trail.answers() == trail.counted()

    # entries that come in with a moment of the past are counted, before and after they are folded
    await trail.add(drawn(chance, 50))
    after = trail.counted()
    assert await trail.answers() == after
    await trail.fold()
    assert await trail.answers() == after

    # and the figures of what is gone are gone, too
    def oldest(tx):
        query = select(func.min(audit_origin_figures.c.bucket)).where(audit_origin_figures.c.level == Level.HOUR)
        return connection_of(tx).execute(query).scalar_one()

    assert await database.read(oldest) >= START + 20 * DAY


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_folding_passes_over_the_places_that_retention_emptied(database: Database, trail: Trail, make):
    await trail.add([make(seconds) for seconds in range(30)])
    await trail.purge(START + 25 * SECOND, 100)

    while await trail.fold(limit=3):
        pass

    read = select(audit_folds.c.seq)
    assert await database.read(lambda tx: connection_of(tx).execute(read).scalar()) == 30
    assert await trail.answers() == trail.counted()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_lines_that_are_known_use_up_no_numbers(database: Database, trail: Trail, make):
    """Given lines that are met again and again, when a new one comes, then it has the next number."""
    for turn in range(4):
        came = [make(turn, action="auth.login", actor=Reference("user", str(number))) for number in range(20 + turn)]
        await trail.add(came)
        await trail.fold()

    numbers = select(func.count(), func.max(audit_lines.c.line)).where(audit_lines.c.duty == "sign_in")
    lines, highest = await database.read(lambda tx: connection_of(tx).execute(numbers).one())
    assert (lines, highest) == (23, 23)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
async def test_figures_count_beyond_what_31_bits_hold(database: Database, trail: Trail, make):
    """Given ten days of 5,000 entries a second, then they are folded and told."""
    await trail.add([make(seconds) for seconds in range(3)])
    await trail.fold()
    many = 10 * 86_400 * 5_000
    for table in (audit_group_figures, audit_span_figures, audit_lines):
        raised = update(table).values(events=many)
        await database.write(lambda tx, raised=raised: connection_of(tx).execute(raised))
    await trail.add([make(4)])
    await trail.fold()

    (whole, *_) = await trail.answers([(0, START + 60 * DAY)])
    assert whole["total"] > many


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
