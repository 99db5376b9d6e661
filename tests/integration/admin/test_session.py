"""Signing in with a password: cookie, CSRF, and what an attacker's page can do: nothing."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from custodes import Custodes
from custodes.kernel.clock import HOUR
from custodes.planes.audit.ports import AuditQuery
from custodes.testing.clock import FakeClock

API = "/api/admin/enterprise"
PASSWORD = "a correct horse battery"

BODY = {"subject": "ann", "role": "admin"}


async def test_the_cookie_is_bound_to_this_host(browser: Any, client: httpx2.AsyncClient) -> None:
    response = await client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-custodes=")
    for part in ("Path=/", "Secure", "HttpOnly", "SameSite=lax", "Max-Age=43200"):
        assert part in cookie
    assert "Domain" not in cookie
    token = cookie.split("=", 1)[1].split(";")[0]
    assert token not in response.text


async def test_a_signed_in_browser_may_act(browser: Any) -> None:
    told = (await browser.request("GET", "/me")).json()
    assert (told["method"], told["tenant_time_zone"]) == ("session", "")
    assert told["recording_since"] is None
    assert (await browser.request("POST", "/user-profiles", json=BODY)).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": None},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x" * 43},
        {"X-CSRF-Token": b"\xc3\xa9"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "rubbish"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "https://ops.example.com.evil.example.com"},
        {"Origin": "https://ops.example.com:8443"},
        {"Origin": "http://ops.example.com"},
        {"Origin": "null"},
        {"Origin": "https://[bad"},
    ],
)
async def test_what_another_site_can_make_a_browser_send_changes_nothing(
    browser: Any, custodes: Custodes, headers: dict[str, str | bytes | None]
) -> None:
    for method, path in (("POST", "/user-profiles"), ("POST", "/logout"), ("POST", "/api-keys")):
        response = await browser.request(method, path, json=BODY, headers=headers)
        assert response.status_code == 403, response.text
        assert response.json()["code"] == "forged-request"
    assert (await browser.request("GET", "/me")).status_code == 200
    assert len((await custodes.identity.profiles.list_profiles()).items) == 1


async def test_the_token_of_one_session_does_not_serve_another(browser: Any, client: httpx2.AsyncClient) -> None:
    other = await client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
    client.cookies.clear()
    foreign = {"X-CSRF-Token": other.json()["csrf_token"]}
    assert (await browser.request("POST", "/user-profiles", json=BODY, headers=foreign)).status_code == 403


async def test_nobody_is_signed_in_by_another_site(browser: Any, client: httpx2.AsyncClient) -> None:
    """Login CSRF: an attacker's page must not sign somebody in to the attacker's account."""
    body = {"username": "owner", "password": PASSWORD}
    for headers in ({"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}):
        response = await client.post(f"{API}/login", json=body, headers=headers)
        assert response.status_code == 403
        assert "set-cookie" not in response.headers


async def test_a_program_with_a_key_needs_no_csrf_token(browser: Any, client: httpx2.AsyncClient) -> None:
    key = (await browser.request("POST", "/api-keys", json={"name": "ci"})).json()["key"]
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        response = await client.get(f"{API}/me", headers=headers)
        assert response.json()["method"] == "api_key"
    made = await client.post(f"{API}/user-profiles", json=BODY, headers={"X-API-Key": key})
    assert made.status_code == 201
    another = await client.post(f"{API}/api-keys", json={"name": "x"}, headers={"X-API-Key": key})
    assert another.status_code == 403


async def test_an_ended_session_is_refused_and_another_credential_is_not_tried(
    browser: Any, client: httpx2.AsyncClient
) -> None:
    key = (await browser.request("POST", "/api-keys", json={"name": "ci"})).json()["key"]
    assert (await browser.request("POST", "/logout")).status_code == 204
    assert (await browser.request("GET", "/me")).status_code == 401
    wrong = {"Authorization": "Bearer ck_0000000000_" + "x" * 43, "Cookie": f"x={key}"}
    assert (await client.get(f"{API}/me", headers=wrong)).status_code == 401


async def test_sessions_are_listed_and_ended(browser: Any, client: httpx2.AsyncClient, clock: FakeClock) -> None:
    clock.advance(HOUR)
    other = await client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
    client.cookies.clear()
    listed = (await browser.request("GET", "/sessions")).json()["items"]
    newest = listed[0]
    assert (newest["ip"], newest["revoked_at"]) == ("203.0.113.9", None)

    assert (await browser.request("DELETE", f"/sessions/{newest['id']}")).status_code == 204

    cookie = other.headers["set-cookie"].split(";")[0]
    assert (await client.get(f"{API}/me", headers={"Cookie": cookie})).status_code == 401


async def test_an_old_session_is_an_ended_one(browser: Any, clock: FakeClock) -> None:
    clock.advance(12 * HOUR)
    assert (await browser.request("GET", "/me")).status_code == 401


async def test_guessing_is_slowed_down_with_a_retry_after(browser: Any, client: httpx2.AsyncClient) -> None:
    for _ in range(5):
        wrong = await client.post(f"{API}/login", json={"username": "owner", "password": "wrong password!"})
        assert wrong.status_code == 401
    refused = await client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == "too-many-attempts"


@pytest.mark.parametrize(
    ("base", "status"),
    [
        ("http://127.0.0.1:8321", 200), ("http://localhost:8321", 200), ("https://ops.example.com", 200),
        ("http://ops.example.com", 403), ("http://192.168.1.7:8321", 403),
    ],
)  # fmt: skip
async def test_no_password_is_taken_where_the_cookie_would_be_lost(
    app: FastAPI, browser: Any, base: str, status: int
) -> None:
    """Over plain http from afar the password would be read on the way and the cookie dropped."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=base) as client:
        response = await client.post(f"{API}/login", json={"username": "owner", "password": PASSWORD})
    assert response.status_code == status
    assert ("set-cookie" in response.headers) is (status == 200)


async def test_logins_password_changes_and_logouts_are_in_the_trail(browser: Any, custodes: Custodes) -> None:
    await browser.request("POST", "/logout")
    entries = (await custodes.audit.list_entries(AuditQuery(actor="user:owner"))).items
    assert {entry.action for entry in entries} == {"auth.login", "auth.password_changed", "auth.logout"}
    assert {entry.context.ip for entry in entries} == {"203.0.113.9"}
