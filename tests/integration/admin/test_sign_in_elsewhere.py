"""Signing in at an issuer: a real one over HTTP, a browser that keeps cookies, and those who try to cheat."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from tests.servers.issuer import IssuerServer

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.auth.cookies import ATTEMPT_SECONDS
from custodes.admin.auth.jwks import REFRESH_AFTER
from custodes.admin.pages.elsewhere import SIGN_INS
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer

HOST = "https://ops.example.com"
HOME = "/dashboard/admin/enterprise"
CALLBACK = f"{HOST}{HOME}/login/callback"
API = "/api/admin/enterprise"
ME = f"{API}/me"


@dataclass
class World:
    issuer: IssuerServer
    custodes: Custodes
    browser: httpx2.AsyncClient

    async def leave(self, place: str = "") -> httpx2.Response:
        """Open the dashboard, go where it sends one; the issuer's answer."""
        answer = await self.browser.get(f"{HOME}{place}")
        answer = await self.browser.get(answer.headers["location"])
        async with httpx2.AsyncClient() as outside:
            return await outside.get(answer.headers["location"])


@pytest.fixture
async def world(sqlite_url: str, clock: FakeClock) -> AsyncIterator[World]:
    async with IssuerServer(clock, client_id="custodes", secret="s3cret", redirect_uri=CALLBACK) as issuer:
        custodes = Custodes(
            sqlite_url,
            clock=clock,
            public_url=HOST,
            oidc_issuers=issuer.url,
            oidc_client_id="custodes",
            oidc_client_secret="s3cret",
        )
        await custodes.open()
        await custodes.audit.start()
        await custodes.identity.profiles.create("ann", role="admin", issuer=issuer.url)
        transport = httpx2.ASGITransport(app=create_admin_app(custodes), client=("203.0.113.9", 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url=HOST) as browser:
            yield World(issuer, custodes, browser)
        await custodes.audit.stop()
        await custodes.close()


async def test_who_has_signed_in_at_the_issuer_gets_a_session_and_the_view_of_the_link(world: World) -> None:
    answered = await world.leave("/audit?from=now-3h")
    back = await world.browser.get(answered.headers["location"])

    assert back.status_code == 303, back.text
    assert back.headers["location"] == f"{HOME}/audit?from=now-3h"
    assert all(
        "__Host-" in cookie and "HttpOnly" in cookie and "Secure" in cookie and "SameSite=lax" in cookie
        for cookie in back.headers.get_list("set-cookie")
    )
    me = (await world.browser.get(ME)).json()
    assert (me["subject"], me["issuer"], me["method"], me["role"]) == ("ann", world.issuer.url, "session", "admin")
    assert "ratelimit_create_block" in me["may"]
    assert "identity_create_profile" not in me["may"]  # for owners
    entries = await world.browser.get(f"{API}/audit-logs", params={"action": "auth.login"})
    assert [entry["actor"]["id"] for entry in entries.json()["items"]] == ["ann"]
    # The answer counts once.
    again = await world.browser.get(answered.headers["location"])
    assert again.headers["location"] == f"{HOME}/login"
    assert world.issuer.refused == []


async def test_an_answer_counts_only_in_the_browser_that_asked(world: World) -> None:
    """Given the answer to somebody else's attempt (login CSRF); then it signs nobody in."""
    stolen = (await world.leave()).headers["location"]
    world.browser.cookies.clear()
    assert (await world.browser.get(stolen)).headers["location"] == f"{HOME}/login"

    await world.leave()
    mixed = await world.browser.get(stolen)
    assert mixed.status_code == 401
    assert "another attempt" in mixed.text
    assert (await world.browser.get(ME)).status_code == 401


@pytest.mark.parametrize(
    "kept",
    [b"\xff", b"{}", b"[1]", b'["a","b","c"]', b'["\\ud800","b","c","d"]', b'["a","b","c","\\ud800"]', b"[" * 5_000],
)
async def test_a_cookie_that_is_none_of_ours_counts_as_none(world: World, kept: bytes) -> None:
    cookie = f"__Host-custodes-sign-in={base64.urlsafe_b64encode(kept).decode().rstrip('=')}"
    answer = await world.browser.get(f"{HOME}/login/callback?state=a&code=b", headers={"Cookie": cookie})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HOME}/login")


async def test_a_token_that_does_not_hold_signs_nobody_in(world: World) -> None:
    for claims, why in (
        ({"nonce": "another"}, "another attempt"),
        ({"aud": "another-client"}, "another audience"),
        ({"iss": "https://issuer.example.net"}, "not one of ours"),
        ({"exp": 1, "iat": 0}, "expired"),
        ({"act": {"sub": "support"}}, "acts as another"),
        ({"sub": "stranger"}, "no active profile"),
    ):
        world.issuer.claims = claims
        answered = await world.leave()
        back = await world.browser.get(answered.headers["location"])
        assert back.status_code in {401, 403}
        assert why in back.text
        assert (await world.browser.get(ME)).status_code == 401


async def test_what_the_issuer_did_not_grant_signs_nobody_in(world: World) -> None:
    for change, why in (
        ("error=access_denied", "access_denied"),
        ("error=%3Cscript%3Ealert(1)%3C/script%3E", "&lt;script&gt;"),
        ("iss=https://evil.example.com&code=x", "another issuer"),
        ("", "no code"),
        ("code=invented", "status 400"),
    ):
        answered = await world.leave()
        state = parse_qs(urlsplit(answered.headers["location"]).query)["state"][0]
        back = await world.browser.get(f"{CALLBACK}?state={state}&{change}")
        assert back.status_code in {401, 503}
        assert why in back.text
        assert "<script" not in back.text


async def test_signing_in_leads_nowhere_else(world: World) -> None:
    for place in (
        "https://evil.example.com/",
        "//evil.example.com",
        "/\\evil.example.com",
        "/audit\n",
        "/other",
        "/audit/../../../../logout",
        "/audit/%2E%2e/%2e./../logout",
        "/audit/./x",
        "javascript:x",
    ):
        answer = await world.browser.get(f"{HOME}/login/oidc", params={"next": place})
        async with httpx2.AsyncClient() as outside:
            answered = await outside.get(answer.headers["location"])
        back = await world.browser.get(answered.headers["location"])
        assert back.headers["location"] == HOME
        world.browser.cookies.clear()


async def test_strangers_cannot_have_us_hammer_the_issuer(world: World) -> None:
    """Given a hundred who begin, and a hundred forged answers, then the issuer is asked once, without our secret."""
    for _ in range(100):
        await world.browser.get(f"{HOME}/login/oidc")
    forged = base64.urlsafe_b64encode(b'["s","n","v",""]').decode()
    for cookie in (forged, f"{forged}.", f"{forged}.{forged}"):
        headers = {"Cookie": f"__Host-custodes-sign-in={cookie}"}
        for _ in range(34):
            answer = await world.browser.get(f"{HOME}/login/callback?state=s&code=c", headers=headers)
            assert answer.headers["location"] == f"{HOME}/login"

    assert world.issuer.asked == {"discovery": 1}


async def test_one_address_takes_so_many_steps_a_minute(world: World, clock: FakeClock) -> None:
    """Given an attempt that was begun here, when its answer is sent again and again, then at a bounded pace."""
    answer = await world.browser.get(f"{HOME}/login/oidc")
    state = parse_qs(urlsplit(answer.headers["location"]).query)["state"][0]
    cookie = {"Cookie": f"__Host-custodes-sign-in={world.browser.cookies['__Host-custodes-sign-in']}"}
    world.browser.cookies.clear()

    statuses = [
        (await world.browser.get(f"{HOME}/login/callback?state={state}&code=c", headers=cookie)).status_code
        for _ in range(SIGN_INS + 10)
    ]

    assert statuses.count(429) == 11, "one step was to begin"
    assert world.issuer.asked["token"] == SIGN_INS - 1
    clock.advance(60_000_000)
    assert (await world.browser.get(f"{HOME}/login/oidc")).status_code == 303


async def test_an_attempt_that_was_begun_long_ago_counts_no_more(world: World, clock: FakeClock) -> None:
    answered = await world.leave()
    clock.advance((ATTEMPT_SECONDS + 1) * 1_000_000)

    assert (await world.browser.get(answered.headers["location"])).headers["location"] == f"{HOME}/login"
    assert world.issuer.asked["token"] == 0


async def test_an_issuer_that_changes_its_endpoints_is_asked_again_after_a_while(
    world: World, clock: FakeClock
) -> None:
    await world.leave()
    clock.advance(REFRESH_AFTER - 1)
    await world.leave()
    assert world.issuer.asked["discovery"] == 1

    clock.advance(1)
    await world.leave()

    assert world.issuer.asked["discovery"] == 2


async def test_the_callback_is_where_the_setting_says_whatever_the_request_says(world: World) -> None:
    answer = await world.browser.get(f"{HOME}/login/oidc", headers={"Host": "evil.example.com"})
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == [CALLBACK]


async def test_without_the_issuer_one_is_told_so_and_a_password_still_works(world: World) -> None:
    page = await world.browser.get(f"{HOME}/login")
    assert "Sign in with 127.0.0.1" in page.text
    assert 'name="password"' in page.text
    await world.issuer._runner.cleanup()
    answer = await world.browser.get(f"{HOME}/login/oidc")
    assert answer.status_code in {502, 503}
    assert "cannot be had" in answer.text


async def test_clerks_session_cookie_becomes_a_session_of_ours(sqlite_url: str, clock: FakeClock) -> None:
    """Given no cookie, one goes to Clerk's page and comes back; with the cookie there is a session of ours."""
    clerk = FakeIssuer(clock, "https://clerk.example.com", audience="")
    custodes = Custodes(
        sqlite_url,
        clock=clock,
        public_url=HOST,
        clerk_issuer=clerk.url,
        clerk_sign_in_url="https://accounts.example.com/sign-in",
    )
    await custodes.open()
    await custodes.audit.start()
    await custodes.identity.profiles.create("user_2abc", role="owner", issuer=clerk.url)
    transport = httpx2.ASGITransport(app=create_admin_app(custodes, fetch=clerk.fetch), client=("203.0.113.9", 1))
    async with httpx2.AsyncClient(transport=transport, base_url=HOST) as browser:
        answer = await browser.get(f"{HOME}/webhooks?from=now-1h")
        answer = await browser.get(answer.headers["location"])
        away = urlsplit(answer.headers["location"])
        assert (away.netloc, away.path) == ("accounts.example.com", "/sign-in")
        back = parse_qs(away.query)["redirect_url"][0]
        assert back.startswith(f"{HOST}{HOME}/login/clerk?")

        nothing = await browser.get(back)
        assert nothing.status_code == 401
        assert "left no session" in nothing.text

        browser.cookies.set("__session", clerk.token("user_2abc", azp=HOST))
        answer = await browser.get(back)
        assert answer.headers["location"] == f"{HOME}/webhooks?from=now-1h"
        clock.advance(3600 * 1_000_000)  # Clerk's own tokens last a minute
        assert (await browser.get(ME)).json()["subject"] == "user_2abc"
    await custodes.audit.stop()
    await custodes.close()
