"""What each algorithm promises, against a brute-force count of what it admitted."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.window import NEVER, CalendarQuota, CalendarUnit, Concurrency, Gcra, Meter, SlidingLog, SubWindows

START = 1_790_000_000 * SECOND

meters = st.one_of(
    st.builds(SlidingLog, st.integers(1, 12), st.sampled_from([1, 7, 1_000, SECOND, MINUTE])),
    st.builds(SubWindows, st.integers(1, 12), st.sampled_from([60, 61, 1_000, SECOND, MINUTE])),
    st.builds(Gcra, st.integers(1, 12), st.sampled_from([1, 7, 1_000, SECOND, MINUTE]), st.integers(1, 15)),
    st.builds(CalendarQuota, st.integers(1, 12), st.sampled_from(CalendarUnit), st.just(UTC)),
    st.builds(
        CalendarQuota,
        st.integers(1, 12),
        st.sampled_from(CalendarUnit),
        st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("Antarctica/Troll"), ZoneInfo("Asia/Kathmandu")]),
    ),
    st.builds(Concurrency, st.integers(1, 12), st.sampled_from([1, 1_000, SECOND])),
)

#: Steps in parts of a window: small, around its edges, and far beyond it.
steps = st.lists(
    st.tuples(st.one_of(st.floats(0, 0.3), st.sampled_from([0.0, 0.5, 0.999, 1.0, 1.001, 2.5])), st.integers(1, 5)),
    min_size=1,
    max_size=60,
)


def moments(meter: Meter, drawn: list[tuple[float, int]]) -> list[tuple[int, int]]:
    now = START
    found: list[tuple[int, int]] = []
    for part, cost in drawn:
        now += int(part * meter.window)
        found.append((now, cost))
    return found


def copy(meter: Meter, state: object) -> object:
    return meter.unpack(meter.pack(state))


def most_in_any_window(admitted: list[tuple[int, int]], window: int) -> int:
    """The largest sum in any half-open stretch (end - window, end]; those that end at an event are enough."""
    return max(
        (sum(cost for at, cost in admitted if end - window < at <= end) for end, _ in admitted),
        default=0,
    )


class TestEveryMeter:
    @given(meters, steps)
    def test_no_window_ever_holds_more_than_the_stated_worst_case(self, meter: Meter, drawn: list[tuple[float, int]]):
        state, admitted = meter.fresh(), []
        for now, cost in moments(meter, drawn):
            charged = meter.attempt(state, now, cost)
            if charged is not None:
                state = charged[0]
                admitted.append((now, cost))

        assert most_in_any_window(admitted, meter.window) <= meter.limit * meter.worst_case_factor + 1e-9

    @given(meters, steps, st.lists(st.integers(0, 3), min_size=60, max_size=60))
    def test_a_clock_that_goes_back_admits_no_more(self, meter: Meter, drawn: list[tuple[float, int]], back: list[int]):
        """Given a clock that jumps, when no event counts as earlier than the one before, then the bound holds."""
        state, admitted, latest = meter.fresh(), [], 0
        for (now, cost), jump in zip(moments(meter, drawn), back, strict=False):
            now -= jump * meter.window // 2
            charged = meter.attempt(state, now, cost)
            if charged is not None:
                state = charged[0]
                latest = max(latest, now)
                admitted.append((latest, cost))

        if not isinstance(meter, Concurrency):  # its leases end by the clock itself
            assert most_in_any_window(admitted, meter.window) <= meter.limit * meter.worst_case_factor + 1e-9

    @given(meters, steps)
    def test_asking_and_charging_agree(self, meter: Meter, drawn: list[tuple[float, int]]):
        state = meter.fresh()
        for now, cost in moments(meter, drawn):
            wait = meter.wait(copy(meter, state), now, cost)
            charged = meter.attempt(state, now, cost)

            assert (charged is not None) == (wait == 0)
            state = state if charged is None else charged[0]

    @given(meters, steps)
    def test_the_wait_is_exact(self, meter: Meter, drawn: list[tuple[float, int]]):
        """Given a refusal, then it is refused one microsecond before the wait is over, and admitted at its end."""
        state = meter.fresh()
        for now, cost in moments(meter, drawn):
            wait = meter.wait(state, now, cost)
            if wait > 0:
                assert meter.attempt(copy(meter, state), now + wait - 1, cost) is None
                assert meter.attempt(copy(meter, state), now + wait, cost) is not None
            elif wait == 0:
                charged = meter.attempt(state, now, cost)
                assert charged is not None
                state = charged[0]

    @given(meters, steps)
    def test_a_cost_above_the_limit_is_never_admitted(self, meter: Meter, drawn: list[tuple[float, int]]):
        too_much = getattr(meter, "burst", meter.limit) + 1
        state = meter.fresh()
        for now, cost in moments(meter, drawn):
            assert meter.wait(copy(meter, state), now, too_much) == NEVER
            assert meter.attempt(copy(meter, state), now, too_much) is None
            charged = meter.attempt(state, now, cost)
            state = state if charged is None else charged[0]

    @given(meters, steps)
    def test_the_view_is_true(self, meter: Meter, drawn: list[tuple[float, int]]):
        """Given a view, then exactly what it says is left can be taken, and there is more exactly when it says."""
        state = meter.fresh()
        for now, cost in moments(meter, drawn):
            charged = meter.attempt(state, now, cost)
            if charged is not None:
                state, left, more_in = charged
                assert meter.view(copy(meter, state), now) == (left, more_in)
            left, more_in = meter.view(copy(meter, state), now)
            assert left == 0 or meter.attempt(copy(meter, state), now, left) is not None
            assert meter.attempt(copy(meter, state), now, left + 1) is None
            if more_in:
                assert meter.view(copy(meter, state), now + more_in)[0] > left
                assert meter.view(copy(meter, state), now + more_in - 1)[0] == left

    @given(meters, steps, st.integers(1, 3))
    def test_what_is_undone_never_was(self, meter: Meter, drawn: list[tuple[float, int]], extra: int):
        state = meter.fresh()
        for now, cost in moments(meter, drawn):
            twin = copy(meter, state)
            tried = meter.attempt(state, now, extra)
            if tried is not None:
                state = meter.undo(tried[0], now, extra)
            assert meter.view(copy(meter, state), now) == meter.view(twin, now)
            charged = meter.attempt(state, now, cost)
            assert (charged is None) == (meter.attempt(twin, now, cost) is None)
            state = state if charged is None else charged[0]

    @given(meters, steps)
    def test_forgetting_a_state_that_was_not_touched_for_its_refill_loses_nothing(
        self, meter: Meter, drawn: list[tuple[float, int]]
    ):
        state, now = meter.fresh(), START
        for now, cost in moments(meter, drawn):
            charged = meter.attempt(state, now, cost)
            state = state if charged is None else charged[0]
        later = now + meter.refill

        full = getattr(meter, "burst", meter.limit)
        assert meter.view(state, later)[0] == meter.view(meter.fresh(), later)[0] == full


class TestSlidingLog:
    @given(st.integers(1, 12), st.sampled_from([1, 7, 1_000, MINUTE]), steps)
    @settings(max_examples=300)
    def test_decides_as_a_count_of_the_window_would(self, limit: int, window: int, drawn: list[tuple[float, int]]):
        """Decision by decision: the events in (now - window, now] and the cost are within the limit, or refused."""
        meter = SlidingLog(limit, window)
        state, admitted = meter.fresh(), []
        for now, cost in moments(meter, drawn):
            in_window = sum(one for at, one in admitted if now - window < at <= now)
            charged = meter.attempt(state, now, cost)

            assert (charged is not None) == (in_window + cost <= limit)
            if charged is not None:
                state, left, _ = charged
                admitted.append((now, cost))
                assert left == limit - in_window - cost

    def test_holds_what_counts_and_a_few_dead_events_at_most(self):
        """Given 100,000 requests, when only 50 fit the window, then the state never holds more than 115 stamps."""
        meter = SlidingLog(50, SECOND)
        state = meter.fresh()
        for number in range(100_000):
            meter.attempt(state, START + number * 7_000, 1)
            assert len(state) <= 50 + 64 + 1

    def test_refuses_a_limit_that_is_too_large_for_a_log(self):
        with pytest.raises(ValueError, match="4096"):
            SlidingLog(4_097, SECOND)


class TestSubWindows:
    @given(st.integers(1, 12), st.sampled_from([60, 61, 1_000, MINUTE]), steps, st.lists(st.booleans(), min_size=60))
    def test_says_the_same_as_one_that_has_just_been_read_back(
        self, limit: int, window: int, drawn: list[tuple[float, int]], undone: list[bool]
    ):
        """Given charges, some of them undone, then where its oldest events are is remembered as it would be found."""
        meter = SubWindows(limit, window)
        state = meter.fresh()
        for (now, cost), undo in zip(moments(meter, drawn), undone, strict=False):
            read_back = copy(meter, state)
            charged = meter.attempt(state, now, cost)

            twin = meter.attempt(read_back, now, cost)
            assert (charged and charged[1:]) == (twin and twin[1:])
            if charged is not None and undo:
                state = meter.undo(state, now, cost)

    @given(st.integers(1, 12), st.sampled_from([60, 61, 1_000, MINUTE]), steps)
    def test_frees_quota_no_later_than_its_stated_lateness(
        self, limit: int, window: int, drawn: list[tuple[float, int]]
    ):
        """Given a refusal, then an exact log over a window longer by the lateness refuses, too."""
        meter = SubWindows(limit, window)
        state, admitted = meter.fresh(), []
        for now, cost in moments(meter, drawn):
            charged = meter.attempt(state, now, cost)
            if charged is None:
                longer = window + meter.lateness
                assert sum(one for at, one in admitted if now - longer < at <= now) + cost > limit
            else:
                state = charged[0]
                admitted.append((now, cost))


class TestGcra:
    @given(st.integers(1, 997), st.sampled_from([SECOND, MINUTE, HOUR, DAY]))
    def test_a_saturated_rate_never_drifts(self, limit: int, window: int):
        """Given a caller that comes back exactly when told, then its n-th request is admitted with the n-th token."""
        meter = Gcra(limit, window, 2)
        state, now = meter.fresh(), START
        for admitted in range(1, 200):
            charged = meter.attempt(state, now, 1)
            assert charged is not None
            state = charged[0]
            now += meter.wait(state, now, 1)

            # Each wait is rounded up to a whole microsecond; the state is not, so the rounding never adds up.
            assert now - START == -(-(admitted - 1) * window // limit)

    @pytest.mark.parametrize(("limit", "seconds", "ideal"), [(54, 600, 540), (90, 600, 900)])
    def test_fractions_of_a_second_are_not_lost(self, limit: int, seconds: int, ideal: int):
        """54 and 90 a minute, asked 10 times a second for 600 s: within one burst of the ideal, not 44 % below it."""
        meter = Gcra(limit, MINUTE, 5)
        state, admitted = meter.fresh(), 0
        for tick in range(seconds * 10):
            charged = meter.attempt(state, START + tick * SECOND // 10, 1)
            if charged is not None:
                state = charged[0]
                admitted += 1

        assert ideal <= admitted <= ideal + 5


class TestCalendar:
    @pytest.mark.parametrize(
        ("unit", "zone", "now", "end"),
        [
            ("day", "UTC", "2026-11-23T12:00:00Z", "2026-11-24T00:00:00Z"),
            ("month", "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            ("month", "UTC", "2028-02-29T10:00:00Z", "2028-03-01T00:00:00Z"),
            ("day", "Europe/Berlin", "2026-11-22T23:30:00Z", "2026-11-23T23:00:00Z"),
            # 25 hours: the clock goes back.
            ("day", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            # 23 hours: it goes forward.
            ("day", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("hour", "Asia/Kathmandu", "2026-11-23T12:30:00Z", "2026-11-23T13:00:00Z"),
        ],
    )
    def test_a_period_ends_with_the_calendar_of_its_zone(self, unit: str, zone: str, now: str, end: str):
        from custodes.kernel.clock import from_iso

        meter = CalendarQuota(5, CalendarUnit(unit), ZoneInfo(zone))

        assert meter.period_end(from_iso(now)) == from_iso(end)


class TestConcurrency:
    def test_a_slot_is_free_when_it_is_given_back_and_when_its_lease_ends(self):
        meter = Concurrency(2, 10 * SECOND)
        state = meter.fresh()
        for _ in range(2):
            charged = meter.attempt(state, START, 1)
            assert charged is not None

        assert meter.attempt(state, START + SECOND, 1) is None
        meter.release(state, START, 1)
        assert meter.attempt(state, START + SECOND, 1) is not None
        assert meter.attempt(state, START + 10 * SECOND, 1) is not None, "the first lease has ended"

    def test_giving_back_twice_frees_nobody_elses_slot(self):
        meter = Concurrency(2, 10 * SECOND)
        state = meter.fresh()
        meter.attempt(state, START, 1)
        meter.attempt(state, START + 1, 1)

        meter.release(state, START, 1)
        meter.release(state, START, 1)

        assert meter.view(state, START + 2)[0] == 1
