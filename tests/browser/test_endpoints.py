"""The page of webhook endpoints in a real browser: each action with its audit entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect
from tests.browser.conftest import API, Shop

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


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
async def test_everybody_can_use_the_list_and_an_endpoint(window: Callable[..., Any], width: int, dark: bool) -> None:
    """Given an endpoint that was tried; then axe finds nothing, and nothing is cut off sideways."""
    seen = await window(width=width, dark=dark)
    url = f"https://10.1.2.3/{width}/{dark}"
    endpoint = made(seen.shop, url)
    key = {"X-API-Key": seen.shop.key}
    seen.shop.client.post(f"{API}/webhook-configurations/{endpoint}/test", headers=key)
    described = {"description": "An order was paid", "payload_schema": {"required": ["order_id"]}}
    seen.shop.client.put(f"{API}/webhook-event-types/order.paid", json=described, headers=key)

    page = await seen.open(PLACE)
    await expect(page.get_by_role("link", name=url)).to_be_visible()
    await expect(page.get_by_role("application", name="Attempts over time by answer")).to_be_visible()
    await page.locator("summary").filter(has_text="order.paid").click()
    await expect(page.get_by_text('"order_id"')).to_be_visible()
    assert await seen.violations() == []
    page = await seen.open(f"{PLACE}/{endpoint}")
    await page.get_by_role("link", name="custodes.test").click()
    await expect(page.get_by_text("refused: the address is not allowed").first).to_be_visible()
    await expect(page.get_by_text("Attempt 1,")).to_be_visible()
    sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways == 0
    assert await seen.violations() == []


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
    await form.get_by_role("button", name="Add", exact=True).click()
    await expect(form.get_by_role("alert")).to_contain_text("$above")
    await form.get_by_role("textbox", name="Payload filter").fill('{"data.total": {"$gte": 1}}')
    await form.get_by_role("button", name="Add", exact=True).click()

    secret = page.get_by_role("dialog", name="Signing secret")
    await expect(secret.get_by_text(re.compile("^whsec_"))).to_be_visible()
    assert await seen.violations() == []
    await secret.get_by_role("button", name="I have kept it").click()
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
    await change.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("for <b>bold</b> people")).to_be_visible()
    await confirm("Send a test")
    await page.get_by_role("link", name="custodes.test").click()
    await expect(page.get_by_text("refused: the address is not allowed").first).to_be_visible()
    await page.get_by_role("button", name="Send missed again").click()
    await expect(page.get_by_text(re.compile("^Of the time range, 1 delivery given up or held"))).to_be_visible()
    await page.get_by_role("dialog", name="Send missed again").get_by_role("button", name="Send missed again").click()
    await expect(page.get_by_text("Attempt 2,")).to_be_visible()
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
    assert [entry["action"] for entry in resent.json()["items"]].count("webhook_deliveries.resent") == 1
    told = actions(seen.shop, endpoint)
    names = ("created", "updated", "tested", "recovery_begun", "recovered", "paused", "resumed", "secret_rotated")
    assert {f"webhook_configuration.{name}" for name in (*names, "deleted")} == told.keys()
    assert told["webhook_configuration.paused"] == "moving house"
