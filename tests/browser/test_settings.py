"""The settings in a real browser: users, API keys, alert rules, notifications; each change with its audit entry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.async_api import Page, expect
from tests.acceptance.conftest import until
from tests.browser.conftest import API, Shop, Window

PARTS = {
    "Users": ("/settings", "Users"),
    "API keys": ("/settings/api-keys", "API keys"),
    "Alert rules": ("/settings/alert-rules", "Alert rules"),
    "Notifications": ("/settings/notifications", "Where alerts go"),
}


def asked(shop: Shop, path: str, **params: Any) -> dict[str, Any]:
    answer = shop.client.get(f"{API}/{path}", params=params, headers={"X-API-Key": shop.key})
    assert answer.status_code == 200, answer.text
    return answer.json()


def reasons(shop: Shop, action: str) -> list[str]:
    return [entry["reason"] for entry in asked(shop, "audit-logs", action=action, limit=100)["items"]]


async def confirm(page: Page, label: str, why: str = "") -> None:
    """Press a button, give a reason in its dialog, and press it there."""
    await page.get_by_role("button", name=label, exact=True).click()
    dialog = page.get_by_role("dialog", name=label)
    if why:
        await dialog.get_by_label("Reason").fill(why)
    await dialog.get_by_role("button", name=label).click()
    await expect(dialog).to_be_hidden()


@pytest.fixture(scope="module", autouse=True)
def always(shop: Shop) -> Iterator[str]:
    """A rule that fires as soon as it is looked at, made first: rules are looked at every ten seconds."""
    headers = {"X-API-Key": shop.key}
    rule = {"name": "Always", "metric": "system.disk.used_percent", "aggregation": "last", "comparator": ">"}
    bounds = {"threshold": -1, "hold_seconds": 0}
    made = shop.client.post(f"{API}/alert-rules", json=rule | bounds, headers=headers)
    assert made.status_code == 201, made.text
    yield made.json()["id"]
    shop.client.delete(f"{API}/alert-rules/{made.json()['id']}", headers=headers)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_each_part_is_reached_and_everybody_can_use_it(
    window: Callable[..., Any], width: int, dark: bool
) -> None:
    """Given the overview; when one goes to the settings; then no part is cut off sideways, and axe finds nothing."""
    seen: Window = await window(width=width, dark=dark)
    page = await seen.open("?from=now-1h")
    await page.get_by_role("navigation", name="Settings").get_by_role("link", name="Settings").click()
    assert await page.get_by_role("navigation", name="Tabs").get_by_role("link").count() == 5
    for part, (place, table) in PARTS.items():
        await page.get_by_role("navigation", name="Parts of the settings").get_by_role("link", name=part).click()
        await page.wait_for_url(re.compile(rf"{place}(\?|$)"))
        await expect(page.get_by_role("table", name=table)).to_be_visible()
        sideways = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert sideways == 0, part
        await expect(page).to_have_title(f"{part} · Settings · Custodes")
        assert await seen.violations() == [], part
    await page.get_by_role("navigation", name="Parts of the settings").get_by_role("link", name="Alert rules").click()
    await page.get_by_role("link", name="The disk of the database is filling up").click()
    drawer = page.get_by_role("dialog")
    await expect(drawer.get_by_role("application", name=re.compile("threshold of the rule"))).to_be_visible()
    assert await seen.violations() == []


async def test_the_palette_leads_there_by_keys_alone(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    page = await seen.open("/settings/api-keys")
    await expect(page.get_by_role("table", name="API keys")).to_be_visible()
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Find a page or an action")).to_be_focused()
    await page.keyboard.type("alert rules")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/settings/alert-rules"))
    await expect(page.get_by_role("table", name="Alert rules")).to_be_visible()
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Switch off")).to_be_visible()


async def test_a_rule_is_written_tried_switched_off_and_deleted(window: Callable[..., Any]) -> None:
    """Given a metric; when a rule about it is written; then one sees what it would have done before it is saved."""
    seen: Window = await window()
    page = await seen.open("/settings/alert-rules?from=now-1h")
    await page.get_by_role("link", name="New rule").click()
    await page.get_by_label("Name", exact=False).first.fill("Orders <b>stopped</b>")
    await page.get_by_label("Metric").first.fill("system.disk.used_percent")
    await page.get_by_role("textbox", name="Threshold").fill("-1")
    await page.get_by_role("textbox", name="Broken for").fill("soon")
    await expect(page.get_by_text("30s, 5m, 4h, up to 7d")).to_be_visible()
    await expect(page.get_by_role("button", name="Save the rule")).to_be_disabled()
    await page.get_by_role("textbox", name="Broken for").fill("0s")
    await expect(
        page.get_by_role("status").filter(has_text="it would have fired once, and would fire now")
    ).to_be_visible()
    await page.wait_for_url(re.compile("metric=system.disk.used_percent"))
    await page.get_by_role("textbox", name="Threshold").fill("1000")
    await expect(page.get_by_role("status").filter(has_text="it would not have fired")).to_be_visible()
    assert await seen.violations() == []
    await confirm(page, "Save the rule", "the shop asked for it")

    await page.wait_for_url(re.compile("open=[0-9a-f-]{36}"))
    [made] = [one for one in asked(seen.shop, "alert-rules")["items"] if one["name"] == "Orders <b>stopped</b>"]
    assert (made["threshold"], made["hold_seconds"], made["origin"]) == (1000, 0, "stored")
    await confirm(page, "Switch off", "too loud")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Switch on")).to_be_visible()
    assert asked(seen.shop, f"alert-rules/{made['id']}")["enabled"] is False

    await page.get_by_role("dialog").get_by_role("link", name="Edit").click()
    await expect(page.get_by_role("textbox", name="Threshold")).to_have_value("1000")
    await page.get_by_role("textbox", name="Critical from").fill("999")
    await expect(page.get_by_text("On the wrong side of the threshold")).to_be_visible()
    await page.get_by_role("textbox", name="Critical from").fill("2000")
    await confirm(page, "Save the change")
    await expect(page.get_by_role("dialog").get_by_text("2000")).to_be_visible()
    await confirm(page, "Delete", "no more orders")
    assert made["id"] not in [one["id"] for one in asked(seen.shop, "alert-rules")["items"]]
    assert "the shop asked for it" in reasons(seen.shop, "alert_rule.created")
    assert "too loud" in reasons(seen.shop, "alert_rule.updated")
    assert "no more orders" in reasons(seen.shop, "alert_rule.deleted")


async def test_a_user_is_added_given_another_role_kept_out_and_let_in(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    page = await seen.open("/settings")
    await page.get_by_role("button", name="Add a user").click()
    form = page.get_by_role("dialog", name="Add a user")
    await form.get_by_label("User").fill("ada <i>")
    await form.get_by_label("Name", exact=True).fill("Ada")
    await form.get_by_role("button", name="Add").click()
    once = page.get_by_role("dialog", name="One-time password")
    password = await once.get_by_role("region").or_(once.locator("pre")).first.inner_text()
    assert len(password.strip()) >= 16
    assert await once.evaluate("dialog => dialog.contains(document.activeElement)")
    await once.get_by_role("button", name="I have kept it").press("Enter")
    await expect(page.get_by_role("button", name="Add a user")).to_be_focused()
    [made] = [one for one in asked(seen.shop, "user-profiles")["items"] if one["subject"] == "ada <i>"]
    # Nothing was chosen: the least that there is.
    assert (made["role"], made["state"]) == ("member", "active")

    await page.get_by_role("link", name="ada <i>").click()
    await page.get_by_role("button", name="Change the role").click()
    dialog = page.get_by_role("dialog", name="Change the role")
    await dialog.get_by_role("combobox", name="Role").or_(dialog.get_by_role("textbox", name="Role")).click()
    await page.get_by_role("option", name=re.compile("^Admin")).click()
    await dialog.get_by_role("button", name="Change the role").click()
    await expect(dialog).to_be_hidden()
    await confirm(page, "Disable", "has left")
    await expect(page.get_by_role("dialog").get_by_text("disabled", exact=True)).to_be_visible()
    found = asked(seen.shop, f"user-profiles/{made['id']}")
    assert (found["role"], found["state"]) == ("admin", "disabled")
    await confirm(page, "Enable")
    await confirm(page, "Reset the password", "lost")
    again = page.get_by_role("dialog", name="One-time password")
    await expect(again.locator("pre")).to_be_visible()
    await again.get_by_role("button", name="I have kept it").press("Enter")
    await expect(page.get_by_role("button", name="Reset the password")).to_be_focused()
    assert "has left" in reasons(seen.shop, "user.disabled")
    assert "lost" in reasons(seen.shop, "auth.password_reset")
    assert len(reasons(seen.shop, "role.changed")) >= 1


async def test_the_last_owner_stays_and_the_server_says_so(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    seen.expected = ("409",)
    page = await seen.open("/settings?role=owner")
    await page.get_by_role("link", name="owner", exact=True).click()
    await page.get_by_role("button", name="Disable", exact=True).click()
    dialog = page.get_by_role("dialog", name="Disable")
    await dialog.get_by_role("button", name="Disable").click()
    await expect(dialog.get_by_text("This is the last owner")).to_be_visible()


async def test_a_key_is_made_shown_once_and_revoked(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    page = await seen.open("/settings/api-keys")
    await page.get_by_role("button", name="Make a key").click()
    form = page.get_by_role("dialog", name="Make an API key")
    await form.get_by_label("Name").fill("back end of the shop")
    await form.get_by_role("button", name="Make the key").click()
    once = page.get_by_role("dialog", name="API key")
    key = (await once.locator("pre").inner_text()).strip()
    works = {"X-API-Key": key}
    assert seen.shop.client.get(f"{API}/me", headers=works).json()["role"] == "member"
    await once.get_by_role("button", name="I have kept it").press("Enter")
    await expect(page.get_by_role("button", name="Make a key")).to_be_focused()
    await expect(page.get_by_text("back end of the shop")).to_be_visible()
    assert key not in await page.content()
    await page.get_by_role("button", name="Revoke back end of the shop").click()
    dialog = page.get_by_role("dialog", name="Revoke")
    await dialog.get_by_label("Reason").fill("leaked")
    await dialog.get_by_role("button", name="Revoke").click()
    await expect(dialog).to_be_hidden()
    assert seen.shop.client.get(f"{API}/me", headers=works).status_code == 401
    assert "leaked" in reasons(seen.shop, "api_key.revoked")


@contextmanager
def signed_in(shop: Shop, role: str) -> Iterator[dict[str, Any]]:
    """Somebody with a role, whose cookie a window can have."""
    headers = {"X-API-Key": shop.key}
    subject = f"{role} for a test"
    made = shop.client.post(f"{API}/user-profiles", json={"subject": subject, "role": role}, headers=headers).json()
    first = shop.client.post(f"{API}/login", json={"username": subject, "password": made["one_time_password"]})
    cookie = first.headers["set-cookie"].split(";")[0]
    changed = shop.client.post(
        f"{API}/password",
        json={"current": made["one_time_password"], "new": "another correct horse"},
        headers={"Cookie": cookie, "X-CSRF-Token": first.json()["csrf_token"]},
    )
    assert changed.status_code == 200, changed.text
    name, _, value = changed.headers["set-cookie"].split(";")[0].partition("=")
    shop.client.cookies.clear()
    yield {"name": name, "value": value, "url": shop.url.replace("http://", "https://"), "secure": True}
    shop.client.post(f"{API}/user-profiles/{made['id']}/disable", headers=headers)


async def test_a_link_to_change_a_rule_opens_with_its_fields(window: Callable[..., Any]) -> None:
    seen: Window = await window()
    page = await seen.open("/settings/alert-rules?edit=disk-full")
    await expect(page.get_by_role("textbox", name="Threshold")).to_have_value("90")
    await expect(page.get_by_role("textbox", name="Critical from")).to_have_value("97")
    await page.get_by_label("Metric").first.fill("")
    await expect(page.get_by_text("Name a metric and a threshold.")).to_be_visible()
    await expect(page.get_by_role("textbox", name="Threshold")).to_have_value("90")


async def test_an_admin_is_not_offered_what_is_an_owners(window: Callable[..., Any], shop: Shop) -> None:
    """Given an admin; then they read who may administer and change nobody, and their own keys are all they see."""
    with signed_in(shop, "admin") as cookie:
        seen: Window = await window(signed_in=False)
        await seen.context.add_cookies([cookie])
        page = await seen.open("/settings")
        await expect(page.get_by_role("table", name="Users")).to_be_visible()
        await expect(page.get_by_role("button", name="Add a user")).to_have_count(0)
        await page.get_by_role("link", name="owner", exact=True).click()
        await expect(page.get_by_role("dialog").get_by_text("Last seen")).to_be_visible()
        for label in ("Change the role", "Disable", "Reset the password"):
            await expect(page.get_by_role("button", name=label)).to_have_count(0)
        await page.keyboard.press("Escape")
        await page.get_by_role("navigation", name="Parts of the settings").get_by_role("link", name="API keys").click()
        await expect(page.get_by_text("No program has a key yet")).to_be_visible()
        await expect(page.get_by_role("button", name="Make a key")).to_be_visible()
        assert await seen.violations() == []


async def test_an_alert_is_seen_silenced_and_told_of_again(window: Callable[..., Any], shop: Shop, always: str) -> None:
    """Given an alert that fires; when it is acknowledged and silenced; then both are shown, and the silence can end."""
    seen: Window = await window()
    page = await seen.open("/settings/notifications?state=firing")
    until(
        lambda: [one for one in asked(shop, "alerts", state="firing")["items"] if one["rule_id"] == always], "it fires"
    )
    [alert] = [one for one in asked(shop, "alerts", state="firing")["items"] if one["rule_id"] == always]
    await seen.go(f"/settings/notifications?state=firing&open={alert['id']}")
    drawer = page.get_by_role("dialog")
    await confirm(page, "Acknowledge")
    await expect(drawer.get_by_text("acknowledged", exact=True)).to_be_visible()
    await confirm(page, "Silence", "known <b>")
    await expect(drawer.get_by_text("silenced", exact=True)).to_be_visible()
    await expect(drawer.get_by_text("Silent until")).to_be_visible()
    assert await seen.violations() == []
    await confirm(page, "End the silence", "mended")
    await expect(drawer.get_by_text("acknowledged", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Send a test").first.click()
    dialog = page.get_by_role("dialog", name="Send a test")
    await dialog.get_by_role("button", name="Send a test").click()
    await expect(page.get_by_text(re.compile(r"taken in \d+ ms"))).to_be_visible()
    assert "known <b>" in reasons(shop, "alert.silenced")
    assert "mended" in reasons(shop, "alert.unsilenced")
