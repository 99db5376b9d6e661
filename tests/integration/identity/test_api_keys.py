"""API keys: what programs sign in with."""

from __future__ import annotations

import re

import pytest

from custodes.errors import InvalidInput, NotFound, PermissionDenied
from custodes.kernel.clock import DAY, MINUTE
from custodes.planes.identity.directory import Identity
from custodes.planes.identity.model import Method, Principal, Role
from custodes.testing.clock import FakeClock


async def somebody(identity: Identity, role: Role = Role.ADMIN, tenant: str | None = None) -> Principal:
    made = await identity.profiles.create(f"{role}-{tenant}", role=role, tenant=tenant, issuer="host")
    return Principal(
        profile_id=made.profile.id, subject=made.profile.subject, role=role, tenant=tenant, method=Method.HOST
    )


async def test_a_key_is_shown_once_and_recognised_by_its_beginning(identity: Identity) -> None:
    ann = await somebody(identity)
    made = await identity.keys.create("nightly export", owner=ann)

    assert re.fullmatch(r"ck_[0-9a-f]{10}_[A-Za-z0-9_-]{43}", made.secret)
    assert made.secret.startswith(made.key.prefix)
    (listed,) = (await identity.keys.list_keys()).items
    assert made.secret not in repr(listed)
    assert made.secret[len(made.key.prefix) :] not in repr(listed)


async def test_a_key_never_does_more_than_its_maker(identity: Identity) -> None:
    admin = await somebody(identity)
    with pytest.raises(PermissionDenied):
        await identity.keys.create("x", owner=admin, role=Role.OWNER)
    limited = await identity.keys.create("x", owner=admin, role=Role.MEMBER)
    found = await identity.principal_of_key(limited.secret)
    assert found is not None
    assert found.role is Role.MEMBER


async def test_a_key_never_sees_more_than_its_maker(identity: Identity) -> None:
    of_acme = await somebody(identity, tenant="acme")
    with pytest.raises(PermissionDenied):
        await identity.keys.create("x", owner=of_acme, tenant="other")
    made = await identity.keys.create("x", owner=of_acme)
    found = await identity.principal_of_key(made.secret)
    assert found is not None
    assert found.tenant == "acme"

    of_all = await somebody(identity)
    narrowed = await identity.keys.create("x", owner=of_all, tenant="acme")
    found = await identity.principal_of_key(narrowed.secret)
    assert found is not None
    assert found.tenant == "acme"


async def test_a_key_stops_when_it_expires_and_when_it_is_revoked(identity: Identity, clock: FakeClock) -> None:
    ann = await somebody(identity)
    for_a_day = await identity.keys.create("x", owner=ann, days=1)
    for_ever = await identity.keys.create("y", owner=ann)

    clock.advance(DAY - 1)
    assert await identity.principal_of_key(for_a_day.secret) is not None
    clock.advance(1)
    assert await identity.principal_of_key(for_a_day.secret) is None

    assert await identity.principal_of_key(for_ever.secret) is not None
    await identity.keys.revoke(for_ever.key.id)
    await identity.keys.revoke(for_ever.key.id)
    assert await identity.principal_of_key(for_ever.secret) is None


async def test_another_tenants_key_does_not_exist(identity: Identity) -> None:
    ann = await somebody(identity, tenant="acme")
    made = await identity.keys.create("x", owner=ann)
    with pytest.raises(NotFound):
        await identity.keys.revoke(made.key.id, tenant="other")
    with pytest.raises(NotFound):
        await identity.keys.revoke(made.key.id, profile_id="somebody else")
    assert await identity.principal_of_key(made.secret) is not None


async def test_the_last_use_is_noted_to_the_minute(identity: Identity, clock: FakeClock) -> None:
    """A key that is used a thousand times a minute costs one write a minute."""
    ann = await somebody(identity)
    made = await identity.keys.create("x", owner=ann)
    first = clock.now()
    for _ in range(3):
        await identity.principal_of_key(made.secret)
        clock.advance(MINUTE // 4)
    (listed,) = (await identity.keys.list_keys()).items
    assert listed.last_used_at == first
    clock.advance(MINUTE)
    await identity.principal_of_key(made.secret)
    (listed,) = (await identity.keys.list_keys()).items
    assert listed.last_used_at == clock.now()


@pytest.mark.parametrize("changes", [{"name": ""}, {"name": "a\nb"}, {"name": "x" * 101}, {"days": 0}, {"tenant": "!"}])
async def test_odd_values_are_refused(identity: Identity, changes: dict[str, object]) -> None:
    ann = await somebody(identity)
    with pytest.raises(InvalidInput):
        await identity.keys.create(**{"name": "x", "owner": ann, **changes})  # pyright: ignore[reportArgumentType]
