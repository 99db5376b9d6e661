"""The webhooks tab in a real browser: figures, facets, one event in full, replays in the trail, refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect
from tests.acceptance.conftest import until
from tests.browser.conftest import API, SECRETS, Shop

from custodes.testing.webhooks import signed_webhook

NOW = "?from=now-15m"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def deliver(shop: Shop, identifier: str, **payload: Any) -> str:
    """Send a signed delivery of Stripe; returns the id under which it is kept."""
    body = {"id": identifier, "object": "event", "type": "invoice.paid", "data": {"object": {}}, **payload}
    signed = signed_webhook("stripe", body, SECRETS["STRIPE_WEBHOOK_SECRET"])
    answer = shop.client.post("/hooks/stripe", content=signed.body, headers=signed.headers)
    assert answer.status_code == 200, answer.text
    found = read(shop, "/webhook-events", any_id=identifier)["items"]
    return str(found[0]["id"])


def read(shop: Shop, path: str, **params: Any) -> Any:
    return shop.client.get(f"{API}{path}", params=params, headers={"X-API-Key": shop.key}).json()


def replays(shop: Shop) -> list[Any]:
    entries: list[Any] = read(shop, "/audit-logs", action="webhook.replayed", limit=50)["items"]
    return entries


async def is_whole(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
async def test_every_part_of_the_tab_can_be_used_by_everybody(
    window: Callable[..., Any], width: int, dark: bool
) -> None:
    """Given demo traffic and a forged delivery; then figures, events and refusals are there, and axe finds nothing."""
    seen = await window(width=width, dark=dark)
    seen.shop.client.post("/hooks/stripe", content=b"{}", headers={"content-type": "application/json"})

    page = await seen.open(f"/webhooks{NOW}")
    await expect(page.get_by_role("application", name=re.compile("Webhooks over time by outcome"))).to_be_visible()
    await expect(page.get_by_role("table", name="Sources of webhooks")).to_contain_text("stripe")
    assert await is_whole(page)
    assert await seen.violations() == []

    await page.get_by_role("navigation", name="Parts of webhooks").get_by_role("link", name="Events").click()
    await expect(page.get_by_role("table", name="Webhook events").get_by_role("link").first).to_be_visible()
    assert await is_whole(page)
    assert await seen.violations() == []

    await page.get_by_role("navigation", name="Parts of webhooks").get_by_role("link", name="Refused").click()
    refused = page.get_by_role("table", name="Refused deliveries")
    await expect(refused).to_contain_text("There is no signature")
    await refused.get_by_role("link").first.click()
    await expect(page.get_by_role("dialog")).to_contain_text("missing-signature")
    assert await is_whole(page)
    assert await seen.violations() == []


async def test_filters_combine_in_the_url_and_one_event_opens_in_full(window: Callable[..., Any]) -> None:
    seen = await window()
    event = deliver(seen.shop, "evt_in_full", note=HOSTILE)
    page = await seen.open(f"/webhooks{NOW}&part=events")
    await page.get_by_role("checkbox", name=re.compile("stripe")).check()
    await page.get_by_role("textbox", name=re.compile("Id of event")).fill("evt_in_full")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("source=stripe.*id=evt_in_full"))
    rows = page.get_by_role("table", name="Webhook events").locator("tbody").get_by_role("link")
    await expect(rows).to_have_count(1)

    await rows.first.click()
    drawer = page.get_by_role("dialog")
    await expect(drawer).to_contain_text("verified over the exact bytes")
    await expect(drawer).to_contain_text("Received, verified and stored")
    await expect(drawer.get_by_label("Payload, as a tree")).to_contain_text(HOSTILE)
    await drawer.get_by_text("Raw", exact=True).click()
    await expect(drawer.get_by_label("Payload, as text")).to_contain_text('"id": "evt_in_full"')
    await drawer.get_by_text("Hex", exact=True).click()
    await expect(drawer.get_by_label("Payload, hexadecimal")).to_contain_text("7b 22 69 64")
    await expect(drawer.get_by_label("curl")).to_contain_text('stripe-signature: $SIGNATURE"')
    await expect(drawer.get_by_label("Signed request")).to_contain_text('signed_webhook("stripe"')
    await drawer.get_by_role("link", name="Open as a page").click()

    await page.wait_for_url(re.compile(f"/webhooks/{event}"))
    await expect(page.get_by_role("main")).to_contain_text("evt_in_full")
    assert await seen.violations() == []
    assert "owned" not in await page.title()


async def test_what_nobody_handles_does_not_look_as_if_somebody_had(window: Callable[..., Any]) -> None:
    seen = await window()
    event = deliver(seen.shop, "evt_for_nobody", type="product.created")
    until(lambda: read(seen.shop, f"/webhook-events/{event}")["unhandled"], "it is done")
    page = await seen.open(f"/webhooks{NOW}&part=events&id=evt_for_nobody")

    row = page.get_by_role("table", name="Webhook events").locator("tbody").get_by_role("row").first
    await expect(row).to_contain_text(re.compile("no handler", re.IGNORECASE))
    await expect(row).not_to_contain_text(re.compile("succeeded", re.IGNORECASE))


async def test_two_attempts_at_an_event_are_compared_in_the_drawer_and_on_the_page(window: Callable[..., Any]) -> None:
    """Given an event that failed and was replayed; then the URL names the two that are compared, and what differs."""
    seen = await window()
    # The shop's bank is away at the first attempt of every seventh event, by the last digits of its id.
    tried = (deliver(seen.shop, f"evt_bank_{number}", type="payment_intent.created") for number in range(200))
    event = next(identifier for identifier in tried if int(identifier[-2:], 16) % 7 == 0)
    until(lambda: read(seen.shop, f"/webhook-events/{event}")["status"] == "failed", "the first attempt failed")
    key = {"X-API-Key": seen.shop.key}
    seen.shop.client.post(f"{API}/webhook-events/{event}/replay", json={}, headers=key)
    until(lambda: read(seen.shop, f"/webhook-events/{event}")["status"] == "succeeded", "the second succeeded")

    page = await seen.open(f"/webhooks{NOW}&part=events&open={event}")
    await page.get_by_role("dialog").get_by_role("button", name="Compare two attempts").click()
    compared = page.get_by_role("region", name="Two attempts compared")
    await expect(compared.get_by_role("row", name=re.compile(": outcome"))).to_contain_text("failedsucceeded")
    await expect(compared.get_by_role("row", name=re.compile(": error"))).to_contain_text("bank gateway timed out")
    await page.wait_for_url(re.compile("versus=1&versus=2"))
    assert await seen.violations() == []

    await page.get_by_role("dialog").get_by_role("link", name="Open as a page").click()
    await page.wait_for_url(re.compile(f"/webhooks/{event}.*versus=1&versus=2"))
    await compared.get_by_label("with").select_option("1")
    await expect(compared).to_contain_text("one and the same attempt")
    await page.go_back()
    await expect(compared.get_by_role("row", name=re.compile(": outcome"))).to_contain_text("failedsucceeded")
    assert await seen.violations() == []
    await compared.get_by_role("button", name="Close the comparison").click()
    await expect(compared).to_have_count(0)


async def test_a_replay_says_why_in_the_trail(window: Callable[..., Any]) -> None:
    seen = await window()
    event = deliver(seen.shop, "evt_again")
    page = await seen.open(f"/webhooks/{event}")
    await page.get_by_role("button", name="Replay").click()
    await page.get_by_label("Reason").fill("the books were down")
    await page.get_by_role("dialog").get_by_role("button", name="Replay").click()

    await expect(page.get_by_text("It is handled again")).to_be_visible()
    assert any(entry["reason"] == "the books were down" for entry in replays(seen.shop))


async def test_what_waits_says_why_in_the_list_and_is_replayed_from_its_row_or_tried_elsewhere(
    window: Callable[..., Any],
) -> None:
    """Given an event whose handler fails; then its row says why and when it is tried again, and what can be done."""
    seen = await window()
    signed = signed_webhook("github", b'{"ref": "refs/heads/broken"}', SECRETS["GITHUB_WEBHOOK_SECRET"])
    seen.shop.client.post("/hooks/github", content=signed.body, headers=signed.headers)
    sent = {name.lower(): value for name, value in signed.headers.items()}
    [found] = read(seen.shop, "/webhook-events", any_id=sent["x-github-delivery"])["items"]
    event = found["id"]
    until(lambda: read(seen.shop, f"/webhook-events/{event}")["status"] == "failed", "the first attempt failed")
    page = await seen.open(f"/webhooks{NOW}&part=events&id={event}")
    row = page.get_by_role("table", name="Webhook events").locator("tbody").get_by_role("row")
    await expect(row).to_contain_text(re.compile("next try .*no such pipeline: broken"))
    assert await seen.violations() == []

    await row.get_by_role("button", name="Replay").click()
    dialog = page.get_by_role("dialog", name="Replay")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(row.get_by_role("button", name="Replay")).to_be_focused()
    await page.keyboard.press("Enter")
    await dialog.get_by_label("Reason").press_sequentially("just ok")  # j and k move in the table otherwise
    await expect(dialog.get_by_label("Reason")).to_have_value("just ok")
    await dialog.get_by_label("Reason").fill("from its row")
    await dialog.get_by_role("button", name="Replay").click()
    await expect(dialog).to_be_hidden()
    assert any(entry["reason"] == "from its row" for entry in replays(seen.shop))

    await row.get_by_role("link").click()
    await page.get_by_role("button", name="Try a URL").click()
    trial = page.get_by_role("dialog", name="Send it to a URL, once")
    await trial.get_by_role("textbox", name="URL").fill("https://10.9.9.9/mine")
    await trial.get_by_role("button", name="Send", exact=True).click()
    await expect(trial.get_by_role("status")).to_contain_text("refused: the address is not allowed")
    await trial.get_by_role("textbox", name="URL").fill(f"{seen.shop.url}/products")
    await trial.get_by_role("button", name="Send", exact=True).click()
    await expect(trial.get_by_role("status")).to_contain_text("answered 405")
    await expect(trial.get_by_label("Answer")).to_contain_text("allow: GET")
    assert await seen.violations() == []
    key = {"X-API-Key": seen.shop.key}
    found = {
        entry["action"]: entry["context"]["extra"].get("url")
        for entry in seen.shop.client.get(
            f"{API}/audit-logs", params={"target": f"webhook_event:{event}"}, headers=key
        ).json()["items"][::-1]
    }
    assert found["webhook.tried"] == f"{seen.shop.url}/products"
    assert "webhook.payload_read" in found  # once, by opening it


async def test_a_selection_is_counted_before_it_is_replayed(window: Callable[..., Any]) -> None:
    """Given two events of one type; when they are replayed; then their number was said, and each step has its entry."""
    seen = await window()
    for identifier in ("evt_many_1", "evt_many_2"):
        deliver(seen.shop, identifier, type="invoice.voided")
    page = await seen.open(f"/webhooks{NOW}&part=events&type=invoice.voided")
    await page.get_by_role("button", name="Replay these").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2 events")
    await expect(dialog.get_by_role("button", name="Replay 2")).to_be_disabled()
    await dialog.get_by_label("Reason").fill("a handler was wrong")
    await dialog.get_by_role("button", name="Replay 2").click()

    await expect(dialog).to_contain_text("Done: 2 are handled again")
    await dialog.get_by_role("button", name="Close").last.click()

    # Where there is nothing to be done there is nothing to give a reason for
    await seen.go(f"/webhooks{NOW}&part=events&type=never.happened")
    await page.get_by_role("button", name="Replay these").click()
    await expect(dialog).to_contain_text("No event fits the filters")
    await expect(dialog.get_by_label("Reason")).to_have_count(0)
    await expect(dialog.get_by_role("button", name="Replay")).to_have_count(0)
    entry = next(entry for entry in replays(seen.shop) if entry["reason"] == "a handler was wrong")
    assert "invoice.voided" in json.dumps(entry)


async def test_a_megabyte_is_shown_piece_by_piece(window: Callable[..., Any]) -> None:
    """Given a body of most of a megabyte in one line; then its head comes first, and the page stays small."""
    seen = await window()
    event = deliver(seen.shop, "evt_large", blob="x" * 700_000, list=list(range(30_000)))
    page = await seen.open(f"/webhooks/{event}")
    await expect(page.get_by_text(re.compile("The first 262.1 kB of"))).to_be_visible()
    await page.get_by_role("button", name="Load all").click()

    tree = page.get_by_label("Payload, as a tree")
    await expect(tree).to_contain_text("more characters")
    await page.get_by_text("Raw", exact=True).click()
    text = page.get_by_label("Payload, as text")
    await text.evaluate("place => place.scrollTo(0, place.scrollHeight)")
    await expect(text).to_contain_text("29999")
    assert await page.evaluate("document.querySelectorAll('*').length") < 3_000


async def test_before_anything_has_come_the_page_says_what_to_paste(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open("/webhooks?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")

    await expect(page.get_by_label("Lines for Stripe")).to_contain_text(f"{seen.shop.url}/hooks/stripe")
    await expect(page.get_by_label("Lines for GitHub")).to_contain_text("GITHUB_WEBHOOK_SECRET=")
    assert await seen.violations() == []


async def test_a_refused_delivery_says_why_it_did_not_verify(window: Callable[..., Any]) -> None:
    """Given a genuine delivery whose body was changed on its way; then the page says so, and what to do about it."""
    seen = await window()
    signed = signed_webhook("stripe", {"id": "evt_changed", "type": "invoice.paid"}, SECRETS["STRIPE_WEBHOOK_SECRET"])
    changed = seen.shop.client.post("/hooks/stripe", content=signed.body + b"\n", headers=signed.headers)
    assert changed.status_code in (400, 401)
    found = read(seen.shop, "/webhook-refusals", source="stripe")["items"][0]

    page = await seen.open(f"/webhooks/refused/{found['id']}")

    causes = page.get_by_role("list", name=re.compile("What may be the cause"))
    told = read(seen.shop, f"/webhook-refusals/{found['id']}/diagnosis")["items"]
    await expect(causes.get_by_role("listitem")).to_have_count(len(told))
    await expect(causes).to_contain_text(told[0]["text"])
    assert await seen.violations() == []

    # And what else its address sent, and how to shut it out
    address = found["client_ip"]
    await page.get_by_role("button", name=f"Block {address}").click()
    await expect(page.get_by_role("dialog").get_by_role("textbox", name="Who")).to_have_value(address)
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("link", name="Its API calls")).to_have_attribute(
        "href", re.compile(f"client_ip={re.escape(address)}")
    )
    await page.get_by_role("link", name="All refused from it").click()
    await expect(page.get_by_role("button", name=re.compile(f"Address: {re.escape(address)}"))).to_be_visible()
    rows = page.get_by_role("table", name="Refused deliveries").locator("tbody tr[data-row]")
    await expect(rows.first).to_contain_text(address)
    assert all(address in text for text in await rows.all_inner_texts())


async def test_whether_webhooks_are_complete_is_told_for_each_source(window: Callable[..., Any]) -> None:
    seen = await window()
    page = await seen.open(f"/webhooks{NOW}")
    table = page.get_by_role("table", name="Completeness of the sources")
    told = read(seen.shop, "/webhook-completeness")["items"]
    for proof in told:
        await expect(table.get_by_role("row", name=re.compile(proof["source"]))).to_contain_text("not compared")
    assert {"stripe", "github"} <= {proof["source"] for proof in told}
    await expect(page.get_by_label("Lines to paste")).to_contain_text("CUSTODES_STRIPE_API_KEY")


def in_rotation(*secrets: dict[str, Any]) -> dict[str, Any]:
    """The answer of a source whose secrets stand so."""
    told = [
        {"place": n, "fingerprint": f"{n:08x}", "since": None, "last_used": None, **secret}
        for n, secret in enumerate(secrets, 1)
    ]
    return {
        "name": "stripe",
        "path": "/hooks/stripe",
        "tenant": "default",
        "kind": "stripe",
        "scheme": "HMAC",
        "max_body": 1_048_576,
        "retries": True,
        "secrets": told,
    }


async def test_the_secrets_of_the_sources_say_which_sign(window: Callable[..., Any]) -> None:
    """Given a delivery of Stripe: its secret is there by a fingerprint, with when it signed, and never as it is."""
    seen = await window()
    deliver(seen.shop, "evt_signed_with")
    (stripe,) = [one for one in read(seen.shop, "/webhook-sources")["items"] if one["name"] == "stripe"]
    page = await seen.open(f"/webhooks{NOW}")
    table = page.get_by_role("table", name="Signing secrets of the sources")

    await expect(table.locator("tbody").get_by_role("row").filter(has_text="stripe")).to_contain_text("1 of 1")
    await expect(table).to_contain_text(stripe["secrets"][0]["fingerprint"])
    await expect(table).to_contain_text("Last signed just now")
    assert SECRETS["STRIPE_WEBHOOK_SECRET"] not in await page.content()
    assert stripe["secrets"][0]["standing"] == "signs"


@pytest.mark.parametrize("width", [1440, 390])
async def test_a_secret_that_can_go_says_so(window: Callable[..., Any], width: int) -> None:
    """Given sources in rotation: what can go, and what a sender does not use, is told to everybody."""
    seen = await window(width=width)
    removable = in_rotation(
        {"standing": "signs", "summary": "Last signed just now"},
        {"standing": "removable", "summary": "Last signed 9 d ago: can be removed"},
    )
    awaited = in_rotation(
        {
            "standing": "awaited",
            "summary": "Has signed nothing since it was first seen, 3 d ago: the sender still signs with an older one",
        },
        {"standing": "signs", "summary": "Last signed 12 min ago"},
    )
    items = [removable, {**awaited, "name": "github"}]
    await seen.page.route("**/webhook-sources*", lambda route: route.fulfill(json={"items": items}))
    page = await seen.open(f"/webhooks{NOW}")
    table = page.get_by_role("table", name="Signing secrets of the sources")
    await table.scroll_into_view_if_needed()

    await expect(table.locator("tbody").get_by_role("row").nth(1)).to_contain_text("2 of 2 (older)")
    await expect(table).to_contain_text("can be removed")
    await expect(table).to_contain_text("the sender still signs with an older one")
    assert await is_whole(page)
    assert await seen.violations_in_both_schemes() == []
