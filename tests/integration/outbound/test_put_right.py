"""A clock that ran ahead for a while, and was put right."""

from __future__ import annotations

import contextlib

import pytest
from tests.integration.outbound.conftest import ENGINES, Receiver, opened

from custodes import Custodes
from custodes.errors import SignatureRefused
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.planes.audit.model import AuditEntry
from custodes.testing import signed_webhook
from custodes.testing.clock import FakeClock

both_engines = pytest.mark.parametrize("engine", ENGINES)


@both_engines
@pytest.mark.parametrize("ahead", [HOUR, 30 * DAY])
async def test_what_is_counted_then_stands_at_the_right_time_and_nothing_is_lost(
    custodes: Custodes, receiver: Receiver, clock: FakeClock, ahead: int
) -> None:
    """Given webhooks in, out and refused that were counted before and while a clock ran ahead, When it is put right and
    others follow, Then the figures have each once, and those of the time that it is have those that came in it."""
    custodes.source("stripe", ["whsec_test"])
    source = custodes.inbound.source("stripe")
    await custodes.outbound.create_endpoint(receiver.url)
    count = 0

    async def webhook() -> None:
        nonlocal count
        count += 1
        event = {"id": f"evt_{count}", "type": "invoice.paid"}
        for secret in ("whsec_test", "whsec_other"):
            signed = signed_webhook("stripe", event, secret, now=clock.now())
            with contextlib.suppress(SignatureRefused):
                await custodes.inbound.receive(source, signed.request, trace_id="", client_ip="203.0.113.9")
        await custodes.outbound.emit("order.paid", {})
        await custodes.outbound.worker.run_due()

    async def counted(until: int) -> tuple[int, int, int]:
        await custodes.inbound.flush()
        await custodes.outbound.flush()
        since = began - began % DAY
        came = await custodes.inbound.get_webhook_analytics(since=since, until=until)
        went = await custodes.outbound.get_delivery_analytics(since=since, until=until)
        return came.total.received, came.total.refused, went.total.succeeded

    began = clock.now()
    await webhook()
    clock.jump(ahead)
    await webhook()
    await custodes.inbound.flush()
    await webhook()  # nobody has written it when the clock is put right
    clock.jump(-ahead)
    for _ in range(4):
        clock.advance(SECOND)
        await webhook()

    here = 7 if (began + ahead) // DAY == began // DAY else 5
    assert await counted(began - began % DAY + DAY) == (here, here, here)
    assert await counted(began + 40 * DAY) == (7, 7, 7)


async def sign_in(custodes: Custodes, outcome: str = "success") -> AuditEntry:
    return await custodes.audit.log_audit_event("auth.login", actor="user:42", ip="198.51.100.7", outcome=outcome)


@both_engines
async def test_failures_in_the_future_make_no_sign_in_suspicious(
    custodes: Custodes, database_url: str, clock: FakeClock
) -> None:
    """Given failed sign-ins by a clock that was a day ahead, When it is put right and the actor signs in, Then that is
    nothing to look at, however close it comes to that moment."""
    async with opened(database_url, FakeClock(clock.now() + DAY)) as ahead:
        for _ in range(5):
            await sign_in(ahead, "failure")
    for _ in range(3):
        assert not (await sign_in(custodes)).flagged
        clock.advance(6 * HOUR)


@both_engines
async def test_what_others_saw_is_asked_for_after_a_clock_was_put_right(
    custodes: Custodes, database_url: str, clock: FakeClock
) -> None:
    """Given an actor who was judged while the clock was a day ahead, When it is put right, his sign-ins fail at another
    process and one succeeds here, Then that is a success after an attack."""
    clock.jump(DAY)
    await sign_in(custodes)
    clock.jump(-DAY)
    async with opened(database_url, clock) as another:
        for _ in range(5):
            clock.advance(SECOND)
            await sign_in(another, "failure")
    clock.advance(2 * SECOND)
    assert (await sign_in(custodes)).flagged
