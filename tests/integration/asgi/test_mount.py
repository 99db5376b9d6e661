"""Mounting: which door a request finds, and how we start and stop with the host."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from custodes.app import Custodes
from custodes.errors import ConfigurationError
from custodes.runtime.current import current_client_ip
from custodes.testing.asgi import Conversation, converse, http_scope


async def says_host(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await PlainTextResponse(f"host {scope['path']}")(scope, receive, send)


def is_ours(answer: Conversation) -> bool:
    """Tell our refusal of a stranger from what a host would answer."""
    return answer.headers[b"content-type"].startswith(b"application/problem+json")


# ── Doors ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    ["/", "/hooks", "/hooks/nobody", "/api/users", "/api/admin/enterprisefoo", "/dashboard/", "/api/stripe/webhook"],
)
async def test_what_is_not_ours_is_the_hosts(custodes: Custodes, path: str):
    answer = await converse(custodes.wrap(says_host), http_scope(path))

    assert answer.body == f"host {path}".encode()


@pytest.mark.usefixtures("admin_routes")
async def test_the_admin_api_is_ours_and_not_recorded(custodes: Custodes, recorded: list[Any]):
    await custodes.start()
    answer = await converse(custodes.wrap(says_host), http_scope("/api/admin/enterprise/api-health"))

    assert is_ours(answer)
    assert recorded == []


@pytest.mark.parametrize("path", ["/hooks/stripe", "/api/stripe/webhook-enhanced"])
async def test_webhooks_of_a_source_are_ours_and_not_recorded(custodes: Custodes, recorded: list[Any], path: str):
    custodes.source("stripe", secrets=["whsec_test"])

    answer = await converse(custodes.wrap(says_host), http_scope(path, "POST"))

    assert answer.status in {400, 401}
    assert recorded == []


async def test_below_a_root_path_the_doors_are_where_they_are(custodes: Custodes):
    await custodes.start()
    app = custodes.wrap(says_host)

    answer = await converse(app, http_scope("/shop/api/admin/enterprise/api-health", root_path="/shop"))

    assert is_ours(answer)


async def test_in_a_mounted_app_the_doors_move_with_it(custodes: Custodes):
    await custodes.start()
    inner = FastAPI()
    custodes.install(inner)
    outer = Starlette(routes=[Mount("/shop", app=inner)])

    assert is_ours(await converse(outer, http_scope("/shop/api/admin/enterprise/api-health")))
    assert not is_ours(await converse(outer, http_scope("/api/admin/enterprise/api-health")))


async def test_calls_of_a_mounted_app_are_of_one_route_refused_or_not(custodes: Custodes):
    """Given a limit, which is written as the mounted app knows its paths, then what it refuses is where the rest is."""
    await custodes.start()
    inner = FastAPI()
    inner.add_api_route("/items/{item}", lambda item: item)
    custodes.install(inner)
    custodes.limit("1/minute", route="/items/{item}")
    outer = Starlette(routes=[Mount("/v1", app=inner)])

    answers = [await converse(outer, http_scope("/v1/items/7")) for _ in range(2)]
    await custodes.traffic.flush()
    calls = (await custodes.traffic.list_calls()).items

    assert [answer.status for answer in answers] == [200, 429]
    assert {(call.path, call.route) for call in calls} == {("/items/7", "/v1/items/{item}")}


async def test_the_client_address_is_known_inside_a_request(custodes_of: Any):
    custodes = custodes_of(trusted_proxies="10.0.0.0/8")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_client_ip())

    headers = [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"198.51.100.4, 10.0.0.9")]
    await converse(custodes.wrap(app), http_scope("/", client=("10.0.0.1", 1), headers=headers))

    assert seen == ["198.51.100.4"]
    assert current_client_ip() == ""


async def test_what_a_request_writes_is_joined_to_it_unless_it_says_otherwise(custodes: Custodes):
    """Given an app that tells the trail of something and emits an event, then both bear the request's trace."""
    await custodes.start()
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        audit, emit = custodes.audit, custodes.outbound.emit
        told.append(await audit.log_audit_event("order.created", actor="user:7"))
        told.append(await audit.log_audit_event("order.seen", actor="user:7", context={"ip": "198.51.100.9"}))
        told.append(await audit.log_audit_event("order.sent", actor="user:7", ip="", trace_id=""))
        told.append(await emit("order.created", {"order": 1}))
        told.append(await emit("order.created", {"order": 2}, trace_id=""))

    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = [(b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode()), (b"user-agent", b"Shop/2")]
    await converse(custodes.wrap(app), http_scope("/", "POST", client=("203.0.113.5", 1), headers=headers))
    told.append(await custodes.audit.log_audit_event("order.counted", actor="service:clock"))

    created, seen, sent, message, other, outside = told
    assert [
        (one.context.trace_id, one.context.ip, one.context.user_agent) for one in (created, seen, sent, outside)
    ] == [
        (trace, "203.0.113.5", "Shop/2"),
        (trace, "198.51.100.9", ""),
        ("", "", ""),
        ("", "", ""),
    ]
    assert (message.trace_id, other.trace_id) == (trace, "")


async def test_the_host_goes_on_while_the_admin_app_is_loaded_once(custodes: Custodes, monkeypatch: pytest.MonkeyPatch):
    # Given an admin app that takes its time to load, and more who ask for it than the loop has threads
    begun, held, loaded = threading.Event(), threading.Event(), 0

    def load(module: str) -> Any:
        nonlocal loaded
        loaded += 1
        begun.set()
        assert held.wait(10)
        return import_module(module)

    app = custodes.wrap(says_host)
    monkeypatch.setattr("custodes.app.import_module", load)
    asking = [asyncio.create_task(converse(app, http_scope("/api/admin/enterprise/session"))) for _ in range(40)]
    await asyncio.to_thread(begun.wait, 10)

    # When somebody asks the host meanwhile
    answer = await converse(app, http_scope("/orders"))

    # Then the host answers at once, its threads are free, and all get the same app once it is there
    assert answer.body == b"host /orders"
    assert await asyncio.to_thread(lambda: "free") == "free"
    assert not any(task.done() for task in asking)
    held.set()
    assert [is_ours(await task) for task in asking] == [True] * 40
    assert loaded == 1


# ── Installed in place ───────────────────────────────────────────────────────


class ShortCircuit:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("answered early", status_code=203)(scope, receive, send)


@pytest.mark.parametrize("make", [FastAPI, Starlette])
async def test_installed_it_stays_outermost_when_middleware_comes_later(
    custodes: Custodes, recorded: list[Any], make: Callable[[], Any]
):
    app = make()
    custodes.install(app)
    app.add_middleware(ShortCircuit)

    assert (await converse(app, http_scope("/"))).status == 203
    assert [row["status"] for row in recorded] == [203]


async def test_an_app_that_has_served_already_can_still_be_watched(custodes: Custodes, recorded: list[Any]):
    app = Starlette(routes=[Route("/a", lambda request: PlainTextResponse("a"))])
    await converse(app, http_scope("/a"))

    custodes.install(app)
    await converse(app, http_scope("/a"))

    assert [row["route"] for row in recorded] == ["/a"]


def test_what_cannot_be_changed_in_place_is_refused_with_the_way_out(custodes: Custodes):
    with pytest.raises(ConfigurationError, match=r"custodes\.wrap"):
        custodes.install(says_host)


def test_nobody_is_watched_twice(custodes: Custodes):
    app = FastAPI()
    custodes.install(app)

    with pytest.raises(ConfigurationError, match="already"):
        custodes.install(app)


# ── Life ─────────────────────────────────────────────────────────────────────


async def live(app: Any) -> tuple[list[str], BaseException | None]:
    """Be a server that starts and stops an app at once; say what it was told."""
    told: list[str] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    error: BaseException | None = None

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        told.append(message["type"].removeprefix("lifespan."))

    try:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    except Exception as caught:  # noqa: BLE001 - what a server would see
        error = caught
    return told, error


async def test_we_start_before_the_host_and_stop_after_it(custodes: Custodes, monkeypatch: pytest.MonkeyPatch):
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        events.append("host starts")
        yield {"given": "state"}
        events.append("host stops")

    async def start() -> None:
        events.append("we start")

    async def stop() -> None:
        events.append("we stop")

    monkeypatch.setattr(custodes, "start", start)
    monkeypatch.setattr(custodes, "stop", stop)
    app = FastAPI(lifespan=lifespan)
    custodes.install(app)

    assert await live(app) == (["startup.complete", "shutdown.complete"], None)
    assert events == ["we start", "host starts", "host stops", "we stop"]


async def test_a_host_that_knows_no_lifespan_does_not_keep_us_from_ours(custodes: Custodes):
    async def knows_http_only(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"

    async def ignores(scope: Any, receive: Any, send: Any) -> None:
        return

    for host in (knows_http_only, ignores):
        assert await live(custodes.wrap(host)) == (["startup.complete", "shutdown.complete"], None)


async def test_a_host_that_cannot_start_is_heard(custodes: Custodes):
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    told, error = await live(custodes.wrap(Starlette(lifespan=lifespan)))

    assert told == ["startup.failed"]
    assert str(error) == "no database"


@pytest.mark.parametrize("what", ["raises", "hangs"])
async def test_when_we_cannot_start_the_host_does(custodes: Custodes, monkeypatch: pytest.MonkeyPatch, what: str):
    async def start() -> None:
        if what == "raises":
            raise OSError("disk full")
        await asyncio.Event().wait()

    monkeypatch.setattr("custodes.asgi.lifespan.START_LIMIT", 0.02)
    monkeypatch.setattr(custodes, "start", start)

    assert await live(custodes.wrap(Starlette())) == (["startup.complete", "shutdown.complete"], None)
    assert custodes.shield.failures["start"] == 1


async def test_without_a_lifespan_the_first_request_starts_us(custodes: Custodes):
    app = custodes.wrap(says_host)

    answer = await converse(app, http_scope("/"))

    assert answer.status == 200
    async with asyncio.timeout(60):
        while not await custodes.is_ready():
            await asyncio.sleep(0.01)
