"""The observer does not change the observed: the same bytes, the same messages, the same exceptions."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from custodes.app import Custodes
from custodes.testing.asgi import Conversation, body, converse, http_scope


async def held(app: Any, case: Any) -> Conversation:
    return await converse(app, case.scope(), copy.deepcopy(case.messages), **case.leaving)


def assert_same(watched: Conversation, bare: Conversation) -> None:
    assert watched.sent == bare.sent
    assert type(watched.error) is type(bare.error)
    assert str(watched.error) == str(bare.error)


async def test_every_host_answers_as_if_nobody_watched(case: Any, custodes: Custodes):
    # Given a conversation with the bare host
    bare = await held(case.host(), case)

    # When it is held again through Custodes
    watched = await held(custodes.wrap(case.host()), case)

    # Then not one message differs, and nothing of ours went wrong on the way
    assert_same(watched, bare)
    assert not any(custodes.shield.failures.values()) or case.name == "raw, message without a type"


async def test_the_same_holds_when_installed_in_place(starlette_case: Any, custodes: Custodes):
    bare = await held(starlette_case.host(), starlette_case)

    host = starlette_case.host()
    custodes.install(host)

    assert_same(await held(host, starlette_case), bare)


async def test_what_passed_is_recorded_as_it_was(case: Any, custodes: Custodes, recorded: list[dict[str, Any]]):
    await held(custodes.wrap(case.host()), case)

    (row,) = recorded
    assert (row["route"], row["status"]) == (case.route, case.status)
    for name, expected in case.record.items():
        assert (type(row[name]) if isinstance(expected, type) else row[name]) == expected, name
    assert row["total_us"] >= row["ttfb_us"] >= 0
    assert row["background_us"] >= 0


async def test_requests_at_the_same_time_do_not_mix(custodes: Custodes, recorded: list[dict[str, Any]]):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        data = (await receive())["body"]
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200 + len(data), "headers": []})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": data * 2})

    wrapped = custodes.wrap(app)
    await asyncio.gather(*(converse(wrapped, http_scope(f"/{n}", "POST"), body(b"x" * n)) for n in range(50)))

    assert {(row["path"], row["request_bytes"], row["response_bytes"], row["status"]) for row in recorded} == {
        (f"/{n}", n, 2 * n, 200 + n) for n in range(50)
    }
    assert len({row["trace_id"] for row in recorded}) == 50


async def test_the_hosts_own_lists_are_never_added_to(custodes_of: Any, cases: list[Any]):
    custodes = custodes_of(trace_response=True)
    case = next(case for case in cases if case.name == "one response object for all")
    app = custodes.wrap(case.host())

    answers = [await held(app, case) for _ in range(3)]

    assert [len(answer.sent[0]["headers"]) for answer in answers] == [3, 3, 3]
    assert len({answer.headers[b"traceresponse"] for answer in answers}) == 3


async def test_when_everything_is_switched_off_the_hosts_own_callables_are_what_it_gets(custodes_of: Any):
    custodes = custodes_of(enterprise_monitoring_enabled=False, rate_limiting_enabled=False)
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend((receive, send))

    async def receive() -> Any: ...

    async def send(message: Any) -> None: ...

    await custodes.wrap(app)(http_scope(), receive, send)

    assert got == [receive, send]


async def test_a_context_variable_of_the_host_survives_and_ours_is_taken_back(custodes: Custodes):
    from contextvars import ContextVar

    from custodes import current_trace

    variable: ContextVar[str] = ContextVar("hosts")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        variable.set("set by the host")
        assert current_trace() is not None

    await custodes.wrap(app)(http_scope(), None, None)

    assert variable.get() == "set by the host"
    assert current_trace() is None


async def test_a_cancelled_request_is_cancelled_and_recorded(custodes: Custodes, recorded: list[dict[str, Any]]):
    under_way = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        under_way.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(converse(custodes.wrap(app), http_scope()))
    await under_way.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert (recorded[0]["disconnected"], recorded[0]["status"], recorded[0]["error"]) == (True, 0, None)


async def test_the_exception_is_let_go_after_it_was_recorded(custodes: Custodes):
    import gc
    import weakref

    class Held:
        pass

    references: list[weakref.ref[Held]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held = Held()
        references.append(weakref.ref(held))
        raise ValueError(held)

    gc.disable()
    try:
        answer = await converse(custodes.wrap(app), http_scope())
        answer.error = None
        assert references[0]() is None
    finally:
        gc.enable()
