"""The loop that nearly every request takes decides as the general way does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.kernel.clock import SECOND
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.plans import Plan
from custodes.runtime.bus import Bus
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.testing.clock import FakeClock

LIMITS = ["2/second", "3/2 seconds; 5/minute", "4/second burst 2", "3/calendar minute", "5/second using subwindows"]

rules = st.lists(
    st.tuples(st.sampled_from(LIMITS), st.sampled_from(["ip", "user", "tenant", "ip+user"]), st.integers(1, 2)),
    min_size=1,
    max_size=4,
)
requests = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND // 3, SECOND, 70 * SECOND]),
        st.sampled_from(["203.0.113.1", "203.0.113.2", "2001:db8::1", ""]),
        st.sampled_from(["", "ann", "bob"]),
    ),
    min_size=1,
    max_size=40,
)


class Request:
    """A request."""

    def __init__(self, ip: str, user: str) -> None:
        self.client_ip, self.user = ip, user
        self.api_key = self.limited_by = self.trace_id = ""
        self.tenant, self.method, self.path = "default", "GET", "/"


def limiter(clock: FakeClock, drawn: list[tuple[str, str, int]]) -> RateLimiter:
    made = RateLimiter(
        MemoryWindows(),
        SqlRateLimitStore(SqliteDatabase("sqlite://")),
        clock=clock,
        new_id=str,
        bus=Bus(),
        client_of=str,
        immune=lambda _kind, _identifier: False,
    )
    for number, (limits, by, cost) in enumerate(drawn):
        made.limit(limits, by=by, cost=cost, name=f"100 % rule {number}")
    return made


def plan_of(one: RateLimiter) -> Plan:
    return one._in_force.book.look_up("GET", "/")


@given(rules, requests)
@settings(max_examples=200, deadline=None)
def test_all_ways_answer_the_same(drawn: list[tuple[str, str, int]], calls: list[tuple[int, str, str]]):
    """Given rules; then the loop in Python, its compiled twin where there is one, and the general way decide alike."""
    clock = FakeClock()
    quick, looped, general = limiter(clock, drawn), limiter(clock, drawn), limiter(clock, drawn)
    assert plan_of(quick).steps
    plan_of(general).steps = ()

    for wait, ip, user in calls:
        clock.advance(wait)
        requests = [Request(ip, user) for _ in range(3)]
        ways = (quick.check, looped._judge.check, general._judge.check)
        answers = [way(request) for way, request in zip(ways, requests, strict=True)]

        said = [
            (one.allowed, list(one.headers), one.problem, one.retry_after, list(one.figures), type(one))
            for one in answers
        ]
        assert said[0] == said[1] == said[2]
        assert len({request.limited_by for request in requests}) == 1
    tallies = [
        [dict(cells.tally) for gate in one._in_force.book.gates for cells in gate.cells]
        for one in (quick, looped, general)
    ]
    charged = [[{key: units for key, units in tally.items() if units} for tally in those] for those in tallies]
    assert charged[0] == charged[1] == charged[2]
