"""What every traffic store promises: batches once, folding exact, lists in order, tenants apart."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from custodes.errors import Conflict
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.planes.traffic.batch import Batch, seal
from custodes.planes.traffic.model import CallFilter, GroupState
from custodes.planes.traffic.ports import RollupQuery, Snapshot, TrafficStore
from custodes.planes.traffic.ranges import Stretch
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import LEVELS, OTHER, Figures, Keyspace, Level, Rollups
from custodes.runtime.transactions import Transaction
from custodes.storage.sql import traffic as sql_traffic
from custodes.storage.sql import traffic_errors
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.tables.traffic import api_rollups
from custodes.storage.sql.traffic import SqlTrafficStore
from custodes.testing.traffic import exchange

DAWN = 1_790_035_200 * SECOND  # a midnight, UTC

Sealer = Callable[..., Batch]


@pytest.fixture
def store(database: Database) -> TrafficStore:
    return SqlTrafficStore(database)


@pytest.fixture
def batch(random_bits: Any) -> Sealer:
    """Make a batch of some exchanges."""
    numbers = iter(range(1_000))

    def make(*fields: dict[str, Any]) -> Batch:
        recorder = Recorder()
        for one in fields:
            recorder.record(exchange(**one))
        return seal(f"batch-{next(numbers)}", recorder.take(), random_bits)

    return make


def whole(keyspace: Keyspace = Keyspace.TOTAL, *, level: Level = Level.DAY, **more: Any) -> RollupQuery:
    """Ask for the first two days as one bucket."""
    return RollupQuery(("default",), keyspace, (Stretch(level, DAWN, DAWN + 2 * DAY),), DAWN, 2 * DAY, **more)


def counts(rollups: Rollups) -> dict[str, int]:
    return {series.name: figures.count for series, figures in rollups.items()}


async def fold_all(store: TrafficStore, now: int, writer: str = "fold") -> int:
    folded = 0
    for number, (level, into) in enumerate(itertools.pairwise(LEVELS)):
        for position, unit in enumerate(await store.foldable(level, into, now)):
            folded += await store.fold(unit, f"{writer}-{number}-{position}")
    return folded


# ── Batches ──────────────────────────────────────────────────────────────────


async def test_a_batch_comes_back_as_it_was(store: TrafficStore, batch: Sealer):
    one = batch(
        {"started_at": DAWN, "total_us": 3_000, "status": 200, "request_bytes": 4},
        {"started_at": DAWN + 12 * SECOND, "total_us": 9_000, "status": 503, "disconnected": True},
    )
    await store.keep(one)
    (figures,) = (await store.rollups(whole())).values()

    expected = Figures()
    for series, part in one.rollups.items():
        if series.keyspace is Keyspace.TOTAL:
            expected.add(part)
    for name in Figures.__slots__:
        assert getattr(figures, name) == getattr(expected, name), name


async def test_a_batch_that_is_written_twice_counts_once(store: TrafficStore, batch: Sealer):
    """Given an attempt whose outcome was unknown, when it is repeated, then nothing is there twice."""
    one = batch({"started_at": DAWN}, {"started_at": DAWN, "status": 500, "error": KeyError("x")})
    news = await store.keep(one)
    again = await store.keep(one)

    assert len(news) == 1
    assert again == []
    assert counts(await store.rollups(whole())) == {"": 2}
    assert counts(await store.rollups(whole(Keyspace.ERROR))) == {one.sightings[0].seen.digest: 1}
    assert len((await store.calls(CallFilter(), tenant=None, limit=10, cursor=None)).items) == 2


async def test_batches_of_several_workers_add_up(store: TrafficStore, batch: Sealer):
    for _ in range(3):
        await store.keep(batch({"started_at": DAWN}, {"started_at": DAWN + SECOND}))

    assert counts(await store.rollups(whole())) == {"": 6}


async def test_what_is_in_memory_as_well_is_left_out(store: TrafficStore, batch: Sealer):
    one, other = batch({"started_at": DAWN}), batch({"started_at": DAWN}, {"started_at": DAWN})
    await store.keep(one)
    await store.keep(other)

    assert counts(await store.rollups(whole(besides=(other.id,)))) == {"": 1}
    assert counts(await store.sums(whole(besides=(one.id,)))) == {"": 2}


async def test_sums_are_the_plain_figures_of_rollups(store: TrafficStore, batch: Sealer):
    generator = random.Random(3)
    for _ in range(4):
        await store.keep(
            batch(
                *(
                    {
                        "started_at": DAWN + generator.randrange(HOUR),
                        "route": generator.choice(["/a", "/b", None]),
                        "method": generator.choice(["GET", "PUT"]),
                        "total_us": generator.randrange(10**7),
                        "limited_by": generator.choice(["", "", "rule"]),
                        "status": generator.choice([200, 429, 500]),
                    }
                    for _ in range(50)
                )
            )
        )
    rich = await store.rollups(whole(Keyspace.ENDPOINT))
    summed = await store.sums(whole(Keyspace.ENDPOINT))
    plain = [name for name in Figures.__slots__ if name not in {"statuses", "total", "ttfb"}]

    assert summed.keys() == rich.keys()
    for series, figures in summed.items():
        assert [getattr(figures, name) for name in plain] == [getattr(rich[series], name) for name in plain]


async def test_a_query_narrows_by_tenant_name_method_and_time(store: TrafficStore, batch: Sealer):
    await store.keep(
        batch(
            {"started_at": DAWN, "route": "/a"},
            {"started_at": DAWN, "route": "/a", "method": "PUT"},
            {"started_at": DAWN, "route": "/b"},
            {"started_at": DAWN, "route": "/a", "tenant": "acme"},
            {"started_at": DAWN + 2 * DAY, "route": "/a"},
        )
    )
    endpoint = Keyspace.ENDPOINT

    assert sum(counts(await store.rollups(whole(endpoint, names=("/a",), method="GET"))).values()) == 1
    assert counts(await store.rollups(whole(endpoint, names=("/b", "/c")))) == {"/b": 1}
    everybody = RollupQuery(("*", "default"), Keyspace.TOTAL, (Stretch(Level.DAY, DAWN, DAWN + DAY),), DAWN, DAY)
    assert counts(await store.rollups(everybody)) == {"": 4}


async def test_rollups_fall_into_the_buckets_asked_for(store: TrafficStore, batch: Sealer):
    await store.keep(batch(*({"started_at": DAWN + minute * MINUTE} for minute in range(10))))
    query = RollupQuery(("default",), Keyspace.TOTAL, (Stretch(Level.MINUTE, DAWN, DAWN + HOUR),), DAWN, 4 * MINUTE)
    found = {series.bucket: figures.count for series, figures in (await store.rollups(query)).items()}

    assert found == {DAWN: 4, DAWN + 4 * MINUTE: 4, DAWN + 8 * MINUTE: 2}


# ── Folding ──────────────────────────────────────────────────────────────────


def hours(generator: random.Random, number: int) -> list[dict[str, Any]]:
    return [
        {
            "started_at": DAWN + generator.randrange(30 * HOUR),
            "route": generator.choice(["/a", "/b/{id}"]),
            "status": generator.choice([200, 404, 500]),
            "total_us": int(generator.lognormvariate(8, 2)),
            "client_ip": f"198.51.100.{generator.randrange(8)}",
        }
        for _ in range(number)
    ]


async def test_folding_changes_no_figure(store: TrafficStore, batch: Sealer):
    generator = random.Random(9)
    for _ in range(3):
        await store.keep(batch(*hours(generator, 200)))
    keyspaces = (Keyspace.TOTAL, Keyspace.ENDPOINT, Keyspace.IP)
    before = [await store.rollups(whole(keyspace)) for keyspace in keyspaces]
    folded = await fold_all(store, DAWN + 3 * DAY)
    after = [await store.rollups(whole(keyspace)) for keyspace in keyspaces]

    assert folded > 0
    for keyspace, was, now in zip(keyspaces, before, after, strict=True):
        assert now
        assert now.keys() == was.keys(), keyspace
        for series, figures in now.items():
            for name in Figures.__slots__:
                assert getattr(figures, name) == getattr(was[series], name), (keyspace, name)


async def test_folding_again_finds_nothing(store: TrafficStore, batch: Sealer):
    await store.keep(batch(*hours(random.Random(2), 50)))
    await fold_all(store, DAWN + 3 * DAY)

    assert await fold_all(store, DAWN + 3 * DAY, "again") == 0
    assert counts(await store.rollups(whole())) == {"": 50}


async def test_a_second_leader_with_the_same_plan_folds_nothing(store: TrafficStore, batch: Sealer):
    """Given two processes that both believe to lead, when both fold the same unit, then it counts once."""
    await store.keep(batch({"started_at": DAWN}))
    (unit, *rest) = [
        unit
        for unit in await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + HOUR)
        if unit.keyspace is Keyspace.TOTAL
    ]

    assert not rest
    assert await store.fold(unit, "one") == 1
    assert await store.fold(unit, "two") == 0
    assert counts(await store.rollups(whole())) == {"": 1}


async def test_each_level_tells_its_first_bucket(store: TrafficStore, batch: Sealer):
    """Given calls of two tenants, folded and partly purged, Then each level tells the begin of what it still has."""
    assert await store.first_buckets() == {}
    await store.keep(batch({"started_at": DAWN + HOUR, "tenant": "acme"}, {"started_at": DAWN + 2 * DAY}))
    assert await store.first_buckets() == {Level.TEN_SECONDS: DAWN + HOUR}

    await fold_all(store, DAWN + 9 * DAY)
    await store.purge_rollups(Level.TEN_SECONDS, DAWN + DAY, 1_000)

    found = await store.first_buckets()
    assert found.keys() == set(LEVELS)
    assert found.pop(Level.TEN_SECONDS) == DAWN + 2 * DAY
    assert found == {level: level.start_of(DAWN + HOUR) for level in LEVELS[1:]}


async def test_what_is_not_complete_is_not_folded(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"started_at": DAWN}))

    assert await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + MINUTE - 1) == []
    assert await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + MINUTE) != []


async def test_late_rows_are_folded_when_they_come(store: TrafficStore, batch: Sealer):
    """Given a minute that was folded, when a worker's flush comes late, then it is neither lost nor counted twice."""
    await store.keep(batch({"started_at": DAWN}))
    await fold_all(store, DAWN + 9 * DAY)
    await store.keep(batch({"started_at": DAWN + SECOND}))
    assert counts(await store.rollups(whole())) == {"": 2}
    await fold_all(store, DAWN + 9 * DAY, "late")

    assert counts(await store.rollups(whole())) == {"": 2}
    coarsest = LEVELS[-1]
    begin = coarsest.start_of(DAWN)
    only_weeks = (Stretch(coarsest, begin, begin + coarsest.micros),)
    for level in LEVELS[:-1]:
        assert await store.purge_rollups(level, DAWN + 9 * DAY, 1_000) > 0
    query = RollupQuery(("default",), Keyspace.TOTAL, only_weeks, begin, coarsest.micros)
    assert counts(await store.rollups(query)) == {"": 2}


async def test_a_fold_that_breaks_off_leaves_everything_as_it_was(
    store: TrafficStore, batch: Sealer, monkeypatch: pytest.MonkeyPatch
):
    from custodes.storage.sql import traffic_rollups

    await store.keep(batch({"started_at": DAWN}))
    unit = next(iter(await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + HOUR)))

    def dies(*_args: object) -> None:
        raise RuntimeError("killed between marking and adding up")

    with monkeypatch.context() as patch:
        patch.setattr(traffic_rollups, "insert_rows", dies)
        with pytest.raises(RuntimeError):
            await store.fold(unit, "dead")

    assert unit in await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + HOUR)
    assert await store.fold(unit, "alive") == 1


async def test_many_series_are_folded_in_units_of_bounded_size(store: TrafficStore, batch: Sealer):
    """Given more rows than one transaction should fold, then there are several units, and together they are all."""
    for _ in range(6):
        await store.keep(batch(*({"started_at": DAWN, "route": f"/r{number:04}"} for number in range(400))))
    units = [
        unit
        for unit in await store.foldable(Level.TEN_SECONDS, Level.MINUTE, DAWN + HOUR)
        if unit.keyspace is Keyspace.ENDPOINT
    ]
    folded = [await store.fold(unit, f"fold-{position}") for position, unit in enumerate(units)]

    assert len(units) == 3
    assert folded == [unit.rows for unit in units]
    assert sum(folded) == 2_400
    assert max(folded) <= 1_010


async def test_consumers_stay_bounded_through_folding(store: TrafficStore, batch: Sealer):
    for second in range(0, 60, 10):
        await store.keep(
            batch(
                *(
                    {"started_at": DAWN + second * SECOND, "client_ip": f"2001:db8::{second:x}:{number:x}"}
                    for number in range(90)
                )
            )
        )
    await fold_all(store, DAWN + HOUR - 1)
    found = counts(await store.rollups(whole(Keyspace.IP, level=Level.MINUTE)))

    assert len(found) == 101
    assert sum(found.values()) == 540
    assert found[OTHER] == 440


# ── Retention ────────────────────────────────────────────────────────────────


async def test_only_folded_rows_are_purged_and_in_bounded_steps(store: TrafficStore, batch: Sealer):
    await store.keep(batch(*({"started_at": DAWN + number * 10 * SECOND, "client_ip": ""} for number in range(6))))
    assert await store.purge_rollups(Level.TEN_SECONDS, DAWN + DAY, 100) == 0
    await fold_all(store, DAWN + HOUR - 1)

    purged = [await store.purge_rollups(Level.TEN_SECONDS, DAWN + DAY, 5) for _ in range(4)]

    assert purged == [5, 5, 2, 0]
    assert counts(await store.rollups(whole())) == {"": 6}


async def test_old_calls_are_purged_oldest_first_in_bounded_steps(store: TrafficStore, batch: Sealer):
    await store.keep(
        batch(*({"started_at": DAWN + number, "tenant": "acme" if number % 2 else "default"} for number in range(7)))
    )

    assert await store.purge_calls(DAWN + 5, 3) == 3
    assert [call.started_at - DAWN for call in (await page(store)).items] == [6, 5, 4, 3]
    assert await store.purge_calls(DAWN + 5, 3) == 2
    assert await store.purge_calls(DAWN + 5, 3) == 0


async def test_old_error_groups_are_purged(store: TrafficStore, batch: Sealer):
    await store.keep(
        batch({"started_at": DAWN, "error": KeyError(1)}, {"started_at": DAWN + 9, "error": ValueError(1)})
    )

    assert await store.purge_error_groups(DAWN + 5, 10) == 1
    assert [group.title for group in (await groups(store)).items] == ["ValueError"]


# ── Raw rows ─────────────────────────────────────────────────────────────────


async def page(
    store: TrafficStore, tenant: str | None = None, limit: int = 50, cursor: str | None = None, **where: Any
):
    return await store.calls(CallFilter(**where), tenant=tenant, limit=limit, cursor=cursor)


async def test_a_call_comes_back_with_all_its_fields(store: TrafficStore, batch: Sealer):
    fields: dict[str, Any] = {
        "kind": "http",
        "method": "PUT",
        "route": "/items/{id}",
        "path": "/items/ü",
        "status": 418,
        "started_at": DAWN,
        "total_us": 5_000,
        "ttfb_us": 4_000,
        "background_us": 300,
        "request_bytes": 12,
        "response_bytes": 34,
        "user": "ann",
        "api_key": "key-1",
        "tenant": "acme",
        "client_ip": "198.51.100.9",
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_id": "c" * 16,
        "user_agent": "curl/8",
        "limited_by": "teapots",
        "disconnected": True,
    }
    await store.keep(batch(fields))
    (call,) = (await page(store)).items

    assert {name: getattr(call, name) for name in fields} == fields
    assert await store.call(call.id, tenant="acme") == await store.call(call.id, tenant=None) == call
    assert await store.call(call.id, tenant="umbrella") is None
    assert await store.call(call.id[:-1] + ("0" if call.id[-1] != "0" else "1"), tenant=None) is None


async def test_pages_follow_each_other_without_gap_while_rows_arrive(store: TrafficStore, batch: Sealer):
    """Several calls share a moment; new ones arrive between the pages."""
    await store.keep(batch(*({"started_at": DAWN + number // 3} for number in range(20))))
    first = await page(store, limit=7)
    await store.keep(batch({"started_at": DAWN + 99}))
    second = await page(store, limit=7, cursor=first.next_cursor)
    third = await page(store, limit=7, cursor=second.next_cursor)
    shown = [*first.items, *second.items, *third.items]

    assert third.next_cursor is None
    assert len({call.id for call in shown}) == 20
    assert [(call.started_at, call.id) for call in shown] == sorted(
        ((call.started_at, call.id) for call in shown), reverse=True
    )


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({}, {"a", "b", "c", "d", "e"}),
        ({"route": "/x"}, {"a", "b", "e"}),
        ({"route": "(unmatched)"}, {"d"}),
        ({"method": "POST"}, {"b"}),
        ({"status": 404}, {"d"}),
        ({"status": 5}, {"b", "e"}),
        ({"min_total_us": 2_000}, {"c"}),
        ({"user": "ann"}, {"a", "c"}),
        ({"api_key": "k1"}, {"b"}),
        ({"client_ip": "198.51.100.2"}, {"c", "d"}),
        ({"trace_id": "f" * 32}, {"e"}),
        ({"errors_only": True}, {"b", "c", "e"}),
        ({"since": DAWN + 2}, {"c", "d", "e"}),
        ({"until": DAWN + 2}, {"a", "b"}),
        ({"route": "/x", "errors_only": True, "since": DAWN + 2}, {"e"}),
    ],
)
@pytest.mark.parametrize("tenant", ["acme", None])
async def test_filters_narrow(store: TrafficStore, batch: Sealer, where: Any, found: set[str], tenant: str | None):
    calls: list[dict[str, Any]] = [
        {"path": "a", "route": "/x", "user": "ann"},
        {"path": "b", "route": "/x", "method": "POST", "status": 500, "api_key": "k1"},
        {
            "path": "c",
            "route": "/y",
            "total_us": 2_000,
            "user": "ann",
            "client_ip": "198.51.100.2",
            "error": KeyError(1),
        },
        {"path": "d", "route": None, "status": 404, "client_ip": "198.51.100.2"},
        {"path": "e", "route": "/x", "status": 503, "trace_id": "f" * 32},
    ]
    await store.keep(
        batch(*({"tenant": "acme", "started_at": DAWN + number, **call} for number, call in enumerate(calls)))
    )

    assert {call.path for call in (await page(store, tenant, **where)).items} == found


async def test_tenants_see_their_own_calls_only(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"tenant": "acme"}, {"tenant": "umbrella"}))

    assert [call.tenant for call in (await page(store, "acme")).items] == ["acme"]
    assert len((await page(store, None)).items) == 2


async def test_calls_are_counted_by_status_method_and_route_the_newest_only(store: TrafficStore, batch: Sealer):
    # Given a call of long ago, and three of late that a filter tells apart
    await store.keep(
        batch(
            {"started_at": DAWN, "route": "/a", "method": "GET", "status": 200},
            {"started_at": DAWN + 1, "route": "/a", "method": "GET", "status": 200, "path": "/a?gold"},
            {"started_at": DAWN + 2, "route": "/a", "method": "PUT", "status": 503, "total_us": 9_000},
            {"started_at": DAWN + 3, "route": None, "method": "GET", "status": 404, "tenant": "acme"},
        )
    )

    async def counted(tenant: str | None = None, at_most: int = 3, **where: Any) -> set[tuple[Any, ...]]:
        found = await store.count_calls(CallFilter(**where), tenant=tenant, at_most=at_most)
        return {(one.status, one.method, one.route, one.looked, one.fit) for one in found}

    assert await counted() == {(200, "GET", "/a", 1, 1), (503, "PUT", "/a", 1, 1), (404, "GET", None, 1, 1)}
    assert await counted(at_most=9, tenant="acme") == {(404, "GET", None, 1, 1)}
    # Then what has no index is held against those that are looked at, what has one says which these are
    assert await counted(method="PUT") == {(200, "GET", "/a", 1, 0), (503, "PUT", "/a", 1, 1), (404, "GET", None, 1, 0)}
    assert await counted(status=5) == await counted(status=503) == await counted(min_total_us=9_000)
    assert await counted(text="GOLD") == {(200, "GET", "/a", 1, 1), (503, "PUT", "/a", 1, 0), (404, "GET", None, 1, 0)}
    assert await counted(route="/a") == {(200, "GET", "/a", 2, 2), (503, "PUT", "/a", 1, 1)}
    assert await counted(errors_only=True) == {(503, "PUT", "/a", 1, 1)}


# ── Error groups ─────────────────────────────────────────────────────────────


async def groups(store: TrafficStore, tenant: str | None = None, state: GroupState | None = None):
    return await store.error_groups(tenant=tenant, state=state, since=None, limit=50, cursor=None)


async def test_a_kind_of_error_is_one_group_that_remembers_first_and_last(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"started_at": DAWN + 5, "error": KeyError(1), "trace_id": "1" * 32}))
    news = await store.keep(batch({"started_at": DAWN + 9, "error": KeyError(2), "trace_id": "2" * 32}))
    await store.keep(batch({"started_at": DAWN + 1, "error": KeyError(3), "trace_id": "3" * 32}))
    (group,) = (await groups(store)).items

    assert news == []
    assert (group.first_seen_at, group.last_seen_at, group.trace_id) == (DAWN + 1, DAWN + 9, "2" * 32)
    assert group.state is GroupState.OPEN
    assert "KeyError" in group.traceback


async def test_a_resolved_group_opens_when_it_occurs_again_and_only_then(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"started_at": DAWN, "error": KeyError(1)}))
    (group,) = (await groups(store)).items
    resolved = await store.set_group_state(group.id, GroupState.RESOLVED, tenant=None, at=DAWN + 10, by="ann")
    assert resolved is not None
    assert (resolved.state, resolved.state_by) == (GroupState.RESOLVED, "ann")

    # A late report of an occurrence before the mending says nothing against it.
    assert await store.keep(batch({"started_at": DAWN + 5, "error": KeyError(1)})) == []
    assert [one.state for one in (await groups(store)).items] == [GroupState.RESOLVED]

    news = await store.keep(batch({"started_at": DAWN + 20, "error": KeyError(1)}))
    assert len(news) == 1
    assert [(one.state, one.state_by) for one in (await groups(store)).items] == [(GroupState.OPEN, "")]


async def test_a_state_is_set_together_with_what_belongs_to_it_or_not_at_all(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"started_at": DAWN, "error": KeyError(1)}))
    (group,) = (await groups(store)).items

    def fails(_tx: Transaction) -> None:
        raise RuntimeError("the audit entry cannot be written")

    with pytest.raises(RuntimeError):
        await store.set_group_state(group.id, GroupState.RESOLVED, tenant=None, at=DAWN, by="ann", also=fails)
    assert [one.state for one in (await groups(store)).items] == [GroupState.OPEN]


async def test_what_is_there_already_or_not_at_all_is_said_and_nothing_is_done(store: TrafficStore, batch: Sealer):
    await store.keep(batch({"started_at": DAWN, "error": KeyError(1), "tenant": "acme"}))
    (group,) = (await groups(store)).items
    done: list[str] = []

    def also(_tx: Transaction) -> None:
        done.append("also")

    with pytest.raises(Conflict):
        await store.set_group_state(group.id, GroupState.OPEN, tenant=None, at=DAWN, by="ann", also=also)
    assert (
        await store.set_group_state(group.id, GroupState.RESOLVED, tenant="umbrella", at=DAWN, by="ann", also=also)
        is None
    )
    assert await store.error_group(group.id, tenant="umbrella") is None
    assert done == []


async def test_groups_are_listed_latest_first_by_state_and_tenant(store: TrafficStore, batch: Sealer):
    for at, kind in ((1, KeyError), (2, ValueError), (3, TypeError)):
        await store.keep(batch({"started_at": DAWN + at, "error": kind("x"), "tenant": f"t{at}"}))
    first = await store.error_groups(tenant=None, state=None, since=None, limit=2, cursor=None)
    rest = await store.error_groups(tenant=None, state=None, since=None, limit=2, cursor=first.next_cursor)

    assert [group.title for group in [*first.items, *rest.items]] == ["TypeError", "ValueError", "KeyError"]
    assert [group.title for group in (await groups(store, "t2")).items] == ["ValueError"]
    assert (await groups(store, state=GroupState.RESOLVED)).items == []
    late = await store.error_groups(tenant=None, state=None, since=DAWN + 2, limit=9, cursor=None)
    assert len(late.items) == 2


async def test_a_group_is_found_by_the_digest_of_its_tenants_calls(store: TrafficStore, batch: Sealer):
    await store.keep(batch(*({"started_at": DAWN, "error": KeyError("x"), "tenant": tenant} for tenant in ("a", "b"))))
    (call,) = (await store.calls(CallFilter(), tenant="b", limit=9, cursor=None)).items

    found = await store.error_group_of(call.error_group, tenant="b")

    assert found is not None
    assert (found.digest, found.tenant) == (call.error_group, "b")
    assert await store.error_group_of(call.error_group, tenant="c") is None
    assert await store.error_group_of("1.other", tenant="b") is None


async def test_where_an_error_was_raised_is_told_most_calls_first(store: TrafficStore, batch: Sealer):
    # Given an error at two endpoints and where no route matched, another one, one of another tenant, one too early
    raised = {"error": KeyError("x"), "status": 500}
    await store.keep(
        batch(
            {**raised, "started_at": DAWN + 1, "route": "/a", "method": "GET"},
            {**raised, "started_at": DAWN + 2, "route": "/b", "method": "POST"},
            {**raised, "started_at": DAWN + 3, "route": "/b", "method": "POST"},
            {**raised, "started_at": DAWN + 4, "route": None, "method": "GET"},
            {**raised, "started_at": DAWN + 5, "route": "/c", "error": ValueError("x")},
            {**raised, "started_at": DAWN + 6, "route": "/d", "tenant": "acme"},
            {**raised, "started_at": DAWN - 1, "route": "/e"},
        )
    )
    (call, *_) = (await store.calls(CallFilter(route="/b"), tenant=None, limit=9, cursor=None)).items

    found = await store.failing_endpoints(call.error_group, tenant="default", since=DAWN, until=DAWN + 9)

    assert [(one.method, one.route, one.calls, one.last_at - DAWN) for one in found] == [
        ("POST", "/b", 2, 3),
        ("GET", None, 1, 4),
        ("GET", "/a", 1, 1),
    ]


async def test_where_an_error_of_one_tenant_was_raised_is_told_however_many_others_have(
    store: TrafficStore, batch: Sealer, monkeypatch: pytest.MonkeyPatch
):
    """Given more failed calls of another tenant, with the same error, than are looked through, all of them newer; then
    the one of this tenant is found, and of the other's the newest."""
    monkeypatch.setattr(traffic_errors, "FAILED_SCANNED", 3)
    raised = {"error": KeyError("x"), "status": 500}
    loud = ({**raised, "tenant": "loud", "started_at": DAWN + at, "route": f"/{at}"} for at in range(2, 8))
    await store.keep(batch({**raised, "tenant": "quiet", "started_at": DAWN + 1, "route": "/a"}, *loud))
    (call, *_) = (await store.calls(CallFilter(route="/a"), tenant=None, limit=9, cursor=None)).items

    found = {
        tenant: await store.failing_endpoints(call.error_group, tenant=tenant, since=DAWN, until=DAWN + 9)
        for tenant in ("quiet", "loud")
    }

    assert [(one.route, one.calls) for one in found["quiet"]] == [("/a", 1)]
    assert [one.route for one in found["loud"]] == ["/7", "/6", "/5"]


async def test_only_the_pairs_asked_for_are_read_and_a_ranking_has_the_same_times(store: TrafficStore, batch: Sealer):
    # Given one route with two methods, and another
    await store.keep(
        batch(
            {"started_at": DAWN, "route": "/a", "method": "GET", "total_us": 700},
            {"started_at": DAWN, "route": "/a", "method": "POST", "total_us": 900},
            {"started_at": DAWN, "route": "/b", "method": "GET"},
        )
    )

    # When one of them is asked for, before and after folding
    for _ in range(2):
        query = whole(Keyspace.ENDPOINT, pairs=(("/a", "POST"), ("/b", "PUT")))
        found = await store.rollups(query)

        ranked = await store.rollups(dataclasses.replace(query, ranking=True))

        # Then it alone is found, and what it is ranked by is the same
        assert [(series.name, series.method) for series in found] == [("/a", "POST")]
        [(figures, brief)] = zip(found.values(), ranked.values(), strict=True)
        assert (brief.total, brief.total_max, brief.timed) == (figures.total, 900, 1)
        await fold_all(store, DAWN + 2 * DAY)

    assert await store.rollups(whole(Keyspace.ENDPOINT, pairs=())) == {}


async def test_many_things_are_asked_on_one_snapshot_and_what_is_not_folded_is_looked_up_once(
    database: Database, store: TrafficStore, batch: Sealer
):
    # Given what is folded in part
    first = batch({"started_at": DAWN, "route": "/a", "user": "ann"}, {"started_at": DAWN, "client_ip": "1.1.1.1"})
    await store.keep(first)
    await fold_all(store, DAWN + HOUR)
    await store.keep(batch({"started_at": DAWN + HOUR, "route": "/a", "user": "ann"}))
    users = whole(Keyspace.USER, beside=(Keyspace.IP, Keyspace.TENANT))
    asked = (whole(), whole(Keyspace.ENDPOINT), users)

    def look(snapshot: Snapshot) -> list[Any]:
        return [
            answer()
            for answer in (  # all are asked before the first answer is fetched
                snapshot.rollups(asked[0]),
                snapshot.sums(asked[1]),
                snapshot.sums(users),
                snapshot.plain(dataclasses.replace(asked[1], figures=("count",))),
                snapshot.plain(dataclasses.replace(users, figures=("count", "response_bytes"))),
            )
        ]

    # When everything is asked at once
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        totals, endpoints, callers, calls, heaviest = await store.look(asked, look)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    # Then it is what each would answer by itself, each kind of series for itself
    assert counts(totals) == {"": 3}
    assert endpoints.keys() == (await store.rollups(asked[1])).keys()
    assert {(series.keyspace, series.name, ""): (one.count, one.response_bytes) for series, one in callers.items()} == {
        key: tuple(figures[:2]) for key, figures in heaviest.items()
    }
    assert heaviest[Keyspace.USER, "ann", ""][0] == 2
    assert heaviest[Keyspace.IP, "1.1.1.1", ""][0] == 1
    assert {key: figures[0] for key, figures in calls.items()} == {
        (Keyspace.ENDPOINT, one.name, one.method): each.count for one, each in endpoints.items()
    }
    # and one statement has looked for what is not folded
    assert len([one for one in statements if "folded = 0" in one]) == 1


async def test_endpoints_of_versions_that_kept_no_squares_are_bounded_by_their_longest(
    database: Database, store: TrafficStore, batch: Sealer
):
    await store.keep(batch(*({"started_at": DAWN, "route": "/a", "total_us": us} for us in (100, 300))))
    query = whole(Keyspace.ENDPOINT, figures=("total_squares",))
    (known,) = (await store.sums(query)).values()

    without = update(api_rollups).values(total_squares=None)
    await database.write(lambda tx: connection_of(tx).execute(without))
    (unknown,) = (await store.sums(query)).values()

    assert 100**2 + 300**2 <= known.total_squares < 1.1 * (100**2 + 300**2)
    assert unknown.total_squares == 300 * (100 + 300)


async def test_a_text_is_looked_for_in_a_bounded_number_of_calls(
    store: TrafficStore, batch: Sealer, monkeypatch: pytest.MonkeyPatch
):
    """Given ten calls and pages that look through four, then the cursor leads on until all were looked through."""
    monkeypatch.setattr(sql_traffic, "TEXT_SCANNED", 4)
    paths = [f"/{'Needle_%' if number in (0, 5, 6) else 'hay'}/{number}" for number in range(10)]
    await store.keep(batch(*[{"started_at": DAWN + at * SECOND, "path": path} for at, path in enumerate(paths)]))

    pages: list[list[str]] = []
    cursor = None
    while not pages or cursor is not None:
        page = await store.calls(CallFilter(text="needle_%/"), tenant=None, limit=5, cursor=cursor)
        pages.append([call.path for call in page.items])
        cursor = page.next_cursor

    assert pages == [["/Needle_%/6"], ["/Needle_%/5"], ["/Needle_%/0"]]
    one = await store.calls(CallFilter(text="NEEDLE"), tenant="default", limit=1, cursor=None)
    assert len(one.items) == 1
    assert one.next_cursor is not None
    assert not (await store.calls(CallFilter(text="needle", status=500), tenant=None, limit=5, cursor=None)).items
