"""After a request: what is kept of it, and what still answers."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import weakref
from typing import Any

import pytest

from custodes.app import Custodes
from custodes.asgi.observation import MAX_PATH, MAX_USER_AGENT
from custodes.planes.traffic.model import CALL_FIELDS
from custodes.runtime.current import current_trace
from custodes.testing.asgi import converse, http_scope


async def answers(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class OfTheRequest:
    """Something that the host hangs on a request: a database session."""


@pytest.mark.parametrize("fails", [False, True])
async def test_nothing_of_the_hosts_is_kept_while_the_row_waits(custodes: Custodes, fails: bool):
    # Given a host that hangs something on each request
    async def host(scope: Any, receive: Any, send: Any) -> None:
        session = scope["state"]["session"] = OfTheRequest()
        seen.append(weakref.ref(session))
        await answers(scope, receive, send)
        if fails:
            raise RuntimeError

    seen: list[weakref.ref[OfTheRequest]] = []

    # When it was answered, and nothing was flushed yet
    await converse(custodes.wrap(host), http_scope("/"))
    gc.collect()

    # Then it is gone, and the request counts all the same
    (session,) = seen
    assert session() is None
    assert custodes.traffic._recorder.recorded == 1


async def test_long_paths_and_headers_are_not_kept_while_the_row_waits(custodes: Custodes):
    """Given paths of 60 kB and headers of 1 MB, as servers take them; when hundreds wait; then they are cut."""
    app = custodes.wrap(answers)
    for number in range(300):  # more than are folded at once
        headers = [
            (b"traceparent", b"%d" % number * 100_000),
            (b"tracestate", b"a=%d" % number * 100_000),
            (b"user-agent", b"%d" % number * 100_000),
        ]
        await converse(app, http_scope(f"/{number}{'ä' * 60_000}", headers=headers))

    recorder = custodes.traffic._recorder
    assert 0 < len(recorder._fresh) < 300
    for seen in recorder._fresh:
        assert sum(len(text or b"") for text in (seen.parent, seen.state, seen.agent)) <= MAX_USER_AGENT
        assert len(seen.path) == MAX_PATH
    rows = recorder.calls.take()
    assert {len(row[CALL_FIELDS.index("path")]) for row in rows} == {MAX_PATH}
    assert rows[7][CALL_FIELDS.index("path")].startswith("/7ä")


async def test_a_task_that_outlives_its_request_has_the_trace_of_the_row(
    custodes: Custodes, recorded: list[dict[str, Any]]
):
    # Given a host that leaves a task behind, which asks for its trace later
    over = asyncio.Event()
    tasks: list[asyncio.Task[str]] = []

    async def later() -> str:
        await over.wait()
        trace = current_trace()
        assert trace is not None
        return trace.trace_id

    async def host(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.create_task(later()))
        await answers(scope, receive, send)

    # When the request was recorded before anybody asked
    await converse(custodes.wrap(host), http_scope("/"))
    over.set()

    # Then both have the same one
    assert await tasks[0] == recorded[0]["trace_id"]


async def test_a_request_that_the_program_ends_in_is_not_kept(custodes: Custodes, monkeypatch: pytest.MonkeyPatch):
    """Given a host that fails, and a program that is ended while that is recorded; then nothing of the host is kept."""

    async def host(scope: Any, receive: Any, send: Any) -> None:
        session = OfTheRequest()
        seen.append(weakref.ref(session))
        raise RuntimeError

    def ends(_exchange: Any) -> None:
        raise SystemExit

    seen: list[weakref.ref[OfTheRequest]] = []
    monkeypatch.setattr(custodes.traffic, "record", ends)
    app = custodes.wrap(host)
    for _ in range(5):
        with contextlib.suppress(SystemExit):
            await asyncio.create_task(_called(app), context=contextvars.copy_context())
    gc.collect()

    assert [session() for session in seen] == [None] * 5


async def _called(app: Any) -> None:
    async def nobody(*_: Any) -> Any:
        raise AssertionError

    with contextlib.suppress(SystemExit):
        await app(http_scope(), nobody, nobody)
