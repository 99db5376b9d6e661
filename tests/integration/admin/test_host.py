"""Mounted in a host app that says who asks."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.errors import ConfigurationError
from custodes.planes.identity.model import HOST, Role

API = "/api/admin/enterprise"


def client_of(custodes: Custodes, admin_auth: Any) -> httpx2.AsyncClient:
    custodes.admin_auth = admin_auth
    transport = httpx2.ASGITransport(app=create_admin_app(custodes))
    return httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com")


async def test_the_hosts_word_is_held_against_the_profiles(custodes: Custodes) -> None:
    """Given a host that vouches for whoever is in a header; then only those with a profile get in, with its role."""
    await custodes.identity.profiles.create("ann", role=Role.ADMIN, issuer=HOST)

    async def from_header(scope: Any) -> str | None:
        return dict(scope["headers"]).get(b"x-user", b"").decode() or None

    async with client_of(custodes, from_header) as client:
        assert (await client.get(f"{API}/me")).status_code == 401
        assert (await client.get(f"{API}/me", headers={"X-User": "stranger"})).status_code == 403
        me = (await client.get(f"{API}/me", headers={"X-User": "ann", "Authorization": "Basic aG9zdA=="})).json()
        assert (me["role"], me["method"]) == ("admin", "host")


async def test_the_hosts_cookie_is_no_way_in_for_another_site(custodes: Custodes) -> None:
    await custodes.identity.profiles.create("ann", role=Role.OWNER, issuer=HOST)
    body = {"subject": "bob", "role": "member"}
    async with client_of(custodes, lambda _scope: "ann") as client:
        for headers in ({"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await client.post(f"{API}/user-profiles", json=body, headers=headers)).status_code == 403
        assert (await client.post(f"{API}/user-profiles", json=body)).status_code == 201


@pytest.mark.parametrize("answer", [None, "", 7, b"ann", ["ann"]])
async def test_an_odd_answer_is_no_answer(custodes: Custodes, answer: object) -> None:
    async with client_of(custodes, lambda _scope: answer) as client:
        assert (await client.get(f"{API}/me")).status_code == 401


async def test_a_host_callable_that_raises_lets_nobody_in(custodes: Custodes) -> None:
    def broken(_scope: Any) -> str:
        msg = "canary of the host"
        raise RuntimeError(msg)

    async with client_of(custodes, broken) as client:
        response = await client.get(f"{API}/me")
        assert response.status_code == 500
        assert "canary" not in response.text


async def test_clerks_cookie_signs_in_and_cannot_be_used_by_another_site(custodes: Custodes, clock: Any) -> None:
    from custodes.testing.issuer import FakeIssuer

    clerk = FakeIssuer(clock, "https://clerk.example.com", audience="")
    settings = custodes.settings.model_copy(
        update={"clerk_issuer": clerk.url, "clerk_authorized_parties": ("https://ops.example.com",)}
    )
    custodes.settings = settings
    await custodes.identity.profiles.create("user_1", role=Role.OWNER, issuer=clerk.url)
    transport = httpx2.ASGITransport(app=create_admin_app(custodes, fetch=clerk.fetch))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:
        cookie = {"Cookie": f"__session={clerk.token('user_1', azp='https://ops.example.com')}"}
        assert (await client.get(f"{API}/me", headers=cookie)).json()["method"] == "clerk"
        forged = await client.post(f"{API}/user-profiles", json={}, headers={**cookie, "Sec-Fetch-Site": "cross-site"})
        assert forged.json()["code"] == "forged-request"


def test_an_issuer_without_an_audience_is_told_at_start() -> None:
    with pytest.raises(ConfigurationError, match="CUSTODES_OIDC_AUDIENCE"):
        Custodes("sqlite://", oidc_issuers="https://issuer.example.com")


def test_clerk_without_a_page_whose_tokens_are_accepted_is_told_at_start() -> None:
    with pytest.raises(ConfigurationError, match="CUSTODES_CLERK_AUTHORIZED_PARTIES"):
        Custodes("sqlite://", clerk_issuer="https://clerk.example.com")


async def test_clerk_tokens_of_the_dashboard_s_own_page_are_accepted_and_no_others(
    custodes: Custodes, clock: Any
) -> None:
    from custodes.testing.issuer import FakeIssuer

    clerk = FakeIssuer(clock, "https://clerk.example.com", audience="")
    custodes.settings = custodes.settings.model_copy(
        update={"clerk_issuer": clerk.url, "public_url": "https://ops.example.com/below"}
    )
    await custodes.identity.profiles.create("user_1", role=Role.OWNER, issuer=clerk.url)
    transport = httpx2.ASGITransport(app=create_admin_app(custodes, fetch=clerk.fetch))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as client:

        async def status(**claims: Any) -> int:
            token = clerk.token("user_1", **claims)
            return (await client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})).status_code

        assert await status(azp="https://ops.example.com") == 200
        assert await status(azp="https://blog.example.com") == 401
        assert await status() == 401
