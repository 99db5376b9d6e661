"""Filters beside a table: nothing moves under the mouse, what is chosen is shown, and the table says of how many."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from tests.browser.conftest import Shop

Windows = Callable[..., Any]

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
