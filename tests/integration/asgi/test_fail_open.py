"""Whatever fails of ours, the host answers as if we were not there.

Every hook, store and callback of ours that a request meets is made to raise, to cancel itself, to hang or to answer
rubbish, one after another. Each time the host's whole conversation has to be the one it holds without us, and has to
end in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from custodes import Identity, name_caller
from custodes.app import Custodes
from custodes.asgi import middleware
from custodes.kernel.tenant import UNACCEPTABLE_TENANT
from custodes.runtime.shield import TRIPS_AFTER
from custodes.runtime.system_clock import SystemClock
from custodes.testing.asgi import converse, http_scope
from custodes.testing.clock import FakeClock

#: Hosts to compare: an answer in one piece, a stream, a background task, an exception, an upload, a WebSocket.
CHOSEN = {
    "json",
    "404",
    "unhandled exception",
    "background task",
    "stream",
    "exception in a stream",
    "events until the client leaves",
    "big upload",
    "BaseHTTPMiddleware",
    "websocket",
    "websocket, host refuses",
    "raw, trailers",
}

#: Longest that a hook may hold a request here, milliseconds.
HOOK_LIMIT_MS = 20


class Bug(Exception):
    """Ours."""


def raises(*_: Any, **__: Any) -> Any:
    raise Bug


def cancels_itself(*_: Any, **__: Any) -> Any:
    raise asyncio.CancelledError


def rubbish(*_: Any, **__: Any) -> Any:
    return object()


async def raises_later(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(0)
    raise Bug


async def cancels_itself_later(*_: Any, **__: Any) -> Any:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def rubbish_later(*_: Any, **__: Any) -> Any:
    return object()


async def hangs(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


async def hangs_stubbornly(*_: Any, **__: Any) -> Any:
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            continue


AT_ONCE = [raises, cancels_itself, rubbish]
LATER = [raises_later, cancels_itself_later, rubbish_later, hangs, hangs_stubbornly]


class Broken:
    """Something every part of which fails."""

    def __getattr__(self, name: str) -> Any:
        raise Bug


class Clock(SystemClock):
    """A clock that breaks when it is told to."""

    def __init__(self) -> None:
        self.failure: Callable[[], Any] | None = None
        self.broken = False

    def now(self) -> int:
        return self.failure() if self.failure and self.broken else super().now()

    def monotonic(self) -> int:
        return self.failure() if self.failure and self.broken else super().monotonic()

    def ticks(self) -> int:
        return self.monotonic() * 1_000


Patch = Callable[[Any, str, Any], None]


def break_identify(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes, "identify", failure)


def break_limiter(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.ratelimit, "check", failure)


def break_verdict(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.ratelimit, "check", lambda exchange: Broken())


def break_release(custodes: Custodes, failure: Any, patch: Patch) -> None:
    class Verdict:
        allowed, headers, problem, rule, release = True, [], (429, b""), "", staticmethod(failure)

    patch(custodes.ratelimit, "check", lambda exchange: Verdict())


def break_recorder(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.traffic, "record", failure)


def break_addresses(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.addresses, "client", failure)


def break_randomness(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes, "trace_bits", failure)


def break_clock(custodes: Custodes, failure: Any, patch: Patch) -> None:
    _ = custodes.metrics  # made before: what it remembers of a broken clock would fail its end, not the host's requests
    patch(custodes.clock, "failure", failure)


def break_clock_while_weighed(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(middleware, "turns", lambda: itertools.repeat(True))
    break_clock(custodes, failure, patch)


def break_inbound(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.inbound, "source", failure)


def break_start(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes, "start", failure)


def break_bus(custodes: Custodes, failure: Any, patch: Patch) -> None:
    patch(custodes.bus, "emit", failure)


FAULTS = [
    *((break_identify, failure) for failure in AT_ONCE + LATER),
    *((break_limiter, failure) for failure in AT_ONCE + LATER),
    (break_verdict, raises),
    *((break_release, failure) for failure in AT_ONCE + LATER),
    *((break_recorder, failure) for failure in AT_ONCE),
    *((break_addresses, failure) for failure in AT_ONCE),
    *((break_randomness, failure) for failure in AT_ONCE),
    *((break_clock, failure) for failure in AT_ONCE),
    (break_clock_while_weighed, raises),
    *((break_inbound, failure) for failure in AT_ONCE),
    *((break_start, failure) for failure in AT_ONCE + LATER),
    (break_bus, raises),
]


@pytest.mark.parametrize(("break_it", "failure"), FAULTS, ids=lambda part: part.__name__)
async def test_a_failure_of_ours_changes_nothing(
    break_it: Any, failure: Any, custodes_of: Any, cases: list[Any], monkeypatch: pytest.MonkeyPatch
):
    clock = Clock()
    custodes: Custodes = custodes_of(clock=clock, hook_limit_ms=HOOK_LIMIT_MS)
    break_it(custodes, failure, monkeypatch.setattr)
    for case in cases:
        if case.name not in CHOSEN:
            continue
        # Given what the host says on its own
        bare = await converse(case.host(), case.scope(), copy.deepcopy(case.messages), **case.leaving)

        # When it is watched by an install of which one part is broken
        app = custodes.wrap(case.host())
        clock.broken = True
        async with asyncio.timeout(60):
            watched = await converse(app, case.scope(), copy.deepcopy(case.messages), **case.leaving)
        clock.broken = False

        # Then it says the same, however long what is broken hangs
        assert watched.sent == bare.sent, case.name
        assert (type(watched.error), str(watched.error)) == (type(bare.error), str(bare.error)), case.name
    with contextlib.suppress(Exception):  # what is broken may break this too; a host's shutdown is shielded from it
        await custodes.stop()


async def test_what_failed_is_counted(custodes_of: Any):
    custodes: Custodes = custodes_of(identify=raises)
    custodes.traffic.record = raises

    await converse(custodes.wrap(_answers), http_scope())

    assert custodes.shield.failures["identify"] == 1
    assert custodes.shield.failures["recorder"] == 1


async def test_a_store_that_cannot_be_opened_stops_nobody(custodes_of: Any, tmp_path: Any):
    # Given a database where none can be
    custodes: Custodes = custodes_of(database_url=f"sqlite:///{tmp_path}/no/such/place/custodes.db")

    answer = await converse(custodes.wrap(_answers), http_scope())

    assert answer.status == 204


async def test_a_hanging_hook_is_soon_no_longer_waited_for(custodes_of: Any, clock: FakeClock):
    """Given a hook that hangs, when it was waited for three times, then it is left alone for a while."""
    waited: list[Any] = []

    async def identify(scope: Any) -> Identity:
        waited.append(scope)
        return await hangs()

    custodes: Custodes = custodes_of(identify=identify, hook_limit_ms=HOOK_LIMIT_MS, clock=clock)
    app = custodes.wrap(_answers)

    for _ in range(200):
        assert (await converse(app, http_scope())).status == 204

    assert len(waited) == TRIPS_AFTER


async def test_who_calls_is_known_when_identify_answers(custodes_of: Any):
    async def identify(scope: Any) -> Identity:
        await asyncio.sleep(0)
        return Identity(user="u1", api_key="k1", tenant="acme")

    seen: list[tuple[str, str, str]] = []
    custodes: Custodes = custodes_of(identify=identify)
    custodes.traffic.record = lambda exchange: seen.append((exchange.user, exchange.api_key, exchange.tenant))

    await converse(custodes.wrap(_answers), http_scope())

    assert seen == [("u1", "k1", "acme")]


@pytest.mark.parametrize(
    ("named", "tenant"),
    [
        ("acme", "acme"),
        (42, "42"),
        (0, "0"),
        ("", "default"),
        (None, "default"),
        ("Acme GmbH", UNACCEPTABLE_TENANT),
        ("acme/eu", UNACCEPTABLE_TENANT),
        (object(), UNACCEPTABLE_TENANT),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
async def test_what_is_no_tenant_id_is_nobody_elses(custodes_of: Any, *, named: Any, tenant: str, inside: bool):
    """Given a host that names a tenant, before or while it answers, then nothing of it is told as the default one's."""

    async def host(scope: Any, receive: Any, send: Any) -> None:
        name_caller(tenant=named if inside else "")
        await _answers(scope, receive, send)

    seen: list[str] = []
    custodes: Custodes = custodes_of(identify=None if inside else lambda _scope: Identity(tenant=named))
    custodes.traffic.record = lambda exchange: seen.append(exchange.tenant)

    assert (await converse(custodes.wrap(host), http_scope())).status == 204

    assert seen == [tenant]
    assert custodes.shield.failures.get("tenant", 0) == (tenant == UNACCEPTABLE_TENANT)


async def _answers(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
