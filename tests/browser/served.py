"""The demo shop as a browser meets it: served by a real server, with an owner who has signed in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from playwright.async_api import Page, expect

from custodes import Custodes
from custodes.cli.demo.driver import Driver
from custodes.cli.demo.receiver import ENVIRONMENT

HOME = "/dashboard/admin/enterprise"
API = "/api/admin/enterprise"
PASSWORD = "a correct horse battery"

SECRETS = {
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef0123456789abcdef",
    "GITHUB_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef",
}


#: Longest without a visitor, seconds: ranges of the last minutes always hold some, however long the tests before took.
QUIET_SECONDS = 240

#: The shop's people are in a zone half an hour off the full hour, and never on summer time.
ZONE = "Asia/Kolkata"


@dataclass
class Shop:
    """The demo shop, served, with an owner who has signed in."""

    url: str
    cookie: str
    key: str
    client: httpx2.Client
    #: When visitors came last, monotonic seconds, and how often they did: other ones each time.
    visited: float = 0.0
    visits: int = 0

    async def send_traffic(self, seconds: float, rate: float = 60) -> None:
        """Have visitors come."""
        self.visits += 1
        await self.driver(rate).run(seconds)
        self.visited = time.monotonic()

    def driver(self, rate: float = 60) -> Driver:
        shared = {name.removesuffix("_WEBHOOK_SECRET").lower(): secret for name, secret in SECRETS.items()}
        return Driver(self.url, shared, api_key=self.key, rate=rate, seed=max(1, self.visits))

    async def keep_busy(self) -> None:
        """Have visitors come once more if the last ones were here a while ago."""
        if time.monotonic() - self.visited > QUIET_SECONDS:
            await self.send_traffic(1)

    @property
    def browser_cookie(self) -> dict[str, str | bool]:
        """The session, as Playwright adds it to a context."""
        return as_browser_cookie(self.url, self.cookie)


@contextmanager
def served(folder: Path) -> Iterator[Shop]:
    """Serve the shop with a database in an empty folder; nobody has visited it yet."""
    from tests.acceptance.conftest import servers_in

    once = asyncio.run(_one_time_password(f"sqlite:///{folder}/custodes.db"))
    with servers_in(folder) as start:
        words = ("-m", "uvicorn", "--factory", "custodes.cli.demo.shop:create_app", "--port", "0")
        zones = {"CUSTODES_TENANT_TIME_ZONES": f"*={ZONE}"}
        client = start(*words, command="python", cwd=folder, **SECRETS, **ENVIRONMENT, **zones).client()
        first = client.post(f"{API}/login", json={"username": "owner", "password": once})
        assert first.status_code == 200, first.text
        changed = client.post(f"{API}/password", json={"current": once, "new": PASSWORD}, headers=signed(first))
        made = client.post(f"{API}/api-keys", json={"name": "demo"}, headers=signed(changed))
        assert made.status_code == 201, made.text
        client.cookies.clear()
        yield Shop(str(client.base_url).rstrip("/"), signed(changed)["Cookie"], made.json()["key"], client)


async def settled(page: Page) -> None:
    """Wait until the page awaits nothing more and has drawn what it got."""
    await page.get_by_role("main").get_by_role("heading").first.wait_for()
    await expect(page.locator("[aria-busy=true], .mantine-Skeleton-root")).to_have_count(0)
    await page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def _one_time_password(database: str) -> str:
    custodes = Custodes(database)
    await custodes.open()
    password = await custodes.identity.ensure_owner()
    await custodes.close()
    assert password is not None
    return password


def as_browser_cookie(url: str, cookie: str) -> dict[str, str | bool]:
    """A session's cookie, as Playwright adds it to a context."""
    name, _, value = cookie.partition("=")
    # Chromium sends a Secure cookie to http on this machine, but the protocol sets none there.
    return {"name": name, "value": value, "url": url.replace("http://", "https://"), "secure": True}


def signed(answer: httpx2.Response) -> dict[str, str]:
    """Headers of a request in the session that was just begun."""
    cookie = answer.headers["set-cookie"].split(";")[0]
    return {"Cookie": cookie, "X-CSRF-Token": answer.json()["csrf_token"]}
