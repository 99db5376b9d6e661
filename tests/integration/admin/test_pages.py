"""The pages: login and password as plain forms, and the dashboard behind them."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.pages.markup import html
from custodes.planes.identity.model import Role
from custodes.testing.admin import key_for

HOME = "/dashboard/admin/enterprise"
PASSWORD = "a correct horse battery"


class _Strict(HTMLParser):
    """Finds what a strict Content-Security-Policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "iframe", "object", "img", "base"}:
            self.forbidden.append(tag)
        self.forbidden += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def clean(page: str) -> None:
    parser = _Strict()
    parser.feed(page)
    assert parser.forbidden == []


def cookie_of(response: httpx2.Response) -> dict[str, str]:
    return {"Cookie": response.headers["set-cookie"].split(";")[0]}


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_a_new_install_is_entered_by_its_one_time_password(
    client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    """Given a first start; then the printed password leads to the password page, and a new one to the status page."""
    password = await custodes.identity.ensure_owner()
    assert (await client.get(HOME)).headers["location"] == f"{HOME}/login"
    clean((await client.get(f"{HOME}/login")).text)

    login = await client.post(f"{HOME}/login", data={"username": "owner", "password": password})
    assert (login.status_code, login.headers["location"]) == (303, f"{HOME}/password")
    client.cookies.clear()
    cookie = cookie_of(login)
    assert (await client.get(HOME, headers=cookie)).headers["location"] == f"{HOME}/password"

    form = await client.get(f"{HOME}/password", headers=cookie)
    clean(form.text)
    typed = {"csrf": csrf_of(form.text), "current": password, "new": PASSWORD, "again": PASSWORD}
    wrong = await client.post(f"{HOME}/password", headers=cookie, data={**typed, "again": "another one"})
    assert wrong.status_code == 422
    assert PASSWORD not in wrong.text
    changed = await client.post(f"{HOME}/password", headers=cookie, data=typed)
    client.cookies.clear()
    assert (changed.status_code, changed.headers["location"]) == (303, HOME)

    assert (await client.get(HOME, headers=cookie_of(changed))).status_code == 200
    # Who is signed in is not asked to sign in
    link = await client.get(f"{HOME}/login?next=/audit", headers=cookie_of(changed))
    assert (link.status_code, link.headers["location"]) == (303, f"{HOME}/audit")
    assert (await client.get(HOME, headers=cookie)).headers["location"] == f"{HOME}/login"


async def test_a_first_sign_in_says_how_a_password_is_to_be_and_leads_to_the_view_of_the_link(
    client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    """Given a link and a one-time password; when a new one was chosen; then one is at that view."""
    place = "/audit?from=now-6h"
    once = await custodes.identity.ensure_owner()
    signed_in = await client.post(f"{HOME}/login", data={"username": "owner", "password": once, "next": place})
    client.cookies.clear()
    cookie = cookie_of(signed_in)
    assert signed_in.headers["location"] == f"{HOME}/password?next=%2Faudit%3Ffrom%3Dnow-6h"
    assert (await client.get(HOME + place, headers=cookie)).headers["location"] == signed_in.headers["location"]

    form = await client.get(signed_in.headers["location"], headers=cookie)
    then = re.search(r'name="next" value="([^"]*)"', form.text)
    assert then is not None
    assert re.search(r'id="rule">At least \d+ characters', form.text)
    typed = {"csrf": csrf_of(form.text), "next": unescape(then[1]), "current": once, "new": PASSWORD, "again": PASSWORD}
    wrong = await client.post(f"{HOME}/password", headers=cookie, data={**typed, "again": "another one"})
    assert then[0] in wrong.text
    chosen = await client.post(f"{HOME}/password", headers=cookie, data=typed)
    client.cookies.clear()
    assert chosen.headers["location"] == HOME + place

    away = {**typed, "current": PASSWORD, "next": "//evil.example.com", "new": PASSWORD + "!", "again": PASSWORD + "!"}
    again = cookie_of(chosen)
    away["csrf"] = csrf_of((await client.get(f"{HOME}/password", headers=again)).text)
    assert (await client.post(f"{HOME}/password", headers=again, data=away)).headers["location"] == HOME


async def test_signing_out_ends_the_session(browser: Any, client: httpx2.AsyncClient) -> None:
    cookie = {"Cookie": browser.cookie}

    forged = await client.post(f"{HOME}/logout", headers=cookie, data={"csrf": "x"})
    assert forged.status_code == 403
    out = await client.post(f"{HOME}/logout", headers=cookie, data={"csrf": browser.csrf})

    assert out.headers["location"] == f"{HOME}/login"
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert (await client.get(HOME, headers=cookie)).headers["location"] == f"{HOME}/login"


async def test_a_wrong_password_keeps_the_user_name_and_says_so(browser: Any, client: httpx2.AsyncClient) -> None:
    response = await client.post(f"{HOME}/login", data={"username": '"><script>x', "password": "wrong password!"})
    assert response.status_code == 401
    assert "<script>" not in response.text
    assert "User name or password is wrong" in response.text
    assert "wrong password!" not in response.text


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "application/json"}, b"{}"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"username=\xff"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=1&" * 50),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"username=" + b"x" * 10_000),
        ({}, b""),
    ],
)
async def test_an_odd_form_is_refused_in_words(
    client: httpx2.AsyncClient, headers: dict[str, str], content: bytes
) -> None:
    for place in ("login", "password", "logout"):
        response = await client.post(f"{HOME}/{place}", headers=headers, content=content)
        assert response.status_code in {400, 401, 403}


async def test_forms_of_another_site_are_refused(browser: Any, client: httpx2.AsyncClient) -> None:
    form = {"username": "owner", "password": PASSWORD}
    response = await client.post(f"{HOME}/login", data=form, headers={"Origin": "https://evil.example.com"})
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


async def test_a_member_is_told_and_shown_nothing(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    response = await client.get(HOME, headers=await key_for(custodes, "member"))
    assert response.status_code == 403
    assert "<script" not in response.text
    assert "Sign out" not in response.text  # a key has no session


async def test_a_member_who_signed_in_can_sign_out(browser: Any, client: httpx2.AsyncClient, custodes: Custodes):
    await custodes.identity.profiles.create("other", role=Role.OWNER)
    await custodes.identity.profiles.set_role(browser.profile_id, Role.MEMBER)
    cookie = {"Cookie": browser.cookie}

    told = await client.get(HOME, headers=cookie)
    assert told.status_code == 403
    out = await client.post(f"{HOME}/logout", headers=cookie, data={"csrf": csrf_of(told.text)})

    assert (out.status_code, out.headers["location"]) == (303, f"{HOME}/login")
    assert (await client.get(HOME, headers=cookie)).headers["location"] == f"{HOME}/login"


@pytest.mark.parametrize("place", ["/webhooks?status=failed&from=now-6h", "/audit", "?compare=previous"])
async def test_signing_in_leads_to_where_one_wanted_to_go(browser: Any, client: httpx2.AsyncClient, place: str) -> None:
    """Given a link to a view; when one has to sign in first; then one is at that view."""
    asked = await client.get(HOME + place)
    assert asked.headers["location"].startswith(f"{HOME}/login?next=")
    form = await client.get(asked.headers["location"])
    then = re.search(r'name="next" value="([^"]*)"', form.text)
    assert then is not None
    login = {"username": "owner", "password": PASSWORD, "next": unescape(then[1])}
    wrong = await client.post(f"{HOME}/login", data={**login, "password": "not the password"})
    assert then[0] in wrong.text
    assert (await client.post(f"{HOME}/login", data=login)).headers["location"] == HOME + place


@pytest.mark.parametrize(
    "place",
    ["//evil.example.com", "https://evil.example.com", "/\\evil.example.com", "/../../x", "@evil.example.com",
     "/logout", "/audit\n", "javascript:alert(1)", "/audit?" + "x" * 3_000, "http://[", "/%2e%2e/%2e%2e/x"],
)  # fmt: skip
async def test_signing_in_leads_nowhere_else(browser: Any, client: httpx2.AsyncClient, place: str) -> None:
    login = {"username": "owner", "password": PASSWORD, "next": place}
    response = await client.post(f"{HOME}/login", data=login)
    assert response.headers["location"] == HOME


async def test_plain_http_from_afar_is_told_to_use_https(app: FastAPI) -> None:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://ops.example.com") as client:
        response = await client.get(f"{HOME}/login")
    assert response.status_code == 403
    assert "<form" not in response.text
    assert "https" in response.text


@pytest.mark.parametrize("called", ["http://10.0.0.7:8321", "http://ops.example.com"])
async def test_plain_http_past_the_proxy_is_told_where_to_sign_in(
    custodes: Custodes, browser: Any, called: str
) -> None:
    """Given TLS at a proxy, when somebody signs in past it, then they are told, and no session is made in vain."""
    custodes.settings = custodes.settings.model_copy(update={"public_url": "https://ops.example.com"})
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    form = {"username": "owner", "password": PASSWORD}
    async with httpx2.AsyncClient(transport=transport, base_url=called) as client:
        response = await client.post(f"{HOME}/login", data=form, headers={"Origin": called})
        by_proxy = await client.post(f"{HOME}/login", data=form, headers={"Origin": "https://ops.example.com"})

    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    assert "Open the dashboard at https://ops.example.com" in response.text
    assert by_proxy.status_code == 303, "the proxy need not pass on which host is called"


async def test_it_works_below_any_prefix(app: FastAPI, browser: Any) -> None:
    outer = Starlette(routes=[Mount("/ops/custodes", app=app)])
    transport = httpx2.ASGITransport(app=outer)
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        away = await client.get(f"/ops/custodes{HOME}")
        assert away.headers["location"] == f"/ops/custodes{HOME}/login"
        form = await client.get(away.headers["location"])
        assert f'action="/ops/custodes{HOME}/login"' in form.text
        style = re.search(r'href="([^"]+style\.css)"', form.text)
        assert style is not None
        sheet = await client.get(style[1])
        assert sheet.headers["content-type"].startswith("text/css")
        page = await client.get(f"/ops/custodes{HOME}", headers={"Cookie": browser.cookie})
        assert page.status_code == 200
        me = await client.get("/ops/custodes/api/admin/enterprise/me", headers={"Cookie": browser.cookie})
        assert me.status_code == 200


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onfocus='x", "&lt;", "{base}", "{0.__class__}"],
)
def test_whatever_is_put_into_a_page_is_text(text: str) -> None:
    page = html('<p title="{value}">{value}</p>', value=text)
    clean(page)
    assert page.count("<") == 2
