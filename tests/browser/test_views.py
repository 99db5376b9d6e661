"""Every view is its URL: a copied link shows the same; and everything is reached by keyboard alone, in every tab."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from tests.browser.conftest import RETRIES, Window, settled
from tests.browser.served import ZONE

#: Views with all that their URLs can say.
VIEWS = (
    "/?plane=traffic",
    "/webhooks?source=stripe",
    "/webhooks?part=events&source=stripe&status=succeeded&sort=webhook-events:-size",
    "/webhooks?part=refused&reason=no-match",
    "/api?measure=ttfb&order=max&method=GET",
    "/api?part=endpoints&sort=endpoints:-requests",
    "/api?part=calls&status=4&method=GET&sort=api-calls:-total_ms",
    "/api?part=errors&state=open",
    "/audit?tab=entries&actor=user:*&outcome=success&sort=entries:-risk",
    "/audit?tab=actors&sort=actors:-events",
    "/rate-limits?view=rules&sort=rate-limit-rules:name&open=login",
    "/rate-limits?view=editor&limits=5/minute&by=ip&route=/login&name=trial&shadow=no",
)


#: How often, and how long after the one before, the two are looked at: what is compared with comes after what is shown.
LOOKS, LOOK_MS = 40, 100

#: How often a view is opened on both sides: what the server tells of this moment may become another in between.
TRIES = 4


def _fixed_range() -> str:
    """The last ten minutes as two moments: what is shown of them does not change any more."""
    end = datetime.now(UTC).replace(microsecond=0)
    begin = end - timedelta(minutes=10)
    return f"from={begin:%Y-%m-%dT%H:%M:%S.000Z}&to={end:%Y-%m-%dT%H:%M:%S.000Z}&tz=utc&compare=previous"


async def _told(page: Page) -> str:
    """All that the page says to somebody who cannot see it, without what tells how long ago something was."""
    await settled(page)
    said = await page.locator("body").aria_snapshot()
    said = re.sub(r"otifications: \d+ open", "otifications: # open", said)  # the server goes on having alerts
    # Figures of this moment (health, how long ago something was) are others a second later.
    if "Custodes itself" in said:
        # So are those of the process, of which a server that has just started has none yet.
        said = re.sub(r"\n *- term: (CPU of|Memory of|Event loop).*\n *- definition: .*", "", said)
        said = re.sub(r"\d[\d.,]*( ?(µs|ms|s|min|kB|MB|%)\b)?", "#", said)
        said = re.sub(r'listitem: "?([^\n"]*?) (healthy|degraded|unhealthy)\b[^\n]*', r"listitem: \1", said)
    return re.sub(r"(#|[\d.]+ (s|min|h|d)) ago|\bnow\b", "ago", said)


@pytest.mark.timeout(600)
async def test_a_copied_link_shows_the_same_view(window: Callable[..., Any]) -> None:
    """Given views with filters, order, open row, range, zone and comparison; then a link shows the same elsewhere."""
    one: Window = await window()
    other: Window = await window()
    await one.open()
    for view in VIEWS:
        page = await one.go(f"{view}&{_fixed_range()}")
        here, there = await _on_both_sides(page, other.page)
        for _ in range(TRIES - 1):
            if here == there:
                break
            page = await one.open(f"{view}&{_fixed_range()}")
            here, there = await _on_both_sides(page, other.page)

        for word in re.findall(r"[?&](\w+)=", view):
            assert f"{word}=" in page.url, f"{word} of {view} was lost"
        assert here == there, view
        assert other.page.url == page.url


async def _on_both_sides(page: Page, other: Page) -> tuple[str, str]:
    """Open the link of a page in another, and tell what both say."""
    await settled(page)
    await other.goto(page.url)
    for _ in range(LOOKS):
        here, there = await _told(page), await _told(other)
        if here == there:
            break
        await page.wait_for_timeout(LOOK_MS)
    return here, there


async def test_what_is_chosen_in_a_table_and_in_a_detail_is_in_the_url(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    page = await seen.open("/webhooks?part=events&from=now-15m")
    table = page.get_by_role("table", name="Webhook events")
    await table.get_by_role("button", name="Source").click()
    await page.wait_for_url(re.compile("sort=webhook-events:-source"))
    await table.get_by_role("button", name="Source").click()
    await page.wait_for_url(re.compile("sort=webhook-events:source"))
    await table.get_by_role("link").first.click()
    drawer = page.get_by_role("dialog")
    await drawer.get_by_text("Hex", exact=True).click()
    await page.wait_for_url(re.compile("way=hex"))

    await page.reload()

    await expect(drawer.get_by_label("Payload, hexadecimal")).to_be_visible()
    await drawer.get_by_role("button", name="Close").click()
    await expect(table.get_by_role("columnheader", name="Source")).to_have_attribute("aria-sort", "ascending")


async def test_all_moments_are_told_in_the_zone_that_is_chosen(window: Callable[..., Any]) -> None:
    """Given a tenant with a zone of its own; when it is chosen; then rows, hints, charts and range are all in it."""
    seen: Window = await window()
    page = await seen.open("/api?part=calls&from=now-15m&live=off")
    await page.get_by_role("button", name="Time zone", exact=False).click()
    await page.get_by_role("menuitem", name=f"{ZONE} the tenant's").click()
    await page.wait_for_url(re.compile(f"tz={ZONE}"))

    moment = page.get_by_role("table", name="API calls").locator("tbody time").first
    told = datetime.fromisoformat(str(await moment.get_attribute("title")))
    meant = datetime.fromisoformat(str(await moment.get_attribute("datetime")))
    assert told.utcoffset() == timedelta(hours=5, minutes=30)
    assert abs(told - meant) < timedelta(milliseconds=1)
    await expect(moment).to_contain_text(f"{told:%H:%M:%S}")

    page = await seen.open(f"/webhooks?{_fixed_range().replace('tz=utc', f'tz={ZONE}')}")
    begin = re.search(r"from=([^&]+)", page.url)
    assert begin is not None
    there = datetime.fromisoformat(begin[1]).astimezone(told.tzinfo)
    await expect(page.locator("[data-range]")).to_contain_text(f"{there:%Y-%m-%d %H:%M}")
    await page.get_by_role("button", name="Table").first.click()
    newest = page.get_by_role("region", name=re.compile("figures")).first.get_by_role("rowheader").first
    drawn = datetime.fromisoformat(await newest.inner_text()).replace(tzinfo=told.tzinfo)
    assert there <= drawn < there + timedelta(minutes=10)

    await page.get_by_role("button", name=f"Time zone {ZONE}, change").click()
    await page.get_by_role("menuitem", name="UTC for everybody").click()
    await page.wait_for_url(re.compile("tz=utc"))
    await expect(page.locator("[data-range]")).to_contain_text(f"{there.astimezone(UTC):%Y-%m-%d %H:%M}")


KEPT = "Errors <b>tonight</b>"


async def test_a_view_is_kept_found_again_shared_opens_its_tab_and_is_deleted(window: Callable[..., Any]) -> None:
    """Given a view with filters; when it is kept; then it is there in another browser, and its tab opens with it."""
    seen: Window = await window()
    page = await seen.open("/api?part=calls&status=5&from=now-6h")
    await settled(page)
    await page.get_by_role("button", name="Saved views").click()
    await expect(page.get_by_label("Keep this view as")).to_be_focused()
    await page.keyboard.type(KEPT)
    await page.keyboard.press("Enter")
    row = page.get_by_role("dialog", name="Saved views").get_by_role("listitem").filter(has_text=KEPT)
    await expect(row).to_contain_text("Only you see it")
    assert await seen.violations() == []

    # By keyboard: its actions, opened and used
    await row.get_by_role("button", name="Change Errors").press("Enter")
    await row.get_by_role("button", name="Share").press("Enter")
    await expect(row).to_contain_text("Shared by you")
    await row.get_by_role("button", name="Open the tab with it", exact=True).press("Enter")
    await expect(row).to_contain_text("opens its tab for you")
    await row.get_by_role("button", name="Open the tab with it for everybody").press("Enter")
    await expect(row).to_contain_text("for you and everybody")
    assert await seen.violations() == []

    other: Window = await window(width=390, dark=True)
    page = await other.open("?from=now-5m&tz=utc")
    await settled(page)
    await page.get_by_role("link", name="API performance").click()
    await page.wait_for_url(re.compile(r"/api\?from=now-6h&tz=utc&part=calls&status=5$"))
    await page.keyboard.press("1")
    await page.wait_for_url(re.compile(r"enterprise/?\?.*tz=utc"))
    await page.keyboard.press("3")
    await page.wait_for_url(re.compile(r"/api\?.*part=calls&status=5"))

    page = await other.open("?from=now-5m")
    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("button", name="Change Errors").click()
    assert await other.violations() == []
    await page.get_by_role("link", name=KEPT).click()
    await page.wait_for_url(re.compile(r"/api\?part=calls&status=5&from=now-6h$"))
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("1")
    await page.wait_for_url(re.compile(r"enterprise/?\?"))
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Find a page or an action")).to_be_focused()
    await page.keyboard.type("errors <b>")
    await expect(page.get_by_role("option").first).to_contain_text(KEPT)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"/api\?part=calls&status=5&from=now-6h$"))

    await page.get_by_role("button", name="Saved views").click()
    await page.get_by_role("button", name="Change Errors").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text("It goes for everybody.")).to_be_visible()
    await page.get_by_role("button", name="Delete it").click()
    await expect(page.get_by_role("link", name=KEPT)).to_have_count(0)
    await expect(page.get_by_label("Keep this view as")).to_be_focused()


async def test_views_that_a_browser_kept_before_are_moved_once_and_none_is_lost(window: Callable[..., Any]) -> None:
    """Given views of an earlier version, one of which leads nowhere; then the others are moved, under free names."""
    seen: Window = await window()
    seen.expected = ("422",)
    page = await seen.open("?from=now-5m")
    await settled(page)
    old = [
        {"name": "Refused", "place": "/webhooks?part=refused"},
        {"name": "Refused ", "place": "/webhooks?part=refused&reason=no-match"},
        {"name": "Gone", "place": "/nowhere"},
    ]
    await page.evaluate(
        "views => localStorage.setItem('custodes views of /dashboard/admin/enterprise', JSON.stringify(views))", old
    )
    await page.get_by_role("button", name="Saved views").click()
    kept = page.get_by_role("region", name="Kept in this browser only")
    await expect(kept.get_by_role("link")).to_have_count(3)
    said = page.get_by_role("dialog", name="Saved views").get_by_role("status").first
    await kept.get_by_role("button", name="Move to the server").press("Enter")

    await expect(kept.get_by_role("alert")).to_contain_text("This is not the address of a view")
    await expect(kept.get_by_role("link")).to_have_text(["Gone"])
    await expect(said).to_have_text("2 views were moved to the server, 1 could not be")
    await expect(kept.get_by_role("button", name="Move to the server")).to_be_focused()
    await kept.get_by_role("button", name="Forget Gone").press("Enter")
    await expect(kept).to_have_count(0)
    await expect(said).to_have_text("Gone is forgotten")
    await expect(page.get_by_label("Keep this view as")).to_be_focused()
    await page.reload()
    await page.get_by_role("button", name="Saved views").click()
    sheet = page.get_by_role("dialog", name="Saved views")
    await expect(sheet.get_by_role("link")).to_have_text(["Refused", "Refused (2)"])
    assert await page.evaluate("localStorage.getItem('custodes views of /dashboard/admin/enterprise')") is None
    # One that is renamed takes another place in the list, and the focus with it.
    await sheet.get_by_role("button", name="Change Refused", exact=True).press("Enter")
    await sheet.get_by_role("button", name="Rename").press("Enter")
    await page.keyboard.type("Then")
    await page.keyboard.press("Enter")
    await expect(said).to_have_text("It is called Then now")
    await expect(sheet.get_by_role("link")).to_have_text(["Refused (2)", "Then"])
    await expect(sheet.get_by_role("button", name="Change Then")).to_be_focused()
    await page.keyboard.press("Enter")
    for name, left in (("Then", 1), ("Refused (2)", 0)):
        await sheet.get_by_role("button", name=f"Change {name}").press("Enter")
        await sheet.get_by_role("button", name="Delete", exact=True).press("Enter")
        await sheet.get_by_role("button", name="Delete it").press("Enter")
        await expect(sheet.get_by_role("link")).to_have_count(left)
        await expect(said).to_have_text(f"{name} is deleted")
        await expect(page.get_by_label("Keep this view as")).to_be_focused()
    await expect(sheet.get_by_text("No view is kept yet")).to_be_visible()


async def test_views_that_cannot_be_had_are_said_to_be_and_asked_for_again(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    seen.expected = ("500",)

    async def failing(route: Route) -> None:
        problem = {"title": "Error", "status": 500, "detail": "The disk is full.", "code": "error"}
        await route.fulfill(status=500, content_type="application/problem+json", json=problem)

    await seen.page.route("**/saved-views?*", failing)
    page = await seen.open("?from=now-5m")
    await page.get_by_role("button", name="Saved views").click()
    sheet = page.get_by_role("dialog", name="Saved views")
    await expect(sheet.get_by_role("alert")).to_contain_text("The disk is full.")
    # Without them the tabs open as they come
    await expect(page.get_by_role("link", name="Webhooks", exact=True)).to_be_visible()
    await seen.page.unroute("**/saved-views?*")

    await sheet.get_by_role("button", name="Try again").click()

    await expect(page.get_by_text("No view is kept yet")).to_be_visible()


@pytest.mark.parametrize(
    ("key", "tab", "part", "table"),
    [
        ("2", "Webhooks", "part=events", "Webhook events"),
        ("3", "API performance", "part=calls", "API calls"),
        ("4", "Security audit", "tab=entries", "Entries"),
        ("5", "Rate limits", "view=rules", "Rate limit rules"),
    ],
)
async def test_a_row_is_reached_opened_and_left_by_keyboard_alone(
    window: Callable[..., Any], key: str, tab: str, part: str, table: str
) -> None:
    """Given only a keyboard; then one goes to the tab, to its table, through its rows, into one and back to it."""
    seen: Window = await window()
    page = await seen.open("?from=now-15m")
    await settled(page)
    await page.keyboard.press(key)
    await expect(page.get_by_role("heading", name=tab, level=1)).to_be_visible()
    await settled(page)
    await _tab_to(page, f"a[href*='{part}'], input[value='{part.split('=')[1]}'], input[type=radio]:checked")
    if await page.evaluate("document.activeElement.type === 'radio'"):
        await page.keyboard.press("ArrowRight")
    else:
        await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(part))
    await settled(page)

    await page.keyboard.press("j")
    await expect(page.locator("tr[data-row='0'] a:focus")).to_have_count(1)
    first = await page.evaluate("document.activeElement.closest('tr').dataset.row")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(f"tr[data-row='{int(first) + 1}'] a:focus")).to_have_count(1)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await settled(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("tbody :focus")).to_have_count(1)


async def _tab_to(page: Page, selector: str, most: int = 120) -> None:
    """Press Tab until what is focused is one of these."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"{selector} cannot be reached with Tab")


async def test_what_a_role_may_not_do_is_not_offered(window: Callable[..., Any]) -> None:
    """Given a role that may only read, as the server tells it; then no tab has a button for what it would refuse."""
    seen: Window = await window()

    async def reading_only(route: Route) -> None:
        answer = await route.fetch(max_retries=RETRIES)
        told = await answer.json()
        reads = [name for name in told["may"] if re.search(r"_(get|list|read|tell|check|me)_?", name)]
        await route.fulfill(response=answer, json={**told, "may": reads})

    await seen.page.route("**/api/admin/enterprise/me", reading_only)
    await seen.open("?from=now-15m")
    changes = re.compile(r"^(Block|Replay|Add to a list|Acknowledge|Review all|Resolve|Save\b|I look|True positive)")
    for place in ("?", "/webhooks?part=events", "/api?part=scans", "/audit?state=all", "/rate-limits?view=editor"):
        page = await seen.go(f"{place}&from=now-15m")
        await settled(page)
        row = page.locator("tbody tr[data-row] td:first-child a").first
        if place != "/api?part=scans" and await row.count():
            await row.click()
            await expect(page.get_by_role("dialog")).to_be_visible()
            await settled(page)
        await expect(page.get_by_role("button", name=changes, include_hidden=True)).to_have_text([])
    await seen.page.unroute("**/api/admin/enterprise/me")
    page = await seen.open("?from=now-15m")
    await expect(page.get_by_role("button", name=changes).first).to_be_visible()


async def test_the_period_before_is_drawn_where_only_wider_steps_are_kept_of_it(window: Callable[..., Any]) -> None:
    """Given the last two days, then each course has the two days before behind it, also when one begins to compare."""
    seen: Window = await window()
    await seen.open("?from=now-2d")
    for place, courses in (("", ("Requests", "Response time", "Webhooks")), ("/api", ("Requests", "Response time"))):
        page = await seen.go(f"{place}?from=now-2d")
        legends = [
            page.get_by_role("region", name=course, exact=True).get_by_role("button", name=re.compile("efore$"))
            for course in courses
        ]
        for course, legend in zip(courses, legends, strict=True):
            await expect(page.get_by_role("region", name=course, exact=True).get_by_role("application")).to_be_visible()
            await expect(legend).to_have_count(0)

        await page.keyboard.press("c")

        await page.wait_for_url(re.compile("compare=previous"))
        for legend in legends:
            await expect(legend).to_be_visible()
