"""Takes the pictures of the dashboard in ``docs/images``: each tab full, empty, dark and narrow; ``make screenshots``.

python scripts/screenshots.py                 the pictures of the docs
python scripts/screenshots.py look FOLDER     every part of every tab, whole, in both themes and widths, to look at

The demo shop is served by a real server, its demo traffic sent before and while the pictures are taken, in Debian's
Chromium.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from custodes.cli.demo.receiver import receiving

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.served import HOME, Shop, served, settled  # noqa: E402 (the path is set above)
from tests.servers.programs import find  # noqa: E402

IMAGES = ROOT / "docs" / "images"

#: Traffic that is on the pictures, seconds: five cycles of all episodes of the demo.
SECONDS = 300

#: The stretch of time that is shown: the traffic fills it.
RANGE = f"from=now-{SECONDS // 60}m"

#: Events of the live stream that are on the picture of the overview.
EVENTS = 9

#: Quality of WebP: lines and letters are still sharp.
QUALITY = 74

#: Largest picture of the docs, bytes: all of them are in every clone.
LARGEST = 150_000

#: Longest page that is taken, pixels: the docs show a whole tab on a wide screen, its head on a narrow one.
TALLEST = 2_400
TALLEST_WHOLE = 5_000

WIDE = 1_440
NARROW = 390

TABS = {
    "overview": "",
    "webhooks": "/webhooks",
    "endpoints": "/webhooks/endpoints",
    "api": "/api",
    "audit": "/audit",
    "rate-limits": "/rate-limits",
}

#: The other parts of the tabs, to look at.
PARTS = {
    "webhooks-events": "/webhooks?part=events",
    "webhooks-refused": "/webhooks?part=refused",
    "api-endpoints": "/api?part=endpoints",
    "api-consumers": "/api?part=consumers",
    "api-errors": "/api?part=errors",
    "api-scans": "/api?part=scans",
    "api-calls": "/api?part=calls",
    "audit-actors": "/audit?tab=actors",
    "audit-admin": "/audit?tab=admin",
    "audit-entries": "/audit?tab=entries",
    "audit-report": "/audit/report",
    "rate-limits-blocks": "/rate-limits?view=blocks",
    "rate-limits-lists": "/rate-limits?view=lists",
    "rate-limits-rules": "/rate-limits?view=rules",
    "rate-limits-editor": "/rate-limits?view=editor&limits=5/minute&by=ip&route=/login&run=yes",
}

#: Parts whose first row is opened, to look at the drawer.
OPENED = (
    "webhooks-events", "webhooks-refused", "endpoints", "api-errors", "api-calls", "audit", "audit-actors",
    "rate-limits-blocks", "rate-limits-rules",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How a picture is taken."""

    width: int = WIDE
    dark: bool = False
    tallest: int = TALLEST

    @property
    def name(self) -> str:
        """What sets it apart from the first."""
        return ("-narrow" if self.width == NARROW else "") + ("-dark" if self.dark else "")


class Camera:
    """Takes pictures of one server."""

    def __init__(self, browser: Browser, shop: Shop, folder: Path) -> None:
        self._browser = browser
        self._shop = shop
        self._folder = folder

    async def take(self, places: Iterable[tuple[str, str]], look: Look, *, opened: Iterable[str] = ()) -> list[Path]:
        """Take each place (name, path with query) with one look."""
        context = await self._browser.new_context(
            viewport={"width": look.width, "height": 900},
            color_scheme="dark" if look.dark else "light",
            reduced_motion="reduce",
            timezone_id="Europe/Berlin",
        )
        await context.add_cookies([self._shop.browser_cookie])
        page = await context.new_page()
        taken: list[Path] = []
        for name, path in places:
            joined = "&" if "?" in path else "?"
            await page.set_viewport_size({"width": look.width, "height": 900})
            await page.goto(f"{self._shop.url}{HOME}{path}{joined}{RANGE}")
            await settled(page)
            whole: int = await page.evaluate("document.documentElement.scrollHeight")
            await page.set_viewport_size({"width": look.width, "height": max(700, min(whole, look.tallest))})
            await settled(page)
            if name == "overview":
                await page.get_by_role("list", name="Events, newest first").locator("li").nth(EVENTS).wait_for()
            taken.append(await self._shoot(page, f"{name}{look.name}"))
            if name in opened:
                await page.set_viewport_size({"width": look.width, "height": 1_000})
                row = page.locator("tbody tr[data-row] a").first
                await row.click()
                await page.get_by_role("dialog").wait_for()
                await settled(page)
                taken.append(await self._shoot(page, f"{name}-opened{look.name}"))
        await context.close()
        return taken

    async def _shoot(self, page: Page, name: str) -> Path:
        # What happens to be said just now hides what the picture is of. All at once: they also go by themselves.
        said = page.locator(".mantine-Notification-closeButton")
        await said.evaluate_all("all => all.forEach(close => close.click())")
        await said.first.wait_for(state="detached")
        session = await page.context.new_cdp_session(page)
        shot = await session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        await session.detach()
        target = self._folder / f"{name}.webp"
        target.write_bytes(base64.b64decode(shot["data"]))
        print(f"{target.stat().st_size / 1000:7.1f} kB  {target.name}", flush=True)
        return target


async def _docs(browser: Browser, full: Shop, empty: Shop) -> None:
    taken: list[Path] = []
    camera = Camera(browser, full, IMAGES)
    for look in (Look(), Look(dark=True), Look(width=NARROW)):
        taken += await camera.take(TABS.items(), look)
    nothing = [(f"{name}-empty", path) for name, path in TABS.items()]
    taken += await Camera(browser, empty, IMAGES).take(nothing, Look())
    heavy = [path.name for path in taken if path.stat().st_size > LARGEST]
    if heavy:
        sys.exit(f"Too large for the docs: {', '.join(heavy)}")


async def _look(browser: Browser, full: Shop, empty: Shop, folder: Path) -> None:
    places = [*TABS.items(), *PARTS.items()]
    for width in (WIDE, NARROW):
        for dark in (False, True):
            look = Look(width, dark, TALLEST_WHOLE)
            await Camera(browser, full, folder).take(places, look, opened=OPENED)
    nothing = [(f"{name}-empty", path) for name, path in places]
    await Camera(browser, empty, folder).take(nothing, Look(tallest=TALLEST_WHOLE))


async def _take(full: Shop, empty: Shop, folder: Path | None) -> None:
    program = find("chromium", "chromium")
    async with (
        receiving(full.url, full.key, seed=1),
        async_playwright() as playwright,
        asyncio.TaskGroup() as tasks,
    ):
        traffic = tasks.create_task(full.driver(rate=25).run())
        await asyncio.sleep(SECONDS)
        browser = await playwright.chromium.launch(
            executable_path=str(program), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        await (_docs(browser, full, empty) if folder is None else _look(browser, full, empty, folder))
        await browser.close()
        traffic.cancel()


def main(words: list[str]) -> None:
    """Run the command."""
    if words not in ([], ["look", *words[1:2]]) or words == ["look"]:
        sys.exit(__doc__)
    folder = Path(words[1]) if words else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    if not words:
        for old in IMAGES.glob("*.webp"):
            old.unlink()
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        full, empty = (stack.enter_context(served(folder)) for folder in folders)
        asyncio.run(_take(full, empty, folder if words else None))


if __name__ == "__main__":
    main(sys.argv[1:])
