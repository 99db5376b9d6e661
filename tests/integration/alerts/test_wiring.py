"""From a failure inside an install to a signed message at a real receiver, with everything wired as users get it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.kernel.clock import SECOND
from custodes.kernel.health import Health, Threshold
from custodes.kernel.signals import FailureSignal
from custodes.planes.audit.ports import AuditQuery
from custodes.runtime.system_clock import SystemClock
from custodes.testing.admin import key_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

Got = list[tuple[dict[str, str], bytes]]


class WarpClock(SystemClock):
    """Real time, and some more: receivers of signed messages look at the real clock."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return super().now() + self.ahead

    def monotonic(self) -> int:
        return super().monotonic() + self.ahead


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, Got]]:
    got: Got = []

    async def handle(request: web.Request) -> web.Response:
        got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/alerts", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/alerts", got
    await runner.cleanup()


async def test_a_dead_letter_and_a_bad_health_reach_the_receiver(sqlite_url: str, receiver: tuple[str, Got]):
    """Given an install with an alert URL, when a job dies and a system degrades, then two signed messages arrive; when
    the health is good again, a third one does."""
    url, got = receiver
    clock = WarpClock()
    custodes = Custodes(
        sqlite_url,
        clock=clock,
        alert_urls=url,
        alert_webhook_secret=SECRET,
        outgoing_allow_networks="127.0.0.0/8",
    )
    await custodes.start()
    await custodes.identity.ensure_owner()
    try:
        for task in ("metrics.collect", "metrics.health", "metrics.flush", "metrics.fold", "alerts.evaluate"):
            assert await custodes.scheduler.run_now(task), task
        assert custodes.leader.is_leader

        custodes.bus.emit(
            FailureSignal(
                at=clock.now(), tenant="acme", system="webhooks", name="webhook.dead_lettered", summary="evt_1"
            )
        )
        assert await custodes.scheduler.run_now("alerts.events")
        assert await custodes.scheduler.run_now("alerts.dispatch")
        [(headers, body)] = got
        assert Webhook(SECRET).verify(body, headers)["rule_id"] == "signal:webhook.dead_lettered"

        custodes.health.set_thresholds("alerts", [Threshold("waiting", -1, 1_000)])
        await turn(custodes, clock, times=5)
        assert (await custodes.health.check(60)).overall is Health.DEGRADED
        assert told(got) == [("webhook.dead_lettered", "firing"), ("A system is not healthy", "firing")]
        assert json.loads(got[1][1])["labels"] == {"system": "alerts"}

        custodes.health.set_thresholds("alerts", [])
        await turn(custodes, clock, times=12)
        assert told(got)[2:] == [("A system is not healthy", "resolved")]
    finally:
        await custodes.stop()


async def turn(custodes: Custodes, clock: WarpClock, times: int) -> None:
    for _ in range(times):
        clock.ahead += 10 * SECOND
        await custodes.leader.campaign()
        for task in ("metrics.health", "metrics.flush", "alerts.evaluate", "alerts.dispatch"):
            assert await custodes.scheduler.run_now(task), custodes.scheduler.reports()


def told(got: Got) -> list[tuple[str, str]]:
    return [(payload["name"], payload["news"]) for payload in (json.loads(body) for _, body in got)]


async def test_a_test_goes_the_way_of_alerts_and_tells_of_each_place_what_came_of_it(
    sqlite_url: str, receiver: tuple[str, Got]
):
    """Given a place that takes messages, one that is gone and one that may not be reached, When all are tried, Then the
    first got a signed message that says it is a test, each is told of, none is switched off, and the trail has it."""
    url, got = receiver
    places = f"{url},{url.removesuffix('alerts')}gone,http://10.0.0.5/canary-token"
    custodes = Custodes(
        sqlite_url, alert_urls=places, alert_webhook_secret=SECRET, outgoing_allow_networks="127.0.0.0/8"
    )
    await custodes.start()
    try:
        transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("203.0.113.9", 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
            owner, acme = await key_for(custodes), await key_for(custodes, "owner", "acme")
            path = "/api/admin/enterprise/alert-sinks/test"
            answer = await client.post(path, json={}, headers=owner)
            [log, *_] = (await client.post(path, json={"name": "log"}, headers=owner)).json()["items"]
            refused = [
                (await client.post(path, json={"name": "pager"}, headers=owner)).status_code,
                (await client.post(path, json={}, headers=acme)).status_code,
                (await client.post(path, json={"name": ""}, headers=owner)).status_code,
                (await client.post(path, json={})).status_code,
            ]
        told = [(one["name"].split("#")[0], one["taken"], one["error"]) for one in answer.json()["items"]]
        [(headers, body)] = got
        message = Webhook(SECRET).verify(body, headers)
        switched_off = [one.name for one in await custodes.alerts.list_sinks() if one.disabled_reason]
        entries = (await custodes.audit.list_entries(AuditQuery(action="alert_sink.tested"))).items
    finally:
        await custodes.stop()

    assert [one[:2] for one in told] == [
        ("log", True), ("webhook:127.0.0.1", True), ("webhook:127.0.0.1", False), ("webhook:10.0.0.5", False),
    ]  # fmt: skip
    assert told[2][2] == "It answered 404"
    assert "not allowed" in told[3][2]
    assert "canary" not in answer.text
    assert (message["type"], message["severity"], message["state"]) == ("alert.test", "info", "resolved")
    assert "nothing is wrong" in message["summary"]
    assert (log["name"], log["taken"]) == ("log", True)
    assert refused == [404, 403, 422, 401]
    assert switched_off == []
    assert [len(entry.targets) for entry in entries] == [1, 4]
    assert sorted(entries[1].context.extra["failed"].values()) == sorted([told[2][2], told[3][2]])
