"""The dashboard as it is served: one page, its assets, and what the browser is told of them."""

from __future__ import annotations

import gzip
import json
import random
import re
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from custodes.admin.dashboard import Dashboard

HOME = "/dashboard/admin/enterprise"
SCRIPT = b"console.log(1)"


@pytest.fixture(autouse=True)
def built(app: FastAPI, tmp_path: Path) -> None:
    """A build with one script and one style sheet."""
    assets = tmp_path / "web" / "assets"
    assets.mkdir(parents=True)
    (assets / "index-abc.js").write_bytes(SCRIPT)
    (assets / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (assets / "index-abc.js.br").write_bytes(b"brotli")
    (assets / "index-abc.css").write_bytes(b"a{}")
    (assets / "inter-latin-wght-normal-abc.woff2").write_bytes(b"letters")
    (assets / "note.txt").write_bytes(b"no asset")
    (tmp_path / "web" / "index.html").write_text(
        '<!doctype html><meta name="custodes" content="{}" /><link href="./assets/index-abc.css">'
        '<script type="module" src="./assets/index-abc.js"></script>'
    )
    app.state.dashboard = Dashboard(random.Random(1).getrandbits, tmp_path / "web")


def told(page: str) -> dict[str, str]:
    found = re.search(r'<meta name="custodes" content="([^"]*)"', page)
    assert found is not None
    return json.loads(unescape(found[1]))


async def test_the_page_says_where_it_is_mounted_and_runs_nothing_inline(
    app: FastAPI, browser: Any, client: httpx2.AsyncClient
) -> None:
    """Given a mount prefix; then every address of the page is below it, and the policy lets only our files run."""
    outer = Starlette(routes=[Mount("/ops/custodes", app=app)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=outer), base_url="https://ops.example.com") as far:
        page = await far.get(f"/ops/custodes{HOME}/webhooks", headers={"Cookie": browser.cookie})
        assert page.status_code == 200
        boot = told(page.text)
        assert boot["root"] == "/ops/custodes"
        assert boot["base"] == f"/ops/custodes{HOME}"
        script = re.search(r'src="([^"]+)"', page.text)
        assert script is not None
        assert (await far.get(script[1])).content == SCRIPT
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert f"style-src 'self' 'nonce-{boot['nonce']}';" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*src=)", page.text)


async def test_the_plain_pages_have_the_letters_of_the_dashboard(client: httpx2.AsyncClient) -> None:
    sheet = (await client.get(f"{HOME}/style.css")).text
    letters = re.search(r'url\("([^"]+)"\)', sheet)
    assert letters is not None
    font = await client.get(f"{HOME}/{letters[1]}")
    assert (font.content, font.headers["content-type"]) == (b"letters", "font/woff2")
    policy = (await client.get(f"{HOME}/login")).headers["content-security-policy"]
    assert "font-src 'self';" in policy


async def test_no_two_pages_have_the_same_nonce(browser: Any, client: httpx2.AsyncClient) -> None:
    pages = [await client.get(HOME, headers={"Cookie": browser.cookie}) for _ in range(3)]
    assert len({told(page.text)["nonce"] for page in pages}) == 3


@pytest.mark.parametrize(
    ("accepted", "encoding", "content"),
    [
        ("gzip, deflate, br", "br", b"brotli"),
        ("gzip", "gzip", SCRIPT),
        ("br;q=0, gzip;q=0.5", "gzip", SCRIPT),
        ("gzip;q=0", None, SCRIPT),
        ("", None, SCRIPT),
        ("zstd", None, SCRIPT),
    ],
)
async def test_assets_come_compressed_and_are_kept_for_ever(
    client: httpx2.AsyncClient, accepted: str, encoding: str | None, content: bytes
) -> None:
    async with client.stream("GET", f"{HOME}/assets/index-abc.js", headers={"Accept-Encoding": accepted}) as response:
        raw = b"".join([part async for part in response.aiter_raw()])
    assert response.headers.get("content-encoding") == encoding
    assert (gzip.decompress(raw) if encoding == "gzip" else raw) == content
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "name", ["none.js", "note.txt", "index-abc.js.gz", "..%5cindex.html", "%2e%2e", "index-abc.js%00"]
)
async def test_only_assets_are_served(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"{HOME}/assets/{name}")).status_code == 404


async def test_a_path_that_no_tab_has_is_not_found_but_shows_the_page(browser: Any, client: httpx2.AsyncClient) -> None:
    cookie = {"Cookie": browser.cookie}
    assert (await client.get(f"{HOME}/audit/0190", headers=cookie)).status_code == 200
    lost = await client.get(f"{HOME}/nowhere", headers=cookie)
    assert lost.status_code == 404
    assert told(lost.text)["base"] == HOME


async def test_a_checkout_that_is_not_built_says_how(
    app: FastAPI, browser: Any, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    app.state.dashboard = Dashboard(random.Random(1).getrandbits, tmp_path / "nothing")
    page = await client.get(HOME, headers={"Cookie": browser.cookie})
    assert page.status_code == 503
    assert "make web" in page.text
