"""Each refusal and each admin action is in the audit trail, and nobody can flood it."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from fastapi import FastAPI
from tests.integration.admin.conftest import Browser

from custodes import Custodes
from custodes.admin.app import create_admin_app
from custodes.admin.refusals import DENIED_PER_MINUTE, UNAUTHENTICATED_PER_MINUTE
from custodes.kernel.clock import HOUR, MINUTE
from custodes.kernel.signals import SecuritySignal
from custodes.planes.audit.catalogue import action_named
from custodes.planes.audit.model import AuditEntry
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Role
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer

API = "/api/admin/enterprise"


@pytest.fixture
def signals(custodes: Custodes) -> list[SecuritySignal]:
    heard: list[SecuritySignal] = []
    custodes.bus.subscribe(SecuritySignal, heard.append)
    return heard


async def entries(custodes: Custodes, action: str) -> list[AuditEntry]:
    return list((await custodes.audit.list_entries(AuditQuery(action=action, limit=500))).items)


async def test_a_403_is_written_with_who_and_what(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    headers = await key_for(custodes, Role.MEMBER, "acme")
    response = await client.get(f"{API}/user-profiles", headers=headers)

    (entry,) = await entries(custodes, "admin.denied")

    me = (await client.get(f"{API}/me", headers=headers)).json()
    assert str(entry.actor) == f"user:{me['subject']}"
    assert (entry.outcome, entry.tenant, entry.context.ip) == ("denied", "acme", "203.0.113.9")
    assert entry.context.trace_id == response.json()["trace_id"]


async def test_a_member_who_opens_the_dashboard_is_told_no_and_is_no_risk(
    client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    """Given a member, who is led to the dashboard after signing in, Then only what is asked of the API is written."""
    headers = await key_for(custodes, Role.MEMBER, "acme")
    for place in ("", "/webhooks", "/audit"):
        page = await client.get(f"/dashboard/admin/enterprise{place}", headers=headers)
        assert (page.status_code, "Not allowed" in page.text) == (403, True)
    assert await entries(custodes, "admin.denied") == []

    await client.get(f"{API}/webhook-events", headers=headers)
    assert len(await entries(custodes, "admin.denied")) == 1


async def test_a_token_without_a_profile_is_written(
    client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer
) -> None:
    await client.get(f"{API}/me", headers={"Authorization": f"Bearer {issuer.token('stranger')}"})
    assert len(await entries(custodes, "admin.denied")) == 1


async def test_a_401_with_credentials_is_told_and_one_without_is_not(
    client: httpx2.AsyncClient, signals: list[SecuritySignal]
) -> None:
    await client.get(f"{API}/me")
    assert signals == []

    await client.get(f"{API}/me", headers={"Authorization": "Bearer canary"})
    (signal,) = signals
    assert (signal.action, signal.outcome, signal.actor) == ("auth.refused", "denied", "ip:203.0.113.9")
    assert "canary" not in repr(signal)


async def test_a_session_that_ran_out_is_no_forged_credential(
    client: httpx2.AsyncClient, browser: Browser, signals: list[SecuritySignal], clock: FakeClock
) -> None:
    """Given a page that is left open; When its session ends by time; Then what it goes on to ask is no news."""
    clock.advance(13 * HOUR)
    for _ in range(100):
        answer = await client.get(f"{API}/me", headers={"Cookie": browser.cookie})
    assert (answer.status_code, answer.json()["code"]) == (401, "session-ended")
    assert signals == []

    # While one that never was is told of
    await client.get(f"{API}/me", headers={"Cookie": "__Host-custodes=" + "x" * 43})
    assert [one.action for one in signals] == ["auth.refused"]


async def test_a_session_that_somebody_ended_and_that_is_used_on_is_told_once_a_minute(
    client: httpx2.AsyncClient,
    custodes: Custodes,
    browser: Browser,
    signals: list[SecuritySignal],
    clock: FakeClock,
) -> None:
    [session] = [one for one in (await custodes.identity.sessions.list_sessions()).items if one.revoked_at is None]
    await custodes.identity.sessions.end(session.id)
    for _ in range(100):
        await client.get(f"{API}/me", headers={"Cookie": browser.cookie})
    clock.advance(MINUTE)
    await client.get(f"{API}/me", headers={"Cookie": browser.cookie})

    # As risky as a forged one: it may be a stolen one.
    assert action_named("auth.session_used_after_end").risk == action_named("auth.refused").risk
    assert [(one.action, one.context["session"]) for one in signals] == [
        ("auth.session_used_after_end", session.id)
    ] * 2


async def test_a_forged_cookie_of_clerk_is_told_once_a_minute_and_one_that_ran_out_is_not(
    custodes: Custodes, signals: list[SecuritySignal], clock: FakeClock
) -> None:
    """
    Given pages that ask every few seconds with the cookie that Clerk gave them, and its tokens last a minute,
    When one is left open until its token has run out, Then that is no news;
    When another has a cookie that Clerk never signed, Then it is told, once a minute, whatever it asks.
    """
    clerk = FakeIssuer(clock, "https://clerk.example.com", audience="")
    custodes.settings = custodes.settings.model_copy(
        update={"clerk_issuer": clerk.url, "clerk_authorized_parties": ("https://ops.example.com",)}
    )
    good = clerk.token("user_1", azp="https://ops.example.com")
    app = create_admin_app(custodes, fetch=clerk.fetch)
    transport = httpx2.ASGITransport(app=app, client=("203.0.113.9", 50_000))
    async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as page:
        clock.advance(HOUR)
        for _ in range(20):
            answer = await page.get(f"{API}/me", headers={"Cookie": f"__session={good}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "token-expired")
        assert signals == []

        header, claims, _ = good.split(".")
        for _ in range(20):
            await page.get(f"{API}/me", headers={"Cookie": f"__session={header}.{claims}.Zm9yZ2Vk"})
        assert [(one.action, one.actor) for one in signals] == [("auth.refused", "ip:203.0.113.9")]
        clock.advance(MINUTE)
        await page.get(f"{API}/me", headers={"Cookie": "__session=canary"})
        assert [one.action for one in signals] == ["auth.refused"] * 2
        assert "canary" not in repr(signals)

        # A token that is sent on purpose is told each time, as ever
        for _ in range(3):
            await page.get(f"{API}/me", headers={"Authorization": "Bearer canary"})
        assert len(signals) == 5


async def test_a_cookie_of_the_host_app_that_is_called_like_clerks_is_none_of_ours(
    client: httpx2.AsyncClient, signals: list[SecuritySignal]
) -> None:
    await client.get(f"{API}/me", headers={"Cookie": "__session=of-the-host"})
    assert signals == []


async def test_a_flood_of_401s_is_sampled_and_what_is_left_out_is_counted(
    client: httpx2.AsyncClient, signals: list[SecuritySignal], clock: FakeClock
) -> None:
    for _ in range(UNAUTHENTICATED_PER_MINUTE + 40):
        await client.get(f"{API}/me", headers={"X-API-Key": "ck_x"})
    assert len(signals) == UNAUTHENTICATED_PER_MINUTE

    clock.advance(MINUTE)
    await client.get(f"{API}/me", headers={"X-API-Key": "ck_x"})
    assert signals[-1].context["left_out_before"] == 40


async def test_a_flood_of_403s_from_many_addresses_is_sampled(app: FastAPI, custodes: Custodes) -> None:
    """
    Given a stranger with as many addresses as it likes (any IPv6 subscriber),
    When it sends forged requests, each from another address,
    Then no more of them are written than of one principal.
    """
    for number in range(DENIED_PER_MINUTE + 40):
        transport = httpx2.ASGITransport(app=app, client=(f"2001:db8::{number:x}", 50_000))
        async with httpx2.AsyncClient(transport=transport, base_url="https://ops.example.com") as stranger:
            body = {"username": "ann", "password": "x"}
            answer = await stranger.post(f"{API}/login", headers={"Origin": "https://evil.example"}, json=body)
            assert answer.status_code == 403

    assert len(await entries(custodes, "admin.denied")) == DENIED_PER_MINUTE


async def test_a_flood_of_403s_is_bounded_per_principal(
    client: httpx2.AsyncClient, custodes: Custodes, clock: FakeClock
) -> None:
    member = await key_for(custodes, Role.MEMBER)
    for _ in range(DENIED_PER_MINUTE + 5):
        await client.get(f"{API}/user-profiles", headers=member)
    await client.get(f"{API}/user-profiles", headers=await key_for(custodes, Role.MEMBER))

    assert len(await entries(custodes, "admin.denied")) == DENIED_PER_MINUTE + 1


async def test_every_admin_action_of_this_plane_is_written_with_its_target(
    client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    headers = await key_for(custodes, Role.OWNER)
    profile = {"subject": "ann", "role": "admin", "tenant": "acme"}
    made = await client.post(f"{API}/user-profiles", headers=headers, json=profile)
    ann = made.json()["id"]
    await client.put(f"{API}/user-profiles/{ann}/role", headers=headers, json={"role": "member"})
    await client.post(f"{API}/user-profiles/{ann}/reset-password", headers=headers)
    await client.post(f"{API}/user-profiles/{ann}/disable", headers=headers)
    await client.post(f"{API}/user-profiles/{ann}/enable", headers=headers)

    written = {entry.action: entry for entry in await entries(custodes, "")}

    assert {"user_profile.created", "role.changed", "auth.password_reset", "user.disabled", "user.enabled"} <= set(
        written
    )
    assert {entry.tenant for entry in written.values()} == {"acme"}
    change = written["role.changed"]
    assert str(change.targets[0]) == f"user_profile:{ann}"
    assert [(part.path, part.old, part.new) for part in change.changes] == [("role", "admin", "member")]
    assert made.json()["one_time_password"] not in repr(written)


async def test_an_action_that_fails_leaves_no_entry(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    """Action and entry are one unit of work: neither without the other."""
    headers = await key_for(custodes, Role.OWNER)
    unknown = "01a20715-efc2-7266-8e32-58b974ac90b4"
    assert (await client.post(f"{API}/user-profiles/{unknown}/disable", headers=headers)).status_code == 404
    assert await entries(custodes, "user.disabled") == []


async def test_who_really_acts_is_in_the_trail(
    client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer
) -> None:
    """Support signs in as Ann: the trail names both."""
    await custodes.identity.profiles.create("ann", role=Role.OWNER, issuer=issuer.url)
    token = issuer.token("ann", act={"sub": "support-7"})

    made = await client.post(
        f"{API}/user-profiles",
        headers={"Authorization": f"Bearer {token}"},
        json={"subject": "bob", "role": "member"},
    )

    assert made.status_code == 201
    (entry,) = await entries(custodes, "user_profile.created")
    assert str(entry.actor) == "user:ann"
    assert str(entry.impersonator) == "user:support-7"


async def test_a_refusal_that_cannot_be_written_is_still_a_refusal(
    client: httpx2.AsyncClient, custodes: Custodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await key_for(custodes, Role.MEMBER)

    async def broken(*_args: object, **_more: object) -> None:
        await asyncio.sleep(0)
        from custodes.errors import StorageUnavailable

        msg = "disk full"
        raise StorageUnavailable(msg)

    monkeypatch.setattr(custodes.audit, "log_admin_action", broken)
    assert (await client.get(f"{API}/user-profiles", headers=headers)).status_code == 403
