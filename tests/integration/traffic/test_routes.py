"""API calls over the admin API, with a real sign-in and the audit trail."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import SECOND
from custodes.kernel.histogram import MAX_RELATIVE_ERROR
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.traffic import exchange

API = "/api/admin/enterprise"
NOW = 1_790_035_200 * SECOND


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def custodes(sqlite_url: str, clock: FakeClock) -> AsyncIterator[Custodes]:
    made = Custodes(sqlite_url, clock=clock)
    await made.open()
    await made.audit.start()
    yield made
    await made.audit.stop()
    await made.close()


@pytest.fixture
async def client(custodes: Custodes) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("198.51.100.7", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        yield client


async def seen(custodes: Custodes, *fields: dict[str, Any]) -> None:
    for one in fields:
        custodes.traffic.record(exchange(**{"started_at": NOW - 60 * SECOND, **one}))
    await custodes.traffic.flush()


async def test_the_summary_shows_health_volume_slow_endpoints_and_errors(
    custodes: Custodes, client: httpx2.AsyncClient
):
    await seen(
        custodes,
        *[{"route": "/fast", "total_us": 2_000}] * 30,
        *[{"route": "/slow", "total_us": 700_000, "ttfb_us": 600_000}] * 3,
        {"route": "/broken", "status": 500, "error": KeyError("x")},
    )
    custodes.traffic.overhead.note(9_000)
    answer = await client.get(f"{API}/api-health", headers=await key_for(custodes))
    shown = answer.json()

    assert answer.status_code == 200
    assert shown["state"] == "healthy"
    assert shown["figures"]["requests"] == 34
    assert shown["analytics"]["totals"]["count"] == 34
    assert shown["analytics"]["totals"]["max_ms"] == 700
    assert shown["analytics"]["statuses"] == {"200": 33, "500": 1}
    assert shown["slow_endpoints"][0]["route"] == "/slow"
    assert [error["count"] for error in shown["errors"]] == [1]
    assert shown["monitor"]["recorded"] == 34
    assert shown["monitor"]["own_time"] == {"weighed": 1, "mean_ms": 0.009, "p50_ms": 0.009, "p99_ms": 0.009}


async def test_who_may_see_one_tenant_sees_that_tenant_only(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, {"tenant": "acme", "error": KeyError("x")}, {"tenant": "umbrella"}, {"tenant": "umbrella"})
    acme = await key_for(custodes, tenant="acme")
    other = (await custodes.traffic.list_calls(tenant="umbrella")).items[0]
    (group,) = (await custodes.traffic.list_error_groups()).items

    health = (await client.get(f"{API}/api-health", headers=acme)).json()
    assert (health["analytics"]["totals"]["count"], health["monitor"]) == (1, None)
    calls = (await client.get(f"{API}/api-calls", headers=acme)).json()
    assert {call["tenant"] for call in calls["items"]} == {"acme"}
    assert (await client.get(f"{API}/api-calls/{other.id}", headers=acme)).status_code == 404
    umbrella = await key_for(custodes, tenant="umbrella")
    assert (await client.get(f"{API}/api-errors/{group.id}", headers=umbrella)).status_code == 404
    assert (await client.post(f"{API}/api-errors/{group.id}/resolve", headers=umbrella)).status_code == 404
    assert (await client.get(f"{API}/api-calls?tenant=umbrella", headers=acme)).status_code == 404


async def test_what_could_be_chosen_next_is_counted(custodes: Custodes, client: httpx2.AsyncClient, monkeypatch: Any):
    await seen(
        custodes,
        *[{"route": "/a", "status": 200}] * 3,
        {"route": "/a", "status": 404},
        {"route": "/a", "method": "POST", "status": 201},
        {"route": "/b", "status": 500, "tenant": "acme"},
    )
    admin, acme = await key_for(custodes), await key_for(custodes, tenant="acme")

    async def counted(query: str = "", headers: Any = admin) -> tuple[Any, ...]:
        found = (await client.get(f"{API}/api-calls/facets{query}", headers=headers)).json()
        values = ({one["value"]: one["count"] for one in found[name]} for name in ("status", "method", "route"))
        return *values, found["total"], found["exact"], found["complete"]

    # Each count has the other filters in force, not its own
    assert await counted() == ({"2": 4, "4": 1, "5": 1}, {"GET": 5, "POST": 1}, {"/a": 5, "/b": 1}, 6, True, True)
    of_a = await counted("?route=/a&method=GET")
    assert of_a == ({"2": 3, "4": 1}, {"GET": 4, "POST": 1}, {"/a": 4, "/b": 1}, 4, True, True)
    assert (await counted("?status=404"))[0] == {"2": 4, "4": 1, "404": 1, "5": 1}
    assert await counted(headers=acme) == ({"5": 1}, {"GET": 1}, {"/b": 1}, 1, True, True)

    # When there are more than are looked at: at least so many; of what has an index it is looked further back
    monkeypatch.setattr("custodes.planes.traffic.facets.MAX_COUNTED", 2)
    assert (await counted())[3:] == (2, False, False)
    assert (await counted("?status=5"))[3:] == (1, True, False)


async def test_analytics_and_slow_endpoints_take_their_arguments(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, *[{"route": "/a"}] * 2, {"route": "/b", "method": "POST", "total_us": 9_000})
    admin = await key_for(custodes)

    narrowed = (await client.get(f"{API}/api-analytics?route=/b&step_seconds=60", headers=admin)).json()
    slow = (await client.get(f"{API}/slow-endpoints?order_by=max&min_count=2", headers=admin)).json()

    assert (narrowed["totals"]["count"], narrowed["step_seconds"]) == (1, 60)
    assert [point["at"] for point in narrowed["series"]] == ["2026-09-21T23:59:00.000000Z"]
    assert [endpoint["route"] for endpoint in slow] == ["/a"]


async def test_a_heat_map_over_the_api(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, *[{"total_us": 2_000, "ttfb_us": 1_500}] * 3, {"total_us": 700_000, "background_us": 5_000})
    admin = await key_for(custodes)

    total = (await client.get(f"{API}/api-latency?step_seconds=60", headers=admin)).json()
    late = (await client.get(f"{API}/api-latency?measure=background", headers=admin)).json()

    assert (total["timed"], total["step_seconds"], total["measure"]) == (4, 60, "total")
    assert total["bounds_ms"][0] == 2.048
    assert total["bounds_ms"][-1] == 741.455
    (point,) = total["series"]
    assert (point["counts"][0], point["counts"][-1], sum(point["counts"])) == (3, 1, 4)
    assert point["percentiles_ms"]["p50"] == pytest.approx(2.0, rel=MAX_RELATIVE_ERROR)
    assert point["percentiles_ms"]["p99_9"] == pytest.approx(700.0, rel=MAX_RELATIVE_ERROR)
    assert (late["timed"], late["percentiles_ms"]["p50"]) == (1, 5.0)


async def test_analytics_of_a_consumer_and_statuses_by_step(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, {"user": "ann"}, {"user": "ann", "status": 404}, {"user": "bob", "status": 302})
    admin = await key_for(custodes)

    everyone = (await client.get(f"{API}/api-analytics?consumers=1", headers=admin)).json()
    ann = (await client.get(f"{API}/api-analytics?user=ann", headers=admin)).json()

    assert everyone["series"][0]["statuses"] == {"200": 1, "302": 1, "404": 1}
    assert [one["name"] for one in everyone["consumers"]["user"]] == ["ann"]
    assert (ann["totals"]["count"], ann["totals"]["client_errors"], ann["totals"]["timed"]) == (2, 1, 0)


async def test_calls_are_found_by_a_text(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, {"path": "/.env", "route": None}, {"path": "/items/7"}, {"user_agent": "Nikto/2.5"})
    admin = await key_for(custodes)

    async def found(text: str) -> int:
        answer = await client.get(f"{API}/api-calls", params={"text": text}, headers=admin)
        return len(answer.json()["items"])

    assert (await found(".ENV"), await found("nikto"), await found("%"), await found("nobody")) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    "query",
    [
        "api-analytics?user=ann&client_ip=203.0.113.7",
        "api-analytics?user=ann&route=/a",
        "api-analytics?consumers=101",
        "api-latency?measure=guess",
        "api-calls?text=",
        "api-analytics?step_seconds=7",
        "api-analytics?endpoints=0",
        "api-analytics?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        "slow-endpoints?order_by=p42",
        "api-calls?cursor=rubbish",
        "api-calls?limit=0",
        "api-calls?status=9999",
        "api-errors?state=forgotten",
    ],
)
async def test_bad_arguments_are_422(custodes: Custodes, client: httpx2.AsyncClient, query: str):
    answer = await client.get(f"{API}/{query}", headers=await key_for(custodes))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_end_of_time_breaks_nothing(custodes: Custodes, client: httpx2.AsyncClient):
    admin = await key_for(custodes)
    span = "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z"

    for path in ("api-health", "api-analytics", "slow-endpoints", "api-calls"):
        assert (await client.get(f"{API}/{path}?{span}", headers=admin)).status_code == 200


async def test_calls_are_listed_page_by_page_and_one_by_one(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, *({"path": f"/items/{number}", "started_at": NOW + number} for number in range(5)))
    admin = await key_for(custodes)

    first = (await client.get(f"{API}/api-calls?limit=3", headers=admin)).json()
    second = (await client.get(f"{API}/api-calls?limit=3&cursor={first['next_cursor']}", headers=admin)).json()
    shown = [*first["items"], *second["items"]]
    one = (await client.get(f"{API}/api-calls/{shown[0]['id']}", headers=admin)).json()

    assert [call["path"] for call in shown] == [f"/items/{number}" for number in (4, 3, 2, 1, 0)]
    assert second["next_cursor"] is None
    assert one == shown[0]
    assert one["total_ms"] == 1.0


async def test_an_error_is_resolved_once_and_that_is_audited(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, {"error": KeyError("x"), "status": 500})
    admin = await key_for(custodes)
    (listed,) = (await client.get(f"{API}/api-errors", headers=admin)).json()["items"]

    resolved = await client.post(f"{API}/api-errors/{listed['id']}/resolve", headers=admin)
    again = await client.post(f"{API}/api-errors/{listed['id']}/resolve", headers=admin)
    reopened = await client.post(f"{API}/api-errors/{listed['id']}/reopen", headers=admin)
    actions = [entry.action async for entry in custodes.audit.export_entries(AuditQuery())]

    assert (resolved.status_code, again.status_code, reopened.status_code) == (200, 409, 200)
    assert resolved.json()["state"] == "resolved"
    assert resolved.json()["state_by"]
    assert reopened.json()["state"] == "open"
    assert actions.count("api_error.resolved") == 1
    assert actions.count("api_error.reopened") == 1


async def test_from_a_failed_call_to_its_error_to_how_and_where_that_occurred(
    custodes: Custodes, client: httpx2.AsyncClient
):
    # Given one kind of error at two endpoints, an hour apart, and a call that failed without an exception
    hour = 3_600 * SECOND
    raised = {"error": KeyError("x"), "status": 500}
    await seen(
        custodes,
        {**raised, "route": "/a", "started_at": NOW - hour - 60 * SECOND},
        *[{**raised, "route": "/b", "method": "POST"}] * 2,
        {"route": "/c", "status": 503},
    )
    admin = await key_for(custodes)
    newest = (await client.get(f"{API}/api-calls?route=/b", headers=admin)).json()["items"][0]
    without = (await client.get(f"{API}/api-calls?route=/c", headers=admin)).json()["items"][0]

    # When one goes on from the call
    group = (await client.get(f"{API}/api-calls/{newest['id']}/error", headers=admin)).json()
    course = f"{API}/api-errors/{group['id']}/course"
    day = (await client.get(course, headers=admin)).json()
    since = (await client.get(f"{API}/api-health", headers=admin)).json()["errors"][0]["last_seen_at"]
    lately = (await client.get(course, params={"since": since, "step_seconds": 60}, headers=admin)).json()
    none = await client.get(f"{API}/api-calls/{without['id']}/error", headers=admin)

    # Then the group of all three is found, their course, and where; of the last minutes the last two only
    assert (group["digest"], group["count"]) == (newest["error_group"], 3)
    assert (day["count"], [step["count"] for step in day["series"]]) == (3, [1, 2])
    assert [(one["method"], one["route"], one["calls"]) for one in day["endpoints"]] == [
        ("POST", "/b", 2),
        ("GET", "/a", 1),
    ]
    assert (lately["count"], lately["step_seconds"]) == (2, 60)
    assert [one["route"] for one in lately["endpoints"]] == ["/b"]
    # And what has none says so
    assert none.status_code == 404
    assert none.json()["detail"] == "No exception left the app in this call"


async def test_an_error_and_its_course_are_their_tenants_alone(custodes: Custodes, client: httpx2.AsyncClient):
    await seen(custodes, {"tenant": "acme", "error": KeyError("x")}, {"tenant": "umbrella", "error": KeyError("x")})
    acme = await key_for(custodes, tenant="acme")
    (group,) = (await custodes.traffic.list_error_groups(tenant="umbrella")).items
    (call,) = (await custodes.traffic.list_calls(tenant="umbrella")).items
    (mine,) = (await custodes.traffic.list_calls(tenant="acme")).items

    assert (await client.get(f"{API}/api-errors/{group.id}/course", headers=acme)).status_code == 404
    assert (await client.get(f"{API}/api-calls/{call.id}/error", headers=acme)).status_code == 404
    found = (await client.get(f"{API}/api-calls/{mine.id}/error", headers=acme)).json()
    assert (found["tenant"], found["count"]) == ("acme", 1)


async def test_calls_are_exported_as_lines_and_as_a_table(custodes: Custodes, client: httpx2.AsyncClient):
    """More than one page, newest first, cut at the limit; no cell can be taken for a formula."""
    await seen(
        custodes,
        *({"started_at": NOW + number, "user": "=HYPERLINK(1)", "path": f'/a,"{number}"'} for number in range(700)),
    )
    admin = await key_for(custodes)

    lines = (await client.get(f"{API}/api-calls/export", headers=admin)).text.splitlines()
    table = await client.get(f"{API}/api-calls/export?format=csv&limit=600", headers=admin)
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    actions = [entry.action async for entry in custodes.audit.export_entries(AuditQuery())]

    assert [json.loads(line)["path"] for line in lines] == [f'/a,"{number}"' for number in reversed(range(700))]
    assert len(rows) == 600
    assert rows[0]["path"] == '/a,"699"'
    assert {row["user"] for row in rows} == {"'=HYPERLINK(1)"}
    assert actions.count("api_calls.exported") == 2


@pytest.mark.parametrize("path", ["api-health", "api-analytics", "slow-endpoints", "api-calls", "api-errors"])
async def test_nothing_is_shown_without_signing_in(client: httpx2.AsyncClient, path: str):
    assert (await client.get(f"{API}/{path}")).status_code == 401
