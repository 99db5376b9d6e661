"""The rate-limit tab in a real browser: figures, blocks, lists, rules, the replay; each change with its audit entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect
from tests.browser.conftest import API, Shop

PLACE = "/rate-limits"


#: Somebody who guesses passwords, and somebody who is blocked and goes on.
GUESSER = "203.0.113.201"
BLOCKED = "203.0.113.202"


@pytest.fixture(scope="session", autouse=True)
def refused(shop: Shop) -> None:
    """Have a limit and a block refuse requests, and a rule in shadow note some; they are written meanwhile.

    Once for each shop: tests of other files may run between those of this one.
    """
    rule = {"name": "in shadow", "limits": "1/minute", "route": "/products", "shadow": True}
    assert shop.client.post(f"{API}/rate-limits/rules", json=rule, headers={"X-API-Key": shop.key}).status_code == 201
    for _ in range(3):
        assert shop.client.get("/products", headers={"X-Forwarded-For": GUESSER}).status_code == 200
    for _ in range(14):
        guess = {"user": "ann", "password": "guess"}
        last = shop.client.post("/login", json=guess, headers={"X-Forwarded-For": GUESSER})
    assert last.status_code == 429
    body = {"identifier": BLOCKED, "reason": "goes on", "duration_seconds": 3_600}
    assert shop.client.post(f"{API}/rate-limits/blocks", json=body, headers={"X-API-Key": shop.key}).status_code == 201
    for _ in range(3):
        assert shop.client.get("/products", headers={"X-Forwarded-For": BLOCKED}).status_code == 403


def trail(shop: Shop) -> list[dict[str, Any]]:
    answer = shop.client.get(f"{API}/audit-logs", params={"limit": 100}, headers={"X-API-Key": shop.key})
    return answer.json()["items"]


def reasons(shop: Shop, action: str) -> list[str]:
    return [entry["reason"] for entry in trail(shop) if entry["action"] == action]


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_each_part_shows_real_figures_and_everybody_can_use_it(
    window: Callable[..., Any], width: int, dark: bool
) -> None:
    """Given demo traffic; then every part has its figures, nothing is cut off sideways, and axe finds nothing."""
    seen = await window(width=width, dark=dark)
    body = {"identifier": "203.0.113.250", "reason": "a block that was not there an hour ago"}
    seen.shop.client.post(f"{API}/rate-limits/blocks", json=body, headers={"X-API-Key": seen.shop.key})
    page = await seen.open(f"{PLACE}?from=now-1h&compare=previous")
    chart = page.get_by_role("application", name=re.compile("Admitted and refused"))
    await expect(chart).to_be_visible()
    await expect(page.get_by_role("button", name="Refused before")).to_be_visible()
    blocks = page.get_by_text("Blocks in force", exact=True).locator("..")
    await expect(blocks).to_contain_text(re.compile(r"(\d+)\+\1 against the period before"))
    for card in ("Refused share", "Shadow rules would refuse"):
        await expect(page.get_by_text(card, exact=True).locator("..")).to_contain_text("none before")
    await expect(page.get_by_text("Memory of each worker")).to_be_visible()
    shown = {
        "Rules": page.get_by_role("table", name="Rules").get_by_text("orders per user"),
        "Allow and deny lists": page.get_by_text(re.compile("Both lists are empty|1 row")),
        "Blocks": page.get_by_text(re.compile(r"Nobody is blocked|\d+ rows?")),
        "Try a rule": page.get_by_role("textbox", name="Limits"),
    }
    for part, there in ({"Usage": chart} | shown).items():
        await page.get_by_role("navigation", name="Parts of rate limits").get_by_role("link", name=part).click()
        await expect(there.first).to_be_visible()
        sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert sideways == 0, part
        assert await seen.violations() == [], part


async def test_on_a_phone_a_table_says_that_there_is_more_and_its_actions_are_in_sight(
    window: Callable[..., Any],
) -> None:
    seen = await window(width=390)
    page = await seen.open(f"{PLACE}?view=blocks")
    table = page.get_by_role("table", name="Blocks and bans")
    await expect(table.get_by_role("link").first).to_be_visible()
    # What matters is in sight; the edge of a table with more tells of the rest, and no longer once one is there
    await expect(table.get_by_text("blocked").first).to_be_in_viewport(ratio=0.9)
    await expect(table.locator("..")).not_to_have_attribute("data-more", "true")
    await seen.go("/audit?tab=entries&from=now-2h")
    entries = page.get_by_role("table", name="Entries")
    await expect(entries.get_by_role("link").first).to_be_visible()
    place = entries.locator("..")
    await expect(place).to_have_attribute("data-more", "true")
    await place.evaluate("(it) => it.scrollTo({ left: it.scrollWidth })")
    await expect(place).not_to_have_attribute("data-more", "true")

    await seen.go(f"{PLACE}?from=now-1h")
    who = page.get_by_role("table", name="Addresses by refusals")
    block = who.get_by_role("button", name=re.compile("^Block ")).first
    await block.scroll_into_view_if_needed()
    await expect(block).to_be_in_viewport(ratio=0.95)
    await expect(who.locator("..")).not_to_have_attribute("data-more", "true")


async def test_somebody_is_blocked_looked_at_and_unblocked(window: Callable[..., Any]) -> None:
    """Given the list of blocks; when an address is blocked by hand and lifted; then the trail says why, both times."""
    seen = await window()
    page = await seen.open(f"{PLACE}?view=blocks")
    await page.get_by_role("button", name="Block", exact=True).click()
    await page.get_by_role("textbox", name="Who").fill("198.51.100.0/28")
    await page.get_by_label("Reason").fill("scans <b>since</b> midnight")
    await page.get_by_role("dialog").get_by_role("button", name="Block").click()
    row = page.get_by_role("link", name="198.51.100.0/28")
    await expect(row).to_be_visible()
    await row.click()
    await page.wait_for_url(re.compile("open=[0-9a-f-]{36}"))
    drawer = page.get_by_role("dialog")
    await expect(drawer.get_by_text("scans <b>since</b> midnight")).to_be_visible()
    assert await seen.violations() == []

    await page.evaluate("window.isTheSame = true")
    await drawer.get_by_role("link", name="Open as a page").click()
    await page.wait_for_url(re.compile(r"/rate-limits/blocks/[0-9a-f-]{36}(\?(?!.*open=)|$)"))
    assert await page.evaluate("window.isTheSame"), "the program stays: nothing is loaded anew"
    await expect(drawer).to_have_count(0)  # its button goes with it, and what that has opened
    await page.get_by_role("button", name="Unblock").click()
    await page.get_by_label("Reason").fill("a customer after all")
    await page.get_by_role("dialog").get_by_role("button", name="Unblock").click()

    await expect(page.get_by_text("lifted", exact=True)).to_be_visible()
    assert "scans <b>since</b> midnight" in reasons(seen.shop, "rate_limit.blocked")
    assert "a customer after all" in reasons(seen.shop, "rate_limit.unblocked")


async def test_a_block_that_would_shut_out_everybody_is_refused_in_the_servers_words(
    window: Callable[..., Any],
) -> None:
    seen = await window()
    seen.expected = ("422",)
    page = await seen.open(PLACE)
    await page.get_by_role("button", name="Block", exact=True).click()
    await page.get_by_role("textbox", name="Who").fill("127.0.0.1")
    await page.get_by_label("Reason").fill("x")
    await page.get_by_role("dialog").get_by_role("button", name="Block").click()

    alert = page.get_by_role("dialog").get_by_role("alert")
    await expect(alert).to_contain_text("everybody behind it would be shut out")
    await expect(alert).to_contain_text("CUSTODES_TRUSTED_PROXIES")


async def test_what_another_administrator_does_is_seen_within_two_seconds(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"{PLACE}?view=lists")
    await expect(page.get_by_role("switch", name="Live")).to_be_visible()
    await expect(page.get_by_role("heading", name="Allow list and deny list")).to_be_visible()

    body = {"effect": "allow", "identifier": "192.0.2.44", "reason": "monitoring"}
    seen.shop.client.post(f"{API}/rate-limits/lists", json=body, headers={"X-API-Key": seen.shop.key})

    await expect(page.get_by_role("link", name="192.0.2.44")).to_be_visible()


async def test_a_rule_is_written_tried_on_recorded_calls_saved_enforced_and_deleted(
    window: Callable[..., Any],
) -> None:
    """Given recorded traffic; when a rule is written; then it is checked, tried, and saved, each with its entry."""
    seen = await window()
    page = await seen.open(f"{PLACE}?view=editor&from=now-15m")
    why = page.get_by_role("status").filter(has_text=re.compile("saved"))
    await expect(why).to_have_text("To be tried or saved it needs its limits.")
    await page.get_by_role("textbox", name="Limits").fill("2/fortnight")
    await expect(page.get_by_text(re.compile("'fortnight' is no unit of time"))).to_be_visible()
    await expect(why).to_have_text("It cannot be tried or saved as it is written: see above.")
    await expect(page.get_by_role("button", name="Replay recorded calls")).to_be_disabled()
    await page.get_by_role("textbox", name="Limits").fill("2/minute; 9000/day")
    await expect(page.get_by_text("up to 24 min late")).to_be_visible()
    await expect(why).to_have_text("To be saved it needs a name.")
    await expect(page.get_by_role("button", name="Save the rule")).to_be_disabled()
    await page.get_by_role("textbox", name="Name").fill("strict")
    await expect(why).to_have_count(0)
    await page.get_by_role("button", name="Replay recorded calls").click()

    await expect(page.get_by_role("application", name=re.compile("let through and refused"))).to_be_visible()
    hits = page.get_by_role("table", name="Who would be hit")
    await expect(hits.get_by_role("row").nth(1)).to_contain_text(re.compile(r"\d"))
    assert await seen.violations() == []

    other = await window()
    await other.page.goto(page.url)
    await expect(other.page.get_by_role("table", name="Who would be hit")).to_be_visible()
    await expect(other.page.get_by_role("textbox", name="Limits")).to_have_value("2/minute; 9000/day")

    await page.get_by_role("button", name="Save the rule").click()
    await page.get_by_role("dialog").get_by_role("button", name="Save the rule").click()
    drawer = page.get_by_role("dialog", name="strict")
    await expect(drawer.get_by_text("shadow", exact=True)).to_be_visible()
    await drawer.get_by_role("button", name="Enforce").click()
    await page.get_by_label("Reason").fill("a week in shadow")
    await page.get_by_role("dialog", name="Enforce").get_by_role("button", name="Enforce").click()
    await expect(drawer.get_by_text("enforced", exact=True)).to_be_visible()
    await drawer.get_by_role("button", name="Delete").click()
    await page.get_by_label("Reason").fill("only a test")
    await page.get_by_role("dialog", name="Delete").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("There is no such rule")).to_be_visible()

    assert {"rate_limit.what_if", "rate_limit.rule_changed"} <= {entry["action"] for entry in trail(seen.shop)}
    assert "a week in shadow" in reasons(seen.shop, "rate_limit.rule_changed")
    assert "only a test" in reasons(seen.shop, "rate_limit.rule_deleted")


async def test_a_rule_says_what_it_did_whom_it_refused_and_who_is_near(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"{PLACE}?view=rules&from=now-1h")
    await page.get_by_role("table", name="Rules").get_by_role("link", name="login").click()

    drawer = page.get_by_role("dialog", name="Rule login")
    refusals = drawer.get_by_role("list", name="Latest refusals")
    await expect(refusals.get_by_role("link", name=GUESSER)).to_be_visible()
    await expect(drawer.get_by_role("figure", name="Admitted and refused by the rule")).to_be_visible()
    await expect(drawer.get_by_role("heading", name="Near its limits now")).to_be_visible()
    assert await seen.violations() == []
    await refusals.get_by_role("button", name=f"Block {GUESSER}").click()
    asking = page.get_by_role("dialog", name="Block somebody")
    await expect(asking.get_by_role("textbox", name="Who")).to_have_value(GUESSER)
    await asking.get_by_role("button", name="Cancel").click()

    # Its calls are those of the address; one that was refused leads back to the rule
    await refusals.get_by_role("link", name=GUESSER).click()
    calls = page.get_by_role("table", name="API calls")
    await calls.locator("tr", has_text="refused by login").first.get_by_role("link").click()
    call = page.get_by_role("dialog", name="API call")
    await expect(call.get_by_role("button", name=f"Block {GUESSER}")).to_be_visible()
    await call.get_by_role("link", name="login", exact=True).click()
    await expect(page.get_by_role("dialog", name="Rule login")).to_be_visible()

    # A rule in shadow says whom it would have refused
    await seen.go(f"{PLACE}?view=rules&open=in+shadow&from=now-1h")
    shadow = page.get_by_role("dialog", name="Rule in shadow")
    noted = shadow.get_by_role("listitem").filter(has=page.get_by_role("link", name=GUESSER))
    await expect(noted.first).to_contain_text("2 would be refused")


async def test_a_block_says_how_often_it_refused_since_it_holds(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"{PLACE}?view=blocks")
    await page.get_by_role("table", name="Blocks and bans").get_by_role("link", name=BLOCKED).click()

    drawer = page.get_by_role("dialog", name="Block")
    await expect(drawer.get_by_text(re.compile("3 requests since"))).to_be_visible()
    await expect(drawer.get_by_role("list", name="Latest refusals")).to_contain_text("/products")
    assert await seen.violations() == []
    await drawer.get_by_role("link", name=f"API calls of {BLOCKED}").click()
    await expect(page.get_by_role("table", name="API calls")).to_contain_text("refused by block")
