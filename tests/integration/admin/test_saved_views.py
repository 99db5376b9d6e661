"""Saved views over HTTP: private or shared, one default a tab, each change with its audit entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from custodes import Custodes
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.identity.model import Role
from custodes.planes.identity.saved_views import MAX_MADE
from custodes.testing.admin import key_for

VIEWS = "/api/admin/enterprise/saved-views"
ERRORS = {"name": "Errors tonight", "place": "/api?part=calls&status=5"}

Ask = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def somebody(custodes: Custodes, client: httpx2.AsyncClient) -> Callable[..., Awaitable[Ask]]:
    """Make somebody who asks: ``ann = await somebody(Role.ADMIN, "acme")``; ``await ann("POST", json=…)``."""

    async def make(role: Role = Role.ADMIN, tenant: str | None = None) -> Ask:
        headers = await key_for(custodes, role, tenant)

        async def ask(method: str, path: str = "", **more: Any) -> httpx2.Response:
            return await client.request(method, VIEWS + path, headers=headers, **more)

        return ask

    return make


async def kept(ask: Ask, **more: Any) -> dict[str, Any]:
    response = await ask("POST", json={**ERRORS, **more})
    assert response.status_code == 201, response.text
    return response.json()


async def names(ask: Ask, **query: Any) -> list[str]:
    return [row["name"] for row in (await ask("GET", params=query)).json()["items"]]


async def test_a_view_is_kept_changed_and_deleted_each_with_its_entry(custodes: Custodes, somebody: Any) -> None:
    ann = await somebody(tenant="acme")

    made = await kept(ann)
    assert made == {
        **ERRORS, "id": made["id"], "tenant": "acme", "tab": "api", "shared": False, "made_by": "Test admin",
        "mine": True, "may_change": True, "my_default": False, "shared_default": False,
        "created_at": made["created_at"], "changed_at": made["created_at"],
    }  # fmt: skip
    changed = await ann("PATCH", f"/{made['id']}", json={"name": "Faults", "place": "/audit?state=all"})
    assert (changed.json()["name"], changed.json()["tab"]) == ("Faults", "audit")
    assert (await ann("DELETE", f"/{made['id']}")).status_code == 204
    assert await names(ann) == []

    trail = (await custodes.audit.list_entries(AuditQuery(target=f"saved_view:{made['id']}", limit=10))).items
    told = {entry.action: entry for entry in trail}
    assert sorted(told) == ["saved_view.changed", "saved_view.created", "saved_view.deleted"]
    changes = told["saved_view.changed"].changes
    # What is private is not told to those who read the trail
    assert [(change.path, change.old, change.new) for change in changes] == [
        ("name", "(private)", "(private)"),
        ("place", "(private)", "(private)"),
    ]
    assert "Errors tonight" not in repr(trail)
    assert "Faults" not in repr(trail)
    assert {entry.tenant for entry in trail} == {"acme"}


async def test_of_a_view_that_becomes_shared_the_trail_tells_what_is_shared(custodes: Custodes, somebody: Any) -> None:
    ann = await somebody(tenant="acme")
    made = await kept(ann)

    await ann("PATCH", f"/{made['id']}", json={"name": "For all", "shared": True})
    await ann("PATCH", f"/{made['id']}", json={"name": "Mine", "shared": False})

    trail = (await custodes.audit.list_entries(AuditQuery(target=f"saved_view:{made['id']}", limit=10))).items
    told = {(change.path, change.old, change.new) for entry in trail for change in entry.changes}
    assert told == {
        ("name", "(private)", "For all"), ("shared", False, True), ("name", "For all", "(private)"),
        ("shared", True, False),
    }  # fmt: skip


async def test_a_private_view_is_nobody_elses_and_a_shared_one_is_the_tenants(somebody: Any) -> None:
    """Given a view; while it is private, not even an owner sees it; once shared, the tenant does, and nobody else."""
    ann, bob, boss = await somebody(tenant="acme"), await somebody(tenant="acme"), await somebody(Role.OWNER, "acme")
    elsewhere, above = await somebody(Role.OWNER, "other"), await somebody(Role.OWNER)
    made = await kept(ann)
    for stranger in (bob, boss, elsewhere, above):
        assert await names(stranger) == []
        for method, path in (("PATCH", ""), ("DELETE", ""), ("PUT", "/default"), ("DELETE", "/default")):
            response = await stranger(method, f"/{made['id']}{path}", json={} if method == "PATCH" else None)
            assert response.status_code == 404, (method, path)

    assert (await ann("PATCH", f"/{made['id']}", json={"shared": True})).json()["shared"] is True

    (row,) = (await bob("GET")).json()["items"]
    assert (row["made_by"], row["mine"], row["may_change"]) == ("Test admin", False, False)
    assert (await boss("GET")).json()["items"][0]["may_change"] is True
    assert await names(elsewhere) == await names(above) == []


async def test_what_others_rely_on_is_an_owners_to_change(somebody: Any) -> None:
    ann, bob, boss = await somebody(), await somebody(), await somebody(Role.OWNER)
    made = await kept(ann, shared=True)
    place = f"/{made['id']}"

    for method, json in (("PATCH", {"name": "Mine now"}), ("DELETE", None)):
        refused = await bob(method, place, json=json)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert refused.json()["detail"] == "This view was shared by Test admin"
    for method in ("PUT", "DELETE"):
        assert (await ann(method, f"{place}/shared-default")).status_code == 403
    assert (await boss("PUT", f"{place}/shared-default")).json()["shared_default"] is True
    # What everybody's tab opens with is no longer its maker's to change
    assert (await ann("GET")).json()["items"][0]["may_change"] is False
    assert (await ann("PATCH", place, json={"place": "/api"})).status_code == 403

    # An owner takes it back: it is its maker's again, and opens nothing
    taken = (await boss("PATCH", place, json={"shared": False})).json()
    assert (taken["shared"], taken["shared_default"]) == (False, False)
    assert await names(boss) == await names(bob) == []
    assert (await ann("GET")).json()["items"][0]["may_change"] is True


async def test_a_tab_has_one_default_for_everybody_and_one_for_each(custodes: Custodes, somebody: Any) -> None:
    ann, boss = await somebody(), await somebody(Role.OWNER)
    one, two = await kept(boss, name="One", shared=True), await kept(boss, name="Two", shared=True)
    alone = await kept(ann, name="Mine")

    refused = await boss("PUT", f"/{(await kept(boss, name='Private'))['id']}/shared-default")
    assert (refused.status_code, refused.json()["remedy"]) == (409, "Share it first")
    for view in (one, two):
        assert (await boss("PUT", f"/{view['id']}/shared-default")).status_code == 200
    for view in (alone, one):
        assert (await ann("PUT", f"/{view['id']}/default")).json()["my_default"] is True

    rows = {row["name"]: row for row in (await ann("GET", params={"tab": "api"})).json()["items"]}
    assert [name for name, row in rows.items() if row["shared_default"]] == ["Two"]
    assert [name for name, row in rows.items() if row["my_default"]] == ["One"]

    # One that goes to another tab opens neither
    assert (await boss("PATCH", f"/{one['id']}", json={"place": "/audit"})).status_code == 200
    assert (await boss("DELETE", f"/{two['id']}/shared-default")).json()["shared_default"] is False
    rows = (await ann("GET")).json()["items"]
    assert [row["name"] for row in rows if row["shared_default"] or row["my_default"]] == []
    assert (await ann("DELETE", f"/{alone['id']}/default")).json()["my_default"] is False
    trail = (await custodes.audit.list_entries(AuditQuery(action="saved_view.default_set", limit=10))).items
    assert sorted(str(entry.context.extra["for"]) for entry in trail) == ["everybody", "everybody", "me", "me"]


async def test_a_default_that_is_shared_no_more_is_so_for_its_maker_only(somebody: Any) -> None:
    ann, bob = await somebody(), await somebody()
    made = await kept(ann, shared=True)
    for one in (ann, bob):
        await one("PUT", f"/{made['id']}/default")

    await ann("PATCH", f"/{made['id']}", json={"shared": False})
    await ann("PATCH", f"/{made['id']}", json={"shared": True})

    assert (await ann("GET")).json()["items"][0]["my_default"] is True
    assert (await bob("GET")).json()["items"][0]["my_default"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"name": "  "}, {"name": "x" * 61}, {"name": "a\u202eb"}, {"name": "a\0"},
        {"place": "https://evil.example/api"}, {"place": "javascript:alert(1)"}, {"place": "//evil.example"},
        {"place": "/api/../../x"}, {"place": "/api?" + "x" * 2_100}, {"shared": "maybe"},
    ],
)  # fmt: skip
async def test_what_is_no_view_is_refused_and_nothing_is_kept(somebody: Any, wrong: dict[str, Any]) -> None:
    ann = await somebody()
    made = await kept(ann, name="Good")

    for response in (
        await ann("POST", json={**ERRORS, **wrong}),
        await ann("PATCH", f"/{made['id']}", json=wrong),
    ):
        assert response.status_code == 422, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert "evil" not in response.text
    assert (await ann("GET")).json()["items"] == [made]


async def test_names_are_kept_once_and_there_is_an_end_to_them(somebody: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.planes.identity.saved_views.MAX_SHARED", 1)
    ann, bob = await somebody(), await somebody()
    first = await kept(ann, shared=True)
    second = await kept(ann, name="Another")

    for taken in (await ann("POST", json=ERRORS), await ann("PATCH", f"/{second['id']}", json={"name": first["name"]})):
        assert (taken.status_code, taken.json()["detail"]) == (409, "A view of this name is kept already")
    own = await kept(bob)  # another's name is free
    for full in (
        await bob("PATCH", f"/{own['id']}", json={"shared": True}),
        await bob("POST", json={**ERRORS, "name": "More", "shared": True}),
    ):
        assert (full.status_code, full.json()["remedy"]) == (409, "Delete one that nobody uses")
    for number in range(MAX_MADE - 2):
        await kept(ann, name=f"View {number}")
    full = await ann("POST", json={**ERRORS, "name": "One too many"})
    assert (full.status_code, full.json()["remedy"]) == (409, "Delete one that you do not use")

    # Page by page, none twice and none left out
    found: list[str] = []
    cursor = None
    while True:
        page = (await ann("GET", params={"limit": 20, **({"cursor": cursor} if cursor else {})})).json()
        found += [row["name"] for row in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found)) == MAX_MADE
