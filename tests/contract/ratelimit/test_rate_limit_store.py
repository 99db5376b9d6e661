"""What every store of rules, blocks and counted windows promises, on every engine."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import text

from custodes.errors import Conflict
from custodes.kernel.clock import DAY, HOUR, MINUTE
from custodes.kernel.ids import uuid7
from custodes.planes.ratelimit.model import FOREVER, Access, Effect, Kind, Rule, Source, Window
from custodes.planes.ratelimit.ports import Total, Usages
from custodes.planes.ratelimit.rules import make_rule
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.ratelimit_usage import Asked, refused_query, sums_query

NOW = 1_790_000_000_000_000 // MINUTE * MINUTE
_bits = random.Random(5).getrandbits


@pytest.fixture
def store(database: Database) -> SqlRateLimitStore:
    return SqlRateLimitStore(database)


def an_id(at: int = NOW) -> str:
    return uuid7(at, _bits)


def entry(identifier: str = "203.0.113.9", **rest: object) -> Access:
    values: dict[str, object] = {
        "id": an_id(),
        "tenant": "*",
        "effect": Effect.BLOCK,
        "kind": Kind.IP,
        "identifier": identifier,
        "reason": "x",
        "actor": "user:ann",
        "created_at": NOW,
        **rest,
    }
    return Access(**values)  # type: ignore[arg-type]


def window(identifier: str = "203.0.113.9", **rest: object) -> Window:
    values: dict[str, object] = {
        "id": an_id(),
        "tenant": "acme",
        "rule": "login",
        "kind": "ip" if identifier else "",
        "identifier": identifier,
        "endpoint": "/login",
        "window_start": NOW,
        "window_end": NOW + MINUTE,
        "allowed": 1,
        "refused": 2,
        "would_refuse": 3,
        **rest,
    }
    return Window(**values)  # type: ignore[arg-type]


def rule(name: str, **rest: object) -> Rule:
    return make_rule("5/minute; 100/day", name=name, source=Source.API, id=an_id(), updated_at=NOW, actor="a", **rest)


async def put(store: SqlRateLimitStore, *entries: Access) -> None:
    await store.units.write(lambda tx: [store.put_access(tx, one) for one in entries])


async def standing(
    store: SqlRateLimitStore, identifier: str, tenant: str | None = None, now: int = NOW
) -> list[Access]:
    return await store.units.read(
        lambda tx: store.standing(tx, tenant=tenant, kind="ip", identifier=identifier, effects=[Effect.BLOCK], now=now)
    )


class TestAccess:
    async def test_an_entry_comes_back_as_it_went_in(self, store: SqlRateLimitStore):
        given = entry(level=3, ends_at=NOW + HOUR, tenant="acme", reason="ünïcode ✓")
        await put(store, given)

        assert await store.units.read(lambda tx: store.access(tx, given.id)) == given
        assert list((await store.shared(NOW)).access) == [given]

    async def test_an_entry_replaces_the_one_that_stands_for_the_same(self, store: SqlRateLimitStore):
        await put(store, entry(reason="first"), entry(reason="other effect", effect=Effect.ALLOW))
        await put(store, entry(reason="second", created_at=NOW + 1))

        assert [one.reason for one in await standing(store, "203.0.113.9", now=NOW + 1)] == ["second"]
        assert {one.reason for one in (await store.shared(NOW + 1)).access} == {"second", "other effect"}

    async def test_an_ended_entry_does_not_stand_and_is_still_listed(self, store: SqlRateLimitStore):
        given = entry(ends_at=FOREVER)
        await put(store, given)
        await store.units.write(lambda tx: store.end_access(tx, [given.id, "unknown"], NOW + 5, "user:bob"))

        assert await standing(store, "203.0.113.9", now=NOW + 5) == []
        assert (await store.shared(NOW + 5)).access == []
        page = await store.access_page(
            tenant=None, effects=[Effect.BLOCK], active_at=None, kind=None, limit=10, cursor=None
        )
        assert [(one.ends_at, one.lifted_by) for one in page.items] == [(NOW + 5, "user:bob")]

    async def test_blocks_that_stood_at_a_moment_are_counted_by_their_begin_and_their_end(
        self, store: SqlRateLimitStore
    ):
        """Given blocks that came, went and were replaced; then each counts from its begin to before its end."""
        lifted = entry("203.0.113.1", created_at=NOW + 1)
        await put(
            store, lifted, entry("203.0.113.2", created_at=NOW, ends_at=NOW + 3, tenant="acme"),
            entry("203.0.113.3", created_at=NOW + 2), entry("203.0.113.4", created_at=NOW, effect=Effect.DENY),
            entry("203.0.113.3", created_at=NOW + 4),
        )  # fmt: skip
        await store.units.write(lambda tx: store.end_access(tx, [lifted.id], NOW + 5, "user:bob"))

        assert [await store.blocks_at(NOW + at, tenant=None) for at in range(-1, 6)] == [0, 1, 2, 3, 2, 2, 1]
        assert [await store.blocks_at(NOW + at, tenant="acme") for at in (0, 2, 3)] == [1, 1, 0]

    async def test_pages_go_from_new_to_old_and_stay_within_a_tenant(self, store: SqlRateLimitStore):
        entries = [
            entry(f"203.0.113.{number}", created_at=NOW + number // 3, tenant="acme" if number % 2 else "umbrella")
            for number in range(20)
        ]
        await put(store, *entries)

        seen: list[Access] = []
        cursor = None
        while True:
            page = await store.access_page(
                tenant="acme", effects=[Effect.BLOCK], active_at=NOW, kind="ip", limit=3, cursor=cursor
            )
            seen += page.items
            cursor = page.next_cursor
            if cursor is None:
                break

        expected = sorted((one for one in entries if one.tenant == "acme"), key=lambda one: (one.created_at, one.id))
        assert seen == expected[::-1]


class TestRules:
    async def test_a_rule_comes_back_as_it_went_in(self, store: SqlRateLimitStore):
        given = rule(
            "login", by="ip+user", route="/a/{id}", methods="POST", exempt=["/a/b"], cost=3, shadow=True, tenant="acme"
        )
        await store.units.write(lambda tx: store.add_rule(tx, given))

        assert list((await store.shared(NOW)).rules) == [given]

    async def test_a_name_is_taken_once(self, store: SqlRateLimitStore):
        await store.units.write(lambda tx: store.add_rule(tx, rule("login")))

        with pytest.raises(Conflict):
            await store.units.write(lambda tx: store.add_rule(tx, rule("login")))

    async def test_a_name_is_a_tenants_own(self, store: SqlRateLimitStore):
        # Given a rule of a tenant
        await store.units.write(lambda tx: store.add_rule(tx, rule("login", tenant="acme")))

        # Then another tenant names its own the same, and learns of nobody
        await store.units.write(lambda tx: store.add_rule(tx, rule("login", tenant="globex")))
        assert [one.tenant for one in (await store.shared(NOW)).rules] == ["acme", "globex"]

        # And the name is taken in the tenant itself, also by a change
        other = rule("other", tenant="acme")
        await store.units.write(lambda tx: store.add_rule(tx, other))
        with pytest.raises(Conflict, match="There is a rule named 'login' already"):
            await store.units.write(lambda tx: store.add_rule(tx, rule("login", tenant="acme")))
        with pytest.raises(Conflict, match="There is a rule named 'login' already"):
            await store.units.write(
                lambda tx: store.change_rule(tx, replace(other, name="login", version=other.version + 1), other.version)
            )

    async def test_a_rule_for_all_shares_its_name_with_none(self, store: SqlRateLimitStore):
        await store.units.write(lambda tx: store.add_rule(tx, rule("login", tenant="acme")))
        await store.units.write(lambda tx: store.add_rule(tx, rule("search")))

        with pytest.raises(Conflict, match="Tenant 'acme' has a rule named 'login'"):
            await store.units.write(lambda tx: store.add_rule(tx, rule("login")))
        with pytest.raises(Conflict, match="There is a rule named 'search' already"):
            await store.units.write(lambda tx: store.add_rule(tx, rule("search", tenant="globex")))

    async def test_deleting_tells_whether_there_was_one(self, store: SqlRateLimitStore):
        given = rule("login")
        await store.units.write(lambda tx: store.add_rule(tx, given))

        assert await store.units.write(lambda tx: store.delete_rule(tx, given.id))
        assert not await store.units.write(lambda tx: store.delete_rule(tx, given.id))

    async def test_the_version_grows_with_each_change(self, store: SqlRateLimitStore):
        assert await store.version() == 0
        assert [await store.units.write(store.bump) for _ in range(3)] == [1, 2, 3]
        assert await store.version() == (await store.shared(NOW)).version == 3

    async def test_a_change_that_fails_raises_no_version(self, store: SqlRateLimitStore):
        def fail(tx: object) -> None:
            store.bump(tx)  # type: ignore[arg-type]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await store.units.write(fail)
        assert await store.version() == 0


async def usages(store: SqlRateLimitStore, tenant: str | None = None) -> Usages:
    return await store.usages(tenant=tenant, since=NOW, until=NOW + HOUR, bucket=MINUTE, top=3)


def said(totals: Sequence[Total]) -> dict[str, tuple[int, int, int]]:
    return {one.label: (one.allowed, one.refused, one.would_refuse) for one in totals}


def added(windows: Sequence[Window], label: Callable[[Window], str]) -> dict[str, tuple[int, int, int]]:
    """Add up by hand."""
    sums: dict[str, tuple[int, int, int]] = {}
    for one in windows:
        allowed, refused, would_refuse = sums.get(label(one), (0, 0, 0))
        sums[label(one)] = (allowed + one.allowed, refused + one.refused, would_refuse + one.would_refuse)
    return sums


class TestWindows:
    async def test_counts_of_the_same_window_add_up(self, store: SqlRateLimitStore):
        first = window(trace_id="a" * 32)
        await store.record([first])
        await store.record([window(allowed=10), window("198.51.100.1")])

        page = await self.page(store)
        (row,) = [one for one in page if one.identifier == "203.0.113.9"]
        assert (row.id, row.allowed, row.refused, row.would_refuse, row.trace_id) == (first.id, 11, 4, 6, "a" * 32)

    async def test_sums_over_all_identifiers_are_not_listed_and_are_what_totals_add(self, store: SqlRateLimitStore):
        await store.record([window(), window(""), window("", endpoint="/b", window_start=NOW + MINUTE)])

        assert [one.identifier for one in await self.page(store)] == ["203.0.113.9"]
        found = await usages(store, tenant="acme")
        (rule,) = found.rules
        assert (rule.label, rule.allowed, rule.refused, rule.would_refuse) == ("login", 2, 4, 6)
        assert [point.label for point in found.points] == [str(NOW), str(NOW + MINUTE)]
        assert [(kind, [who.label for who in some]) for kind, some in found.identifiers.items()] == [
            ("ip", ["ip:203.0.113.9"])
        ]
        assert (await usages(store, tenant="other")) == Usages([], [], [], {})

    async def test_a_ranking_has_the_most_refused_first(self, store: SqlRateLimitStore):
        await store.record([window("", endpoint=f"/{number}", refused=number) for number in range(9)])

        found = await usages(store)

        assert [one.label for one in found.endpoints] == ["/8", "/7", "/6"]

    async def test_where_there_are_more_endpoints_than_are_read_the_figures_are_the_same(
        self, store: SqlRateLimitStore, monkeypatch: pytest.MonkeyPatch
    ):
        """Given a scanner that made endpoints up: the database adds them up and ranks them."""
        made_up = [window("", endpoint=f"/{number}", refused=number % 7, allowed=number) for number in range(40)]
        await store.record([*made_up, window("", endpoint="/0", window_start=NOW + MINUTE)])
        expected = await usages(store)

        monkeypatch.setattr("custodes.storage.sql.ratelimit_usage.MAX_GROUPS", 10)

        assert await usages(store) == expected

    async def test_identifiers_are_ranked_by_what_was_refused_with_all_that_they_were_allowed(
        self, store: SqlRateLimitStore
    ):
        # Given one who was refused once and allowed before, one by a rule in shadow, and one who never was
        await store.record(
            [
                window("198.51.100.1", allowed=7, refused=0, would_refuse=0),
                window("198.51.100.1", allowed=1, refused=2, would_refuse=0, window_start=NOW + MINUTE),
                window("198.51.100.2", allowed=9, refused=0, would_refuse=1),
                window("198.51.100.3", allowed=99, refused=0, would_refuse=0),
            ]
        )

        found = await usages(store)

        assert [(one.label, one.allowed, one.refused, one.would_refuse) for one in found.identifiers["ip"]] == [
            ("ip:198.51.100.1", 8, 2, 0),
            ("ip:198.51.100.2", 9, 0, 1),
        ]

    @pytest.mark.parametrize("tenant", [None, "acme"])
    async def test_days_say_what_their_minutes_say(self, store: SqlRateLimitStore, tenant: str | None):
        # Given windows of eight hours, some of them written in parts, and a range that begins and ends within an hour
        chance, midnight = random.Random(3), NOW - NOW % DAY
        windows = [
            window(
                chance.choice(["", "203.0.113.1", "203.0.113.2"]),
                tenant=chance.choice(["acme", "bolt"]),
                endpoint=chance.choice(["/a", "/b"]),
                window_start=midnight + chance.randrange(8 * 60) * MINUTE,
                allowed=chance.randrange(9),
                refused=chance.randrange(3),
                would_refuse=chance.randrange(2),
            )
            for _ in range(300)
        ]
        for one in windows:
            await store.record([one])
        since, until = midnight + 7 * MINUTE, midnight + 6 * HOUR + 40 * MINUTE

        found = await store.usages(tenant=tenant, since=since, until=until, bucket=2 * HOUR, top=9)

        asked = [one for one in windows if since <= one.window_start < until and tenant in (None, one.tenant)]
        sums = [one for one in asked if not one.identifier]
        assert said(found.points) == added(sums, lambda one: str(one.window_start - one.window_start % (2 * HOUR)))
        assert said(found.rules) == added(sums, lambda one: one.rule)
        assert said(found.endpoints) == added(sums, lambda one: one.endpoint)
        by_identifier = added([one for one in asked if one.identifier], lambda one: f"{one.kind}:{one.identifier}")
        assert said(found.identifiers["ip"]) == by_identifier

    @pytest.mark.parametrize("tenant", [None, "acme"])
    @pytest.mark.parametrize("whom", [None, ("ip", "203.0.113.1")])
    @pytest.mark.parametrize("bucket", [MINUTE, 2 * HOUR])
    async def test_a_rule_is_followed_alone_of_everybody_or_of_one(
        self, store: SqlRateLimitStore, tenant: str | None, whom: tuple[str, str] | None, bucket: int
    ):
        # Given windows of two rules, with the sums that belong to them, over some hours
        chance, midnight = random.Random(5), NOW - NOW % DAY
        windows = [
            window(
                identifier,
                tenant=chance.choice(["acme", "bolt"]),
                rule=chance.choice(["login", "(block)"]),
                window_start=midnight + chance.randrange(5 * 60) * MINUTE,
                allowed=chance.randrange(9),
                refused=chance.randrange(3),
            )
            for identifier in ("", "203.0.113.1", "203.0.113.2") * 60
        ]
        for one in windows:
            await store.record([one])
        since, until = midnight + 7 * MINUTE, midnight + 4 * HOUR + 40 * MINUTE
        asked = [
            one
            for one in windows
            if since <= one.window_start < until
            and tenant in (None, one.tenant)
            and (one.rule, one.identifier) == ("(block)", "" if whom is None else whom[1])
        ]

        found = await store.points(tenant=tenant, rule="(block)", whom=whom, since=since, until=until, bucket=bucket)

        assert said(found) == added(asked, lambda one: str(one.window_start - one.window_start % bucket))
        assert [one.label for one in found] == sorted(one.label for one in found)

    async def test_hours_go_with_their_windows(self, store: SqlRateLimitStore):
        await store.record([window(window_start=NOW), window("", window_start=NOW), window("", window_start=NOW + DAY)])

        assert await store.purge(NOW + 2 * HOUR, 100) == 2

        query = text("SELECT count(*) FROM rate_limit_figures")
        assert await store.units.read(lambda tx: connection_of(tx).execute(query).scalar()) == 1

    async def test_each_kind_has_a_ranking_of_its_own(self, store: SqlRateLimitStore):
        # Given many addresses that were refused more often than any user
        many = [window(f"198.51.100.{number}", refused=number, would_refuse=0) for number in range(2, 9)]
        await store.record([*many, window("ann", kind="user", refused=1, would_refuse=0)])

        found = await usages(store)

        assert {kind: [one.label for one in some] for kind, some in found.identifiers.items()} == {
            "ip": ["ip:198.51.100.8", "ip:198.51.100.7", "ip:198.51.100.6"],
            "user": ["user:ann"],
        }

    async def test_thousands_of_windows_are_written_at_once(self, store: SqlRateLimitStore):
        await store.record([window(f"u{number}") for number in range(2_000)])

        assert (await usages(store)).rules == [], "identifiers are in no sum but their own"
        assert len(await self.page(store, limit=500)) == 500

    async def test_purging_takes_what_has_ended_oldest_first_and_no_more_than_asked(self, store: SqlRateLimitStore):
        await store.record([window(window_start=NOW + day * DAY, identifier="") for day in range(5)])
        await put(store, entry(ends_at=NOW + 1), entry("198.51.100.1"))

        assert await store.purge(NOW + 3 * DAY, 2) == 2
        assert await store.purge(NOW + 3 * DAY, 10) == 2, "the third window and the ended block"
        assert await store.purge(NOW + 3 * DAY, 10) == 0
        assert [one.identifier for one in (await store.shared(NOW)).access] == ["198.51.100.1"]

    async def page(self, store: SqlRateLimitStore, limit: int = 50) -> list[Window]:
        page = await store.window_page(
            tenant=None,
            since=NOW,
            until=NOW + HOUR,
            rule=None,
            identifier=None,
            refused_only=False,
            limit=limit,
            cursor=None,
        )
        return list(page.items)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            (
                "SELECT * FROM rate_limit_tracking WHERE tenant_id = 'a' AND window_start >= 1 AND window_start < 2"
                " AND (window_start, id) < (2, 'x') ORDER BY window_start DESC, id DESC LIMIT 50"
            ),
            "ix_rate_limit_tracking_tenant_id_window_start_id",
        ),
        (
            (
                "SELECT * FROM rate_limit_tracking WHERE window_start >= 1 AND window_start < 2"
                " ORDER BY window_start DESC, id DESC LIMIT 50"
            ),
            "ix_rate_limit_tracking_window_start_id",
        ),
        (
            "SELECT id FROM rate_limit_tracking WHERE window_start < 5 ORDER BY window_start LIMIT 10",
            "ix_rate_limit_tracking_window_start_id",
        ),
        (
            (
                "SELECT * FROM rate_limit_blocks WHERE tenant_id = 'a' AND effect IN ('block') AND ends_at + 0 > 5"
                " ORDER BY created_at DESC, id DESC LIMIT 50"
            ),
            "ix_rate_limit_blocks_tenant_id_created_at_id",
        ),
        (
            (
                "SELECT * FROM rate_limit_blocks WHERE effect IN ('block') AND ends_at + 0 > 5"
                " ORDER BY created_at DESC, id DESC LIMIT 50"
            ),
            "ix_rate_limit_blocks_created_at_id",
        ),
        ("SELECT * FROM rate_limit_blocks WHERE ends_at > 5", "ix_rate_limit_blocks_ends_at"),
        (
            "SELECT * FROM rate_limit_blocks WHERE identifier = 'x' AND ends_at > 5 AND kind = 'ip'",
            "ix_rate_limit_blocks_identifier_ends_at",
        ),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_the_lists_are_read_from_their_indexes(database: Database, query: str, index: str):
    rows = await database.read(lambda tx: connection_of(tx).execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
    plan = "; ".join(str(row[3]) for row in rows)

    assert index in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize("tenant", [None, "acme"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_usage_is_read_along_short_indexes_whoever_asks(database: Database, tenant: str | None):
    minutes, days = Asked(tenant, 1, 2), Asked(tenant, 1, 2 * DAY + 1)

    def explain(tx: Transaction) -> list[str]:
        connection = connection_of(tx)
        plans: list[str] = []
        queries = (
            sums_query(minutes, MINUTE), refused_query(minutes, 20), sums_query(days, HOUR), refused_query(days, 20)
        )  # fmt: skip
        for query in queries:
            compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            plans.append("; ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")))
        return plans

    sums, plan, *of_days = await database.read(explain)

    assert "INDEX ix_rate_limit_tracking_sums (window_start>?" in sums
    assert "COVERING INDEX ix_rate_limit_tracking_refused (window_start>?" in plan
    assert "COVERING INDEX ix_rate_limit_tracking_identifier (identifier=? AND window_start>?" in plan
    hours = "rate_limit_figures USING PRIMARY KEY (identified=? AND bucket>? AND bucket<?)"
    assert all(hours in one for one in of_days)
