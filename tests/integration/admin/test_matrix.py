"""Every route of the OpenAPI document, every role, every way a token can be wrong.

The routes come from the document, so a new route is in the matrix the day it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from custodes import Custodes
from custodes.kernel.clock import HOUR
from custodes.planes.identity.model import HOST, Role
from custodes.testing.admin import key_for
from custodes.testing.clock import FakeClock
from custodes.testing.issuer import FakeIssuer

#: What somebody without a role may do: sign in, and look after themselves.
OPEN = {"session_login"}
OWN = {"session_me", "session_logout", "session_change_password"}

#: What programs of any role may do: send in what they have seen.
SEND = {"ingest_metrics", "ingest_audit_events", "ingest_api_calls", "ingest_webhook_events"}

_ID = "01a20715-efc2-7266-8e32-58b974ac90b4"

Operation = tuple[str, str, str]


def operations(app: FastAPI) -> list[Operation]:
    """(method, path with its parameters filled in, operation id)."""
    return [
        (method.upper(), re.sub(r"\{[^}]+\}", _ID, path), operation["operationId"])
        for path, item in app.openapi()["paths"].items()
        for method, operation in item.items()
    ]


async def statuses(
    client: httpx2.AsyncClient, app: FastAPI, headers: dict[str, str], skip: Set[str] = frozenset()
) -> dict[str, int]:
    """Call every operation but the login."""
    found: dict[str, int] = {}
    for method, path, name in operations(app):
        if name in OPEN | skip:
            continue
        body: dict[str, Any] = {"json": {}} if method in {"POST", "PUT", "PATCH"} else {}
        response = await client.request(method, path, headers=headers, **body)
        found[name] = response.status_code
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json", (name, response.text)
            assert response.json()["status"] == response.status_code
    return found


def test_the_document_names_every_operation_once(app: FastAPI) -> None:
    names = [name for _, _, name in operations(app)]
    assert len(names) == len(set(names))
    assert not (OPEN | OWN) - set(names)


async def test_without_credentials_nothing_but_the_login_answers(app: FastAPI, client: httpx2.AsyncClient) -> None:
    assert set((await statuses(client, app, {})).values()) == {401}


_WRONG: dict[str, Callable[[FakeIssuer, FakeClock], dict[str, str]]] = {
    "expired": lambda issuer, clock: bearer(issuer.token("ann", exp=(clock.now() - HOUR) // 1_000_000)),
    "not yet valid": lambda issuer, clock: bearer(issuer.token("ann", nbf=(clock.now() + HOUR) // 1_000_000)),
    "wrong issuer": lambda issuer, clock: bearer(issuer.token("ann", iss="https://evil.example.com")),
    "wrong audience": lambda issuer, clock: bearer(issuer.token("ann", aud="another")),
    "wrong party": lambda issuer, clock: bearer(issuer.token("ann", azp="another")),
    "bad signature": lambda issuer, clock: bearer(issuer.token("ann")[:-8] + "AAAAAAAA"),
    "alg none": lambda issuer, clock: bearer("eyJhbGciOiJub25lIn0." + issuer.token("ann").split(".")[1] + "."),
    "rubbish": lambda issuer, clock: bearer("rubbish"),
    "two tokens": lambda issuer, clock: {"Authorization": f"Bearer {issuer.token('ann')} {issuer.token('ann')}"},
    "basic": lambda issuer, clock: {"Authorization": "Basic b3duZXI6b3duZXI="},
    "unknown key": lambda issuer, clock: bearer("ck_0000000000_" + "x" * 43),
    "unknown key header": lambda issuer, clock: {"X-API-Key": "ck_0000000000_" + "x" * 43},
    "empty key": lambda issuer, clock: {"X-API-Key": ""},
    "unknown session": lambda issuer, clock: {"Cookie": "__Host-custodes=" + "x" * 43},
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("name", _WRONG)
async def test_wrong_credentials_open_no_route(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer, clock: FakeClock, name: str
) -> None:
    """Given Ann, who is an owner; then nothing but a token that holds lets her in, on any route."""
    await custodes.identity.profiles.create("ann", role=Role.OWNER, issuer=issuer.url)

    assert set((await statuses(client, app, _WRONG[name](issuer, clock))).values()) == {401}


async def test_a_good_token_without_a_profile_is_forbidden_everywhere(
    app: FastAPI, client: httpx2.AsyncClient, issuer: FakeIssuer
) -> None:
    assert set((await statuses(client, app, bearer(issuer.token("stranger")))).values()) == {403}


async def test_a_disabled_profile_is_forbidden_everywhere(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer
) -> None:
    from custodes.planes.identity.model import State

    made = await custodes.identity.profiles.create("ann", role=Role.ADMIN, issuer=issuer.url)
    await custodes.identity.profiles.set_state(made.profile.id, State.DISABLED)
    assert set((await statuses(client, app, bearer(issuer.token("ann")))).values()) == {403}


async def test_a_member_may_only_look_after_themselves(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    found = await statuses(client, app, await key_for(custodes, Role.MEMBER))

    assert {name for name, status in found.items() if status != 403} <= OWN | SEND


def for_role(app: FastAPI, role: str) -> set[str]:
    """Operations that ask for a role at least, by what their code depends on."""
    return {
        operation["operationId"]
        for item in app.openapi()["paths"].values()
        for operation in item.values()
        if operation["x-required-role"] == role
    }


def test_only_signing_in_and_looking_after_oneself_need_no_admin(app: FastAPI) -> None:
    """Locked by default: whatever a plane adds asks for an admin."""
    assert for_role(app, "none") == OPEN
    assert for_role(app, "member") == OWN | SEND


@pytest.mark.parametrize("how", ["key", "token"])
@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
async def test_admins_and_owners_get_in(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes, issuer: FakeIssuer, role: Role, how: str
) -> None:
    """No route answers 401, and 403 only to an admin where an owner is asked for."""
    if how == "key":
        headers = await key_for(custodes, role)
    else:
        await custodes.identity.profiles.create("ann", role=role, issuer=issuer.url)
        headers = bearer(issuer.token("ann"))

    found = await statuses(client, app, headers)

    assert {name for name, status in found.items() if status == 401} == set()
    forbidden = {name for name, status in found.items() if status == 403}
    assert forbidden == (for_role(app, "owner") if role is Role.ADMIN else set())
    assert {name: status for name, status in found.items() if status >= 500} == {}


async def test_whoever_sees_one_tenant_is_offered_nothing_that_is_refused(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    """Given what belongs to the whole install; it is not among what an owner of one tenant may, and is of all."""
    acme, everywhere = await key_for(custodes, Role.OWNER, "acme"), await key_for(custodes, Role.OWNER)
    may = {
        who: set((await client.get("/api/admin/enterprise/me", headers=headers)).json()["may"])
        for who, headers in (("acme", acme), ("everywhere", everywhere))
    }

    refused = {name for name, status in (await statuses(client, app, acme)).items() if status == 403}

    assert "retention_run_retention" in refused
    assert may["everywhere"] - may["acme"] == refused


async def test_whoever_must_change_the_password_can_do_nothing_else(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    password = await custodes.identity.ensure_owner()
    login = await client.post("/api/admin/enterprise/login", json={"username": "owner", "password": password})
    client.cookies.clear()
    headers = {"Cookie": login.headers["set-cookie"].split(";")[0], "X-CSRF-Token": login.json()["csrf_token"]}

    assert set((await statuses(client, app, headers, skip=OWN)).values()) == {403}
    assert (await client.get("/api/admin/enterprise/me", headers=headers)).json()["must_change_password"] is True


# ── Tenants ──────────────────────────────────────────────────────────────────


async def test_an_admin_of_one_tenant_cannot_name_another(
    app: FastAPI, client: httpx2.AsyncClient, custodes: Custodes
) -> None:
    """For acme's owner the tenant other does not exist, on any list; what there is to leak: `test_tenants.py`."""
    mine = await key_for(custodes, Role.OWNER, "acme")

    named = 0
    for method, path, name in operations(app):
        if method == "GET" and _ID not in path and any(p["name"] == "tenant" for p in _parameters(app, path)):
            assert (await client.get(path, headers=mine, params={"tenant": "other"})).status_code == 404, name
            named += 1
    assert named > 20


def _parameters(app: FastAPI, path: str) -> list[dict[str, Any]]:
    return app.openapi()["paths"][path]["get"].get("parameters", [])


async def test_ids_of_another_tenant_do_not_exist(client: httpx2.AsyncClient, custodes: Custodes) -> None:
    """404, not 403: not even that they exist is told."""
    other = await custodes.identity.profiles.create("bob", role=Role.ADMIN, issuer=HOST, tenant="other")
    of_all = await custodes.identity.profiles.create("eve", role=Role.ADMIN, issuer=HOST)
    mine = await key_for(custodes, Role.OWNER, "acme")
    theirs = await key_for(custodes, Role.ADMIN, "other")
    (foreign,) = (await custodes.identity.keys.list_keys(tenant="other")).items

    base = "/api/admin/enterprise"
    for stranger in (other.profile.id, of_all.profile.id, _ID):
        for method, path, body in (
            ("GET", f"{base}/user-profiles/{stranger}", None),
            ("PUT", f"{base}/user-profiles/{stranger}/role", {"role": "member"}),
            ("POST", f"{base}/user-profiles/{stranger}/disable", None),
            ("POST", f"{base}/user-profiles/{stranger}/enable", None),
            ("POST", f"{base}/user-profiles/{stranger}/reset-password", None),
        ):
            response = await client.request(method, path, headers=mine, json=body)
            assert response.status_code == 404, (method, path, response.text)
    response = await client.request("DELETE", f"{base}/api-keys/{foreign.id}", headers=mine)
    assert response.status_code == 404
    assert (await client.get(f"{base}/me", headers=theirs)).status_code == 200
