"""Metrics and health over the admin API."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.kernel.clock import SECOND, to_iso
from custodes.kernel.health import Threshold
from custodes.planes.metrics.analytics import MAX_LINES
from custodes.planes.traffic.report import CallReport
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock


@pytest.fixture
async def admin(custodes: Custodes) -> dict[str, str]:
    return await key_for(custodes, "admin")


@pytest.fixture
async def recorded(custodes: Custodes, clock: FakeClock) -> None:
    for plan, amount in (("pro", 4), ("free", 6)):
        custodes.metrics.count("orders.created", amount, labels={"plan": plan})
        custodes.metrics.observe("checkout.seconds", amount, labels={"plan": plan})
    custodes.metrics.count("orders.created", 100, tenant="acme")
    await custodes.metrics.flush()


@pytest.mark.usefixtures("recorded")
async def test_metrics_are_listed(client: httpx2.AsyncClient, admin: dict[str, str]):
    first = (await client.get("/system-metrics", params={"limit": 2}, headers=admin)).json()
    rest = (await client.get("/system-metrics", params={"cursor": first["next_cursor"]}, headers=admin)).json()

    assert [(one["tenant"], one["name"], one["kind"], one["series"]) for one in [*first["items"], *rest["items"]]] == [
        ("acme", "orders.created", "counter", 1),
        ("default", "checkout.seconds", "histogram", 2),
        ("default", "orders.created", "counter", 2),
    ]


@pytest.mark.usefixtures("recorded")
async def test_series_come_filtered_split_and_merged(
    client: httpx2.AsyncClient, admin: dict[str, str], clock: FakeClock
):
    async def ask(**params: object) -> dict[str, float]:
        given = {"name": "orders.created", "aggregation": "sum", "tenant": "default", **params}
        answer = await client.get("/system-metrics/series", params=given, headers=admin)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        return {",".join(line["labels"].values()): line["points"][0]["value"] for line in answer.json()["lines"]}

    assert await ask() == {"pro": 4, "free": 6}
    assert await ask(label="plan:pro") == {"pro": 4}
    assert await ask(merge=True) == {"": 10}
    assert await ask(by="plan") == {"pro": 4, "free": 6}
    assert await ask(name="checkout.seconds", aggregation="p99", merge=True) == {"": 6}
    assert await ask(until=to_iso(clock.now() - 60 * SECOND)) == {}


@pytest.mark.usefixtures("recorded")
async def test_top_values_are_ranked(client: httpx2.AsyncClient, admin: dict[str, str]):
    params = {"name": "orders.created", "by": "plan", "aggregation": "sum", "tenant": "default"}
    answer = await client.get("/system-metrics/top", params=params, headers=admin)

    assert [(one["value"], one["figure"]) for one in answer.json()["items"]] == [("free", 6), ("pro", 4)]


@pytest.mark.parametrize(
    "params",
    [
        {"name": ""},
        {"name": "a", "aggregation": "median"},
        {"name": "a", "label": "no-colon"},
        {"name": "a", "label": ["a:b", "a:c"]},
        {"name": "a", "step_seconds": -1},
        {"name": "checkout.seconds", "aggregation": "p50", "since": "1970-01-01T00:00:00Z", "step_seconds": 10},
        {"name": "a", "since": "2026-11-23T00:00:00Z", "until": "2026-11-22T00:00:00Z"},
    ],
)
async def test_questions_that_make_no_sense_are_refused(
    client: httpx2.AsyncClient, admin: dict[str, str], params: dict[str, str]
):
    answer = await client.get("/system-metrics/series", params=params, headers=admin)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.usefixtures("recorded")
async def test_an_admin_of_a_tenant_sees_its_metrics_only(client: httpx2.AsyncClient, custodes: Custodes):
    acme = await key_for(custodes, "admin", "acme")

    listed = (await client.get("/system-metrics", headers=acme)).json()["items"]
    params = {"name": "orders.created", "aggregation": "sum"}
    series = (await client.get("/system-metrics/series", params=params, headers=acme)).json()

    assert [one["tenant"] for one in listed] == ["acme"]
    assert [line["points"][0]["value"] for line in series["lines"]] == [100]


async def test_health_names_every_system(client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]):
    whole = (await client.get("/health", headers=admin)).json()
    tenant = (await client.get("/health", headers=await key_for(custodes, "admin", "acme"))).json()

    systems = {one["system"]: one for one in whole["systems"]}
    assert {"storage", "webhooks", "api", "audit", "metrics", "alerts"} <= systems.keys()
    assert systems["storage"]["figures"].keys() == {"waiting_writes", "clock_off_seconds", "write_ms", "read_ms"}
    assert all(one["figures"] == {} for one in tenant["systems"] if not one["own"])


async def test_a_tab_judges_as_the_overview_does(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str], clock: FakeClock
):
    """Given thresholds of the install; Then the tab of the API holds them, and is degraded as long as the overview."""
    custodes.health.set_thresholds("api", [Threshold("error_rate", degraded=0.1, unhealthy=0.6)])

    async def both() -> set[str]:
        clock.advance(10 * SECOND)
        [overview] = [
            one for one in (await client.get("/health", headers=admin)).json()["systems"] if one["system"] == "api"
        ]
        tab = (await client.get("/api-health", headers=admin)).json()
        assert tab["reasons"] == overview["reasons"]
        return {tab["state"], overview["state"]}

    def called(status: int, many: int) -> None:
        for _ in range(many):
            custodes.traffic.log_api_call(CallReport(method="GET", route="/orders", status=status, total_us=3_000))

    called(500, 4)
    called(200, 36)
    assert await both() == {"degraded"}
    called(200, 4)  # 9.1 %: below the limit, and not clearly
    assert await both() == {"degraded"}
    called(200, 8)  # 7.7 %
    assert await both() == {"healthy"}


async def test_a_tenant_is_told_how_its_own_doing_is_and_of_the_rest_only_how_it_is(
    client: httpx2.AsyncClient, custodes: Custodes, admin: dict[str, str]
):
    # Given one tenant whose requests fail, and another whose do not
    for tenant, status in (("acme", 500), ("globex", 200)):
        for _ in range(30):
            custodes.traffic.log_api_call(
                CallReport(method="GET", route="/orders", status=status, total_us=3_000, tenant=tenant)
            )

    # When the admins of both, and of all, look
    async def seen(headers: dict[str, str]) -> dict[str, Any]:
        told = {path: (await client.get(path, headers=headers)).json() for path in ("/health", "/overview")}
        assert told["/health"]["systems"] == told["/overview"]["systems"]
        return {one["system"]: one for one in told["/overview"]["systems"]}

    acme = await seen(await key_for(custodes, "admin", "acme"))
    globex = await seen(await key_for(custodes, "admin", "globex"))
    everything = await seen(admin)

    # Then each is told of its own, with the reasons, and neither of the other's
    assert (acme["api"]["state"], acme["api"]["own"]) == ("unhealthy", True)
    assert "100 % of 30" in str(acme["api"]["reasons"])
    assert (globex["api"]["state"], globex["api"]["reasons"]) == ("healthy", [])
    assert everything["api"]["figures"]["error_rate"] == 0.5
    assert globex["api"]["figures"].keys() == {"requests", "error_rate", "p95"}  # and none of the process
    assert "lost_threads" not in globex["webhooks"]["figures"]
    assert globex["api"]["figures"]["error_rate"] == 0
    # And what all share is said to be that
    assert {name for name, one in acme.items() if one["own"]} == {
        "api", "webhooks", "webhook_completeness", "outgoing_webhooks"}  # fmt: skip
    assert acme["storage"]["figures"] == {}
    assert not any(one["own"] for one in everything.values())


class TestWhatCustodesMeasures:
    """It is of the whole install, and kept under the default tenant: an admin of that one alone does not see it."""

    @pytest.fixture
    async def measured(self, custodes: Custodes) -> None:
        custodes.metrics.count("orders.created", 3)
        await custodes.metrics.record_health()
        await custodes.metrics.collect()
        await custodes.metrics.flush()

    @pytest.mark.usefixtures("measured")
    async def test_who_sees_all_tenants_sees_it(self, client: httpx2.AsyncClient, admin: dict[str, str]):
        for scope in ({}, {"tenant": "default"}):
            assert await built_in(client, admin, **scope) == [True] * 3
        asked = {"name": "custodes.health", "aggregation": "max"}
        assert (await client.get("/system-metrics/series", params=asked, headers=admin)).json()["lines"]
        assert (await client.post("/alert-rules", json=RULE, headers=admin)).status_code == 201

    @pytest.mark.usefixtures("measured")
    async def test_an_admin_of_the_default_tenant_sees_what_the_app_measures(
        self, custodes: Custodes, client: httpx2.AsyncClient
    ):
        theirs = await key_for(custodes, "admin", tenant="default")

        assert await built_in(client, theirs) == [False] * 3
        none = await client.get("/system-metrics/courses", params={"own": False}, headers=theirs)
        assert none.json() == {"items": [], "next_cursor": None}
        asked = {"name": "custodes.health", "aggregation": "max", "by": "system"}
        for path in ("series", "top"):
            assert (await client.get(f"/system-metrics/{path}", params=asked, headers=theirs)).status_code == 404
        asked = {"name": "orders.created", "aggregation": "sum"}
        (line,) = (await client.get("/system-metrics/series", params=asked, headers=theirs)).json()["lines"]
        assert line["points"][0]["value"] == 3

    async def test_nor_can_they_have_themselves_told_of_it_by_a_rule(
        self, custodes: Custodes, client: httpx2.AsyncClient, admin: dict[str, str]
    ):
        theirs = await key_for(custodes, "admin", tenant="default")
        assert (await client.post("/alert-rules", json=RULE, headers=theirs)).status_code == 404

        own = {**RULE, "metric": "orders.created"}
        made = (await client.post("/alert-rules", json=own, headers=theirs)).json()
        changed = await client.put(f"/alert-rules/{made['id']}", json=RULE, headers=theirs)
        assert changed.status_code == 404
        assert (await client.get(f"/alert-rules/{made['id']}", headers=admin)).json()["metric"] == "orders.created"


RULE = {"name": "Calls fail", "metric": "custodes.health.figure", "comparator": ">=", "threshold": 1}


async def built_in(client: httpx2.AsyncClient, who: dict[str, str], **scope: str) -> list[bool]:
    """Tell whether the list, the courses and the export have metrics that Custodes measures, beside the app's."""
    listed = (await client.get("/system-metrics", params={"limit": 200, **scope}, headers=who)).json()["items"]
    courses = (await client.get("/system-metrics/courses", params=scope, headers=who)).json()["items"]
    lines = (await client.get("/system-metrics/export", params=scope, headers=who)).text.splitlines()
    names = [{one["name"] for one in some} for some in (listed, courses, map(json.loads, lines))]
    assert all("orders.created" in some for some in names)
    return [any(name.startswith(("custodes.", "process.", "system.")) for name in some) for some in names]


async def test_lines_behind_those_of_one_answer_come_with_the_next(
    custodes: Custodes, client: httpx2.AsyncClient, admin: dict[str, str]
):
    """Given more series than one answer holds; when those it had are passed over; then the others come, each once."""
    for at in range(MAX_LINES + 7):
        custodes.metrics.gauge("queue.depth", at, labels={"queue": f"q{at:02}"})
    await custodes.metrics.flush()
    found: list[str] = []
    for skip, hidden in ((0, 7), (MAX_LINES, 0), (MAX_LINES + 7, 0)):
        params: dict[str, str | int] = {"name": "queue.depth", "aggregation": "last", "skip": skip}
        answer = (await client.get("/system-metrics/series", params=params, headers=admin)).json()
        assert answer["hidden"] == hidden
        found += [line["labels"]["queue"] for line in answer["lines"]]
    assert found == [f"q{at:02}" for at in reversed(range(MAX_LINES + 7))], "the greatest first"
