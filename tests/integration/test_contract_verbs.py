"""The verbs of the contract, called from code: bad values get a typed error, ranges have one default."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from custodes import Custodes
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY
from custodes.planes.inbound.model import Status
from custodes.testing.clock import FakeClock

WHO = {"reason": "r", "actor": "a"}


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    install = Custodes(sqlite_url, clock=clock)
    await install.open()
    yield install
    await install.close()


#: What is wrong, and what the error says.
WRONG: list[tuple[Callable[[Custodes], Awaitable[Any]], str]] = [
    (lambda c: c.ratelimit.check_rate_limit("x", "email", "/login"), "'email' is no kind of identifier"),
    (lambda c: c.ratelimit.block_identifier("x", "email", **WHO), "no kind of identifier"),
    (lambda c: c.ratelimit.unblock_identifier("x", "usr", actor="a"), "did you mean user"),
    (lambda c: c.ratelimit.get_blocked_identifiers(kind="email"), "no kind of identifier"),
    (lambda c: c.ratelimit.add_to_list("gray", "203.0.113.9", **WHO), "'gray' is no list"),
    (lambda c: c.ratelimit.list_access("gray"), "no list"),
    (lambda c: c.inbound.log_webhook_event("shop", "order", {"a": object()}), "cannot be written as JSON"),
    (lambda c: c.inbound.log_webhook_event("shop", "order", {"a": float("nan")}), "cannot be written as JSON"),
    (lambda c: c.inbound.log_webhook_event("shop", "order", "half: \ud800"), "cannot be written as JSON"),
    (lambda c: c.inbound.log_webhook_event("shop", "order", b"", status="done"), "'done' is no status"),
    (lambda c: c.inbound.update_webhook_status("some", "succeded"), "did you mean succeeded"),
]


async def test_a_value_that_there_is_not_is_refused_in_words(custodes: Custodes):
    for verb, said in WRONG:
        with pytest.raises(InvalidInput, match=said):
            await verb(custodes)


async def test_a_status_may_be_written_as_text(custodes: Custodes):
    logged = await custodes.inbound.log_webhook_event("shop", "order", b"{}", status="received")

    updated = await custodes.inbound.update_webhook_status(logged.id, "failed", error="x")

    assert (logged.status, updated.status) == (Status.RECEIVED, Status.FAILED)


async def test_an_analysis_is_of_the_last_day_unless_it_is_told_otherwise(custodes: Custodes, clock: FakeClock):
    analyses = (
        custodes.inbound.get_webhook_analytics,
        custodes.ratelimit.get_rate_limit_analytics,
        custodes.traffic.get_api_analytics,
        custodes.audit.get_audit_analytics,
    )

    found = [await analyse() for analyse in analyses]

    # Some are widened to a whole step.
    assert {round((one.until - one.since) / DAY, 1) for one in found} == {1.0}
    assert list(await custodes.traffic.get_slow_endpoints()) == []


async def test_an_empty_range_is_refused_by_all(custodes: Custodes):
    for analyse in (
        custodes.inbound.get_webhook_analytics,
        custodes.ratelimit.get_rate_limit_analytics,
        custodes.traffic.get_api_analytics,
        custodes.traffic.get_slow_endpoints,
        custodes.audit.get_audit_analytics,
    ):
        with pytest.raises(InvalidInput, match="range is empty"):
            await analyse(since=10, until=5)
