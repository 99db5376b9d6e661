"""One real server with the demo shop and its traffic, one real Chromium, for all browser tests of a worker.

Playwright's Python package drives Debian's Chromium, which is found or installed as the servers are: nothing is
downloaded that a package registry does not have. The tests share one event loop, in which the browser lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect
from tests.acceptance.conftest import until
from tests.browser.served import API, HOME, PASSWORD, SECRETS, Shop, served, settled
from tests.servers.programs import find, required

__all__ = ["API", "HOME", "PASSWORD", "SECRETS", "Shop", "Window", "settled"]

#: axe-core, as npm installed it (`make web`).
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"

#: Longest that a browser may take for one thing on a busy machine, milliseconds. What is expected has as long, too:
#: Playwright's own five seconds pass when others have the processor.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)

#: Times that a request passed on by a test is made again when the server has just closed the connection it was to use.
RETRIES = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them run in the loop that the browser lives in."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with served(tmp_path_factory.mktemp("browser")) as found:
        asyncio.run(found.send_traffic(3))
        until(
            lambda: found.client.get(f"{API}/api-calls", headers={"X-API-Key": found.key}).json()["items"],
            "calls are kept",
        )
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    program = required(lambda: find("chromium", "chromium"))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(program), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


#: Resolves when colours that change slowly have done so, and what can be pressed has stayed where it is for a while.
_AT_REST = """
async () => {
  const changes = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(changes.map((one) => one.finished));
  const places = () =>
    JSON.stringify([...document.querySelectorAll('a, button, input')].map((one) => one.getBoundingClientRect()));
  for (let tries = 0; tries < 20; tries += 1) {
    const before = places();
    await new Promise((done) => setTimeout(done, 250));
    if (places() === before) return;
  }
}
"""


#: Goes to a place as a link in the page does, through its router; resolves when what is there is drawn.
_GO = """
async (place) => {
  while (!window.__TSR_ROUTER__?.state.resolvedLocation) await new Promise(requestAnimationFrame);
  await new Promise((done) => {
    const stop = window.__TSR_ROUTER__.subscribe('onResolved', () => { stop(); done(); });
    window.__TSR_ROUTER__.history.push(place);
  });
}
"""


@dataclass
class Window:
    """A page of the dashboard, and what went wrong in it."""

    page: Page
    context: BrowserContext
    shop: Shop
    #: Errors of scripts, refusals of the Content-Security-Policy, failures of the console.
    faults: list[str] = field(default_factory=list)
    #: Parts of faults that the test brings about: refusals, which Chromium writes in its console, sooner or later.
    expected: tuple[str, ...] = ()

    async def open(self, place: str = "") -> Page:
        await self.page.goto(f"{self.shop.url}{HOME}{place}")
        return self.page

    async def go(self, place: str) -> Page:
        """Move within the page that is open, which takes a fraction of loading the program anew."""
        await self.page.evaluate(_GO, f"{HOME}{place}")
        return self.page

    async def rest(self) -> None:
        """Leave the dashboard and forget all that was kept but its program, which the next test will load again."""
        await self.page.unroute_all(behavior="ignoreErrors")
        await self.page.goto(f"{self.shop.url}/healthz")
        await self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        await self.page.emulate_media(media="null")
        await self.context.clear_cookies()
        self.faults, self.expected = [], ()

    async def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 A and AA, with the first place of each."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(AXE.read_text())
        found = await self.page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations']})"
        )
        return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]

    async def violations_in_both_schemes(self) -> list[str]:
        """The same in the light and in the dark, in the page as it is: it follows what the system prefers."""
        found: list[str] = []
        for scheme in ("light", "dark"):
            await self.page.emulate_media(color_scheme=scheme)
            await self.page.locator(f"html[data-mantine-color-scheme={scheme}]").wait_for(state="attached")
            await settled(self.page)
            await self.page.evaluate(_AT_REST)
            found += [f"{scheme}: {one}" for one in await self.violations()]
        return found


@pytest.fixture(scope="session")
def rested() -> list[Window]:
    """Windows that tests are done with, to be used again.

    Loading the program in a new browser context takes three times as long as in one that has loaded it before.
    """
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def window(chromium: Browser, shop: Shop, rested: list[Window]) -> AsyncIterator[Callable[..., Any]]:
    """Open windows: ``await window(width=390, dark=True)``; whatever goes wrong in one fails the test.

    Each knows nothing of the others, nor of those of earlier tests. ``new``: nor has it anything in its cache, and what
    the test adds to it (listeners, scripts) ends with it.
    """
    opened: list[Window] = []
    ended: list[Window] = []

    async def make(
        *,
        width: int = 1440,
        height: int = 1000,
        dark: bool = False,
        signed_in: bool = True,
        of: Shop = shop,
        new: bool = False,
    ) -> Window:
        if of is shop:
            await shop.keep_busy()
        found = next((one for one in rested if one.shop is of and not new), None)
        if found is None:
            found = await _new_window(chromium, of)
        else:
            rested.remove(found)
        (ended if new else opened).append(found)
        await found.page.set_viewport_size({"width": width, "height": height})
        await found.page.emulate_media(color_scheme="dark" if dark else "light")
        if signed_in:
            await found.context.add_cookies([of.browser_cookie])
        return found

    yield make
    faults = [
        fault for one in opened + ended for fault in one.faults if not any(part in fault for part in one.expected)
    ]
    for one in ended:
        await one.context.close()
    for one in opened:
        await one.rest()
        rested.append(one)
    assert faults == []


async def _new_window(chromium: Browser, shop: Shop) -> Window:
    context = await chromium.new_context(reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    found = Window(page, context, shop)
    page.on("pageerror", lambda error: found.faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and _note(found, message))
    return found


def _note(found: Window, message: ConsoleMessage) -> None:
    """Note an error with its place; not that the page where a window rests has no icon: it is told late."""
    url = message.location.get("url", "")
    if not url.endswith("/favicon.ico"):
        found.faults.append(f"{message.text} {url}".rstrip())
