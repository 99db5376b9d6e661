"""The overview in a real browser: real figures, live, by mouse and by keyboard, in both themes and two widths."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Request, Route, expect
from tests.browser.conftest import API, HOME, PASSWORD, PATIENCE_MS, RETRIES, settled
from tests.browser.served import ZONE, Shop, as_browser_cookie, signed

NOW = "?from=now-5m"

#: What a browser tells its pages when the machine has lost its network.
NETWORK_GONE = """() => {
  Object.defineProperty(navigator, "onLine", { get: () => false });
  window.dispatchEvent(new Event("offline"));
}"""


@pytest.mark.parametrize("width", [1440, 390])
async def test_the_overview_shows_real_figures_and_everybody_can_use_it(window: Callable[..., Any], width: int) -> None:
    """Given demo traffic; then the figures are there, nothing is cut off sideways, and axe finds nothing."""
    seen = await window(width=width)
    page = await seen.open("?from=now-1h")  # the traffic came when the first of these tests began
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    requests = page.get_by_role("main").get_by_role("link", name=re.compile("Requests"))
    await expect(requests).to_contain_text(re.compile(r"\d"))
    await expect(page.get_by_text("Storage", exact=True).first).to_be_visible()  # a second one says what is wrong
    out = page.get_by_role("main").get_by_role("link", name="Outgoing webhooks", exact=True)
    await expect(out).to_have_attribute("href", re.compile("/webhooks/endpoints"))
    await expect(page.get_by_role("application", name=re.compile("Requests over time"))).to_be_visible()
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    own = seen.shop.client.get(f"{API}/api-health", headers={"X-API-Key": seen.shop.key}).json()["monitor"]["own_time"]
    costs = r"takes \d.* longer than without Custodes" if own else "measured on a sample of the requests"
    await expect(page.get_by_text(re.compile(costs))).to_be_visible()

    sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways == 0
    assert await seen.violations_in_both_schemes() == []


async def test_what_happens_is_seen_within_two_seconds(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(NOW)
    await expect(page.get_by_role("switch", name="Live")).to_be_visible()

    seen.shop.client.get("/products/4242")

    await expect(page.get_by_text("GET /products/4242")).to_be_visible()


async def test_the_stream_stands_still_while_one_reads_and_tells_what_is_new(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(NOW)
    await expect(page.get_by_role("switch", name="Live")).to_be_visible()
    seen.shop.client.get("/products/1111")
    events = page.get_by_role("list", name="Events, newest first")
    await expect(events.get_by_text("GET /products/1111")).to_be_visible()

    await events.hover()
    await expect(page.get_by_role("switch", name="Paused")).to_be_visible()
    seen.shop.client.get("/products/2222")

    fresh = page.get_by_role("button", name=re.compile(r"\d+ new"))
    await expect(fresh).to_be_visible()
    await expect(events.get_by_text("GET /products/2222")).to_have_count(0)
    await fresh.click()
    await expect(events.get_by_text("GET /products/2222")).to_be_visible()

    # What was read is fainter than what is new, and stays so until one stops to read again.
    read, new = (events.get_by_role("listitem").filter(has_text=f"GET /products/{one}") for one in ("1111", "2222"))
    await expect(read).to_have_attribute("data-old", "true")
    await expect(new).not_to_have_attribute("data-old", "true")
    faint = await page.evaluate("getComputedStyle(document.querySelector('[data-old] time')).color")
    await expect(read).to_have_css("color", faint)
    await expect(new).not_to_have_css("color", faint)
    seen.shop.client.get("/products/3333")
    await expect(events.get_by_text("GET /products/3333")).to_be_visible()
    await expect(read).to_have_attribute("data-old", "true")
    await events.focus()
    await expect(page.get_by_role("switch", name="Paused")).to_be_visible()
    await expect(events.locator("[data-old]")).to_have_count(0)


async def test_a_stream_that_cannot_be_had_is_said_to_be_and_taken_up_again(window: Callable[..., Any]) -> None:
    seen = await window()
    seen.expected = ("ERR_FAILED",)

    async def away(route: Route) -> None:
        await route.abort()

    await seen.page.route("**/live", away)
    page = await seen.open(NOW)
    await expect(page.get_by_role("switch", name="Connecting")).to_be_visible()
    await expect(page.get_by_text("Calls recorded")).to_be_visible()  # the rest of the page does without it

    await page.unroute("**/live")

    await expect(page.get_by_role("switch", name="Live")).to_be_visible()


async def test_a_server_that_does_not_answer_is_said_once_over_the_page_with_the_age_of_its_figures(
    window: Callable[..., Any],
) -> None:
    """Given a page with figures; when nothing answers; then they stay where they are, and of when they are is said."""
    seen = await window()
    seen.expected = ("ERR_FAILED", "ERR_CONNECTION")
    page = await seen.open("?from=now-1h")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)

    async def away(route: Route) -> None:
        await route.abort()

    await page.route(f"**{API}/**", away)
    await expect(
        page.get_by_text(re.compile(r"As of [\d:]{8}: the server does not answer, trying again"))
    ).to_be_visible()
    # Once, over the page: panels whose figures stay do not say it as well, so that nothing moves.
    await expect(page.locator("main").get_by_text("As of")).to_have_count(0)
    await expect(page.locator("div").filter(has=page.get_by_role("button", name="Try now")).last).to_have_css(
        "position", "fixed"
    )
    await expect(page.get_by_role("status").filter(has_text="the server does not answer")).to_have_count(1)
    await expect(page.get_by_text("cannot be reached")).to_have_count(0)
    assert await seen.violations() == []

    await page.get_by_role("button", name="Try now").click()
    await expect(page.get_by_text("the server does not answer, trying again in")).to_be_visible()

    await page.unroute(f"**{API}/**")
    await expect(page.get_by_text("the server does not answer")).to_have_count(0)


async def test_a_laptop_without_a_network_is_told_that_its_figures_are_old(window: Callable[..., Any]) -> None:
    """Given a page that is live; when the network is gone; then it says so at once, and goes on when it is back."""
    seen = await window()
    seen.expected = ("ERR_INTERNET_DISCONNECTED",)
    page = await seen.open("?from=now-1h")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()

    await seen.context.set_offline(True)
    try:
        await expect(page.get_by_text(re.compile("the server does not answer, trying again"))).to_be_visible()
        await expect(page.get_by_role("switch", name="Connecting")).to_be_visible()
    finally:
        await seen.context.set_offline(False)

    await expect(page.get_by_text("the server does not answer")).to_have_count(0)
    await expect(page.get_by_role("switch", name="Live", exact=True)).to_be_visible()


async def test_a_request_that_still_gets_through_as_the_network_goes_is_not_taken_for_a_network(
    window: Callable[..., Any],
) -> None:
    """Given what is asked as the network goes is answered; when no more is; then the page says so all the same."""
    seen = await window()
    seen.expected = ("ERR_FAILED",)
    page = await seen.open("?from=now-24h")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()

    async with page.expect_response(re.compile(f"{API}/me$")):
        await page.evaluate(NETWORK_GONE)
    await page.route(f"**{API}/**", lambda route: route.abort())

    await expect(page.get_by_text("the server does not answer, trying again")).to_be_visible()


async def test_a_server_on_the_laptop_itself_is_asked_without_a_network(window: Callable[..., Any]) -> None:
    """Given the browser says that there is no network; when the server answers; then its figures go on."""
    seen = await window()
    page = await seen.open(NOW)
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    await page.evaluate(NETWORK_GONE)

    async with page.expect_response(re.compile(f"{API}/api-health")):
        seen.shop.client.get("/products/5151")

    await expect(page.get_by_text("the server does not answer")).to_have_count(0)


async def test_dragging_on_a_chart_zooms_the_page_and_back_undoes_it(window: Callable[..., Any]) -> None:
    seen = await window()
    seen.shop.client.get("/products/3333")
    page = await seen.open(NOW)
    chart = page.get_by_role("application", name=re.compile("Requests over time"))
    await chart.scroll_into_view_if_needed()
    box = await chart.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + box["width"] * 0.4, middle)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=5)
    await page.mouse.up()

    await page.wait_for_url(re.compile(r"from=20\d\d-.*&to=20\d\d-"))
    await page.go_back()
    await page.wait_for_url(re.compile(r"from=now-5m$"))
    await expect(page.locator("[data-range]")).to_have_text("Last 5 minutes")
    await chart.dblclick()
    await expect(page.locator("[data-range]")).to_have_text("Last 10 minutes")


async def test_a_period_before_that_is_not_whole_is_no_measure(window: Callable[..., Any]) -> None:
    """Given recording began in the middle of the period before, Then a card says so, and tells no change."""
    seen = await window()
    who = seen.shop.client.get(f"{API}/me", headers={"X-API-Key": seen.shop.key}).json()
    began = datetime.fromisoformat(who["recording_since"])
    asked = [f"{began + timedelta(minutes=at):%Y-%m-%dT%H:%M:%S.000Z}" for at in (15, 45)]
    page = await seen.open(f"?from={asked[0]}&to={asked[1]}&tz=utc")

    card = page.get_by_role("main").get_by_role("link", name=re.compile("Requests"))
    await expect(card).to_contain_text("no whole period before")
    await expect(card.get_by_title(f"{began:%H:%M}")).to_be_visible()


async def test_a_copied_link_shows_the_same_view(window: Callable[..., Any]) -> None:
    """Given range, comparison and zone chosen by keyboard; when the link is opened elsewhere; then it is the same."""
    seen = await window()
    page = await seen.open()
    await page.get_by_role("heading", name="Overview").wait_for()
    await page.keyboard.press("t")
    await page.get_by_label("Type a range").fill("last 45m")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("from=now-45m"))
    await page.get_by_role("heading", name="Overview").click()
    await page.keyboard.press("c")
    await page.keyboard.press("z")
    await page.wait_for_url(re.compile(f"tz={ZONE}"))
    await page.keyboard.press("z")
    await page.wait_for_url(re.compile("compare=previous.*tz=utc|tz=utc.*compare=previous"))

    other = await window()
    await other.page.goto(page.url)

    for view in (page, other.page):
        await expect(view.locator("[data-range]")).to_have_text("Last 45 minutes")
        await expect(view.get_by_role("button", name="Compare")).to_have_attribute("aria-pressed", "true")
        await expect(view.get_by_role("button", name="Time zone UTC, change")).to_be_visible()
    assert other.page.url == page.url
    await other.page.get_by_role("link", name="Webhooks", exact=True).click()
    await other.page.wait_for_url(re.compile(r"/webhooks\?.*from=now-45m"))


async def test_an_address_is_blocked_and_the_trail_says_who_and_why(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open()
    await page.get_by_role("button", name="Block").click()
    await page.get_by_label("Who").fill("198.51.100.77")
    await page.get_by_label("Reason").fill("scans since midnight")
    await page.get_by_role("dialog").get_by_role("button", name="Block").click()
    await expect(page.get_by_text("198.51.100.77 is blocked")).to_be_visible()

    headers = {"X-API-Key": seen.shop.key}
    blocks = seen.shop.client.get(f"{API}/rate-limits/blocks", headers=headers).json()["items"]
    assert any(block["identifier"] == "198.51.100.77" for block in blocks)
    entries = seen.shop.client.get(f"{API}/audit-logs", params={"limit": 50}, headers=headers).json()["items"]
    assert any("198.51.100.77" in str(entry["targets"]) for entry in entries)


async def test_where_alerts_go_is_tried_and_everything_taken_along(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open()
    await page.get_by_role("button", name="Where they go").click()
    dialog = page.get_by_role("dialog", name="Where alerts go")
    await expect(dialog.get_by_text("log", exact=True)).to_be_visible()
    await dialog.get_by_role("button", name="Send a test to each").click()
    await expect(dialog.get_by_text(re.compile(r"taken in \d+ ms"))).to_be_visible()
    headers = {"X-API-Key": seen.shop.key}
    tried = seen.shop.client.get(f"{API}/audit-logs", params={"action": "alert_sink.tested"}, headers=headers).json()
    assert [one["id"] for one in tried["items"][0]["targets"]] == ["log"]

    await dialog.get_by_role("button", name="Close").click()
    await page.get_by_role("button", name="Export").click()
    async with page.expect_download() as taken:
        await page.get_by_role("menuitem", name=re.compile("^Metrics")).click()
    lines = Path(await (await taken.value).path()).read_text().splitlines()
    assert {"name", "labels", "at", "count"} <= set(json.loads(lines[0]))


async def test_a_session_that_ends_is_taken_up_again_where_one_was(window: Callable[..., Any]) -> None:
    """Given a page that is open; when the session ends; then one signs in over the page, and it goes on."""
    seen = await window()
    seen.expected = ("401",)
    page = await seen.open("/?from=now-6h")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    await seen.context.clear_cookies()
    # Not by mouse: what the page asks by itself may have the dialog over the button already.
    await page.get_by_role("button", name="Replay failed webhooks").dispatch_event("click")

    await expect(page.get_by_text("Your session has ended")).to_be_visible()
    await page.get_by_label("User name").fill("owner")
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_text("Your session has ended")).to_have_count(0)
    await expect(page.get_by_role("dialog").get_by_text(re.compile("given up"))).to_be_visible()
    assert page.url.endswith("from=now-6h")


async def test_a_session_that_is_ended_under_an_open_page_makes_a_handful_of_requests_and_no_flag(
    window: Callable[..., Any], shop: Shop
) -> None:
    def sign_in() -> dict[str, str]:
        answer = shop.client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
        shop.client.cookies.clear()
        return signed(answer)

    # Given a page that asks anew with each entry of the trail, whose session somebody ends
    seen = await window(signed_in=False)
    seen.expected = ("401",)
    session = sign_in()
    await seen.context.add_cookies([as_browser_cookie(shop.url, session["Cookie"])])
    # From an address of its own: what other tests were refused from theirs is a risk of that one.
    here = "198.51.100.231"
    await seen.context.set_extra_http_headers({"X-Forwarded-For": here})
    page = await seen.open("/audit?from=now-5m")
    await expect(page.get_by_role("switch", name="Live")).to_be_visible()
    refused: list[str] = []
    asked: list[str] = []
    page.on("response", lambda answer: answer.status == 401 and refused.append(answer.url))
    assert shop.client.post(f"{API}/logout", headers=session).status_code == 204
    await expect(page.get_by_text("Your session has ended")).to_be_visible()
    before = -1
    while before < len(refused):  # what was under way then
        before = len(refused)
        await page.wait_for_timeout(500)

    # When entries go on being written
    page.on("request", lambda request: API in request.url and asked.append(request.url))
    for _ in range(2):
        sign_in()
        await page.wait_for_timeout(1_000)

    # Then nothing is asked until somebody has signed in, and each thing once then
    assert asked == []
    assert 0 < len(refused) <= 20
    await page.get_by_label("User name").fill("owner")
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    async with page.expect_response("**/audit-summary?*"):
        await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Your session has ended")).to_have_count(0)
    await seen.context.set_extra_http_headers({})

    # And the trail tells of the session, and takes nobody for an attacker
    wanted = {"action": "auth.session_used_after_end"}
    told = shop.client.get(f"{API}/audit-logs", params=wanted, headers={"X-API-Key": shop.key}).json()["items"]
    told = [one for one in told if one["context"]["ip"] == here]
    assert 1 <= len(told) <= 2  # two where the minute turns
    assert not any(one["flagged"] for one in told)


async def test_where_nothing_is_replayed_no_reason_is_asked_for(window: Callable[..., Any]) -> None:
    """Given a stretch of time before the install was there; then the dialog says so, and can only be closed."""
    seen = await window()
    page = await seen.open("/?from=2020-01-01T00:00:00Z&to=2020-01-01T01:00:00Z")
    await page.get_by_role("button", name="Replay failed webhooks").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("No webhook of this stretch of time was given up")
    await expect(dialog.get_by_label("Reason")).to_have_count(0)
    await expect(dialog.get_by_role("button", name="Replay")).to_have_count(0)
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(dialog).to_have_count(0)


async def test_somebody_else_who_signs_in_is_shown_nothing_of_the_one_before(window: Callable[..., Any]) -> None:
    """Given a page that somebody else had open; when one signs in over it; then it is loaded anew, at the same view."""
    seen = await window()
    seen.expected = ("401",)

    async def as_somebody_else(route: Route) -> None:
        answer = await route.fetch(max_retries=RETRIES)
        await route.fulfill(response=answer, json={**await answer.json(), "profile_id": "somebody-else"})

    await seen.page.route("**/api/admin/enterprise/me", as_somebody_else)
    page = await seen.open("/?from=now-6h")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    await page.unroute("**/api/admin/enterprise/me")
    await page.evaluate("window.ofTheOneBefore = true")
    await seen.context.clear_cookies()
    await page.get_by_role("button", name="Replay failed webhooks").dispatch_event("click")
    await page.get_by_label("User name").fill("owner")
    await page.get_by_role("textbox", name="Password").fill(PASSWORD)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Sign in").click()

    assert not await page.evaluate("window.ofTheOneBefore")
    await expect(page.get_by_text("Calls recorded")).to_be_visible()
    assert page.url.endswith("from=now-6h")


async def test_a_dialog_that_opens_while_one_is_asked_to_sign_in_waits_behind(window: Callable[..., Any]) -> None:
    """Given a session that has ended; when a click of before opens its dialog late; then one still can sign in."""
    seen = await window()
    seen.expected = ("401",)
    page = await seen.open(NOW)
    button = page.get_by_role("button", name="Block", exact=True)
    await expect(button).to_be_visible()
    await seen.context.clear_cookies()
    await page.get_by_role("button", name="Compare").dispatch_event("click")
    await expect(page.get_by_text("Your session has ended")).to_be_visible()

    await button.dispatch_event("click")
    who = page.get_by_label("Who")
    await expect(page.get_by_label("Reason")).to_be_attached()
    name = page.get_by_label("User name")
    await expect(name).to_be_focused()
    await who.evaluate("field => field.focus()")
    await expect(name).to_be_focused()
    await page.keyboard.type("owner")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    for _ in range(6):  # all the way round: Tab leads nowhere else
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('[role=dialog]').innerText.includes('session')")
    await expect(who).to_have_value("")
    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_text("Your session has ended")).to_have_count(0)
    await expect(page.get_by_label("Reason")).to_be_visible()


async def test_without_a_session_one_signs_in_first_and_gets_the_view_of_the_link(window: Callable[..., Any]) -> None:
    seen = await window(signed_in=False)
    page = await seen.open("?from=now-3h&compare=previous")
    assert "/login?next=" in page.url
    assert await seen.violations() == []
    await page.get_by_label("User name").fill("owner")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"**{HOME}?from=now-3h&compare=previous")
    await expect(page.locator("[data-range]")).to_have_text("Last 3 hours")


async def test_everything_can_be_reached_by_keyboard(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(NOW)
    await page.get_by_role("heading", name="Overview").wait_for()
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert await seen.violations() == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox")).to_be_focused()
    await page.keyboard.type("security")
    assert await seen.violations() == []
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/audit"))
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("1")
    await page.wait_for_url(re.compile(r"enterprise/?\?from=now-5m$"))

    chart = page.get_by_role("application", name=re.compile("Requests over time"))
    await chart.focus()
    await page.keyboard.press("End")
    await expect(page.locator("figure", has=chart).locator("[aria-live]")).to_contain_text("Good")
    await page.get_by_role("button", name="Table").first.click()
    await expect(page.get_by_role("region", name="Requests over time by status, figures")).to_contain_text("Time")


async def test_what_is_shown_first_is_asked_once_and_before_the_program_is_there(window: Callable[..., Any]) -> None:
    """Given the overview; when it is opened; then its first questions leave early, and none is sent twice."""
    seen = await window(new=True)
    wanted = {"me", "api-health", "overview", "webhook-analytics", "rate-limit-summary", "audit-summary"}
    asked: list[str] = []
    early = asyncio.Event()

    def note(request: Request) -> None:
        if API in request.url:
            asked.append(re.sub(r"^.*/enterprise/([\w-]+).*", r"\1", request.url))
        if wanted <= set(asked):
            early.set()

    async def hold(route: Route) -> None:
        async with asyncio.timeout(PATIENCE_MS / 1_000):
            await early.wait()
        await route.continue_()

    seen.page.on("request", note)
    await seen.page.route("**/assets/App-*.js", hold)
    page = await seen.open(f"{NOW}&live=off")  # nothing is asked again as time goes on
    await settled(page)

    assert [asked.count(one) for one in ("me", "api-health", "overview", "audit-summary", "alerts")] == [1] * 5


async def test_an_open_alert_leads_to_its_cause(window: Callable[..., Any]) -> None:
    """Given an app that raised an error never seen before; then the alert, here and in the bell, leads to the calls."""
    seen = await window()
    # Now, too: however long the tests before took, the error goes on, and its alert is open.
    seen.shop.client.post("/orders/4711/refund", headers={"Connection": "close"})
    page = await seen.open("?from=now-2h")
    alerts = page.get_by_role("region", name="Open alerts")
    await alerts.get_by_role("link", name="The API has a new error").first.click()
    await page.wait_for_url(re.compile("from=now-2h.*error_group=|error_group=.*from=now-2h"))
    await expect(page.get_by_role("table", name="API calls").get_by_role("row").nth(1)).to_be_visible()

    await page.get_by_role("button", name=re.compile("^Notifications")).click()
    sheet = page.get_by_role("dialog", name="Notifications")
    # The eight that matter most: on a busy machine, other alerts than that of the error.
    await sheet.get_by_role("listitem").first.get_by_role("link").click()
    await expect(sheet).to_have_count(0)
    assert "from=now-2h" in page.url


async def test_the_palette_finds_what_one_has_in_hand(window: Callable[..., Any]) -> None:
    """Given an address of a log line, or what is to be done; then a few keys lead there, in the range of the page."""
    seen = await window()
    page = await seen.open("?from=now-2h")
    await page.get_by_role("heading", name="Overview").wait_for()
    for typed, place in (
        ("203.0.113.99", r"/api\?.*client_ip=203\.0\.113\.99"),
        ("block or", r"/rate-limits\?.*view=blocks"),
        ("evt_1Q2w3E", r"/webhooks\?.*id=evt_1Q2w3E"),
    ):
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("combobox", name="Find a page or an action")).to_be_focused()
        await page.keyboard.type(typed)
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile(place))
        assert "from=now-2h" in page.url
