"""Profiles: who may administer, and who may say so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from custodes.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from custodes.planes.identity.directory import Identity
from custodes.planes.identity.model import Method, Principal, Role, State
from custodes.planes.identity.sessions import Client

HERE = Client("203.0.113.9", "test")


async def somebody(identity: Identity, role: Role = Role.OWNER, tenant: str | None = None) -> Principal:
    made = await identity.profiles.create(f"{role}-{tenant}", role=role, tenant=tenant, issuer="host")
    found = await identity.principal_of_subject("host", made.profile.subject, Method.HOST)
    assert found is not None
    return found


# ── The first owner ──────────────────────────────────────────────────────────


async def test_a_new_install_gets_one_owner_with_a_password_that_must_be_changed(identity: Identity) -> None:
    """Given an empty store; when several workers start at once; then one tells a password, and it works."""
    told = [password for password in await asyncio.gather(*(identity.ensure_owner() for _ in range(5))) if password]

    assert len(told) == 1
    login = await identity.logins.sign_in("owner", told[0], HERE)
    assert login.must_change_password
    principal = await identity.principal_of_session(login.opened.token)
    assert principal is not None
    assert (principal.role, principal.must_change_password) == (Role.OWNER, True)
    assert await identity.ensure_owner() is None


async def test_the_last_owner_stays(identity: Identity) -> None:
    owner = await somebody(identity)

    with pytest.raises(Conflict, match="last owner"):
        await identity.profiles.set_role(owner.profile_id, Role.ADMIN)
    with pytest.raises(Conflict, match="last owner"):
        await identity.profiles.set_state(owner.profile_id, State.DISABLED)

    # An owner of one tenant does not count: nobody would be left who sees all.
    await somebody(identity, Role.OWNER, "acme")
    with pytest.raises(Conflict, match="last owner"):
        await identity.profiles.set_role(owner.profile_id, Role.MEMBER)

    second = await identity.profiles.create("second", role=Role.OWNER)
    await identity.profiles.set_role(owner.profile_id, Role.ADMIN)
    with pytest.raises(Conflict, match="last owner"):
        await identity.profiles.set_state(second.profile.id, State.DISABLED)


async def test_of_two_owners_who_demote_each_other_at_once_one_stays(identity: Identity) -> None:
    first = await somebody(identity)
    second = (await identity.profiles.create("second", role=Role.OWNER)).profile.id

    results = await asyncio.gather(
        identity.profiles.set_role(first.profile_id, Role.ADMIN),
        identity.profiles.set_role(second, Role.ADMIN),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["Conflict", "Profile"]


# ── Who may give what ────────────────────────────────────────────────────────


async def test_nobody_gives_more_than_they_have(identity: Identity) -> None:
    admin = await somebody(identity, Role.ADMIN)
    owner = await somebody(identity, Role.OWNER)

    with pytest.raises(PermissionDenied, match="more than they have"):
        await identity.profiles.create("x", role=Role.OWNER, by=admin)
    with pytest.raises(PermissionDenied, match="you are admin"):
        await identity.profiles.set_role(owner.profile_id, Role.MEMBER, by=admin)
    with pytest.raises(PermissionDenied, match="more than they have"):
        await identity.profiles.set_role(admin.profile_id, Role.OWNER, by=admin)
    with pytest.raises(PermissionDenied):
        await identity.profiles.reset_password(owner.profile_id, by=admin)


async def test_an_owner_of_one_tenant_stays_within_it(identity: Identity) -> None:
    """Given an owner of acme; then others do not exist for them, and what they make is acme's."""
    owner = await somebody(identity, Role.OWNER, "acme")
    foreign = await somebody(identity, Role.MEMBER, "other")
    of_all = await somebody(identity, Role.MEMBER)

    for stranger in (foreign, of_all):
        with pytest.raises(NotFound):
            await identity.profiles.set_role(stranger.profile_id, Role.ADMIN, by=owner)
        with pytest.raises(NotFound):
            await identity.profiles.set_state(stranger.profile_id, State.DISABLED, by=owner)
        with pytest.raises(NotFound):
            await identity.profiles.get(stranger.profile_id, tenant=owner.tenant)
    with pytest.raises(PermissionDenied, match="not yours"):
        await identity.profiles.create("x", role=Role.MEMBER, tenant="other", by=owner)
    made = await identity.profiles.create("x", role=Role.ADMIN, by=owner)
    assert made.profile.tenant == "acme"


async def test_a_change_holds_from_the_next_request_on(identity: Identity) -> None:
    await somebody(identity)
    ann = await somebody(identity, Role.ADMIN)
    key = await identity.keys.create("ci", owner=ann)

    await identity.profiles.set_role(ann.profile_id, Role.MEMBER)
    found = await identity.principal_of_key(key.secret)
    assert found is not None
    assert found.role is Role.MEMBER

    await identity.profiles.set_state(ann.profile_id, State.DISABLED)
    assert await identity.principal_of_key(key.secret) is None
    assert await identity.principal_of_subject("host", ann.subject, Method.HOST) is None

    await identity.profiles.set_state(ann.profile_id, State.ACTIVE)
    assert await identity.principal_of_key(key.secret) is not None


async def test_disabling_ends_sessions_for_good(identity: Identity) -> None:
    await somebody(identity)
    made = await identity.profiles.create("ann", role=Role.ADMIN)
    assert made.one_time_password is not None
    login = await identity.logins.sign_in("ann", made.one_time_password, HERE)

    await identity.profiles.set_state(made.profile.id, State.DISABLED)
    await identity.profiles.set_state(made.profile.id, State.ACTIVE)

    assert await identity.principal_of_session(login.opened.token) is None


# ── What is beside it, and what comes in ─────────────────────────────────────


async def test_what_commits_beside_a_change_commits_with_it_or_not_at_all(identity: Identity) -> None:
    """The audit entry fails: the change did not happen."""

    def failing(_tx: Any) -> None:
        msg = "no room in the trail"
        raise Conflict(msg)

    await somebody(identity)
    ann = await somebody(identity, Role.ADMIN)
    with pytest.raises(Conflict, match="no room"):
        await identity.profiles.set_role(ann.profile_id, Role.MEMBER, also=failing)
    with pytest.raises(Conflict, match="no room"):
        await identity.profiles.create("bob", role=Role.ADMIN, also=failing)

    assert (await identity.profiles.get(ann.profile_id)).role is Role.ADMIN
    with pytest.raises(NotFound):
        await identity.profiles.find("bob")


@pytest.mark.parametrize(
    "changes",
    [{"subject": ""}, {"subject": "   "}, {"subject": "a\nb"}, {"subject": "a\x00"}, {"subject": "a" * 256},
     {"email": "a" * 255}, {"display_name": "a\u202eb"}, {"issuer": ""}, {"tenant": "no such/tenant"}, {"tenant": ""}],
)  # fmt: skip
async def test_odd_texts_are_refused_in_words(identity: Identity, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await identity.profiles.create(**{"subject": "ann", "role": Role.ADMIN, **changes})


async def test_the_same_subject_twice_is_a_conflict(identity: Identity) -> None:
    await identity.profiles.create("ann", role=Role.ADMIN)
    with pytest.raises(Conflict, match="already"):
        await identity.profiles.create("ann", role=Role.MEMBER)


async def test_a_reset_password_works_once_and_ends_sessions(identity: Identity) -> None:
    made = await identity.profiles.create("ann", role=Role.ADMIN)
    assert made.one_time_password is not None
    login = await identity.logins.sign_in("ann", made.one_time_password, HERE)

    fresh = await identity.profiles.reset_password(made.profile.id)

    assert await identity.principal_of_session(login.opened.token) is None
    again = await identity.logins.sign_in("ann", fresh, HERE)
    assert again.must_change_password
    stranger = await somebody(identity, Role.ADMIN)
    with pytest.raises(Conflict, match="signs in at host"):
        await identity.profiles.reset_password(stranger.profile_id)


async def test_health_tells_a_missing_owner(identity: Identity) -> None:
    assert (await identity.get_health_status()).state == "degraded"
    await identity.ensure_owner()
    assert (await identity.get_health_status()).state == "healthy"
