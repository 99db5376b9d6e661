"""What passing the middleware costs a request: all that is ours, nothing of the host's or the server's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from custodes.app import Custodes
from custodes.asgi import middleware
from custodes.asgi.weighing import WEIGH_EVERY
from custodes.testing.asgi import body, converse, http_scope, websocket_scope
from custodes.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    clock = FakeClock()
    clock.advance(1_000)
    return clock


@pytest.fixture
def all_are_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "turns", lambda: itertools.repeat(True))


@pytest.fixture
def weighed(custodes_of: Callable[..., Custodes], clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Custodes:
    """An install whose recorder takes 7 µs of each request, and whose host takes 30 to tell who calls."""
    custodes = custodes_of(clock=clock)

    def record(exchange: Any) -> None:
        clock.advance(7)

    def identify(scope: Any) -> None:
        clock.advance(30)

    monkeypatch.setattr(custodes.traffic, "record", record)
    monkeypatch.setattr(custodes, "identify", identify)
    return custodes


def slow(clock: FakeClock) -> Any:
    """A server and a host that take their time, at each of their turns."""

    async def host(scope: Any, receive: Any, send: Any) -> None:
        clock.advance(5_000)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.advance(5_000)
        for more in (True, False):
            await send({"type": "http.response.body", "body": b"x", "more_body": more})
            clock.advance(5_000)

    return host


def server(app: Any, clock: FakeClock) -> Any:
    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def slow_receive() -> Any:
            clock.advance(900)
            return await receive()

        async def slow_send(message: Any) -> None:
            clock.advance(900)
            await send(message)

        await app(scope, slow_receive, slow_send)

    return serve


@pytest.mark.usefixtures("all_are_weighed")
async def test_only_what_is_ours_is_weighed(weighed: Custodes, clock: FakeClock):
    """Given a slow host, a slow hook of it and a slow server; then what is told is the time of the recorder."""
    app = server(weighed.wrap(slow(clock)), clock)
    for _ in range(3):
        assert (await converse(app, http_scope("/", "POST"), body(b"x"))).body == b"xx"

    own = weighed.traffic.own_figures().own_time
    assert own is not None
    assert (own.weighed, own.mean, own.p50, own.p99) == (3, 7_000, 7_000, 7_000)
    health = await weighed.traffic.get_health_status()
    assert health.figures["own_time_p50"] == 0.007


@pytest.mark.usefixtures("all_are_weighed")
async def test_limits_are_weighed_where_nothing_is_recorded(
    custodes_of: Callable[..., Custodes], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    class Allowed:
        allowed, headers, problem, rule = True, (), None, ""

        @staticmethod
        def release() -> None:
            clock.advance(4)

    def check(exchange: Any) -> Any:
        clock.advance(11)
        return Allowed()

    custodes = custodes_of(clock=clock, enterprise_monitoring_enabled=False)
    monkeypatch.setattr(custodes.ratelimit, "check", check)

    assert (await converse(custodes.wrap(slow(clock)), http_scope())).status == 200

    own = custodes.traffic.own_figures().own_time
    assert own is not None
    assert own.mean == 15_000


async def test_one_request_of_many_is_weighed(weighed: Custodes, clock: FakeClock):
    app = weighed.wrap(slow(clock))
    for _ in range(WEIGH_EVERY - 1):
        await converse(app, http_scope())
    assert weighed.traffic.own_figures().own_time is None

    for _ in range(WEIGH_EVERY + 1):
        await converse(app, http_scope())

    own = weighed.traffic.own_figures().own_time
    assert own is not None
    assert own.weighed == 2


@pytest.mark.usefixtures("all_are_weighed")
async def test_every_host_answers_as_if_nothing_were_weighed(case: Any, custodes: Custodes):
    bare = await converse(case.host(), case.scope(), [*case.messages], **case.leaving)
    heavy = await converse(custodes.wrap(case.host()), case.scope(), [*case.messages], **case.leaving)

    assert heavy.sent == bare.sent
    assert (type(heavy.error), str(heavy.error)) == (type(bare.error), str(bare.error))


@pytest.mark.usefixtures("all_are_weighed")
async def test_what_is_refused_and_websockets_are_not_weighed(
    weighed: Custodes, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
):
    class Denied:
        allowed, headers, problem, rule, release = False, (), (429, b"{}"), "login", None

    async def host(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})

    await converse(weighed.wrap(host), websocket_scope())
    monkeypatch.setattr(weighed.ratelimit, "check", lambda exchange: Denied())
    assert (await converse(weighed.wrap(slow(clock)), http_scope())).status == 429

    assert weighed.traffic.own_figures().own_time is None
