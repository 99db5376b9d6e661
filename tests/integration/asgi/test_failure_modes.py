"""An engine of limits that hangs: each rule's failure mode holds, from the first request to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from custodes.app import Custodes
from custodes.kernel.window import Outcome
from custodes.runtime.shield import TRIPS_AFTER
from custodes.storage.sql.ratelimit_groups import GroupedWindows
from custodes.testing.asgi import converse, http_scope

#: More requests than the shield waits for before it lets a hanging engine rest.
REQUESTS = TRIPS_AFTER * 3


async def welcome(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"welcome"})


async def never(*_: Any) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def has_a_fault(*_: Any) -> Outcome:
    raise TypeError("a fault of the engine")


@pytest.fixture(params=[never, has_a_fault])
def custodes(
    request: pytest.FixtureRequest, custodes_of: Callable[..., Custodes], monkeypatch: pytest.MonkeyPatch
) -> Custodes:
    """Given an install whose engine never answers, or fails in a way nobody has thought of."""

    monkeypatch.setattr(GroupedWindows, "decide", request.param)
    return custodes_of(hook_limit_ms=5, rate_limit_store="sqlite")


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [
        ("closed", [503] * REQUESTS),
        ("degraded", [200, 200] + [429] * (REQUESTS - 2)),
        ("open", [200] * REQUESTS),
    ],
)
async def test_the_failure_mode_of_the_rule_decides(custodes: Custodes, mode: str, statuses: list[int]):
    custodes.limit("2/minute", by="ip", name="strict", on_failure=mode)
    app = custodes.wrap(welcome)

    answers = [(await converse(app, http_scope("/"))).status for _ in range(REQUESTS)]

    assert answers == statuses


async def test_a_decision_may_take_as_long_as_its_own_deadline_says(
    custodes_of: Callable[..., Custodes], monkeypatch: pytest.MonkeyPatch
):
    """Given an engine that takes longer than a hook may, and within the deadline that was set for it."""
    decide = GroupedWindows.decide

    async def slowly(*asked: Any) -> Outcome:
        answered = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, answered.set)
        await answered.wait()
        return await decide(*asked)

    monkeypatch.setattr(GroupedWindows, "decide", slowly)
    custodes = custodes_of(hook_limit_ms=5, rate_limit_store="sqlite", rate_limit_deadline_ms=10_000)
    custodes.limit("2/minute", by="ip", name="strict", on_failure="closed")
    app = custodes.wrap(welcome)

    answers = [(await converse(app, http_scope("/"))).status for _ in range(3)]

    # Then the engine was waited for, and not taken for one that hangs
    assert answers == [200, 200, 429]
    await custodes.ratelimit.stop()
