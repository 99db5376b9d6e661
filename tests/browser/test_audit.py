"""The security audit in a real browser: flags decided one by one and all at once, actors, search, trace, report."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect
from tests.browser.conftest import API, Shop

RANGE = "from=now-1h"


def _record(shop: Shop, **event: Any) -> str:
    """Record an event as a program would; returns the id of its entry."""
    answer = shop.client.post(f"{API}/ingest/audit-events", json={"items": [event]}, headers={"X-API-Key": shop.key})
    assert answer.status_code < 300, answer.text
    found = shop.client.get(
        f"{API}/audit-logs", params={"actor": event["actor"], "limit": 1}, headers={"X-API-Key": shop.key}
    )
    return found.json()["items"][0]["id"]


def _entries(shop: Shop, **query: Any) -> list[dict[str, Any]]:
    answer = shop.client.get(f"{API}/audit-logs", params=query, headers={"X-API-Key": shop.key})
    return answer.json()["items"]


def _flag(shop: Shop, who: str) -> str:
    return _record(shop, action="fraud.early_warning", actor=f"service:{who}", targets=["charge:1"])


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_the_audit_and_the_report_are_usable_by_everybody(
    window: Callable[..., Any], width: int, dark: bool
) -> None:
    seen = await window(width=width, dark=dark)
    entry = _flag(seen.shop, f"look-{width}-{dark}")
    page = await seen.open(f"/audit?{RANGE}&compare=previous")
    await expect(page.get_by_role("link", name="fraud.early_warning").first).to_be_visible()
    await expect(page.get_by_role("button", name="Highest before")).to_be_visible()
    await expect(page.get_by_role("application", name=re.compile("Risk scores over time"))).to_be_visible()
    await expect(page.get_by_text("Flagged", exact=True).first.locator("..")).to_contain_text("none before")
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(sideways) == 0
    assert await seen.violations() == []

    for place, shown in ((f"/audit/{entry}", "What happened"), ("/audit/report", "Retention in force")):
        await seen.go(f"{place}?{RANGE}")
        await expect(page.get_by_role("heading", name=shown)).to_be_visible()
        assert await page.evaluate(sideways) == 0
        assert await seen.violations() == []


async def test_a_flag_is_opened_and_decided_by_keyboard_and_the_trail_says_so(window: Callable[..., Any]) -> None:
    seen = await window()
    entry = _flag(seen.shop, "keys")
    page = await seen.open(f"/audit?{RANGE}&find=service%3Akeys")
    row = page.get_by_role("link", name="fraud.early_warning")
    await row.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Why the risk is 70 of 100")).to_be_visible()
    assert await seen.violations() == []
    await page.get_by_label("Note").fill("known card tester")
    await page.get_by_role("heading", name="What happened").click()
    await page.keyboard.press("a")
    await page.keyboard.press("p")  # at once, while the step before it is on its way
    await expect(page.get_by_role("dialog")).to_have_count(0)

    (review,) = [one["review"] for one in _entries(seen.shop, actor="service:keys")]
    assert (review["state"], review["assignee"], review["note"]) == ("true_positive", "owner", "known card tester")
    steps = _entries(seen.shop, action="audit.reviewed", target=f"audit_log:{entry}")
    assert [step["changes"][0]["new"] for step in steps] == ["true_positive", "acknowledged"]


async def test_after_a_verdict_by_key_the_focus_is_on_the_next_flag(window: Callable[..., Any]) -> None:
    """Given three flags; when each is decided by key, the last one first; then the focus never leaves the list."""
    seen = await window()
    for place in range(3):
        _flag(seen.shop, f"next-{place}")
    page = await seen.open(f"/audit?{RANGE}&find=service%3Anext-")
    rows = page.get_by_role("table", name="Flagged entries").locator("tbody tr[data-row]")
    await expect(rows).to_have_count(3)
    actors = [re.findall(r"next-\d", text)[0] for text in await rows.all_inner_texts()]
    await rows.nth(0).get_by_role("link").focus()
    await page.keyboard.press("j")
    await expect(rows.nth(1).get_by_role("link")).to_be_focused()

    for left in (2, 1, 0):
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog").get_by_role("button", name="Benign")).to_be_visible()
        await page.keyboard.press("b")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(rows).to_have_count(left)
        if left:
            # The one that took the place of the one that is gone, or the last one
            at = min(1, left - 1)
            await expect(rows.nth(at).get_by_role("link")).to_be_focused()
            await expect(rows.nth(at)).to_contain_text(actors[2] if left == 2 else actors[0])
    await expect(page.get_by_role("table", name="Flagged entries").locator("button:focus")).to_have_count(1)


async def test_all_that_a_search_finds_is_reviewed_after_a_count(window: Callable[..., Any]) -> None:
    seen = await window()
    for place in range(3):
        _flag(seen.shop, f"many-{place}")
    page = await seen.open(f"/audit?{RANGE}&find=service%3Amany")
    await page.get_by_role("button", name="Review all of these").click()
    dialog = page.get_by_role("dialog", name="Review all of these")
    await expect(dialog.get_by_role("status")).to_have_text("3 of 3 reviews will be moved.")
    assert await seen.violations() == []
    await dialog.get_by_label("Note").fill("load test")
    await dialog.get_by_role("button", name="Review 3").click()
    await expect(page.get_by_text("Nothing waits for review")).to_be_visible()

    states = {one["review"]["state"] for one in _entries(seen.shop, actor="service:many-*")}
    assert states == {"benign"}
    (own,) = _entries(seen.shop, action="audit.reviewed", target="audit_log:selection")
    assert (own["reason"], own["context"]["extra"]["reviews"]) == ("load test", 3)


async def test_entries_are_found_shown_with_their_changes_and_their_trace(window: Callable[..., Any]) -> None:
    """Given a change within a trace; when it is searched for; then before, after and the whole trace are there."""
    seen = await window()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    hostile = "<img src=x onerror=alert(1)>"
    _record(
        seen.shop, action="member.updated", actor="user:differ", targets=["member:7"], reason=hostile, trace_id=trace,
        context={"actor_issuer": "https://login.example.com"}, changes=[["role", "editor", hostile]],
    )  # fmt: skip
    _record(seen.shop, action="data.read", actor="user:differ2", trace_id=trace)
    page = await seen.open(f"/audit?{RANGE}&tab=entries")
    await page.get_by_label("Actor", exact=True).fill("user:differ")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("actor=user:differ"))
    await page.get_by_role("link", name="member.updated").click()
    drawer = page.get_by_role("dialog")
    await expect(drawer.get_by_role("row", name=re.compile("role"))).to_contain_text("editor")
    await expect(drawer.get_by_role("row", name=re.compile("role"))).to_contain_text(hostile)
    await expect(drawer.get_by_role("listitem").filter(has_text="data.read by user:differ2")).to_be_visible()
    await expect(drawer.get_by_text("https://login.example.com", exact=True)).to_be_visible()

    await drawer.get_by_role("link", name="Open as a page").click()
    await page.wait_for_url(re.compile(r"/audit/[0-9a-f-]{36}\?"))
    await expect(page.get_by_role("heading", name="What changed")).to_be_visible()


async def test_an_actor_is_told_with_its_hours_and_addresses(window: Callable[..., Any]) -> None:
    seen = await window()
    _record(seen.shop, action="data.read", actor="user:habit", ip="192.0.2.44")
    page = await seen.open(f"/audit?{RANGE}&tab=actors&who=user%3Ahabit")
    drawer = page.get_by_role("dialog")
    await expect(drawer.get_by_role("list", name="Entries by hour of the day").get_by_role("listitem")).to_have_count(
        24
    )
    await expect(drawer.get_by_role("link", name="192.0.2.44")).to_be_visible()
    assert await seen.violations() == []
    await drawer.get_by_role("link", name="Its entries").click()
    await page.wait_for_url(re.compile("tab=entries.*actor=user:habit|actor=user:habit.*tab=entries"))


async def test_what_is_flagged_is_seen_within_two_seconds(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"/audit?{RANGE}&find=service%3Asoon")
    await expect(page.get_by_text("Nothing waits for review")).to_be_visible()
    await expect(page.get_by_role("switch", name="Live")).to_be_visible()
    _flag(seen.shop, "soon")
    await expect(page.get_by_role("link", name="fraud.early_warning")).to_be_visible()


async def test_a_report_is_taken_away_and_printed_without_the_shell(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"/audit/report?{RANGE}")
    await expect(page.get_by_role("table").first).to_be_visible()
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="CSV").click()
    assert (await waiting.value).suggested_filename == "compliance-report.csv"
    assert _entries(seen.shop, action="audit.exported", target="report:compliance")

    await page.emulate_media(media="print")
    await expect(page.get_by_role("navigation")).to_have_count(0)
    await expect(page.get_by_role("button", name="Print")).to_have_count(0)
    await expect(page.get_by_role("heading", name="Who has access")).to_be_visible()
    await expect(page.get_by_text("moments in ")).to_be_visible()
