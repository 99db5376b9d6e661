"""The app's own metrics in a real browser: all at a glance, and one over time, by label, beside the period before."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect
from tests.acceptance.conftest import until
from tests.browser.conftest import API, Shop, Window


@pytest.fixture(scope="session")
def measured(shop: Shop) -> Shop:
    """Metrics of each kind, two of them with labels; one is called what would be a tag."""
    items = [
        {"name": "queue.depth", "kind": "gauge", "value": 17, "labels": {"queue": "mail"}},
        {"name": "queue.depth", "kind": "gauge", "value": 4, "labels": {"queue": "<b>pdf</b>"}},
        {"name": "signups", "kind": "counter", "value": 3, "labels": {"plan": "pro"}},
        {"name": "signups", "kind": "counter", "value": 2, "labels": {"plan": "free"}},
        *({"name": "busy.lines", "kind": "gauge", "value": at, "labels": {"line": f"l{at:02}"}} for at in range(57)),
        *({"name": "checkout.seconds", "kind": "histogram", "value": at / 100} for at in range(1, 101)),
    ]
    headers = {"X-API-Key": shop.key}
    sent = shop.client.post(f"{API}/ingest/metrics", json={"items": items}, headers=headers)
    assert sent.json()["accepted"] == len(items), sent.text

    def names() -> set[str]:
        answer = shop.client.get(f"{API}/system-metrics/courses", params={"own": True}, headers=headers)
        return {one["name"] for one in answer.json()["items"]}

    until(lambda: {"queue.depth", "signups", "checkout.seconds"} <= names(), "they are kept")
    return shop


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_the_list_and_one_metric_can_be_used_by_everybody(
    window: Callable[..., Any], measured: Shop, width: int, dark: bool
) -> None:
    """Given metrics; when one goes there from the overview; then nothing is cut off sideways, and axe finds nothing."""
    seen: Window = await window(of=measured, width=width, dark=dark)
    page = await seen.open("?from=now-1h&compare=previous")
    await page.get_by_role("link", name="Metrics", exact=True).click()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="signups", exact=True))
    await expect(row).to_contain_text("5")
    await expect(row).to_contain_text("in all")
    await expect(page.get_by_role("link", name="process.cpu.percent")).to_have_count(0)
    assert await seen.violations() == []
    await page.get_by_role("link", name="checkout.seconds").click()
    await page.wait_for_url(re.compile(r"/metrics/checkout\.seconds\?.*compare=previous"))
    await expect(page.get_by_role("application", name="Percentiles of checkout.seconds over time")).to_be_visible()
    await expect(page.get_by_role("button", name="p95 before")).to_be_visible()
    await expect(page.get_by_role("table", name="Series")).to_contain_text("0.9")
    sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways == 0
    assert await seen.violations() == []


async def test_one_metric_is_cut_by_its_labels_and_leads_to_an_alert_rule(
    window: Callable[..., Any], measured: Shop
) -> None:
    seen: Window = await window(of=measured)
    page = await seen.open("/metrics/queue.depth?from=now-1h&by=label%20queue&as=max")
    chart = page.get_by_role("figure", name="queue.depth over time")
    await expect(chart.get_by_role("button", name="mail")).to_be_visible()
    await expect(chart.get_by_role("button", name="<b>pdf</b>")).to_be_visible()
    await chart.get_by_role("button", name="Table").click()
    await expect(chart.get_by_role("table")).to_contain_text("17")
    async with page.expect_download() as taken:
        await page.get_by_role("button", name="Export").click()
        await page.get_by_role("menuitem", name="CSV of these rows").click()
    assert "queue: mail,17,17,17" in (await (await taken.value).path()).read_text()
    await page.get_by_role("link", name="New alert rule").click()
    await expect(page.get_by_label("Metric").first).to_have_value("queue.depth")


async def test_what_custodes_measures_is_beside_it(window: Callable[..., Any], measured: Shop) -> None:
    seen: Window = await window(of=measured)
    page = await seen.open("/metrics")
    await page.get_by_text("Built in", exact=True).click()
    await page.wait_for_url(re.compile("whose=built-in"))
    await expect(page.get_by_role("link", name="process.cpu.percent")).to_be_visible()
    await expect(page.get_by_role("link", name="signups")).to_have_count(0)
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Find a page or an action")).to_be_focused()
    await page.keyboard.type("metrics of the app")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="signups", exact=True)).to_be_visible()


async def test_an_empty_install_is_told_what_to_write_and_a_failure_is_said(
    window: Callable[..., Any], shop: Shop
) -> None:
    seen: Window = await window()
    seen.expected = ("503",)
    await seen.page.route(
        "**/system-metrics/courses*", lambda route: route.fulfill(json={"items": [], "next_cursor": None})
    )
    page = await seen.open("/metrics")
    await expect(page.get_by_text('custodes.metrics.count("orders.created"')).to_be_visible()
    assert await seen.violations() == []
    await page.unroute_all()
    problem = {"title": "Storage unavailable", "status": 503, "detail": "The store does not answer"}
    await page.route("**/system-metrics/courses*", lambda route: route.fulfill(status=503, json=problem))
    await page.reload()
    await expect(page.get_by_role("alert").get_by_text("The store does not answer")).to_be_visible()


async def test_the_series_that_one_answer_does_not_hold_come_when_one_goes_on(
    window: Callable[..., Any], measured: Shop
) -> None:
    """Given more series than an answer holds; then the table says of how many it shows some; its end has the rest."""
    seen: Window = await window(of=measured)
    page = await seen.open("/metrics/busy.lines")
    series = page.get_by_role("region", name="Series")
    await expect(series.get_by_text("50 of 57 rows")).to_be_visible()
    await series.get_by_role("table", name="Series").locator("tbody").hover()
    await page.mouse.wheel(0, 5_000)
    await expect(series.get_by_text("57 rows", exact=True)).to_be_visible()
    await page.mouse.wheel(0, 5_000)
    await expect(series.get_by_text("line: l00")).to_be_visible()
