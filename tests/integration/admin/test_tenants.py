"""What belongs to one tenant does not exist for another: every route that reads, with rows in every table.

The routes come from the document, so a new route is crawled the day it is written; one that shows nothing of its own
tenant's rows fails, too, until there are rows for it here.
"""

from __future__ import annotations

import re

import httpx2
from fastapi import FastAPI
from tests.integration.admin.conftest import MARK

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
    "alerts_list_sinks", "audit_audit_catalogue", "live_follow", "metrics_health",
    "outbound_list_webhook_event_types", "outbound_webhook_delivery_analytics", "overview_overview",
    "ratelimit_check_rule", "ratelimit_get_rate_limit_engine", "ratelimit_get_rule_usage",
    "retention_list_retention_policies", "retention_list_retention_runs", "session_me", "traffic_get_api_latency",
}  # fmt: skip


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
