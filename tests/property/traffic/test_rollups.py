"""Rollups of any requests: the same numbers on one worker and on many, folded or not, in any order."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import SECOND
from custodes.kernel.histogram import MAX_VALUE, Histogram
from custodes.planes.traffic.batch import seal
from custodes.planes.traffic.model import Exchange
from custodes.planes.traffic.ranking import SLOW_ORDERS, bounds_of, value_of
from custodes.planes.traffic.recorder import Recorder
from custodes.planes.traffic.rollup import (
    CONSUMERS,
    OTHER,
    Figures,
    Keyspace,
    Level,
    Rollups,
    Series,
    add_rollups,
    coarsen,
    keep_heaviest,
)
from custodes.testing.traffic import exchange

AT = 1_790_000_000 * SECOND

requests = st.lists(
    st.builds(
        exchange,
        started_at=st.integers(AT, AT + 200 * SECOND),
        tenant=st.sampled_from(["default", "acme", "umbrella"]),
        method=st.sampled_from(["GET", "POST", "WEBSOCKET", "CALL", "BREW"]),
        route=st.sampled_from(["/a", "/b/{id}", None]),
        status=st.sampled_from([0, 200, 304, 404, 429, 500]),
        total_us=st.integers(0, 10**9),
        ttfb_us=st.integers(0, 10**6),
        response_bytes=st.integers(0, 10**9),
        user=st.sampled_from(["", "ann", "bob"]),
        limited_by=st.sampled_from(["", "", "login"]),
        disconnected=st.booleans(),
    ),
    max_size=40,
)


def rollups_of(calls: list[Exchange]) -> Rollups:
    recorder = Recorder()
    for call in calls:
        recorder.record(call)
    return seal("batch", recorder.take(), random.Random(1).getrandbits).rollups


def plain(rollups: Rollups) -> dict[Series, tuple[Any, ...]]:
    """Figures as values that compare."""
    return {
        series: tuple(
            sorted(value.items()) if isinstance(value := getattr(figures, name), dict) else value
            for name in Figures.__slots__
        )
        for series, figures in rollups.items()
    }


@settings(deadline=None)
@given(requests, st.integers(2, 40), st.randoms(use_true_random=False))
def test_forty_workers_and_one_have_the_same_figures(calls: list[Exchange], workers: int, chance: random.Random):
    shuffled = calls.copy()
    chance.shuffle(shuffled)
    together: Rollups = {}
    for worker in range(workers):
        add_rollups(together, rollups_of(shuffled[worker::workers]))

    assert plain(together) == plain(rollups_of(calls))


@settings(deadline=None)
@given(requests)
def test_folding_in_two_steps_is_folding_in_one(calls: list[Exchange]):
    rollups = rollups_of(calls)

    assert plain(coarsen(coarsen(rollups, Level.MINUTE), Level.HOUR)) == plain(coarsen(rollups, Level.HOUR))


@settings(deadline=None)
@given(requests)
def test_the_total_is_the_sum_of_its_endpoints(calls: list[Exchange]):
    """Every figure of the total but the times of WebSockets; wrapped callables are no requests."""
    by_tenant: Counter[str] = Counter()
    for call in calls:
        by_tenant[call.tenant] += call.method != "CALL"
    counted: Counter[str] = Counter()
    for series, figures in rollups_of(calls).items():
        if series.keyspace is Keyspace.TOTAL and series.tenant != "*":
            counted[series.tenant] += figures.count
            assert figures.total.count == figures.timed
            assert sum(figures.statuses.values()) == figures.count

    assert +counted == +by_tenant


@given(st.dictionaries(st.text("abc", min_size=1, max_size=6), st.integers(1, 1_000), max_size=60), st.integers(1, 20))
def test_no_request_is_lost_when_the_lightest_consumers_lose_their_name(weights: dict[str, int], keep: int):
    crowd: Rollups = {}
    for name, count in weights.items():
        crowd[Series("default", CONSUMERS[0], AT, name, "")] = figures = Figures()
        figures.count = count
    kept = {series.name: figures.count for series, figures in keep_heaviest(crowd, keep).items()}

    assert sum(kept.values()) == sum(weights.values())
    assert len(kept) <= keep + 1
    named = [count for name, count in kept.items() if name != OTHER]
    assert sorted(named, reverse=True) == sorted(weights.values(), reverse=True)[: len(named)]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(1, 40), max_size=30), min_size=1, max_size=6), st.integers(0, 60))
def test_whoever_makes_more_than_their_share_of_the_requests_is_named(buckets: list[list[int]], heavy: int):
    """In each bucket ``keep`` names stay, so a name is undercounted by at most 1/(keep + 1) of all, as (other) says."""
    keep = 4
    buckets = [[heavy, *counts] for counts in buckets]
    together: Rollups = {}
    for start, counts in enumerate(buckets):
        crowd: Rollups = {}
        for name, count in enumerate(counts):
            # Strangers are others in each bucket, as when addresses rotate.
            who = "heavy" if name == 0 else f"{start}-{name}"
            crowd.setdefault(Series("acme", Keyspace.IP, 0, who, ""), Figures()).count += count
        add_rollups(together, keep_heaviest(crowd, keep))
    kept = keep_heaviest(together, keep)

    total = sum(sum(counts) for counts in buckets)
    others = sum(figures.count for series, figures in kept.items() if series.name == OTHER)
    named = sum(figures.count for series, figures in kept.items() if series.name == "heavy")
    true = heavy * len(buckets)
    assert sum(figures.count for figures in kept.values()) == total
    assert true - named <= others
    # Two steps of keeping, each of which drops a name only with keep others at least as heavy.
    assert true - named <= 2 * total / (keep + 1)


@given(st.lists(st.integers(1, MAX_VALUE), min_size=1, max_size=80), st.sampled_from(SLOW_ORDERS), st.booleans())
def test_what_an_endpoint_is_ranked_by_is_never_above_its_bound(times: list[int], order_by: str, in_memory: bool):
    """Given the times of an endpoint, of which the store tells sums and memory the rest, then the bound is one."""
    everything, known = Figures(), Figures()
    for each, part in ((everything, times), (known, times)):
        each.add_times(len(part), sum(part), min(part), max(part))
    everything.total.merge(Histogram(times))
    remembered = times[len(times) // 2 :] if in_memory else []
    known.total.merge(Histogram(remembered))
    known.total_squares = Histogram(times[: len(times) - len(remembered)]).squares()

    assert value_of(everything, order_by) <= bounds_of(known, order_by).most * (1 + 1e-9)
