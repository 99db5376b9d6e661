"""A refusal that stands is told again without asking the engine, in the same words and no longer than it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.window import Ask, Outcome
from custodes.planes.ratelimit import plans
from custodes.planes.ratelimit.answers import Decision
from custodes.planes.ratelimit.endpoints import MAX_LENGTH
from custodes.planes.ratelimit.limiter import RateLimiter
from custodes.planes.ratelimit.model import BanPolicy, Options
from custodes.planes.ratelimit.standing import ASK_AGAIN
from custodes.runtime.bus import Bus
from custodes.storage.memory.ratelimit import MemoryWindows
from custodes.storage.sql.ratelimit import SqlRateLimitStore
from custodes.storage.sql.sqlite import SqliteDatabase
from custodes.testing.clock import FakeClock


class Elsewhere(MemoryWindows):
    """States that have to be asked for, as those in a database have."""

    synchronous = False

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def decide(self, asks: Sequence[Ask], now: int) -> Awaitable[Outcome]:
        async def answer() -> Outcome:
            self.asked += 1
            return MemoryWindows.decide(asks, now)

        return answer()


class Request:
    """A request."""

    def __init__(
        self,
        ip: str = "203.0.113.7",
        user: str = "",
        path: str = "/items/7",
        trace_id: str = "",
        tenant: str = "default",
    ) -> None:
        self.client_ip, self.user, self.path, self.trace_id = ip, user, path, trace_id
        self.api_key = self.limited_by = ""
        self.tenant, self.method = tenant, "GET"


class Limited:
    """A limiter whose engine is elsewhere."""

    def __init__(self, *limits: tuple[str, str], options: Options | None = None) -> None:
        self.clock = FakeClock()
        self.engine = Elsewhere()
        self.limiter = RateLimiter(
            self.engine,
            SqlRateLimitStore(SqliteDatabase("sqlite://")),
            clock=self.clock,
            new_id=str,
            bus=Bus(),
            client_of=str,
            immune=lambda _kind, _identifier: False,
            options=options,
        )
        for number, (limit, by) in enumerate(limits):
            self.limiter.limit(limit, by=by, name=f"rule-{number}")

    async def ask(self, request: Request | None = None) -> Decision:
        answer = self.limiter.check(request or Request())
        return answer if isinstance(answer, Decision) else await answer

    def counted(self) -> dict[tuple[str, ...], tuple[int, str]]:
        """By rule, identifier and endpoint: refused requests, and the latest trace."""
        return {name[1:]: (one.refused, one.trace_id) for name, one in self.limiter._tracker._refused.items()}


async def test_a_flood_asks_the_engine_once_and_is_counted_all_the_same():
    limited = Limited(("1/hour", "ip"))
    requests = [Request(trace_id=str(number)) for number in range(101)]
    decisions = [await limited.ask(request) for request in requests]

    assert [decision.allowed for decision in decisions] == [True] + [False] * 100
    assert limited.engine.asked == 2
    assert limited.counted() == {("rule-0", "ip", "203.0.113.7", "/items/{}"): (100, "100")}
    assert limited.limiter._judge.limited == 100
    assert {request.limited_by for request in requests[1:]} == {"rule-0"}


async def test_counts_go_on_after_they_were_taken_to_be_written():
    limited = Limited(("1/hour", "ip"))
    for _ in range(10):
        await limited.ask()
    limited.limiter._tracker._take_refused()

    await limited.ask()
    await limited.ask(Request(path="/orders"))

    assert {name[3]: refused for name, (refused, _) in limited.counted().items()} == {"/items/{}": 1, "/orders": 1}
    assert limited.engine.asked == 2


async def test_what_is_told_grows_less_and_ends_when_it_was_said_to():
    """Given a refusal of an hour, then the wait is exact at each moment, and every few seconds the engine is asked."""
    limited = Limited(("1/hour", "ip"))
    await limited.ask()
    for gone in (0, 1, SECOND - 1, SECOND, 17 * MINUTE, HOUR - 1):
        limited.clock.advance(gone - (limited.clock.now() - FakeClock().now()))
        decision = await limited.ask()
        assert decision.retry_after == HOUR - gone
        assert dict(decision.headers)[b"retry-after"] == b"%d" % -(-(HOUR - gone) // SECOND)
    assert limited.engine.asked == 4

    limited.clock.advance(1)

    assert (await limited.ask()).allowed
    assert limited.engine.asked == 5
    assert not any(plan.standing for plan in limited.limiter._judge._in_force.book._plans.values())


async def test_an_engine_that_was_emptied_lets_in_after_a_few_seconds():
    limited = Limited(("1/day", "ip"))
    before = [await limited.ask() for _ in range(3)]
    for cells in limited.engine._cells.values():
        cells.at_hand.clear()
    assert not (await limited.ask()).allowed

    limited.clock.advance(ASK_AGAIN)

    assert (await limited.ask()).allowed
    assert before[1].retry_after == before[2].retry_after  # what was handed out does not change any more


async def test_refusals_of_all_rules_are_bounded_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plans, "MAX_STANDING", 3)
    limited = Limited()
    for path in ("/a", "/b"):
        limited.limiter.limit("1/hour", by="ip", route=path, name=path)

    for number in range(4):
        for path in ("/a", "/b"):
            for _ in range(2):
                await limited.ask(Request(f"203.0.113.{number}", path=path))

    book = limited.limiter._judge._in_force.book
    assert 0 < sum(len(plan.standing) for plan in book._plans.values()) <= 3


async def test_a_refusal_that_stands_keeps_no_more_of_a_path_than_names_the_endpoint():
    """Given somebody who is refused, when paths of 60 kB are asked for, then none is kept, and all are counted."""
    limited = Limited(("1/hour", "ip"))
    for number in range(10):
        await limited.ask(Request(path=f"/search/{'x' * 60_000}{number}"))

    [(_, [known])] = [
        (plan, list(plan.standing.values()))
        for plan in limited.limiter._judge._in_force.book._plans.values()
        if plan.standing
    ]
    assert len(known.path) <= MAX_LENGTH
    assert [refused for refused, _ in limited.counted().values()] == [9]


async def test_paths_of_invented_methods_are_remembered_within_one_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plans, "MAX_REMEMBERED", 10)
    limited = Limited(("1/hour", "ip"))
    for number in range(100):
        request = Request(path=f"/{number}")
        request.method = f"HACK{number % 7}"
        await limited.ask(request)

    by_method = limited.limiter._judge._in_force.book.by_method
    assert 0 < sum(map(len, by_method.values())) <= 10


async def test_a_limit_of_a_tenant_refuses_nobody_elses_requests():
    limited = Limited(("1/hour", "tenant"), ("100/hour", "ip"))

    refused = [await limited.ask(Request(tenant="acme")) for _ in range(3)]

    assert [decision.allowed for decision in refused] == [True, False, False]
    assert (await limited.ask(Request(tenant="bolt"))).allowed


async def test_it_is_about_one_subject_only():
    limited = Limited(("1/hour", "user"), ("100/hour", "ip"))
    for _ in range(3):
        await limited.ask(Request(user="ann"))

    others = [await limited.ask(Request(user="bob")), await limited.ask(Request())]

    assert all(decision.allowed for decision in others)
    assert not (await limited.ask(Request(user="ann"))).allowed


async def test_a_change_of_rules_forgets_it():
    limited = Limited(("1/hour", "ip"))
    for _ in range(3):
        await limited.ask()

    limited.limiter.limit("1000/hour", by="tenant")
    await limited.ask()

    assert limited.engine.asked == 3


@pytest.mark.parametrize(
    ("limit", "by", "cost"),
    [("1 concurrent", "ip", 1), ("1/hour", lambda call: call.client_ip, 1), ("1/hour", "ip", lambda _call: 1)],
    ids=["a slot may be given back", "a callable names the subject", "a callable tells the cost"],
)
async def test_what_may_change_at_any_moment_is_asked_each_time(limit: str, by: object, cost: object):
    limited = Limited()
    limited.limiter.limit(limit, by=by, cost=cost, name="a")

    for _ in range(5):
        await limited.ask()

    assert limited.engine.asked == 5


async def test_a_flood_leads_to_a_ban_as_ever():
    limited = Limited(("1/hour", "ip"), options=Options(bans=BanPolicy(refusals=5, steps=(MINUTE,))))

    decisions = [await limited.ask() for _ in range(7)]

    assert limited.engine.asked == 2
    assert decisions[-1].rule == "ban"


async def test_who_cannot_be_banned_is_refused_all_the_same():
    """Given a user whose name cannot be written into an entry, when an offence is complete, then the refusal stands."""
    limited = Limited(("1/hour", "user"), options=Options(bans=BanPolicy(refusals=2, steps=(MINUTE,))))

    decisions = [await limited.ask(Request(user="bob\u200b")) for _ in range(7)]

    assert [decision.allowed for decision in decisions] == [True] + [False] * 6


async def test_who_leaves_in_the_moment_of_the_decision_holds_no_slot(monkeypatch: pytest.MonkeyPatch):
    """Given a caller who is cancelled when the engine has decided, and before it heard of it, then the slot is free."""
    limited = Limited(("1 concurrent", "ip"))
    answers: list[asyncio.Future[Outcome]] = []

    def decide(asks: Sequence[Ask], now: int) -> Awaitable[Outcome]:
        answers.append(asyncio.get_running_loop().create_future())
        answers[-1].get_loop().call_soon(lambda: answers[-1].set_result(MemoryWindows.decide(asks, now)))
        return answers[-1]

    monkeypatch.setattr(limited.engine, "decide", decide)
    asking = asyncio.create_task(limited.ask())
    while not (answers and answers[-1].done()):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert (await limited.ask()).allowed
