"""API performance: from a figure to one call, filters in the URL, errors with their audit entry, live, accessible."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Route, expect
from tests.browser.conftest import API, Shop, settled

PARTS = ("performance", "endpoints", "consumers", "errors", "scans", "calls")

Windows = Callable[..., Any]


#: An address that looks for what is not there.
SCANNER = "203.0.113.99"

#: An order whose refund fails.
UNKNOWN = 4711


@pytest.fixture(scope="session", autouse=True)
def scans(shop: Shop) -> None:
    """Have a call fail and a scanner come by, and wait until these calls are written."""
    # The server closes the connection of a request whose app raised: it is not used again.
    failed = shop.client.post(f"/orders/{UNKNOWN}/refund", headers={"Connection": "close"})
    assert failed.status_code == 500
    for path in ("/.env", "/wp-login.php", "/.env"):
        shop.client.get(path, headers={"X-Forwarded-For": SCANNER})
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if len(ask(shop, f"/api-calls?client_ip={SCANNER}")["items"]) >= 3:
            return
        time.sleep(0.25)
    pytest.fail("The calls were not written within 60 s")


def ask(shop: Shop, path: str) -> Any:
    answer = shop.client.get(f"{API}{path}", headers={"Cookie": shop.cookie})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_every_part_is_accessible_and_fits(window: Windows, width: int, dark: bool):
    one = await window(width=width, dark=dark)
    await one.open("/api?from=now-6h")
    for part in PARTS:
        page = await one.go(f"/api?part={part}&from=now-6h")
        await expect(page.get_by_role("region").first).to_be_visible()
        await expect(page.locator("[aria-busy=true]")).to_have_count(0)
        assert await one.violations() == [], part
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, part


async def test_from_a_slow_endpoint_to_its_figures_to_one_call_and_its_page(window: Windows):
    page = await (await window()).open("/api")
    await page.get_by_role("table", name="Slowest endpoints").get_by_role("link", name="GET /search").click()
    await expect(page).to_have_url(re.compile("route=/search"))
    await expect(page.get_by_role("button", name="Take away Route: /search")).to_be_visible()

    await expect(page).to_have_title("route /search, method GET · Performance · API performance · Custodes")
    distribution = page.get_by_role("region", name="Distribution")
    await expect(distribution.get_by_text(re.compile(r"^\d\d:\d\d$")).first).to_be_visible()  # its axis of time
    await distribution.get_by_role("link", name="Calls").click()
    rows = page.get_by_role("table", name="API calls").get_by_role("link")
    await rows.first.click()
    drawer = page.get_by_role("dialog", name="API call")
    await expect(drawer.get_by_text("First byte")).to_be_visible()
    opened = page.url
    await page.reload()  # the open call is in the URL
    await expect(drawer.get_by_text("First byte")).to_be_visible()
    assert page.url == opened

    call = opened.split("open=")[1].split("&")[0]
    await drawer.get_by_role("link", name="Open as a page").click()
    await expect(page).to_have_title(f"API call {call} · Custodes")
    await expect(page.get_by_role("heading", name="API call")).to_be_visible()
    await expect(page.get_by_text("GET /search").first).to_be_visible()


async def test_a_zoom_on_a_chart_is_followed_by_every_panel_and_undone_by_back(window: Windows):
    # Not live, and all there: a panel that asks again for the range before would be taken for one that follows.
    page = await (await window()).open("/api?from=now-15m&live=off")
    chart = page.get_by_role("application").first
    await expect(chart).to_be_visible()
    await settled(page)
    box = await chart.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60, steps=4)
    async with page.expect_response("**/slow-endpoints?*") as asked:
        await page.mouse.up()
    await expect(page).to_have_url(re.compile("from=20"))
    since = page.url.split("from=")[1].split("&")[0]
    minute = since[: len("2026-11-26T22:38")]  # a range begins with a whole one
    assert f"since={minute}:00.000Z" in (await asked.value).url.replace("%3A", ":")

    await page.go_back()
    await expect(page).to_have_url(re.compile("from=now-15m"))


@pytest.mark.parametrize(
    ("place", "role", "name"),
    [("/api", "button", "Response time p95"), ("/", "link", re.compile("^Response time p95"))],
)
async def test_what_p95_means_is_told_to_whoever_comes_to_it_by_keys(
    window: Windows, place: str, role: Any, name: str | re.Pattern[str]
):
    page = await (await window()).open(place)
    card = page.get_by_role(role, name=name)
    await card.focus()
    await expect(page.get_by_role("tooltip")).to_have_text("95 of 100 took at most this long, 5 took longer.")
    # For whoever hears the page, too, without a tooltip.
    await expect(page.locator("main").get_by_text("95 of 100 took at most").first).to_be_attached()


async def test_the_longest_status_that_can_be_chosen_is_read_whole(window: Windows):
    page = await (await window()).open("/api")
    status = page.get_by_role("combobox", name="Status").or_(page.get_by_role("textbox", name="Status"))
    for name in ("4xx client errors", "5xx server errors", "3xx redirects"):
        await status.click()
        await page.get_by_role("option", name=name).click()
        await expect(status).to_have_value(re.compile(name))
        # Millions of them: the most that is written.
        whole = await status.evaluate(
            "(input) => { input.value += '.88M'; return input.scrollWidth <= input.clientWidth }"
        )
        assert whole, name


async def test_filters_of_calls_combine_and_a_text_is_found(window: Windows, shop: Shop):
    page = await (await window()).open("/api?part=calls&status=4&method=GET")
    rows = page.get_by_role("table", name="API calls").locator("tbody tr[data-row]")
    await expect(rows.first).to_contain_text("GET")
    for text in await rows.all_inner_texts():
        assert "GET" in text
        assert any(status in text for status in ("400", "401", "403", "404", "422", "429"))

    await page.get_by_role("textbox", name="Text in path").fill(".ENV")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("text=.ENV"))
    await expect(rows.first).to_contain_text("/.env")
    await page.get_by_role("button", name="Clear all").click()
    await expect(page).not_to_have_url(re.compile("text="))


async def test_an_error_is_resolved_and_that_is_in_the_audit_trail(window: Windows, shop: Shop):
    page = await (await window()).open("/api?part=errors")
    await page.get_by_role("table", name="Error groups").get_by_role("link").first.click()
    drawer = page.get_by_role("dialog", name="Error group")
    await expect(drawer.get_by_role("heading", name="How often")).to_be_visible()
    identifier = page.url.split("open=")[1].split("&")[0]

    await drawer.get_by_role("button", name="Resolve").click()
    await page.get_by_role("dialog", name="Resolve").get_by_role("button", name="Resolve").click()

    await expect(drawer.get_by_role("button", name="Reopen")).to_be_visible()
    entries = ask(shop, "/audit-logs?action=api_error.resolved")["items"]
    assert ("api_error", identifier) in [(target["type"], target["id"]) for target in entries[0]["targets"]]


async def test_from_a_failed_call_to_its_error_to_where_and_how_often_to_another_call(window: Windows):
    one = await window()
    page = await one.open(f"/api?part=calls&status=5&text=/{UNKNOWN}/&from=now-6h")
    await page.get_by_role("table", name="API calls").get_by_role("link").first.click()

    # The call says what was raised and where in the app, and which error that is
    call = page.get_by_role("dialog", name="API call")
    frames = call.get_by_role("list", name="Frames of the app")
    await expect(call.get_by_text(f"KeyError: {UNKNOWN}").first).to_be_visible()
    await expect(frames.get_by_text("demo/shop.py")).to_be_visible()
    await expect(frames.get_by_text("known[order]")).to_be_visible()
    await expect(call.get_by_text("Traceback (most recent call last)")).to_be_hidden()
    await call.get_by_role("link", name="KeyError in refund").click()

    # The error: message, frames, how often over the range, where, and its latest calls
    error = page.get_by_role("dialog", name="Error group")
    await expect(error.get_by_text(re.compile(r"KeyError: \d+")).first).to_be_visible()
    await expect(error.get_by_role("figure", name="Occurrences over time")).to_be_visible()
    await expect(error.get_by_role("link", name="POST /orders/{order}/refund").first).to_be_visible()
    assert await one.violations() == []
    await error.get_by_text("Whole traceback").click()
    await expect(error.get_by_text("Traceback (most recent call last)")).to_be_visible()
    await (
        error.get_by_role("list", name="Latest calls")
        .get_by_role("link", name=f"/orders/{UNKNOWN}/refund")
        .first.click()
    )
    await expect(page.get_by_role("dialog", name="API call").get_by_text("First byte")).to_be_visible()
    assert "error_group=" in page.url

    # And on a page of its own the same
    await page.go_back()
    await expect(error.get_by_role("figure", name="Occurrences over time")).to_be_visible()
    await error.get_by_role("link", name="Open as a page").click()
    await page.wait_for_url(re.compile("/api/errors/"))
    await expect(page.get_by_role("heading", name="Error group", exact=True)).to_be_visible()
    await page.get_by_role("list", name="Latest calls").get_by_role("link", name="Trace").first.click()
    await expect(page.get_by_role("dialog", name="API call")).to_be_visible()
    assert "text=" not in page.url, "a trace is all of it, whatever the list was narrowed to"


@pytest.mark.parametrize(
    ("place", "listed", "title"),
    [
        ("/api?part=calls&text=nothing-has-this&open={}", "/api-calls", "API call"),
        ("/api?part=errors&route=/nothing-has-this&open={}", "/api-errors", "Error group"),
        ("/rate-limits?view=blocks&kind=tenant&open={}", "/rate-limits/blocks", "Block"),
    ],
)
async def test_what_is_open_is_shown_over_a_list_that_has_nothing(
    window: Windows, shop: Shop, place: str, listed: str, title: str
):
    """Given a copied link whose list is empty by now; then what it was about is shown all the same."""
    if title == "Block":
        shop.client.post(
            f"{API}/rate-limits/blocks",
            json={"identifier": "203.0.113.99", "kind": "ip", "reason": "a link to it"},
            headers={"Cookie": shop.cookie, "X-CSRF-Token": token(shop)},
        )
    found = ask(shop, listed)["items"][0]["id"]

    page = await (await window()).open(place.format(found))

    await expect(page.get_by_role("dialog", name=title, exact=True)).to_be_visible()
    await expect(page.locator("main table")).to_have_count(0)


async def test_a_scanner_is_blocked_from_the_panel_of_unmatched_routes(window: Windows, shop: Shop):
    page = await (await window()).open("/api?part=scans&from=now-6h")
    table = page.get_by_role("table", name="Unmatched requests by address")
    row = table.get_by_role("row", name=SCANNER)
    await row.get_by_role("button", name="Block").click()
    dialog = page.get_by_role("dialog", name="Block")
    await dialog.get_by_role("textbox", name="Reason").fill("looks for secrets")
    await dialog.get_by_role("button", name="Block").click()

    await expect(page.get_by_text(f"{SCANNER} is blocked for a day")).to_be_visible()
    (block,) = [one for one in ask(shop, "/rate-limits/blocks")["items"] if one["identifier"].startswith(SCANNER)]
    assert block["reason"] == "looks for secrets"
    lifted = shop.client.delete(
        f"{API}/rate-limits/blocks/{block['id']}", headers={"Cookie": shop.cookie, "X-CSRF-Token": token(shop)}
    )
    assert lifted.status_code in (200, 204), lifted.text


async def test_a_request_is_in_the_figures_within_two_seconds(window: Windows, shop: Shop):
    page = await (await window()).open("/api?route=/products")
    card = page.locator("text=Requests").first.locator("..")
    await expect(card).to_contain_text(re.compile(r"\d"))
    before = await card.inner_text()
    for _ in range(3):
        shop.client.get("/products", headers={"User-Agent": "two-seconds/1"})

    # The bar is two seconds; a busy machine may draw late, not never.
    await expect(card).not_to_have_text(before)


async def test_what_is_on_screen_is_taken_along(window: Windows):
    page = await (await window()).open("/api?part=endpoints")
    region = page.get_by_role("region", name="Endpoints")
    await region.get_by_role("button", name="Export").click()
    async with page.expect_download() as download:
        await page.get_by_role("menuitem", name="CSV of these rows").click()
    text = (await (await download.value).path()).read_text()
    assert text.splitlines()[0].startswith("endpoint,requests,p50_ms")
    assert "GET /products," in text

    # And of a list all that its filters find, more than is on screen included; nothing of Custodes' own is in it.
    await page.get_by_role("link", name="Calls", exact=True).click()
    await page.get_by_role("region", name="Calls").get_by_role("button", name="Export").click()
    async with page.expect_download() as download:
        await page.get_by_role("menuitem", name="NDJSON of all that is found").click()
    paths = [json.loads(line)["path"] for line in (await (await download.value).path()).read_text().splitlines()]
    assert "/products" in paths
    assert not any(path.startswith(("/api/admin/", "/dashboard/", "/hooks/", "/portal/")) for path in paths)


def token(shop: Shop) -> str:
    return ask(shop, "/me")["csrf_token"]


async def test_the_pattern_of_the_week_shows_hours_or_nothing(window: Windows):
    # Given an install that keeps hours for a shorter time: it answers with steps of six
    seen = await window()

    async def wider(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, json={**await answer.json(), "step_seconds": 21_600})

    await seen.open("/rate-limits")
    await seen.page.route("**/api-analytics?*step_seconds=3600*", wider)

    # Then no sum of six hours stands in the place of an hour's
    page = await seen.go("/api?from=now-1h")
    pattern = page.get_by_role("region", name="Pattern of the week")
    await expect(pattern.get_by_text("Nothing")).to_be_visible()
    await expect(pattern.get_by_role("cell")).to_have_count(0)

    # When hours are there, they are shown
    await seen.page.unroute("**/api-analytics?*step_seconds=3600*")
    await page.reload()
    await expect(pattern.get_by_role("cell")).to_have_count(7 * 24)
