"""Over the limit: who is refused is told so properly, and the host never hears of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from custodes.app import Custodes
from custodes.kernel.caller import Identity
from custodes.kernel.window import Outcome
from custodes.storage.sql.ratelimit_groups import GroupedWindows
from custodes.testing.asgi import converse, http_scope, websocket_scope


class Host:
    """Counts who comes through."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-host", b"1")]})
        await send({"type": "http.response.body", "body": b"welcome"})


@pytest.fixture
def host(custodes: Custodes) -> tuple[Host, Any]:
    custodes.limit("1/minute", by="ip", name="strict")
    host = Host()
    return host, custodes.wrap(host)


async def test_whoever_may_pass_is_told_what_is_left(host: Any):
    inner, app = host

    answer = await converse(app, http_scope("/"))

    assert (answer.status, answer.body, inner.calls) == (200, b"welcome", 1)
    assert answer.headers[b"x-host"] == b"1"
    assert answer.headers[b"ratelimit"].startswith(b'"strict";r=0')
    assert b"ratelimit-policy" in answer.headers


async def test_whoever_is_over_the_limit_never_reaches_the_host(recorded: list[dict[str, Any]], host: Any):
    inner, app = host
    await converse(app, http_scope("/a"))

    answer = await converse(app, http_scope("/a"))

    assert inner.calls == 1
    assert answer.status == 429
    assert answer.headers[b"content-type"] == b"application/problem+json"
    assert int(answer.headers[b"content-length"]) == len(answer.body)
    assert int(answer.headers[b"retry-after"]) >= 1
    assert json.loads(answer.body)["status"] == 429
    assert [(row["status"], row["limited_by"]) for row in recorded] == [(200, ""), (429, "strict")]


async def test_the_refusal_of_a_head_request_has_no_body(host: Any):
    _, app = host
    await converse(app, http_scope("/"))

    answer = await converse(app, http_scope("/", "HEAD"))

    assert (answer.status, answer.body) == (429, b"")


async def test_a_websocket_is_refused_with_an_answer_where_the_server_can_send_one(host: Any):
    inner, app = host
    await converse(app, http_scope("/"))

    answer = await converse(app, websocket_scope("/", extensions={"websocket.http.response": {}}))

    assert inner.calls == 1
    assert answer.status == 429
    assert [message["type"] for message in answer.sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]


async def test_a_websocket_is_closed_before_it_was_accepted_where_not(host: Any):
    inner, app = host
    await converse(app, http_scope("/"))

    answer = await converse(app, websocket_scope("/"))

    assert inner.calls == 1
    assert answer.sent == [{"type": "websocket.close", "code": 1008, "reason": "rate limited"}]


async def test_another_client_is_not_affected(host: Any):
    _, app = host
    await converse(app, http_scope("/"))

    assert (await converse(app, http_scope("/", client=("203.0.113.8", 1)))).status == 200


async def test_a_slot_is_given_back_when_the_request_is_over(custodes: Custodes):
    custodes.limit("1 concurrent", by="ip", name="one")

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError

    app = custodes.wrap(fails)

    # However the host ended, the next request finds the slot free
    for _ in range(3):
        assert isinstance((await converse(app, http_scope("/"))).error, ValueError)


async def test_whoever_leaves_while_it_is_decided_holds_no_slot(custodes_of: Any, monkeypatch: pytest.MonkeyPatch):
    """Given clients that leave so many turns of the loop after the decision, then the next finds the slot free."""
    custodes: Custodes = custodes_of(rate_limit_store="sqlite", rate_limit_deadline_ms=10_000, hook_limit_ms=10_000)
    custodes.limit("1 concurrent", by="ip", name="one")
    app, decided, decide = custodes.wrap(Host()), asyncio.Event(), GroupedWindows.decide

    async def telling(self: GroupedWindows, *asked: Any) -> Outcome:
        outcome = await decide(self, *asked)
        decided.set()
        return outcome

    monkeypatch.setattr(GroupedWindows, "decide", telling)
    for turns in range(6):
        decided.clear()
        asking = asyncio.create_task(converse(app, http_scope("/")))
        await decided.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        for _ in range(10):  # what is given back is on its way
            await asyncio.sleep(0)

        assert (await converse(app, http_scope("/"))).status == 200, turns


async def test_limits_hold_when_monitoring_is_off(custodes_of: Any):
    custodes: Custodes = custodes_of(enterprise_monitoring_enabled=False)
    custodes.limit("1/minute", by="ip")
    app = custodes.wrap(Host())

    assert [(await converse(app, http_scope("/"))).status for _ in range(2)] == [200, 429]


async def test_no_limit_holds_when_limits_are_off(custodes_of: Any):
    custodes: Custodes = custodes_of(rate_limiting_enabled=False)
    custodes.limit("1/minute", by="ip")
    app = custodes.wrap(Host())

    assert [(await converse(app, http_scope("/"))).status for _ in range(2)] == [200, 200]


# ── No way around ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/login", ""),
        ("/login\n", ""),  # /login%0A
        ("/shop/login", "/shop"),  # uvicorn --root-path, and any outer mount
        ("/login", "/shop"),  # FastAPI(root_path=…) behind a proxy that strips it
        ("/login", "/log"),  # below nothing: the root ends within a word
    ],
)
async def test_a_limit_holds_wherever_the_app_stands_and_however_its_path_is_spelled(
    custodes: Custodes, path: str, root: str
):
    """
    Given a limit on a path, and an app that serves this path,
    When it is called a second time, by any spelling that the app takes for the path,
    Then it is refused.
    """
    custodes.limit("1/minute", route="/login", methods="POST")
    inner = Starlette(routes=[Route("/login", lambda _: PlainTextResponse("in"), methods=["POST"])])
    app = custodes.wrap(inner)

    answers = [await converse(app, http_scope(path, "POST", root_path=root)) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]


async def test_deliveries_below_a_root_path_are_limited(custodes_of: Any):
    custodes = custodes_of(webhook_ip_limit="1/minute")
    custodes.source("stripe", secrets=["whsec_test"])
    app = custodes.wrap(Host())

    answers = [await converse(app, http_scope("/shop/hooks/stripe", "POST", root_path="/shop")) for _ in range(2)]

    assert [answer.status for answer in answers] == [401, 429]


async def test_an_attack_shows_at_the_route_that_is_attacked(custodes: Custodes, recorded: list[dict[str, Any]]):
    """Given a request that is refused before the host routes it, Then it counts for the route that took its like."""
    app = FastAPI()
    app.get("/items/{item}")(lambda item: item)
    custodes.limit("1/minute", by="ip", route="/items/*")
    served = custodes.wrap(app)

    await converse(served, http_scope("/items/1"))
    await converse(served, http_scope("/items/2"))
    await converse(served, http_scope("/items/a/b"))

    assert [(call["status"], call["route"]) for call in recorded] == [
        (200, "/items/{item}"),
        (429, "/items/{item}"),
        (429, None),
    ]


async def test_a_ban_of_one_who_has_a_blank_at_the_end_is_not_that_of_his_neighbour(
    custodes_of: Callable[..., Custodes],
):
    custodes = custodes_of(
        rate_limit_bans=True, identify=lambda scope: Identity(user=dict(scope["headers"])[b"x-user"].decode())
    )
    custodes.limit("1/minute", by="user", name="strict")
    app = custodes.wrap(Host())

    async def ask(user: bytes) -> int:
        return (await converse(app, http_scope("/", headers=[(b"x-user", user)]))).status

    # Given somebody who runs into limits until he is banned, and one whose name looks the same
    statuses = [await ask(b"bob ") for _ in range(100)]

    assert statuses[-1] == 403
    assert await ask(b"bob") == 200
    # When he is blocked by the name that is shown
    await custodes.ratelimit.block_identifier(r"ann\x20", "user", reason="spam", actor="user:eve")
    assert [await ask(user) for user in (b"ann ", b"ann")] == [403, 200]


class TestAPageOfAnotherOrigin:
    """Given a host with CORS middleware, which a refusal of ours does not come by, as we stand outside of it."""

    PAGE = (b"origin", b"https://shop.example")

    @pytest.fixture(params=["installed", "wrapped", "wrapped within"])
    async def app(self, request: pytest.FixtureRequest, custodes: Custodes) -> Any:
        custodes.limit("1/minute", by="ip", name="strict")
        inner = Starlette(routes=[Route("/", lambda _request: PlainTextResponse("welcome"), methods=["GET", "POST"])])
        allowed: Any = {"allow_origins": ["https://shop.example"], "expose_headers": ["retry-after"]}
        if request.param == "wrapped within":
            app = custodes.wrap(CORSMiddleware(inner, **allowed))
        else:
            inner.add_middleware(CORSMiddleware, **allowed)
            inner.add_middleware(GZipMiddleware)
            app = inner
            if request.param == "installed":
                custodes.install(inner)
            else:
                app = custodes.wrap(inner)
        assert (await converse(app, http_scope("/", headers=[self.PAGE]))).status == 200
        return app

    async def test_can_read_that_it_is_refused_and_for_how_long(self, app: Any):
        answer = await converse(app, http_scope("/", headers=[self.PAGE]))

        assert (answer.status, json.loads(answer.body)["status"]) == (429, 429)
        assert answer.headers[b"access-control-allow-origin"] == b"https://shop.example"
        assert answer.headers[b"access-control-expose-headers"] == b"retry-after"
        assert int(answer.headers[b"retry-after"]) >= 1

    async def test_of_an_origin_that_the_host_does_not_allow_cannot(self, app: Any):
        answer = await converse(app, http_scope("/", headers=[(b"origin", b"https://evil.example")]))

        assert answer.status == 429
        assert b"access-control-allow-origin" not in answer.headers

    async def test_may_ask_whether_it_may_ask(self, app: Any):
        """When a preflight is over the limit, Then the host's middleware answers it, and what follows is refused."""
        asks = http_scope("/", "OPTIONS", headers=[self.PAGE, (b"access-control-request-method", b"GET")])

        answer = await converse(app, asks)

        assert answer.status == 200
        assert answer.headers[b"access-control-allow-origin"] == b"https://shop.example"


async def test_a_cors_middleware_that_fails_does_not_lose_the_refusal(custodes: Custodes):
    class Broken(CORSMiddleware):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                raise RuntimeError
            await self.app(scope, receive, send)

    custodes.limit("1/minute", by="ip", name="strict")
    app = custodes.wrap(Broken(Host()))
    page = [(b"origin", b"https://shop.example")]
    assert isinstance((await converse(app, http_scope("/", headers=page))).error, RuntimeError)

    assert (await converse(app, http_scope("/", headers=page))).status == 429
