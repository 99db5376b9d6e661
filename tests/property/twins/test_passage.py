"""A request passes the compiled twin as it passes Python: the same is sent on, and the same is seen."""

from __future__ import annotations

import asyncio
from collections import UserDict
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custodes.asgi import mount, passages
from custodes.asgi.passages import SlottedDoor, SlottedPassage
from custodes.kernel.address import Addresses
from custodes.runtime.shield import Shield

NAMES = [b"traceparent", b"tracestate", b"user-agent", b"x-forwarded-for", b"accept", b"", b"X-Forwarded-For"]
VALUES = [
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
    b"00-0af7651916cd43dd8448eb211c80319C-b7ad6b7169203331-01",
    b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
    b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
    b"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"203.0.113.9",
    b"203.0.113.9, 10.0.0.7",
    b"vendor=1",
    b"Mozilla/5.0",
    b"",
    b"\xff" * 300,
    b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + b"x" * 500,
    b"vendor=" + b"1" * 20_000,
]

ROUTE = SimpleNamespace(path="/items/{item_id}")

pairs = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(list),
)
scopes = st.fixed_dictionaries(
    {
        "type": st.just("http"),
        "method": st.sampled_from(["GET", "HEAD", "X" * 40, ""]),
        "path": st.sampled_from(["/", "/items/7", "/app/items/7", "", "/ä", "/" + "ä" * 3_000]),
        "headers": st.one_of(st.lists(pairs, max_size=6), st.lists(pairs, max_size=3).map(tuple)),
    },
    optional={
        "root_path": st.sampled_from(["", "/app"]),
        "client": st.sampled_from([None, ("10.0.0.7", 1), ("203.0.113.5", 1), ["10.0.0.7", 1], ("", 0)]),
        "user": st.just(None),
        "session": st.just({"user_id": 7}),
        "path_template": st.sampled_from(["/items/{id}", 5]),
        "route": st.sampled_from([ROUTE, None]),
        "fastapi": st.sampled_from([{}, {"effective_route_context": None}]),
        "app_root_path": st.just(""),
    },
)
starts = st.fixed_dictionaries(
    {
        "type": st.just("http.response.start"),
        "status": st.sampled_from([200, 404, HTTPStatus.CREATED, "500", "x", None, 0, 2_000]),
    },
    optional={"headers": st.sampled_from([[], [(b"a", b"b")], ((b"a", b"b"),)]), "trailers": st.just(True)},
)
bodies = st.fixed_dictionaries(
    {"type": st.just("http.response.body")},
    optional={
        "body": st.sampled_from([b"", b"12345", bytearray(b"123"), memoryview(b"1234")]),
        "more_body": st.sampled_from([True, False, 0, 1, None]),
    },
)
others = st.sampled_from(
    [
        {"type": "http.response.pathsend", "path": "/x"},
        {"type": "http.response.trailers", "headers": [], "more_trailers": False},
        {"type": "http.response.zerocopysend", "count": 9, "more_body": False},
        {"type": "http.response.debug"},
        {"type": None},
        {},
    ]
)
messages = st.lists(st.one_of(starts, bodies, others), max_size=5)
received = st.lists(
    st.sampled_from(
        [
            {"type": "http.request", "body": b"123", "more_body": False},
            {"type": "http.request"},
            {"type": "http.disconnect"},
        ]
    ),
    max_size=2,
)


class Steps:
    """A clock that goes on by some microseconds with each look."""

    def __init__(self) -> None:
        self._left = count(1_000_000_000, 1_234_567)

    def ticks(self) -> int:
        return next(self._left)

    def now(self) -> int:
        return 1_800_000_000_000_000

    def monotonic(self) -> int:
        return self.ticks() // 1_000


def pass_through(
    door_of: type[Any],
    passage_of: type[Any],
    scope: Any,
    asked: list[Any],
    answered: list[Any],
    added: Any,
    *,
    wraps: bool,
    named: bool = False,
    limited: bool = False,
) -> dict[str, Any]:
    """Have one request pass; returns all that can be seen of it."""
    clock: Any = Steps()
    shield = Shield(clock)
    bits: Callable[[int], int] = lambda number: (1 << number) // 3  # noqa: E731
    door = door_of(
        shield,
        clock,
        Addresses(["10.0.0.0/8"]),
        bits,
        default_tenant="default",
        session_user_key="user_id",
        path_below=lambda path, root: path.removeprefix(root),
    )
    sent: list[Any] = []
    left = list(asked)

    async def receive() -> Any:
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append((type(message), dict(message)))

    async def run() -> Any:
        passage = passage_of()
        passage.open(door, "http", UserDict(scope) if wraps else dict(scope), receive, send)
        if added:
            passage.add_headers(added)
        early = (passage.seen.client_ip, passage.seen.path, passage.seen.method, passage.client_ip, passage.user_agent)
        for _ in asked:
            await passage.receive()
        for message in answered:
            await passage.send(UserDict(message) if wraps else dict(message))
        if named:
            passage.name_caller("ann", "", "acme")
        if limited:
            passage.seen.limited_by = "logins"
        door.templates.resolve({"route": ROUTE})  # it was taken before
        seen = passage.close()
        trace = passage.trace
        return (
            early,
            seen.row(),
            seen.trace_id,
            (trace.trace_id, trace.span_id, trace.parent_id, trace.flags, trace.state),
        )

    try:
        told = asyncio.run(run())
    except Exception as error:  # noqa: BLE001 - whatever one raises, the other raises, too
        told = (type(error),)
    return {"sent": sent, "told": told, "absorbed": dict(shield.failures)}


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scope=scopes,
    asked=received,
    answered=messages,
    added=st.sampled_from([None, [(b"ratelimit", b"x")]]),
    how=st.fixed_dictionaries({"wraps": st.booleans(), "named": st.booleans(), "limited": st.booleans()}),
)
def test_the_same_is_sent_and_seen(
    passage_twin: Any, scope: dict[str, Any], asked: list[Any], answered: list[Any], added: Any, how: dict[str, bool]
):
    plain = pass_through(SlottedDoor, SlottedPassage, scope, asked, answered, added, **how)
    quick = pass_through(passages.CompiledDoor, passages.CompiledPassage, scope, asked, answered, added, **how)

    assert quick == plain


def test_what_a_host_answers_with_again_and_again_is_not_changed(passage_twin: Any):
    """Given an answer that a host keeps; when headers are added to it; then its own has none of them."""
    kept = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}

    for door, passage in ((SlottedDoor, SlottedPassage), (passages.CompiledDoor, passages.CompiledPassage)):
        told = pass_through(door, passage, scope, [], [kept], [(b"ratelimit", b"x")], wraps=False)
        assert told["sent"][0][1]["headers"] == [(b"a", b"b"), (b"ratelimit", b"x")]
    assert kept["headers"] == [(b"a", b"b")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scope=st.dictionaries(
        st.sampled_from(["type", "path", "root_path"]),
        st.sampled_from(
            ["http", "websocket", "lifespan", "", "/", "/api/x", "/hooks/stripe", "/items", "/portal/", None, 5]
        ),
    ),
    wraps=st.booleans(),
    running=st.booleans(),
)
def test_the_doorkeeper_sends_nobody_past_a_door_of_ours(
    passage_twin: Any, scope: dict[str, Any], wraps: bool, running: bool
):
    """Given any scope; then what is not asked about is a request of the host that no door of ours could be for."""
    asked: list[Any] = []

    class Life:
        def __init__(self) -> None:
            self.running = running

    keeper = passage_twin.Doorkeeper(Life(), mount.OWN_PREFIXES, lambda scope: asked.append(scope) or "door")
    found = keeper(UserDict(scope) if wraps else scope)

    usual = (
        running
        and not wraps
        and scope.get("type") == "http"
        and not scope.get("root_path")
        and isinstance(scope.get("path"), str)
        and not scope["path"].startswith(mount.OWN_PREFIXES)
    )
    assert (found, len(asked)) == ((None, 0) if usual else ("door", 1))


class Odd:
    """A value that no server sends, which runs code of its own when it is looked at."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope

    def __bool__(self) -> bool:
        self.scope["headers"] = []
        raise KeyError

    def __eq__(self, other: object) -> bool:
        raise KeyError

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["type", "root_path", "path", "method", "client", "headers"])
def test_what_no_server_sends_is_asked_of_python(passage_twin: Any, name: str):
    """Given a value that raises when it is looked at; then the doorkeeper asks, and a passage fails as Python does."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [(b"a", b"b")]}
    scope["client"] = ("::1", 1)
    scope[name] = Odd(scope)
    keeper = passage_twin.Doorkeeper(SimpleNamespace(running=True), mount.OWN_PREFIXES, lambda _scope: "asked")
    assert keeper(scope) == ("asked" if name in ("type", "root_path", "path") else None)

    told = [
        pass_through(door, passage, scope, [], [], None, wraps=False)
        for door, passage in ((SlottedDoor, SlottedPassage), (passages.CompiledDoor, passages.CompiledPassage))
    ]
    assert told[0] == told[1]


def test_a_message_of_an_odd_type_is_handed_on(passage_twin: Any):
    odd = {"type": Odd({}), "body": b"1"}
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    for door, passage in ((SlottedDoor, SlottedPassage), (passages.CompiledDoor, passages.CompiledPassage)):
        told = pass_through(door, passage, scope, [], [odd], None, wraps=False)
        assert (len(told["sent"]), told["absorbed"]) == (1, {"middleware": 1})
