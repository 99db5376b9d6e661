"""Strings made to harm, in every field that is shown: they are text in every tab, and run nowhere."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect
from tests.browser.conftest import API, SECRETS, Shop, Window, served, settled

from custodes.testing.webhooks import signed_webhook

#: What a script of theirs would do: set this mark.
MARK = "window.harmed=1"

_HARM = (
    f"<script>{MARK}</script>",
    f"</script><script>{MARK}</script>",
    f"<img src=x onerror={MARK}>",
    f'"><svg onload={MARK}>',
    f"' autofocus onfocus={MARK} x='",
    f'"><details open ontoggle={MARK}>',
    f"javascript:{MARK}",
    f"JaVaScRiPt&colon;{MARK}",
    f"<a href=javascript:{MARK}>click</a>",
    f"data:text/html,<script>{MARK}</script>",
    f"<iframe srcdoc='<script>parent.{MARK}</script>'>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={MARK}>",
    f"{{{{constructor.constructor('{MARK}')()}}}}",
    f"${{{MARK}}}",
    f"<%= {MARK} %>",
    f"#{{{MARK}}}",
    "<style>*{display:none}</style>",
    "<base href=https://evil.example.com/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example.com/'>",
    "<!--",
    "]]>",
    "__proto__",
    '=HYPERLINK("https://evil.example.com")',
    "\u202egnp.exe",
    "\u200b\u200d\ufeff\u2066hidden\u2069",
    "e\u0301\u0327" * 20,
    "\x1b[2J\x1b[31mred\x07",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 10,
    "../../../../etc/passwd",
    "W" * 200,
)

_AROUND = (
    "{}", "x{}", "{}y", "<b>{}", "&lt;{}", "'{}'", '"{}"', "`{}`", "/{}", "a={}", "[{}](x)", "\n{}", "{} \u05d0",
    "%3C{}", "\\{}", "{{{{{}}}}}", "<!--{}-->",
)  # fmt: skip

HOSTILE = [around.format(harm) for harm, around in itertools.product(_HARM, _AROUND)][:500]

#: Every part of every tab, with what its URL says.
PLACES = (
    "?",
    "/webhooks?",
    "/webhooks?part=events",
    "/webhooks?part=refused",
    "/webhooks/endpoints?",
    "/api?",
    "/api?part=endpoints",
    "/api?part=consumers",
    "/api?part=errors",
    "/api?part=scans",
    "/api?part=calls",
    "/audit?tab=flags&state=all",
    "/audit?tab=actors",
    "/audit?tab=admin",
    "/audit?tab=entries",
    "/audit/report?",
    "/rate-limits?",
    "/rate-limits?view=blocks",
    "/rate-limits?view=lists",
    "/rate-limits?view=rules",
    "/metrics?",
    "/settings?",
    "/settings/api-keys?",
    "/settings/alert-rules?",
    "/settings/notifications?",
)

#: Elements that only hostile text could have put into the page.
FOREIGN = "main :is(script, iframe, base, meta, style, math, form form), [role=dialog] :is(script, iframe, base, style)"


def test_there_are_five_hundred_and_none_twice() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == 500


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: what is planted here would be in the way of other tests."""
    with served(tmp_path_factory.mktemp("harmed")) as shop:
        _plant(shop)
        yield shop


def _plant(shop: Shop) -> None:
    """Put each string into every field that takes it; a few fields refuse some, all take most."""
    headers = {"X-API-Key": shop.key}

    def send(path: str, items: list[dict[str, Any]]) -> int:
        answers = [
            shop.client.post(f"{API}/ingest/{path}", json={"items": items[begin : begin + 200]}, headers=headers)
            for begin in range(0, len(items), 200)
        ]
        return sum(answer.json()["accepted"] for answer in answers)

    calls = send("api-calls", [_call(place, text) for place, text in enumerate(HOSTILE)])
    assert calls == 500
    entries = send("audit-events", [_event(text) for text in HOSTILE])
    assert entries == 500
    taken = named = 0
    for place, text in enumerate(HOSTILE[::25]):
        for path, more in (("blocks", {"duration_seconds": 300}), ("lists", {"effect": "deny"})):
            body = {"kind": "user", "identifier": text[:200], "reason": text, **more}
            taken += shop.client.post(f"{API}/rate-limits/{path}", json=body, headers=headers).is_success
        shown = text.encode("ascii", "replace").decode().translate(dict.fromkeys(range(32), "."))
        body = json.dumps({"action": text, "__proto__": {text: "\x00"}, text: [text, {text: None}]})
        signed = signed_webhook("github", body, SECRETS["GITHUB_WEBHOOK_SECRET"], event_type=f"t{place}{shown}"[:60])
        sent = {**signed.headers, "X-Seen": shown}
        taken += shop.client.post("/hooks/github", content=signed.body, headers=sent).is_success
        shop.client.post("/hooks/stripe", content=text.encode(), headers={"X-Seen": shown, "User-Agent": shown})
        shop.client.get(f"/products/{quote(text)}", headers={"User-Agent": shown, "X-Demo-User": shown[:80]})
        endpoint = {"url": f"https://receiver.example.com/{place}", "description": text[:200]}
        taken += shop.client.post(f"{API}/webhook-configurations", json=endpoint, headers=headers).is_success
        rule = {"name": f"rule {place}", "limits": "5/minute", "by": "ip", "route": f"/{shown}"[:200]}
        shop.client.post(f"{API}/rate-limits/rules", json=rule, headers=headers)
        user = {"subject": text[:255], "role": "member", "issuer": "host", "display_name": text[:200]}
        named += shop.client.post(f"{API}/user-profiles", json=user, headers=headers).is_success
        alert = {"name": text[:300], "metric": "a.b", "comparator": ">", "threshold": 1, "labels": {"a": text[:100]}}
        named += shop.client.post(f"{API}/alert-rules", json=alert, headers=headers).is_success
    assert taken >= 70, "webhooks, endpoints, blocks and list entries were taken"
    assert named >= 30, "users and alert rules were taken"


def _call(place: int, text: str) -> dict[str, Any]:
    return {
        "method": "GET", "route": text[:500], "path": f"/{text}", "status": 500 if place % 2 else 404,
        "duration_us": 1_000, "user": text[:200], "api_key": text[:200], "client_ip": text[:45],
        "user_agent": text[:200], "error_type": "Hostile", "error_message": text[:1_000],
    }  # fmt: skip


def _event(text: str) -> dict[str, Any]:
    return {
        "action": "fraud.early_warning", "actor": f"user:{text}"[:250], "targets": [f"member:{text}"[:250]],
        "reason": text,
        "context": {"note": text, "__proto__": text}, "changes": [["name", text, text]],
    }  # fmt: skip


async def _is_unharmed(page: Page, where: str) -> None:
    await settled(page)
    assert await page.evaluate("window.harmed") is None, where
    assert await page.evaluate("({}).harmed") is None, where
    assert await page.evaluate(f"document.querySelectorAll('{FOREIGN}').length") == 0, where
    assert "//evil.example.com" not in page.url.partition("?")[0], where


async def _open_first(page: Page) -> bool:
    row = page.get_by_role("main").locator("tbody tr[data-row] td:first-child a").first
    if not await row.count():
        return False
    await row.click()
    return True


@pytest.mark.timeout(600)
async def test_no_script_runs_from_any_of_them_in_any_tab(window: Callable[..., Any], harmed: Shop) -> None:
    """Given all of them in every field; when each part of each tab and what a row opens is shown; then all is text."""
    seen: Window = await window(of=harmed)
    await seen.open("?from=now-15m")
    shown = 0
    for place in PLACES:
        page = await seen.go(f"{place}&from=now-15m")
        await _is_unharmed(page, place)
        shown += "window.harmed" in await page.get_by_role("main").inner_text()
        if await _open_first(page):
            await _is_unharmed(page, f"{place}, opened")
    assert shown >= 8, "they are on the pages, as text"


async def test_the_payload_is_text_in_all_its_views(window: Callable[..., Any], harmed: Shop) -> None:
    seen: Window = await window(of=harmed)
    found = harmed.client.get(
        f"{API}/webhook-events", params={"source": "github"}, headers={"X-API-Key": harmed.key}
    ).json()["items"]
    await seen.open("/webhooks")
    for way, event in zip(("tree", "raw", "hex"), found, strict=False):
        page = await seen.go(f"/webhooks/{event['id']}?way={way}")
        await page.get_by_label(re.compile("^Payload, ")).wait_for()
        await _is_unharmed(page, way)


async def test_a_link_made_to_harm_opens_as_any_other(window: Callable[..., Any], harmed: Shop) -> None:
    """Given such strings in every parameter of a URL; then what cannot be meant is left out, and the rest is text."""
    seen: Window = await window(of=harmed)
    seen.expected = ("Failed to load resource",)  # what the server refuses of them is said on the page
    names = ("from", "to", "compare", "tz", "live", "sort", "plane", "text", "route", "method", "status", "min_ms",
             "user", "trace", "order", "measure", "find", "actor", "ip", "who", "source", "type", "verdict", "id",
             "reason", "kind", "effect", "limits", "by", "name")  # fmt: skip
    for place in ("?", "/webhooks?part=events", "/api?part=calls", "/audit?tab=entries", "/rate-limits?view=editor",
                  "/settings/alert-rules?edit=new"):  # fmt: skip
        harm = itertools.cycle(HOSTILE[::17])
        query = "&".join(f"{name}={quote(next(harm))}" for name in names)
        page = await seen.open(f"{place}&{query}")
        await _is_unharmed(page, place)
        await expect(page.get_by_text("This page could not be shown")).to_have_count(0)
