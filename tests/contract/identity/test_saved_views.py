"""What the rows of saved views are promised to be on every engine."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete

from custodes.kernel.ids import uuid7
from custodes.planes.identity.model import Profile, Role, SavedView, SeenView, State
from custodes.planes.identity.places import Tab
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.identity import SqlIdentityStore
from custodes.storage.sql.tables.identity import user_profiles

_bits = random.Random(7).getrandbits


@pytest.fixture
def store(database: Database) -> SqlIdentityStore:
    return SqlIdentityStore(database)


async def person(store: SqlIdentityStore, name: str, tenant: str | None = "acme", display: str = "") -> Profile:
    profile = Profile(
        id=uuid7(1_000, _bits), tenant=tenant, issuer="local", subject=name, email="", display_name=display,
        role=Role.ADMIN, state=State.ACTIVE, created_at=1_000,
    )  # fmt: skip
    await store.write(lambda tx: store.add_profile(tx, profile))
    return profile


async def view(store: SqlIdentityStore, maker: Profile, name: str, at: int = 1_000, **changes: Any) -> SavedView:
    fields: dict[str, Any] = {
        "id": uuid7(at, _bits), "tenant": maker.tenant, "made_by": maker.id, "name": name, "tab": Tab.API,
        "place": "/api?part=calls&status=5", "shared": False, "opens_tab": False, "created_at": at, "changed_at": at,
    }  # fmt: skip
    made = SavedView(**{**fields, **changes})
    await store.write(lambda tx: store.add_view(tx, made))
    return made


async def seen(store: SqlIdentityStore, by: Profile, **asked: Any) -> list[SeenView]:
    given: dict[str, Any] = {"tab": None, "limit": 100, "after": None, **asked}
    rows = await store.read(lambda tx: store.list_views(tx, tenant=by.tenant, profile_id=by.id, **given))
    return list(rows)


async def one(store: SqlIdentityStore, by: Profile, view_id: str) -> SeenView | None:
    return await store.read(lambda tx: store.get_view(tx, view_id, tenant=by.tenant, profile_id=by.id))


async def test_a_view_comes_back_as_it_was_with_the_name_of_its_maker(store: SqlIdentityStore) -> None:
    ann, bob = await person(store, "ann", display="Ann Ö"), await person(store, "bob")
    mine = await view(store, ann, "Errors <b>ö", tab=Tab.RATE_LIMITS)
    shared = await view(store, bob, "All", shared=True, opens_tab=True)

    assert await one(store, ann, mine.id) == SeenView(view=mine, maker="Ann Ö", mine=True, my_default=False)
    assert await one(store, ann, shared.id) == SeenView(view=shared, maker="bob", mine=False, my_default=False)


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_one_sees_ones_own_and_what_the_tenant_shares_newest_first(
    store: SqlIdentityStore, tenant: str | None
) -> None:
    """Given views of three people, one of them elsewhere; then nobody sees a private one or one of another tenant."""
    ann, bob = await person(store, "ann", tenant), await person(store, "bob", tenant)
    eve = await person(store, "eve", "acme" if tenant is None else None)
    first, second = await view(store, ann, "1", 1_000), await view(store, bob, "2", 2_000, shared=True)
    third = await view(store, ann, "3", 3_000, tab=Tab.AUDIT, place="/audit")
    hidden, elsewhere = await view(store, bob, "4", 4_000), await view(store, eve, "5", 5_000, shared=True)

    assert [found.view for found in await seen(store, ann)] == [third, second, first]
    assert [found.view for found in await seen(store, ann, tab=Tab.AUDIT)] == [third]
    assert [found.view for found in await seen(store, ann, limit=1, after=(3_000, third.id))] == [second]
    assert [found.view for found in await seen(store, eve)] == [elsewhere]
    for stranger in (hidden, elsewhere):
        assert await one(store, ann, stranger.id) is None
    assert await store.read(lambda tx: store.count_made_views(tx, ann.id)) == 2
    assert await store.read(lambda tx: store.count_shared_views(tx, tenant)) == 1
    assert await store.read(lambda tx: store.find_view(tx, ann.id, "3")) == third.id
    assert await store.read(lambda tx: store.find_view(tx, ann.id, "2")) is None


async def test_a_view_is_replaced_and_dropped_with_whose_default_it_is(store: SqlIdentityStore) -> None:
    ann, bob = await person(store, "ann"), await person(store, "bob")
    made = await view(store, ann, "Errors")
    changed = replace(made, name="Faults", place="/api?part=errors", shared=True, opens_tab=True, changed_at=2_000)

    await store.write(lambda tx: store.put_view(tx, changed))
    await store.write(lambda tx: store.set_default(tx, bob.id, changed))
    assert await one(store, bob, made.id) == SeenView(view=changed, maker="ann", mine=False, my_default=True)

    await store.write(lambda tx: store.drop_view(tx, made.id))
    assert await seen(store, bob) == []
    other = await view(store, bob, "Errors")
    await store.write(lambda tx: store.set_default(tx, bob.id, other))  # nothing of the old one is in the way
    assert (await seen(store, bob))[0].my_default


async def test_a_tab_opens_with_one_view_for_each_and_one_for_all(store: SqlIdentityStore) -> None:
    ann, bob = await person(store, "ann"), await person(store, "bob")
    one_view, two = await view(store, ann, "1", 1_000, shared=True), await view(store, ann, "2", 2_000, shared=True)
    audit = await view(store, ann, "3", 3_000, tab=Tab.AUDIT, place="/audit", shared=True)

    for chosen in (one_view, audit, two):
        await store.write(lambda tx, chosen=chosen: store.set_default(tx, ann.id, chosen))
    await store.write(lambda tx: store.set_default(tx, bob.id, two))
    assert [found.my_default for found in await seen(store, ann)] == [True, True, False]
    await store.write(lambda tx: store.clear_defaults(tx, two.id, but=ann.id))
    assert [found.my_default for found in await seen(store, ann)] == [True, True, False]
    assert not any(found.my_default for found in await seen(store, bob))
    await store.write(lambda tx: store.clear_defaults(tx, two.id, of=bob.id))
    assert (await seen(store, ann))[1].my_default
    await store.write(lambda tx: store.clear_defaults(tx, two.id))
    assert [found.my_default for found in await seen(store, ann)] == [True, False, False]

    for opening in (two, audit):
        await store.write(lambda tx, opening=opening: store.put_view(tx, replace(opening, opens_tab=True)))
    await store.write(lambda tx: store.clear_shared_default(tx, "acme", Tab.API))
    assert [found.view.opens_tab for found in await seen(store, ann)] == [True, False, False]


async def test_private_views_go_with_their_maker_and_shared_ones_stay(store: SqlIdentityStore) -> None:
    ann, bob = await person(store, "ann"), await person(store, "bob")
    mine, shared = await view(store, ann, "mine"), await view(store, ann, "ours", shared=True)
    for chosen in (mine, shared):
        await store.write(lambda tx, chosen=chosen: store.set_default(tx, ann.id, chosen))
    await store.write(lambda tx: store.set_default(tx, bob.id, shared))

    gone = delete(user_profiles).where(user_profiles.c.id == ann.id)
    await store.write(lambda tx: connection_of(tx).execute(gone) and None)

    kept = replace(shared, made_by=None)
    assert await seen(store, bob) == [SeenView(view=kept, maker="", mine=False, my_default=True)]
    assert await seen(store, ann) == [SeenView(view=kept, maker="", mine=False, my_default=False)]
