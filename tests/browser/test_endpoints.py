"""The page of webhook endpoints in a real browser: each action with its audit entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect
from tests.browser.conftest import API, RETRIES, Shop

PLACE = "/webhooks/endpoints"


def actions(shop: Shop, endpoint_id: str) -> dict[str, str]:
    """Tell what the trail says was done to an endpoint, and why."""
    answer = shop.client.get(f"{API}/audit-logs", params={"limit": 100}, headers={"X-API-Key": shop.key})
    return {
        entry["action"]: entry["reason"]
        for entry in answer.json()["items"]
        if endpoint_id in [target["id"] for target in entry["targets"]]
    }


def made(shop: Shop, url: str) -> str:
    answer = shop.client.post(
        f"{API}/webhook-configurations",
        json={"url": url, "event_types": ["order.*"], "retry": {"schedule_seconds": []}},
        headers={"X-API-Key": shop.key},
    )
    return answer.json()["id"]


@pytest.mark.parametrize("width", [1440, 390])
async def test_everybody_can_use_the_list_and_an_endpoint(window: Callable[..., Any], width: int) -> None:
    """Given an endpoint that was tried; then axe finds nothing, and nothing is cut off sideways."""
    seen = await window(width=width)
    url = f"https://10.1.2.3/{width}"
    endpoint = made(seen.shop, url)
    key = {"X-API-Key": seen.shop.key}
    seen.shop.client.post(f"{API}/webhook-configurations/{endpoint}/test", headers=key)
    emitted = {"event_type": "order.made", "payload": {}}
    seen.shop.client.post(f"{API}/ingest/webhook-events", json={"items": [emitted]}, headers=key)
    described = {"description": "An order was paid", "payload_schema": {"required": ["order_id"]}}
    seen.shop.client.put(f"{API}/webhook-event-types/order.paid", json=described, headers=key)

    page = await seen.open(PLACE)
    await expect(page.get_by_role("link", name=url)).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=url))
    await expect(row).to_contain_text("enabled, degraded")  # a test is not held against it, an event is
    await expect(row).to_contain_text("the last attempt failed")
    await expect(page.get_by_role("application", name="Attempts over time by answer")).to_be_visible()
    await page.locator("summary").filter(has_text="order.paid").click()
    await expect(page.get_by_text('"order_id"')).to_be_visible()
    assert await seen.violations_in_both_schemes() == []
    page = await seen.go(f"{PLACE}/{endpoint}")
    # By keyboard: on a narrow page what is told of the health may lie over it for a while.
    await page.get_by_role("link", name="custodes.test").press("Enter")
    await expect(page.get_by_text("refused: the address is not allowed").first).to_be_visible()
    await expect(page.get_by_text("Attempt 1,")).to_be_visible()
    sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways == 0
    assert await seen.violations_in_both_schemes() == []


async def test_an_endpoint_lives_from_its_secret_to_its_end(window: Callable[..., Any]) -> None:
    """Given none; when one is added and everything is done with it that can be; then the trail tells of all."""
    seen = await window()
    seen.expected = ("422",)
    page = await seen.open(PLACE)
    await page.get_by_role("button", name="Add an endpoint").click()
    form = page.get_by_role("dialog", name="Add an endpoint")
    await form.get_by_role("textbox", name="URL").fill("https://10.9.9.9/hooks")
    await form.get_by_role("textbox", name="Payload filter").fill("[1]")
    await expect(form.get_by_role("button", name="Add", exact=True)).to_be_disabled()
    await form.get_by_role("textbox", name="Payload filter").fill('{"data.total": {"$above": 1}}')
    await form.get_by_role("textbox", name="Waits between attempts").fill("")
    await form.get_by_role("textbox", name="Payload version").fill("2026-11")
    for number, name in ((1, "X-Kept"), (2, "X-Gone")):
        await form.get_by_role("button", name="Add a header").click()
        await form.get_by_label(f"Name of header {number}").fill(name)
        await form.get_by_label(f"Value of {name}").fill("hunter2")
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form.get_by_role("alert")).to_contain_text("$above")
    await form.get_by_role("textbox", name="Payload filter").fill('{"data.total": {"$gte": 1}}')
    await form.get_by_role("button", name="Add", exact=True).click()

    secret = page.get_by_role("dialog", name="Signing secret")
    await expect(secret.get_by_text(re.compile("^whsec_"))).to_be_visible()
    assert await seen.violations() == []
    await page.keyboard.press("Escape")  # does not take it away
    await secret.get_by_role("button", name="I have kept it").press("Enter")
    await expect(page.get_by_role("button", name="Add an endpoint")).to_be_focused()
    await expect(page).to_have_title("Endpoints · Webhooks · Custodes")
    await page.get_by_role("link", name="https://10.9.9.9/hooks").click()
    await page.wait_for_url(re.compile("open=[0-9a-f-]{36}"))
    endpoint = page.url.split("open=")[1][:36]

    async def confirm(label: str, reason: str = "") -> None:
        await page.get_by_role("button", name=label, exact=True).click()
        dialog = page.get_by_role("dialog", name=label)
        if reason:
            await dialog.get_by_label("Reason").fill(reason)
        await dialog.get_by_role("button", name=label, exact=True).click()
        await expect(dialog).to_be_hidden()

    await page.get_by_role("button", name="Edit").click()
    change = page.get_by_role("dialog", name="Change the endpoint")
    await change.get_by_role("textbox", name="Description").fill("for <b>bold</b> people")
    await expect(change.get_by_label("Value of x-kept")).to_have_value("")
    await change.get_by_role("button", name="Remove x-gone").click()
    assert await seen.violations() == []
    await change.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("for <b>bold</b> people")).to_be_visible()
    await expect(page.get_by_text("x-kept", exact=True)).to_be_visible()
    await confirm("Send a test")
    await page.get_by_role("link", name="custodes.test").click()
    await expect(page.get_by_text("refused: the address is not allowed").first).to_be_visible()
    await page.get_by_text(re.compile(r"^Sent to https://10\.9\.9\.9/hooks with \d+ headers$")).click()
    await expect(page.get_by_text("webhook-id: ")).to_be_visible()
    await expect(page.get_by_text("x-kept: [redacted]")).to_be_visible()
    # A test is no loss; an event is.
    emitted = {"event_type": "order.made", "payload": {"total": 2}}
    seen.shop.client.post(
        f"{API}/ingest/webhook-events", json={"items": [emitted]}, headers={"X-API-Key": seen.shop.key}
    )
    await page.get_by_role("link", name="order.made").click()
    await expect(page.get_by_text("refused: the address is not allowed").first).to_be_visible()
    await page.get_by_role("button", name="Send missed again").click()
    await expect(page.get_by_text(re.compile("^Of the time range, 1 delivery given up or held"))).to_be_visible()
    await page.get_by_role("dialog", name="Send missed again").get_by_role("button", name="Send missed again").click()
    await expect(page.get_by_text("Attempt 2,")).to_be_visible()
    row = page.get_by_role("table", name="Deliveries").get_by_role("row", name=re.compile("order.made"))
    await row.get_by_role("button", name="Send again").click()
    await page.get_by_role("dialog", name="Send again").get_by_role("button", name="Send again").click()
    await expect(page.get_by_text("Attempt 3,")).to_be_visible()
    await page.get_by_role("button", name="Try a URL").click()
    trial = page.get_by_role("dialog", name="Send it to a URL, once")
    await trial.get_by_role("textbox", name="URL").fill(f"{seen.shop.url}/products")
    await trial.get_by_role("button", name="Send", exact=True).click()
    await expect(trial.get_by_role("status")).to_contain_text("answered 405")
    await expect(trial.get_by_label("Secret of this request")).to_contain_text("whsec_")
    await trial.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Compare two attempts").click()
    compared = page.get_by_role("region", name="Two attempts compared")
    await expect(compared).to_contain_text("The same in both: Sent to, Answer, Error")
    await page.wait_for_url(re.compile("versus=2&versus=3"))
    await confirm("Recover")
    await confirm("Pause", "moving house")
    await expect(page.get_by_text("moving house").first).to_be_visible()
    await confirm("Resume")
    await confirm("Rotate the secret")
    await expect(secret.get_by_text(re.compile("^whsec_"))).to_be_visible()
    await secret.get_by_role("button", name="I have kept it").click()
    await confirm("Delete")
    await expect(page.get_by_role("link", name="https://10.9.9.9/hooks")).to_be_hidden()

    resent = seen.shop.client.get(f"{API}/audit-logs", params={"limit": 100}, headers={"X-API-Key": seen.shop.key})
    done = [entry["action"] for entry in resent.json()["items"]]
    assert [done.count(f"webhook_deliveries.{name}") for name in ("resend_begun", "resent")] == [1, 1]
    told = actions(seen.shop, endpoint)
    names = ("created", "updated", "tested", "recovery_begun", "recovered", "paused", "resumed", "secret_rotated")
    assert {f"webhook_configuration.{name}" for name in (*names, "deleted")} == told.keys()
    assert told["webhook_configuration.paused"] == "moving house"


async def test_what_a_role_may_not_do_is_not_offered(window: Callable[..., Any]) -> None:
    """Given somebody who may look only; then the page has nothing that changes anything."""
    seen = await window()
    endpoint = made(seen.shop, "https://10.1.2.4/roles")

    async def looks_only(route: Any) -> None:
        answer = await route.fetch(max_retries=RETRIES)
        told = await answer.json()
        reading = ("_list_", "_get_", "_analytics")
        told["may"] = [name for name in told["may"] if any(part in name for part in reading)]
        told["may"].remove("outbound_list_portal_links")
        await route.fulfill(response=answer, json=told)

    await seen.page.route("**/me", looks_only)
    page = await seen.open(PLACE)
    await expect(page.get_by_role("link", name="https://10.1.2.4/roles")).to_be_visible()
    for name in ("Add an endpoint", "Portal links"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    page = await seen.go(f"{PLACE}/{endpoint}")
    await expect(page.get_by_text("How it is")).to_be_visible()
    for name in ("Edit", "Send a test", "Pause", "Rotate the secret", "Delete", "Send missed again"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)


async def test_an_endpoint_that_a_source_is_forwarded_to_is_marked_and_bound(window: Callable[..., Any]) -> None:
    """Given one that belongs to a source, then the list says so, and its form does not offer what follows from that."""
    seen = await window()
    endpoint = made(seen.shop, "https://10.1.2.6/forwarded")

    async def of_a_source(route: Any) -> None:
        answer = await route.fetch(max_retries=RETRIES)
        told = await answer.json()
        for one in told.get("items", [told]):
            if one.get("id") == endpoint:
                one["source"] = "github"
        await route.fulfill(response=answer, json=told)

    await seen.page.route(re.compile(rf"/webhook-configurations(\?|/{endpoint}$|$)"), of_a_source)
    page = await seen.open(PLACE)
    await page.get_by_role("link", name="github → https://10.1.2.6/forwarded").click()
    await expect(page.get_by_text("what the source github sends")).to_be_visible()
    await page.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="Change the endpoint")
    for name in ("URL", "Event types", "Payload filter", "Channels", "Payload version"):
        await expect(form.get_by_role("textbox", name=name)).to_be_disabled()
    await expect(form.get_by_role("textbox", name="Description")).to_be_enabled()
    assert await seen.violations() == []


async def test_empty_failed_and_old_panels_say_so(window: Callable[..., Any]) -> None:
    """Given a server that fails, then works, then cannot be reached; then the panel tells each, and what it knows."""
    seen = await window(width=390, dark=True)
    seen.expected = ("503",)
    made(seen.shop, "https://10.1.2.5/states")
    failing = True

    async def answer(route: Any) -> None:
        if failing:
            await route.fulfill(
                status=503, json={"title": "Storage unavailable", "status": 503, "detail": "The store is away"}
            )
        else:
            await route.fallback()

    await seen.page.route("**/webhook-delivery-analytics*", answer)
    # Not live: a panel that asks again by itself would take the button away as it is pressed.
    page = await seen.open(f"{PLACE}?only=paused&live=off")
    await expect(page.get_by_text("The store is away").first).to_be_visible()
    failing = False
    await page.get_by_role("button", name="Try again").first.click()
    await expect(page.get_by_text("No endpoint is paused")).to_be_visible()
    assert await seen.violations() == []
    await page.get_by_text("All", exact=True).click()
    await expect(page.get_by_role("link", name="https://10.1.2.5/states")).to_be_visible()
    await page.get_by_role("switch", name="Live").click()
    failing = True
    await expect(page.get_by_text(re.compile("^As of .*The store is away")).first).to_be_visible()
    await expect(page.get_by_role("link", name="https://10.1.2.5/states")).to_be_visible()
    assert await seen.violations() == []


async def test_a_link_to_the_portal_is_made_shown_once_and_withdrawn(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(PLACE)
    await page.get_by_role("button", name="Portal links").click()
    dialog = page.get_by_role("dialog", name="Links to the customer portal")
    await dialog.get_by_role("textbox", name="Tenant").fill("dash board")
    await dialog.get_by_role("button", name="Make a link").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("not a tenant id")
    seen.faults[:] = [fault for fault in seen.faults if "422" not in fault]
    await dialog.get_by_role("textbox", name="Tenant").fill("dashboard")
    await dialog.get_by_role("textbox", name="Note").fill("<b>Ann</b>")
    await dialog.get_by_role("button", name="Make a link").click()
    link = await dialog.get_by_label("Link to the portal").inner_text()
    assert re.search(re.escape(seen.shop.url) + r"/portal/webhooks/#[\w-]{43}", link.replace("\n", ""))
    await expect(dialog.get_by_text("<b>Ann</b>")).to_be_visible()
    assert await seen.violations() == []
    await dialog.get_by_role("button", name="Make another").click()
    await expect(dialog.get_by_text("#")).to_have_count(0)
    await dialog.get_by_role("listitem").filter(has_text="Ann").get_by_role("button", name="Withdraw").click()
    sure = page.get_by_role("dialog", name="Withdraw")
    await sure.get_by_role("button", name="Withdraw").click()
    await expect(dialog.get_by_role("listitem").filter(has_text="Ann").get_by_text("withdrawn")).to_be_visible()

    answer = seen.shop.client.get(
        f"{API}/audit-logs", params={"limit": 100, "tenant": "dashboard"}, headers={"X-API-Key": seen.shop.key}
    )
    assert {entry["action"] for entry in answer.json()["items"]} == {"portal_link.created", "portal_link.revoked"}
