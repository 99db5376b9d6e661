"""What cannot be a tenant id is refused wherever a host names one, by the same error: nothing is kept under it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from inspect import isawaitable

import pytest

from custodes import Custodes
from custodes.errors import ConfigurationError, InvalidInput
from custodes.planes.identity.model import Role
from custodes.planes.metrics.model import Kind
from custodes.planes.traffic.report import CallReport

TENANT = "Acme GmbH"

ENTRIES: dict[str, Callable[[Custodes], Awaitable[object] | object]] = {
    "log_webhook_event": lambda c: c.inbound.log_webhook_event("shop", "order", b"{}", tenant=TENANT),
    "emit": lambda c: c.outbound.emit("order.paid", {}, tenant=TENANT),
    "create_endpoint": lambda c: c.outbound.create_endpoint("https://example.com/", tenant=TENANT),
    "forward_to": lambda c: c.outbound.forward_to("shop", "https://example.com/", tenant=TENANT),
    "block_identifier": lambda c: c.ratelimit.block_identifier("192.0.2.1", reason="", actor="me", tenant=TENANT),
    "add_to_list": lambda c: c.ratelimit.add_to_list("deny", "192.0.2.1", actor="me", reason="", tenant=TENANT),
    "create_rule": lambda c: c.ratelimit.create_rule(limits="5/minute", name="login", actor="me", tenant=TENANT),
    "check_rate_limit": lambda c: c.ratelimit.check_rate_limit("192.0.2.1", tenant=TENANT),
    "monitor": lambda c: c.traffic.monitor("report", tenant=TENANT),
    "log_api_call": lambda c: c.traffic.log_api_call(
        CallReport(method="GET", route="/", status=200, total_us=1, tenant=TENANT)
    ),
    "log_audit_event": lambda c: c.audit.log_audit_event("a.b", actor="user:1", tenant=TENANT),
    "record": lambda c: c.metrics.record(Kind.GAUGE, "size", 1, tenant=TENANT),
    "profiles.create": lambda c: c.identity.profiles.create("ann", role=Role.ADMIN, tenant=TENANT),
}


async def asked(custodes: Custodes, entry: str) -> None:
    answer = ENTRIES[entry](custodes)
    if isawaitable(answer):
        await answer


@pytest.mark.parametrize("entry", ENTRIES)
async def test_a_tenant_that_cannot_be_is_refused(entry: str, sqlite_url: str) -> None:
    """Given a host that passes the name of a customer on, Then it is told what a tenant id looks like."""
    custodes = Custodes(sqlite_url)
    await custodes.open()
    try:
        with pytest.raises(InvalidInput, match=re.compile("tenant", re.IGNORECASE)) as refused:
            await asked(custodes, entry)
        assert re.search("1.*64 of A.Z|a tenant id", f"{refused.value.remedy} {refused.value.message}")
    finally:
        await custodes.close()


def test_so_is_the_default_tenant() -> None:
    with pytest.raises(ConfigurationError, match="default_tenant"):
        Custodes("sqlite://", default_tenant=TENANT)
