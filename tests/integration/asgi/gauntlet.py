"""The gauntlet: hosts and requests that have broken monitors of this kind, each as one case.

A case makes its host anew each time, so that the same conversation can be held with and without Custodes around it.
Loaded by path from the test modules beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from custodes.testing.asgi import Message, body, http_scope, websocket_scope

THIS = Path(__file__)
VARIABLE: ContextVar[str] = ContextVar("variable", default="unset")


@dataclass(frozen=True)
class Case:
    """One conversation with one host."""

    #: What is special about it.
    name: str
    #: Makes the host.
    host: Callable[[], Any]
    #: Makes the scope.
    scope: Callable[[], dict[str, Any]]
    #: What the client sends.
    messages: list[Message] = field(default_factory=list[Message])
    #: When the client leaves, or sending breaks.
    leaving: dict[str, int] = field(default_factory=dict[str, int])
    #: Route that it is recorded under.
    route: str | None = None
    #: Status that it is recorded with.
    status: int = 200
    #: What else the record says.
    record: dict[str, Any] = field(default_factory=dict[str, Any])


# ── FastAPI ──────────────────────────────────────────────────────────────────


class Boom(Exception):
    pass


async def variable() -> AsyncIterator[str]:
    token = VARIABLE.set("by a dependency")
    yield VARIABLE.get()
    VARIABLE.reset(token)


def fastapi_host() -> FastAPI:
    """A new app with the routes, which are made once: that takes ten times as long as a conversation."""
    app = FastAPI()
    app.router.routes.extend(_fastapi_routes())
    return app


@cache
def _fastapi_routes() -> tuple[BaseRoute, ...]:
    app = FastAPI(openapi_url=None)  # each app has a document of its own
    inner = APIRouter(prefix="/inner")
    outer = APIRouter(prefix="/outer")

    @inner.get("/{thing}")
    async def included(thing: str) -> dict[str, str]:
        return {"thing": thing}

    async def plain(request: Request) -> Response:
        return PlainTextResponse("plain")

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/sync/{item_id}")
    def in_a_thread(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(418, "teapot", headers={"x-why": "tea"})

    @app.get("/boom")
    async def boom() -> None:
        raise Boom("unhandled")

    @app.get("/background")
    async def background(tasks: BackgroundTasks, response: Response) -> str:
        async def later() -> None:
            await asyncio.sleep(0)

        tasks.add_task(later)
        response.set_cookie("a", "b")
        return "accepted"

    @app.get("/background-boom")
    async def background_boom(tasks: BackgroundTasks) -> str:
        async def later() -> None:
            raise Boom("after the answer")

        tasks.add_task(later)
        return "accepted"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"chunk %d;" % number

        return StreamingResponse(chunks())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                yield b"more;"
                await asyncio.sleep(0)

        return StreamingResponse(chunks(), media_type="text/event-stream")

    @app.get("/stream-boom")
    async def stream_boom() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"begun;"
            raise Boom("in the middle")

        return StreamingResponse(chunks())

    @app.get("/context")
    async def context(value: Annotated[str, Depends(variable)]) -> list[str]:
        return [value, VARIABLE.get()]

    @app.get("/nothing", status_code=204, response_model=None)
    async def nothing() -> None:
        return None

    @app.get("/unchanged")
    async def unchanged() -> Response:
        return Response(status_code=304, headers={"etag": '"1"'})

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(THIS, stat_result=THIS.stat())

    @app.post("/upload")
    async def upload(request: Request) -> int:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        return size

    @app.post("/upload-abandoned")
    async def upload_abandoned(request: Request) -> int:
        return len(await request.body())

    @app.websocket("/echo/{room}")
    async def echo(websocket: WebSocket, room: str) -> None:
        await websocket.accept(headers=[(b"x-room", room.encode())])
        async for text in websocket.iter_text():
            await websocket.send_text(text * 2)

    @app.websocket("/closes")
    async def closes(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_bytes(b"\x00\x01")
        await websocket.close(4001, "enough")

    @app.websocket("/refuses")
    async def refuses(websocket: WebSocket) -> None:
        await websocket.close(4003)

    @app.websocket("/denies")
    async def denies(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"no": "way"}, status_code=401))

    @app.websocket("/ws-boom")
    async def websocket_boom(websocket: WebSocket) -> None:
        await websocket.accept()
        raise Boom("in a socket")

    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.add_route("/plain/{x}", plain)
    sub = FastAPI()

    @sub.get("/deep/{x}")
    async def deep(x: str) -> str:
        return x

    app.mount("/sub", sub)
    app.mount("/static", StaticFiles(directory=THIS.parent))
    return tuple(app.router.routes)


# ── Starlette ────────────────────────────────────────────────────────────────


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def starlette_host(**options: Any) -> Starlette:
    tenant = [Route("/users/{id:int}", hello), WebSocketRoute("/live", socket)]
    return Starlette(
        routes=[
            Route("/hello/{name}", hello),
            Route("/write", hello, methods=["POST"]),
            Mount("/tenants/{tenant}", routes=tenant),
            Mount("/api", routes=[Mount("/v2", routes=tenant)]),
        ],
        **options,
    )


class Headers(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers["x-base"] = "passed"
        return response


def base_middleware_host() -> FastAPI:
    app = fastapi_host()
    app.add_middleware(Headers)
    return app


def gzip_host() -> Starlette:
    async def long(request: Request) -> Response:
        return PlainTextResponse("long text " * 500)

    return Starlette(routes=[Route("/long", long)], middleware=[Middleware(GZipMiddleware, compresslevel=1)])


SHARED = PlainTextResponse("one response object for all requests")


def shared_response_host() -> Starlette:
    async def shared(request: Request) -> Response:
        return SHARED

    return Starlette(routes=[Route("/shared", shared)])


# ── Raw ASGI ─────────────────────────────────────────────────────────────────


def raw(*messages: Message, reads: int = 0, error: BaseException | None = None) -> Callable[[], Any]:
    """Make a host that says exactly this."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(reads):
            await receive()
        for message in messages:
            await send(dict(message))
        if error is not None:
            raise error

    return lambda: app


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def part(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def reads_until_the_end(scope: Any, receive: Any, send: Any) -> None:
    seen: list[str] = []
    while (message := await receive())["type"] != "http.disconnect":
        seen.append(f"{len(message['body'])}{'+' if message['more_body'] else '.'}")
        if not message["more_body"]:
            await send(start())
            await send(part(",".join(seen).encode(), more=True))
    raise ClientDisconnect


async def swallows_the_disconnect(scope: Any, receive: Any, send: Any) -> None:
    with contextlib.suppress(OSError):
        await send(start())
        for _ in range(5):
            await send(part(b"x", more=True))


def trailers() -> Message:
    return {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}


def get(path: str, method: str = "GET", **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: http_scope(path, method, **more)


def ws(path: str, **more: Any) -> Callable[[], dict[str, Any]]:
    return lambda: websocket_scope(path, **more)


CONNECT: Message = {"type": "websocket.connect"}
SAYS: Message = {"type": "websocket.receive", "text": "häh"}
LEAVES: Message = {"type": "websocket.disconnect", "code": 1000}
BREAKS: Message = {"type": "websocket.disconnect", "code": 1006}
DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
BIG = [b"x" * 65_536] * 100

CASES = [
    Case("json", fastapi_host, get("/items/5"), route="/items/{item_id}", record={"response_bytes": 8}),
    Case("in a thread", fastapi_host, get("/sync/5"), route="/sync/{item_id}"),
    Case("validation error", fastapi_host, get("/items/five"), route="/items/{item_id}", status=422),
    Case("HTTPException", fastapi_host, get("/refused"), route="/refused", status=418, record={"error": None}),
    Case("unhandled exception", fastapi_host, get("/boom"), route="/boom", status=500, record={"error": Boom}),
    Case("background task", fastapi_host, get("/background"), route="/background"),
    Case(
        "failing background task",
        fastapi_host,
        get("/background-boom"),
        route="/background-boom",
        record={"error": Boom},
    ),
    Case("stream", fastapi_host, get("/stream"), route="/stream", record={"response_bytes": 40, "disconnected": False}),
    Case(
        "events until the client leaves",
        fastapi_host,
        get("/endless"),
        leaving={"leaves_after": 4},
        route="/endless",
        record={"disconnected": True, "error": None},
    ),
    Case(
        "events until sending breaks",
        fastapi_host,
        get("/endless", asgi={"version": "3.0", "spec_version": "2.4"}),
        leaving={"breaks_after": 4},
        route="/endless",
        record={"disconnected": True, "error": None},
    ),
    Case("exception in a stream", fastapi_host, get("/stream-boom"), route="/stream-boom", record={"error": Boom}),
    Case("context variables", fastapi_host, get("/context"), route="/context"),
    Case("404", fastapi_host, get("/nowhere"), status=404),
    Case("405", fastapi_host, get("/items/5", "DELETE"), route="/items/{item_id}", status=405),
    Case("slash redirect", fastapi_host, get("/items/5/"), status=307),
    Case("HEAD", starlette_host, get("/hello/you", "HEAD"), route="/hello/{name}", record={"response_bytes": 0}),
    Case("OPTIONS", fastapi_host, get("/items/5", "OPTIONS"), route="/items/{item_id}", status=405),
    Case("204", fastapi_host, get("/nothing"), route="/nothing", status=204),
    Case("304", fastapi_host, get("/unchanged"), route="/unchanged", status=304),
    Case("file", fastapi_host, get("/file"), route="/file", record={"response_bytes": THIS.stat().st_size}),
    Case(
        "file sent by the server",
        fastapi_host,
        get("/file", extensions={"http.response.pathsend": {}}),
        route="/file",
        record={"response_bytes": THIS.stat().st_size},
    ),
    Case(
        "big upload",
        fastapi_host,
        get("/upload", "POST"),
        body(*BIG),
        route="/upload",
        record={"request_bytes": 6_553_600},
    ),
    Case(
        "upload that the client abandons",
        fastapi_host,
        get("/upload-abandoned", "POST"),
        [{"type": "http.request", "body": b"half", "more_body": True}],
        leaving={"leaves_after": 0},
        route="/upload-abandoned",
        status=0,
        record={"disconnected": True, "error": None},
    ),
    Case("included router", fastapi_host, get("/v1/outer/inner/x"), route="/v1/outer/inner/{thing}"),
    Case(
        "included router, 405",
        fastapi_host,
        get("/v1/outer/inner/x", "PUT"),
        route="/v1/outer/inner/{thing}",
        status=405,
    ),
    Case("plain route in FastAPI", fastapi_host, get("/plain/7"), route="/plain/{x}"),
    Case("mounted FastAPI", fastapi_host, get("/sub/deep/7"), route="/sub/deep/{x}"),
    Case("mounted FastAPI, 404", fastapi_host, get("/sub/none"), route="/sub/{path}", status=404),
    Case("static files", fastapi_host, get("/static/conftest.py"), route="/static/{path}"),
    Case("OpenAPI document", fastapi_host, get("/openapi.json"), route="/openapi.json"),
    Case("Starlette", starlette_host, get("/hello/you?a=1"), route="/hello/{name}"),
    Case("Starlette, 405", starlette_host, get("/write"), route="/write", status=405),
    Case("mount with a parameter", starlette_host, get("/tenants/acme/users/7"), route="/tenants/{tenant}/users/{id}"),
    Case("mount in a mount", starlette_host, get("/api/v2/users/7"), route="/api/v2/users/{id}"),
    Case(
        "behind a root path",
        starlette_host,
        get("/proxy/api/v2/users/7", root_path="/proxy"),
        route="/api/v2/users/{id}",
    ),
    Case("BaseHTTPMiddleware", base_middleware_host, get("/items/5"), route="/items/{item_id}"),
    Case("BaseHTTPMiddleware, stream", base_middleware_host, get("/stream"), route="/stream"),
    Case("BaseHTTPMiddleware, background", base_middleware_host, get("/background"), route="/background"),
    Case("BaseHTTPMiddleware, exception", base_middleware_host, get("/boom"), route="/boom", status=500),
    Case(
        "BaseHTTPMiddleware, disconnect",
        base_middleware_host,
        get("/endless"),
        leaving={"leaves_after": 4},
        route="/endless",
    ),
    Case("gzip", gzip_host, get("/long", headers={"accept-encoding": "gzip"}), route="/long"),
    Case("one response object for all", shared_response_host, get("/shared"), route="/shared"),
    Case("raw, chunked", raw(start(), part(b"a", more=True), part(b"b", more=True), part()), get("/")),
    Case("raw, trailers", raw(start(trailers=True), part(b"a"), trailers()), get("/")),
    Case(
        "raw, path sent",
        raw(start(200, (b"content-length", b"3")), {"type": "http.response.pathsend", "path": "/etc/hostname"}),
        get("/"),
        record={"response_bytes": 3},
    ),
    Case(
        "raw, zero copy",
        raw(start(), {"type": "http.response.zerocopysend", "file": 0, "count": 9, "more_body": False}),
        get("/"),
        record={"response_bytes": 9},
    ),
    Case(
        "raw, unknown messages",
        raw({"type": "http.response.debug", "info": {}}, start(103), start(), part(b"a")),
        get("/"),
    ),
    Case("raw, message without a type", raw(start(), {"no": "type"}, part()), get("/")),
    Case(
        "raw, message without parts",
        raw({"type": "http.response.start", "status": 200}, {"type": "http.response.body"}),
        get("/"),
    ),
    Case("raw, no answer", raw(), get("/"), status=500),
    Case("raw, exception before the answer", raw(error=Boom("early")), get("/"), status=500, record={"error": Boom}),
    Case("raw, exception after the answer began", raw(start(), part(b"a", more=True), error=Boom("late")), get("/")),
    Case(
        "raw, reads to the end",
        lambda: reads_until_the_end,
        get("/", "POST"),
        body(b"ab", b"", b"c"),
        {"leaves_after": 2},
    ),
    Case("raw, swallows the disconnect", lambda: swallows_the_disconnect, get("/"), leaving={"breaks_after": 2}),
    Case(
        "websocket",
        fastapi_host,
        ws("/echo/r"),
        [CONNECT, SAYS, SAYS, LEAVES],
        route="/echo/{room}",
        status=101,
        record={"request_bytes": 8, "response_bytes": 16, "disconnected": False, "method": "WEBSOCKET"},
    ),
    Case(
        "websocket, connection breaks",
        fastapi_host,
        ws("/echo/r"),
        [CONNECT, SAYS, BREAKS],
        route="/echo/{room}",
        status=101,
        record={"disconnected": True, "error": None},
    ),
    Case("websocket, host closes", fastapi_host, ws("/closes"), [CONNECT], route="/closes", status=101),
    Case("websocket, host refuses", fastapi_host, ws("/refuses"), [CONNECT], route="/refuses", status=403),
    Case("websocket, host denies", fastapi_host, ws("/denies", **DENIAL), [CONNECT], route="/denies", status=401),
    Case(
        "websocket, exception",
        fastapi_host,
        ws("/ws-boom"),
        [CONNECT],
        route="/ws-boom",
        status=101,
        record={"error": Boom},
    ),
    Case("websocket, 404", fastapi_host, ws("/nowhere"), [CONNECT], status=403),
    Case("websocket below a mount", starlette_host, ws("/api/v2/live"), [CONNECT], route="/api/v2/live", status=101),
]
