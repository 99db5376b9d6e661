"""What belongs to one tenant does not exist for another: every route that reads, with rows in every table.

The routes come from the document, so a new route is crawled the day it is written; one that shows nothing of its own
tenant's rows fails, too, until there are rows for it here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

from custodes import Custodes
from custodes.asgi.ingress import Ingress
from custodes.kernel.clock import MINUTE
from custodes.kernel.signals import FailureSignal
from custodes.planes.identity.model import LOCAL, Method, Principal, Role
from custodes.storage.sql.database import connection_of
from custodes.storage.sql.tables.inbound import webhook_completeness
from custodes.testing.admin import key_for
from custodes.testing.asgi import body, converse, http_scope
from custodes.testing.clock import FakeClock
from custodes.testing.webhooks import signed_webhook

API = "/api/admin/enterprise"

#: In every row of the other tenant, and nowhere else.
MARK = "zqmark"

#: What a route needs to be asked for.
ASKED: dict[str, dict[str, str]] = {
    "audit_get_audit_actor": {"actor": f"user:{MARK}"},
    "metrics_get_series": {"name": f"{MARK}.metric", "by": "place"},
    "metrics_get_top": {"name": f"{MARK}.metric", "by": "place"},
    "ratelimit_check_rule": {"limits": "1/minute"},
}

#: What tells no names of rows, to nobody: figures, health, what belongs to the install; and a stream, which has tests
#: of its own (`test_live.py`).
NAMELESS = {
    "alerts_list_sinks", "audit_audit_catalogue", "live_follow", "metrics_health", "outbound_list_webhook_event_types",
    "outbound_webhook_delivery_analytics", "overview_overview", "ratelimit_check_rule",
    "ratelimit_get_rate_limit_engine", "retention_list_retention_policies", "retention_list_retention_runs",
    "session_me", "traffic_get_api_latency",
}  # fmt: skip


@pytest.fixture
async def filled(
    custodes: Custodes, client: httpx2.AsyncClient, clock: FakeClock
) -> AsyncIterator[tuple[dict[str, str], dict[str, str]]]:
    """Rows of the tenant ``other`` in every table; the keys of its owner and of acme's."""
    other, acme = await key_for(custodes, Role.OWNER, "other"), await key_for(custodes, Role.OWNER, "acme")
    custodes.source(f"{MARK}src", ["whsec_of_the_other"], kind="stripe", tenant="other")
    custodes.limit("1/minute", by="user", route="/shared/*", name="shared")

    async def send(path: str, asked: dict[str, Any]) -> dict[str, Any]:
        answer = await client.post(API + path, headers=other, json=asked)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    await send("/ingest/metrics", {"items": [
        {"kind": "gauge", "name": f"{MARK}.metric", "value": 3, "labels": {"place": MARK}}]})  # fmt: skip
    await send("/ingest/audit-events", {"items": [{"action": f"{MARK}.done", "actor": f"user:{MARK}"}]})
    await send("/ingest/api-calls", {"items": [
        {"method": "GET", "route": f"/{MARK}/api", "status": 500, "duration_us": 9, "error_type": f"{MARK}Error",
         "user": MARK}]})  # fmt: skip
    await send("/ingest/webhook-events", {"items": [{"event_type": f"{MARK}.event", "payload": {"x": MARK}}]})
    endpoint = {"url": f"https://{MARK}.example.com/", "event_types": ["*"], "description": MARK}
    await send("/webhook-configurations", endpoint)
    await send("/webhook-portal-links", {"note": MARK})
    await send("/alert-rules", {"name": MARK, "metric": f"{MARK}.metric", "comparator": ">=", "threshold": 1})
    await send("/saved-views", {"name": MARK, "place": "/api", "shared": True})
    await send("/rate-limits/blocks", {"identifier": f"{MARK}1", "kind": "user", "reason": MARK})
    await send("/rate-limits/lists", {"effect": "allow", "identifier": f"{MARK}2", "kind": "user", "reason": MARK})
    await send("/rate-limits/rules", {"limits": "5/minute", "name": f"{MARK}rule", "route": f"/{MARK}"})
    await custodes.outbound.emit(f"{MARK}.emitted", {"x": MARK}, tenant="other")
    for _ in range(3):
        await custodes.ratelimit.check_rate_limit(MARK, "user", "/shared/x", tenant="other")
    signed = signed_webhook(
        "stripe", f'{{"id": "evt_{MARK}", "type": "invoice.paid"}}', "whsec_of_the_other", now=clock.now()
    )
    for sent in (signed.body, b"{}"):
        scope = http_scope(f"/hooks/{MARK}src", "POST", headers=signed.headers)
        await converse(Ingress(custodes), scope, body(sent))
    failed = FailureSignal(at=clock.now(), tenant="other", system=MARK, name="x.failed", summary=MARK)
    custodes.alerts.on_failure(failed)
    await custodes.alerts.write_events()
    proven = {"tenant_id": "other", "source": f"{MARK}src", "cursor": "", "fetched": 0, "lost": 0, "error": "",
              "silent_expected": 0}  # fmt: skip
    await custodes.database.write(lambda tx: connection_of(tx).execute(insert(webhook_completeness).values(**proven)))
    made = await custodes.identity.profiles.create(f"{MARK}user", role=Role.ADMIN, issuer=LOCAL, tenant="other")
    who = Principal(
        profile_id=made.profile.id, subject=f"{MARK}user", role=Role.ADMIN, tenant="other", method=Method.HOST
    )
    await custodes.identity.keys.create(MARK, owner=who)
    login = {"username": f"{MARK}user", "password": made.one_time_password}
    assert (await client.post(f"{API}/login", json=login, headers={"User-Agent": MARK})).status_code == 200
    client.cookies.clear()
    clock.advance(MINUTE)
    for plane in (custodes.traffic, custodes.metrics, custodes.ratelimit, custodes.inbound):
        await plane.flush()
    yield other, acme
    await custodes.inbound.stop()


async def test_nothing_of_a_tenant_is_read_by_another(
    app: FastAPI, client: httpx2.AsyncClient, filled: tuple[dict[str, str], dict[str, str]]
):
    """Given an owner of acme who reads whatever can be read, then nothing of other's is told or exists."""
    other, acme = filled
    gets = {item["get"]["operationId"]: path for path, item in app.openapi()["paths"].items() if "get" in item}
    ids: set[str] = set()
    blind: set[str] = set()
    leaks: set[str] = set()
    for name, path in gets.items():
        if "{" in path or name == "live_follow":
            continue
        asked = ASKED.get(name, {})
        theirs, ours = [await client.get(path, headers=who, params=asked) for who in (other, acme)]
        told, leaked = theirs.text, ours.text
        for said in asked.values():  # what was asked for is said again in some answers
            told, leaked = told.replace(said, ""), leaked.replace(said, "")
        if MARK not in told:
            blind.add(name)
        if MARK in leaked or '"other"' in leaked:
            leaks.add(name)
        if theirs.headers["content-type"] == "application/json" and isinstance(theirs.json(), dict):
            items = theirs.json().get("items")
            ids |= {item["id"] for item in items or [] if MARK in str(item) and "id" in item}
    seen: set[str] = set()
    for name, path in gets.items():
        for each in ids if "{" in path else ():
            exact = re.sub(r"\{[^}]+\}", each, path)
            if (await client.get(exact, headers=other)).status_code == 200:
                seen.add(name)
                if (await client.get(exact, headers=acme)).status_code != 404:
                    leaks.add(name)
    assert leaks == set()
    assert blind == NAMELESS - {"live_follow"}
    assert seen == {name for name, path in gets.items() if "{" in path} - {"traces_get_trace"}
