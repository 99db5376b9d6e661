"""Filters beside a table: nothing moves under the mouse, what is chosen is shown, and the table says of how many."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from tests.browser.conftest import API, Shop

Windows = Callable[..., Any]

#: Whether all of what is written in a cell is in sight.
WHOLE = "cell => cell.scrollWidth <= cell.clientWidth"

#: Where each thing of the filters is, from the top.
_PLACES = """() => Object.fromEntries([...document.querySelectorAll('details fieldset')].flatMap((group) =>
  [group.querySelector('legend'), ...group.querySelectorAll('label')].map((one) =>
    [`${group.querySelector('legend').textContent}: ${one.querySelector('span')?.textContent ?? ''}`,
     Math.round(one.getBoundingClientRect().top)])))"""


async def places(page: Page) -> dict[str, int]:
    return await page.evaluate(_PLACES)


@pytest.mark.parametrize(
    ("place", "path", "known"),
    [
        (
            "/webhooks?part=events&from=now-15m",
            "webhook-events",
            ("Status: in work", "Signature: verified", "Source: "),
        ),
        ("/api?part=calls&from=now-15m", "api-calls", ("Status: 2xx good", "Status: client left", "Method: ")),
    ],
)
async def test_nothing_moves_when_counts_come_and_when_a_value_is_chosen(
    window: Windows, place: str, path: str, known: tuple[str, ...]
):
    # Given filters whose counts take their time, and of which a value has none the next time
    answers = asyncio.Event()
    counted: list[Any] = []

    async def answer(route: Route) -> None:
        await answers.wait()
        found = await route.fetch()
        facets = await found.json()
        if counted:
            facets["status"] = facets["status"][1:]
        counted.append(facets)
        await route.fulfill(response=found, body=json.dumps(facets))

    one = await window()
    await one.page.route(f"**/{path}/facets?*", answer)
    page = await one.open(place)
    await expect(page.get_by_role("group", name="Status")).to_be_visible()
    await expect(page.get_by_role("table")).to_be_visible()
    before = await places(page)
    assert set(known) <= set(before)

    # When the counts come, everything stays where it was
    answers.set()
    status = page.get_by_role("group", name="Status")
    await expect(status).to_have_attribute("aria-busy", "false")
    after = await places(page)
    assert {name: after[name] for name in before} == before

    # When a value is chosen and the first one has nothing left, the same
    value = page.get_by_role("group", name="Status").get_by_role("checkbox").first
    async with page.expect_response(f"**/{path}/facets?*status=*"):
        await value.click()
    await expect(page.get_by_role("list", name="Filters in force")).to_be_visible()
    await expect(value).to_be_checked()
    again = await places(page)
    assert {name: again[name] for name in after} == after
    assert await one.violations() == []


async def test_a_value_that_is_chosen_and_has_nothing_is_shown(window: Windows):
    page = await (await window()).open("/api?part=calls&from=now-15m&route=/no/such/route&status=418")

    await expect(page.get_by_role("group", name="Route").get_by_label("/no/such/route")).to_be_checked()
    teapots = page.get_by_role("group", name="Status").locator("label", has_text="418")
    await expect(teapots.get_by_role("checkbox")).to_be_checked()
    await expect(teapots).to_have_text("4180")

    # One status is asked for: another takes its place
    await page.get_by_role("group", name="Status").get_by_label("2xx good").check()
    await page.wait_for_url(re.compile("status=2&|status=2$"))
    await expect(teapots.get_by_role("checkbox")).not_to_be_checked()


@pytest.mark.parametrize(
    ("place", "path", "table"),
    [
        ("/webhooks?part=events&from=now-15m", "webhook-events", "Webhook events"),
        ("/api?part=calls&from=now-15m", "api-calls", "API calls"),
    ],
)
async def test_a_table_says_of_how_many_it_shows_some(window: Windows, shop: Shop, place: str, path: str, table: str):
    # Given a table whose first page has two rows, and no second one is there yet
    async def few(route: Route) -> None:
        if "cursor=" not in route.request.url:
            await route.continue_(url=route.request.url.replace("limit=200", "limit=2"))

    one = await window()
    await one.page.route(f"**/{path}?*", few)
    page = await one.open(f"{place}&live=off")
    async with page.expect_response(f"**/{path}/facets?*") as asked:
        await page.reload()
    total = (await (await asked.value).json())["total"]

    assert total > 2
    await expect(page.get_by_text(f"2 of {total:,} rows")).to_be_visible()


@pytest.mark.parametrize(
    ("place", "table", "shown"),
    [
        ("/webhooks?part=events&from=now-2h", "Webhook events", ["Received", "Status", "Type"]),
        ("/rate-limits?view=blocks", "Blocks and bans", ["Who", "State", "Ends"]),
        ("/settings/notifications", "Alerts", ["Alert", "State", "Since"]),
        ("/settings/alert-rules", "Alert rules", ["Rule", "State"]),
    ],
)
async def test_a_phone_shows_what_matters_of_a_table(
    window: Windows, shop: Shop, place: str, table: str, shown: list[str]
) -> None:
    """Given a phone; then the columns that one came for are in sight without scrolling sideways, and fit."""
    blocked = {"identifier": "203.0.113.240", "reason": "seen on a phone", "duration_seconds": 600}
    shop.client.post(f"{API}/rate-limits/blocks", json=blocked, headers={"X-API-Key": shop.key})
    one = await window(width=390)
    page = await one.open(place)
    rows = page.get_by_role("table", name=table, exact=True)
    await expect(rows.get_by_role("columnheader")).to_have_text(shown)
    await expect(rows.locator("tbody tr[data-row]").first).to_be_visible()
    assert await rows.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")


async def test_what_a_rule_looks_at_and_what_was_flagged_is_not_cut_on_a_laptop(window: Windows, shop: Shop) -> None:
    """Given a forged webhook, whose action has the longest name; then it and the conditions' figures are whole."""
    shop.client.post("/hooks/stripe", content=b"{}", headers={"content-type": "application/json"})
    one = await window(width=1280)
    page = await one.open("/audit?tab=entries&action=webhook.signature_refused&from=now-2h")
    action = page.get_by_role("table", name="Entries").locator("tbody a").first
    await expect(action).to_have_text("webhook.signature_refused")
    assert await action.evaluate(WHOLE)

    page = await one.open("/settings/alert-rules")
    rules = page.get_by_role("table", name="Alert rules")
    condition = rules.get_by_role("row", name=re.compile("disk of the database")).locator("td", has_text="last of")
    assert await condition.evaluate(WHOLE)
