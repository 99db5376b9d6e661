"""Fair shares of places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from custodes.runtime.fairness import FairWorker, Gate, Turns, Windows, shares
from custodes.runtime.jobs import Claim, Lease
from custodes.testing.clock import FakeClock

LANES = st.lists(
    st.builds("{}/{}".format, st.sampled_from("abc"), st.integers(0, 5)), min_size=1, max_size=15, unique=True
)


def test_who_has_many_members_gets_no_more_than_who_has_one() -> None:
    lanes = [*(f"big/{n}" for n in range(50)), "small/0"]
    given_ = shares(lanes, dict.fromkeys(lanes, 100), 20)
    by_group = Counter[str]()
    for lane, count in given_.items():
        by_group[lane.partition("/")[0]] += count
    assert by_group == {"big": 10, "small": 10}


def test_weights_give_more_places_a_round() -> None:
    lanes = ["gold/0", "free/0"]
    assert shares(lanes, dict.fromkeys(lanes, 100), 20, weights={"gold": 4}) == {"gold/0": 16, "free/0": 4}


def test_what_one_cannot_use_the_others_get() -> None:
    lanes = ["a/0", "b/0"]
    assert shares(lanes, {"a/0": 2, "b/0": 100}, 20) == {"a/0": 2, "b/0": 18}


def test_the_unproven_hold_no_more_than_their_part() -> None:
    lanes = [*(f"evil{n}/0" for n in range(30)), "good/0"]
    given_ = shares(lanes, dict.fromkeys(lanes, 10), 20, unproven=frozenset(lanes[:-1]), unproven_free=5)
    assert sum(count for lane, count in given_.items() if lane != "good/0") == 5
    assert given_["good/0"] == 10


def test_the_unproven_of_one_group_hold_no_more_than_its_room() -> None:
    lanes = [*(f"evil/{n}" for n in range(30)), "new/0"]
    given_ = shares(
        lanes, dict.fromkeys(lanes, 1), 20, unproven=frozenset(lanes), unproven_free=15, unproven_room=lambda _: 5
    )
    assert sum(count for lane, count in given_.items() if lane != "new/0") == 5
    assert given_["new/0"] == 1


@given(LANES, st.integers(0, 40), st.integers(0, 5), st.randoms())
def test_shares_stay_within_what_is_there(lanes: list[str], free: int, room: int, chance: Random) -> None:
    given_ = shares(lanes, dict.fromkeys(lanes, room), free, rank=lambda _: chance.random())
    assert sum(given_.values()) == min(free, room * len(lanes))
    assert all(0 < count <= room for count in given_.values())


def test_whoever_has_waited_longest_is_next() -> None:
    """Given more lanes than places, then each has had its turn before any has a second."""
    lanes, turns, order = [f"{group}/{n}" for group in "abc" for n in range(7)], Turns(), list[str]()
    for _ in range(21):
        [lane] = shares(lanes, dict.fromkeys(lanes, 1), 1, rank=turns.last)
        turns.took(lane)
        order.append(lane)
    assert sorted(order) == lanes
    assert [lane[0] for lane in order[:6]] == list("abcabc")


def test_a_window_grows_with_success_and_falls_to_one_with_a_failure() -> None:
    windows, sizes = Windows(), list[int]()
    for _ in range(6):
        sizes.append(windows.size("a/0"))
        windows.succeeded("a/0", most=10)
    assert sizes == [1, 2, 4, 8, 10, 10]
    windows.failed("a/0")
    assert (windows.size("a/0"), windows.proven("a/0")) == (1, False)


class _Open:
    """Gates that note whom they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.shut: set[str] = set()
        self.gate = Gate(10)

    def open(self, _tx: Any, lanes: Sequence[str], _now: int) -> Mapping[str, Gate]:
        self.asked = list(lanes)
        return dict.fromkeys(lanes, self.gate)

    def opens_at(self, _now: int) -> int | None:
        return None

    def closed(self, lane: str, _now: int) -> bool:
        return lane in self.shut

    def failing(self, _lane: str) -> int:
        return 0

    def passed(self, _tx: Any, _counts: Mapping[str, int], _now: int) -> None: ...


class _Due:
    """Jobs in each lane: without an end, or so many."""

    def __init__(self, *lanes: str, **most: int) -> None:
        self.lanes = lanes
        self.most = most

    def pull_in(self, *_: Any) -> int:
        return 0

    def due_lanes(self, *_: Any) -> Sequence[str]:
        return self.lanes

    def claim(self, _tx: Any, kind: str, lanes: Mapping[str, int], _claim: Claim) -> list[Lease]:
        return [
            Lease("t", kind, f"{lane}.{number}", lane, 0, 0, 1)
            for lane, limit in lanes.items()
            for number in range(min(limit, self.most.get(lane.replace("/", "_"), limit)))
        ]


def _worker(jobs: _Due, gates: _Open, windows: Windows, concurrency: int = 8) -> FairWorker[Any]:
    doer: Any = SimpleNamespace(begin=lambda *_: None)
    worker = FairWorker[Any](
        "x", doer, store=Any, jobs=jobs, clock=FakeClock(), owner=lambda: "w", concurrency=concurrency
    )
    worker.gates, worker.windows, worker.weights = gates, windows, {}
    return worker


def test_a_claim_looks_at_nobody_who_can_have_no_place() -> None:
    """Given endpoints that hang and hold what they may, one that is known to be closed, and one that is well; then only
    the well one is looked at, and nobody when it holds its places too."""
    gates, windows = _Open(), Windows()
    worker = _worker(_Due("evil/0", "evil/1", "good/0", "good/shut"), gates, windows)
    gates.shut = {"good/shut"}
    windows.succeeded("good/0", 10)

    held = worker._take(cast("Any", None), 0, 0, 8, [])
    assert gates.asked == ["evil/0", "evil/1", "good/0"]
    assert Counter(lease.lane for lease in held) == {"evil/0": 1, "evil/1": 1, "good/0": 2}

    windows.succeeded("good/0", 10)
    held += worker._take(cast("Any", None), 0, 0, 4, held)
    assert gates.asked == ["good/0"]
    gates.asked = []
    assert worker._take(cast("Any", None), 0, 0, 2, held) == []
    assert gates.asked == []


def _waited_for(worker: FairWorker[Any], taken: Sequence[Lease]) -> dict[str, bool]:
    return {lease.lane: worker._waited_for(lease) for lease in taken}


def test_that_a_healthy_job_ends_is_no_reason_to_look_for_those_that_hang() -> None:
    """Given an endpoint that hangs and has more due, beside a healthy one that has got all; then only the end of the
    hanging one makes a place that is waited for."""
    windows = Windows()
    windows.succeeded("good/0", 10)
    worker = _worker(_Due("evil/0", "good/0", good_0=1), _Open(), windows)
    taken = worker._take(cast("Any", None), 0, 0, 8, [])
    assert _waited_for(worker, taken) == {"evil/0": True, "good/0": False}


def test_unproven_lanes_wait_for_the_end_of_unproven_ones() -> None:
    """Given unproven lanes that hold all that their group may, with no more due, beside a healthy one; when one more
    unproven lane has something due, then the end of any of them makes its place."""
    windows = Windows()
    windows.succeeded("good/0", 10)
    jobs = _Due("evil/0", "evil/1", "good/0", good_0=1)
    worker = _worker(jobs, _Open(), windows)
    taken = worker._take(cast("Any", None), 0, 0, 8, [])
    jobs.lanes = ("evil/2",)
    assert worker._take(cast("Any", None), 0, 0, 5, taken) == []
    assert _waited_for(worker, taken) == {"evil/0": True, "evil/1": True, "good/0": False}


def test_what_may_begin_is_counted_apart_from_what_is_under_way() -> None:
    """Given a lane that may begin two now, then it does whatever it has under way, as long as there are places; and the
    end of a job makes no place that is waited for: the moment does."""
    gates, windows = _Open(), Windows()
    for _ in range(4):
        windows.succeeded("a/0", 10)
    worker = _worker(_Due("a/0"), gates, windows, concurrency=20)
    gates.gate = Gate(10, begin=2)
    taken = worker._take(cast("Any", None), 0, 0, 20, [])
    assert len(taken) == 2
    taken += worker._take(cast("Any", None), 0, 0, 18, taken)
    assert len(taken) == 4
    assert _waited_for(worker, taken) == {"a/0": False}
    gates.gate = Gate(5, begin=2)
    assert len(worker._take(cast("Any", None), 0, 0, 16, taken)) == 1


def test_where_no_place_was_left_all_wait_for_any() -> None:
    windows = Windows()
    for lane in ("a/0", "b/0"):
        for _ in range(4):
            windows.succeeded(lane, 10)
    worker = _worker(_Due("a/0", "b/0"), _Open(), windows, concurrency=4)
    taken = worker._take(cast("Any", None), 0, 0, 4, [])
    assert _waited_for(worker, taken) == {"a/0": True, "b/0": True}


async def test_where_there_was_no_place_to_look_for_one_any_end_is_waited_for() -> None:
    worker = _worker(_Due(), _Open(), Windows(), concurrency=0)
    assert await worker.claim() == 0
    assert worker._waited_for(Lease("t", "x", "r", "a/0", 0, 0, 1))
