"""The customer portal in a real browser: opened by a link, bounded by it, and fit to be shown to customers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Page, expect
from tests.browser.conftest import API, Shop
from tests.browser.served import ZONE

PLACE = "/portal/webhooks/"

HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[str]:
    """A server of the customer's on loopback: ``/ok`` answers 200, all else 500; both say something hostile.

    What is posted to ``/mend`` is a path that answers 200 from then on.
    """
    works = {"/ok", "/mend"}

    async def take(request: web.Request) -> web.Response:
        body = await request.text()
        if request.path == "/mend":
            works.add(body)
        await asyncio.sleep(0)
        headers = {"X-Request-Id": "req_7", "Set-Cookie": "sid=hunter9"}
        return web.Response(status=200 if request.path in works else 500, text=HOSTILE, headers=headers)

    app = web.Application()
    app.router.add_post("/{tail:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def link(shop: Shop, tenant: str, **body: Any) -> dict[str, Any]:
    key = {"X-API-Key": shop.key}
    made = shop.client.post(f"{API}/webhook-portal-links", params={"tenant": tenant}, json=body, headers=key)
    assert made.status_code == 201, made.text
    return made.json()


def endpoint(shop: Shop, tenant: str, url: str, **more: Any) -> str:
    made = shop.client.post(
        f"{API}/webhook-configurations",
        params={"tenant": tenant},
        json={"url": url, "event_types": ["order.*"], "retry": {"schedule_seconds": []}, **more},
        headers={"X-API-Key": shop.key},
    )
    assert made.status_code == 201, made.text
    return made.json()["id"]


def send_test(shop: Shop, endpoint_id: str) -> None:
    shop.client.post(f"{API}/webhook-configurations/{endpoint_id}/test", headers={"X-API-Key": shop.key})


async def until_missed(shop: Shop, endpoint_id: str, number: int) -> None:
    """Wait until an endpoint has missed so many deliveries, and nothing is on its way."""
    async with asyncio.timeout(60):
        while True:
            told = shop.client.get(
                f"{API}/webhook-configurations/{endpoint_id}/health", headers={"X-API-Key": shop.key}
            )
            if told.json()["missed"] == number and told.json()["recent"]["attempts"] == 2 - number:
                return
            await asyncio.sleep(0.1)


async def enter(seen: Any, made: dict[str, Any], place: str = "") -> Page:
    page = seen.page
    await page.goto(seen.shop.url + made["url"])
    await expect(page.get_by_role("heading", name="Endpoints", exact=True)).to_be_visible()
    if place:
        await page.goto(seen.shop.url + PLACE + place)
    return page


async def sideways(page: Page) -> int:
    return await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("width", [1440, 390])
async def test_everybody_can_use_it(window: Callable[..., Any], receiver: str, width: int) -> None:
    """Given endpoints that work and fail, and hostile texts; then axe finds nothing, and nothing is run or cut off."""
    seen = await window(width=width, signed_in=False)
    tenant = f"use-{width}"
    works = endpoint(seen.shop, tenant, f"{receiver}/ok", description=HOSTILE)
    fails = endpoint(seen.shop, tenant, f"{receiver}/{'long/' * 40}")
    for one in (works, fails):
        send_test(seen.shop, one)
    key = {"X-API-Key": seen.shop.key}
    described = {"description": HOSTILE, "payload_schema": {"title": HOSTILE}, "example": {"a": HOSTILE}}
    seen.shop.client.put(f"{API}/webhook-event-types/order.hostile", json=described, headers=key)
    page = await enter(seen, link(seen.shop, tenant, scope="manage"))

    assert "#" not in page.url
    await expect(page.get_by_text("Working")).to_be_visible()
    await expect(page.get_by_text("Last attempt failed")).to_be_visible()
    await page.locator("summary").filter(has_text="order.hostile").click()
    await expect(page.get_by_label("Example of order.hostile")).to_be_visible()
    assert await seen.violations_in_both_schemes() == []
    assert await sideways(page) == 0
    await page.get_by_role("link", name=f"{receiver}/ok").click()
    await page.get_by_role("link", name=re.compile("custodes.test")).click()
    await expect(page.get_by_label("Answer to attempt 1")).to_contain_text("<img src=x")
    await expect(page.get_by_label("Body")).to_contain_text("This is a test.")
    assert await page.title() == "Webhooks"
    assert await seen.violations_in_both_schemes() == []
    assert await sideways(page) == 0
    await page.go_back()
    await page.go_back()
    await page.get_by_role("button", name="Add endpoint").click()
    await expect(page.get_by_role("dialog", name="Add an endpoint")).to_be_visible()
    assert await seen.violations_in_both_schemes() == []


async def test_a_customer_looks_after_an_endpoint_and_the_trail_names_the_link(
    window: Callable[..., Any], receiver: str
) -> None:
    """Given a link to manage with; when everything is done that can be; then each is an entry of the link's."""
    seen = await window(signed_in=False)
    made = link(seen.shop, "life", scope="manage")
    page = await enter(seen, made)
    await expect(page.get_by_text("No endpoint yet")).to_be_visible()
    assert await seen.violations() == []

    await page.get_by_role("button", name="Add endpoint").click()
    form = page.get_by_role("dialog", name="Add an endpoint")
    await form.get_by_role("textbox", name="URL").fill("gopher://example.com")
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form.get_by_role("alert")).to_contain_text("neither an https nor an http URL")
    seen.faults[:] = [fault for fault in seen.faults if "422" not in fault]
    await form.get_by_role("textbox", name="URL").fill(f"{receiver}/ok")
    await form.get_by_role("button", name="Add", exact=True).click()
    secret = page.get_by_role("dialog", name="Signing secret")
    await expect(secret.get_by_text(re.compile("^whsec_"))).to_be_visible()
    assert await seen.violations() == []
    await secret.get_by_role("button", name="I have kept it").click()

    async def confirm(label: str) -> None:
        await page.get_by_role("button", name=label, exact=True).click()
        dialog = page.get_by_role("dialog", name=label)
        await dialog.get_by_role("button", name=label, exact=True).click()
        await expect(dialog).to_be_hidden()

    await page.get_by_role("link", name=f"{receiver}/ok").click()
    await page.get_by_role("button", name="Edit").click()
    change = page.get_by_role("dialog", name="Change the endpoint")
    await change.get_by_role("textbox", name="Description").fill("our warehouse")
    await change.get_by_role("button", name="Add a header").click()
    await change.get_by_label("Name of header 1").fill("X-Warehouse")
    await change.get_by_label("Value of X-Warehouse").fill("hunter2")
    assert await seen.violations() == []
    await change.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("our warehouse")).to_be_visible()
    await confirm("Send a test")
    await page.get_by_role("link", name=re.compile("custodes.test")).click()
    await expect(page.get_by_text("answered 200").first).to_be_visible()
    answered = page.get_by_label("Answer to attempt 1")
    await expect(answered).to_contain_text("x-request-id: req_7")
    await expect(answered).to_contain_text("set-cookie: [redacted]")
    # Moments are in the zone of the tenant, which the page names, until one chooses another; the choice is kept.
    zone = page.get_by_label("Time zone of all moments")
    await expect(zone).to_have_value(ZONE)
    emitted = page.get_by_role("listitem").locator("time").first
    await expect(emitted).to_have_attribute("title", re.compile(r"\+05:30$"))
    await zone.select_option("utc")
    await expect(emitted).to_have_attribute("title", re.compile("Z$"))
    await page.reload()
    await expect(zone).to_have_value("utc")
    assert await seen.violations() == []
    await confirm("Send again")
    await expect(page.get_by_text("Attempt 2,")).to_be_visible()
    await confirm("Pause")
    await expect(page.get_by_text("It is paused")).to_be_visible()
    await confirm("Resume")
    await confirm("New secret")
    await expect(secret.get_by_text(re.compile("^whsec_"))).to_be_visible()
    await secret.get_by_role("button", name="I have kept it").click()
    await confirm("Delete")
    await expect(page.get_by_text("No endpoint yet")).to_be_visible()

    answer = seen.shop.client.get(
        f"{API}/audit-logs", params={"limit": 100, "tenant": "life"}, headers={"X-API-Key": seen.shop.key}
    )
    entries = [entry for entry in answer.json()["items"] if entry["action"] != "portal_link.created"]
    assert {entry["actor"]["type"] + ":" + entry["actor"]["id"] for entry in entries} == {f"portal_link:{made['id']}"}
    done = {entry["action"].partition(".")[2] for entry in entries}
    assert {
        "opened",
        "created",
        "updated",
        "tested",
        "resent",
        "paused",
        "resumed",
        "secret_rotated",
        "deleted",
    } <= done


async def test_a_link_to_look_with_offers_nothing_else(window: Callable[..., Any], receiver: str) -> None:
    seen = await window(signed_in=False)
    seen.expected = ("404", "401")  # of what is not there, and after one has left
    send_test(seen.shop, made := endpoint(seen.shop, "look", f"{receiver}/ok"))
    other = endpoint(seen.shop, "others", f"{receiver}/secret")
    page = await enter(seen, link(seen.shop, "look"))

    await expect(page.get_by_text("View only")).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(2)  # colours, leave
    assert "secret" not in await page.content()
    await page.goto(f"{seen.shop.url}{PLACE}endpoints/{made}")
    await page.get_by_role("link", name=re.compile("custodes.test")).click()
    await expect(page.get_by_text("Attempt 1,")).to_be_visible()
    for name in ("Edit", "Send again", "Delete", "Pause"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await page.goto(f"{seen.shop.url}{PLACE}endpoints/{other}")
    await expect(page.get_by_text("There is no such endpoint")).to_be_visible()
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_text("No link was opened in this browser")).to_be_visible()


async def test_a_link_that_has_ended_says_so_and_shows_nothing(window: Callable[..., Any], receiver: str) -> None:
    seen = await window(signed_in=False, width=390)
    seen.expected = ("401",)
    endpoint(seen.shop, "ended", f"{receiver}/ok")
    made = link(seen.shop, "ended")
    page = await enter(seen, made)
    seen.shop.client.delete(f"{API}/webhook-portal-links/{made['id']}", headers={"X-API-Key": seen.shop.key})

    await expect(page.get_by_text("This link was withdrawn")).to_be_visible()
    assert f"{receiver}/ok" not in await page.content()
    await page.goto(seen.shop.url + PLACE)
    await page.goto(seen.shop.url + made["url"])
    await expect(page.get_by_text("This link was withdrawn")).to_be_visible()
    assert await seen.violations() == []
    await page.goto("about:blank")
    await page.goto(f"{seen.shop.url}{PLACE}#{'x' * 43}")
    await expect(page.get_by_text("This link is not known")).to_be_visible()


@pytest.mark.parametrize("paused", [False, True])
async def test_what_an_endpoint_missed_is_recovered_by_a_button(
    window: Callable[..., Any], receiver: str, paused: bool
) -> None:
    """Given an endpoint that missed an event; then the list says that it fails, and one button sends it again."""
    seen = await window(signed_in=False)
    tenant, key = f"missed-{paused}", {"X-API-Key": seen.shop.key}
    made = endpoint(seen.shop, tenant, f"{receiver}/{tenant}")
    emitted = {"event_type": "order.made", "payload": {}, "tenant": tenant}
    answer = seen.shop.client.post(f"{API}/ingest/webhook-events", json={"items": [emitted]}, headers=key)
    assert answer.json()["accepted"] == 1, answer.text
    await until_missed(seen.shop, made, 1)
    page = await enter(seen, link(seen.shop, tenant, scope="manage"))
    await expect(page.get_by_text("Last attempt failed")).to_be_visible()
    if paused:
        body = {"reason": "moving house"}
        answer = seen.shop.client.post(f"{API}/webhook-configurations/{made}/pause", json=body, headers=key)
        assert answer.status_code == 200, answer.text
    await page.get_by_role("link", name=tenant).click()
    once = " once it is resumed" if paused else ""
    await expect(page.get_by_text(f"1 delivery was missed and can be recovered{once}", exact=True)).to_be_visible()
    assert await seen.violations() == []

    # Who may only look is told who can
    looking = await window(signed_in=False)
    other = await enter(looking, link(seen.shop, tenant), f"endpoints/{made}")
    await expect(other.get_by_text("Who has a link to manage this endpoint")).to_be_visible()
    await expect(other.get_by_role("button", name="ecover")).to_have_count(0)

    async with aiohttp.ClientSession() as session:
        await session.post(f"{receiver}/mend", data=f"/{tenant}")
    label = "Resume and recover" if paused else "Recover"
    await page.get_by_role("button", name=label, exact=True).click()
    dialog = page.get_by_role("dialog", name=label)
    await expect(dialog).to_contain_text("oldest first: 1 in all")
    await dialog.get_by_role("button", name=label).click()

    await until_missed(seen.shop, made, 0)
    await page.reload()  # it would be told by itself, some seconds later
    await expect(page.get_by_text("Healthy")).to_be_visible()
    await expect(page.get_by_role("listitem").get_by_text("Delivered")).to_be_visible()
    await expect(page.get_by_role("button", name=label, exact=True)).to_have_count(0)
    await page.get_by_role("link", name="All endpoints").click()
    await expect(page.get_by_text("Working")).to_be_visible()
