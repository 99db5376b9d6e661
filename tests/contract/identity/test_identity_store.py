"""What the identity plane is promised by every engine."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import text

from custodes.kernel.clock import DAY
from custodes.kernel.ids import uuid7
from custodes.planes.identity.model import ApiKey, Attempts, Credential, Profile, Role, Session, State
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.identity import SqlIdentityStore

_bits = random.Random(7).getrandbits


@pytest.fixture
def store(database: Database) -> SqlIdentityStore:
    return SqlIdentityStore(database)


def profile(subject: str, at: int = 1_000, **changes: Any) -> Profile:
    fields: dict[str, Any] = {
        "id": uuid7(at, _bits), "tenant": None, "issuer": "local", "subject": subject,
        "email": f"{subject}@example.com", "display_name": subject.title(), "role": Role.ADMIN,
        "state": State.ACTIVE, "created_at": at,
    }  # fmt: skip
    return Profile(**{**fields, **changes})


def session(owner: Profile, at: int = 1_000, **changes: Any) -> Session:
    fields: dict[str, Any] = {
        "id": uuid7(at, _bits), "profile_id": owner.id, "tenant": owner.tenant,
        "token_hash": _bits(256).to_bytes(32, "big"), "created_at": at, "last_seen_at": at,
        "expires_at": at + DAY, "revoked_at": None, "ip": "203.0.113.9",
        "user_agent": "test",
    }  # fmt: skip
    return Session(**{**fields, **changes})


def key(owner: Profile, at: int = 1_000, **changes: Any) -> ApiKey:
    fields: dict[str, Any] = {
        "id": uuid7(at, _bits), "profile_id": owner.id, "tenant": owner.tenant, "name": "ci", "prefix": "ck_0123456789",
        "key_hash": _bits(256).to_bytes(32, "big"), "role": Role.ADMIN, "created_at": at, "expires_at": None,
        "last_used_at": None, "revoked_at": None,
    }  # fmt: skip
    return ApiKey(**{**fields, **changes})


async def add(store: SqlIdentityStore, *records: Profile | Session | ApiKey | Credential) -> None:
    def work(tx: Any) -> None:
        for record in records:
            match record:
                case Profile():
                    assert store.add_profile(tx, record)
                case Session():
                    store.add_session(tx, record)
                case ApiKey():
                    store.add_key(tx, record)
                case Credential():
                    store.put_credential(tx, record)

    await store.write(work)


# ── Profiles ─────────────────────────────────────────────────────────────────


async def test_a_profile_comes_back_as_it_was(store: SqlIdentityStore) -> None:
    ann = profile("ann", tenant="acme", role=Role.OWNER, state=State.DISABLED)
    await add(store, ann)

    assert await store.read(lambda tx: store.get_profile(tx, ann.id, None)) == ann
    assert await store.read(lambda tx: store.find_profile(tx, "local", "ann")) == ann


async def test_a_subject_is_unique_at_its_issuer_and_compared_exactly(store: SqlIdentityStore) -> None:
    await add(store, profile("ann"))

    assert await store.write(lambda tx: store.add_profile(tx, profile("ann"))) is False
    assert await store.write(lambda tx: store.add_profile(tx, profile("Ann"))) is True
    assert await store.write(lambda tx: store.add_profile(tx, profile("ann", issuer="https://a.example"))) is True
    assert await store.read(lambda tx: store.find_profile(tx, "local", "ANN")) is None


async def test_a_tenant_never_sees_anothers_row(store: SqlIdentityStore) -> None:
    """Profiles, sessions and keys: by id and in lists; those of all tenants are no tenant's either."""
    acme, other, all_of_them = profile("a", tenant="acme"), profile("b", tenant="other"), profile("c")
    await add(store, acme, other, all_of_them)
    for owner in (acme, other, all_of_them):
        await add(store, session(owner), key(owner))

    def look(tx: Any) -> list[Any]:
        page: dict[str, Any] = {"limit": 10, "after": None}
        return [
            *store.list_profiles(tx, tenant="acme", role=None, state=None, **page),
            *store.list_sessions(tx, tenant="acme", profile_id=None, **page),
            *store.list_keys(tx, tenant="acme", profile_id=None, **page),
        ]

    assert {row.tenant for row in await store.read(look)} == {"acme"}
    assert await store.read(lambda tx: store.get_profile(tx, other.id, "acme")) is None
    assert await store.read(lambda tx: store.get_profile(tx, all_of_them.id, "acme")) is None


async def test_a_list_pages_newest_first_without_gaps_or_repeats(store: SqlIdentityStore) -> None:
    """Given 25 profiles, some of the same moment; then pages of 10 hold each exactly once, in order."""
    await add(store, *(profile(f"user-{number}", at=1_000 + number // 3) for number in range(25)))

    seen: list[Profile] = []
    after = None
    while True:
        rows = await store.read(
            lambda tx, after=after: store.list_profiles(tx, tenant=None, role=None, state=None, limit=10, after=after)
        )
        if not rows:
            break
        seen += rows
        after = (rows[-1].created_at, rows[-1].id)

    assert len(seen) == len({row.id for row in seen}) == 25
    assert [(row.created_at, row.id) for row in seen] == sorted(((r.created_at, r.id) for r in seen), reverse=True)


async def test_only_active_owners_of_all_tenants_are_counted(store: SqlIdentityStore) -> None:
    await add(
        store,
        profile("yes", role=Role.OWNER),
        profile("no-1", role=Role.OWNER, state=State.DISABLED),
        profile("no-2", role=Role.OWNER, tenant="acme"),
        profile("no-3", role=Role.ADMIN),
    )

    assert await store.read(store.count_owners) == 1


# ── Passwords, sessions, keys ────────────────────────────────────────────────


async def test_a_password_replaces_the_one_before(store: SqlIdentityStore) -> None:
    ann = profile("ann")
    await add(store, ann)
    for text_, must in (("$one", True), ("$two", False)):
        await add(
            store,
            Credential(profile_id=ann.id, tenant=None, password_hash=text_, must_change=must, changed_at=1),
        )

    found = await store.read(lambda tx: store.get_credential(tx, ann.id))
    assert found is not None
    assert (found.password_hash, found.must_change) == ("$two", False)


async def test_a_session_is_found_by_its_token_alone(store: SqlIdentityStore) -> None:
    ann = profile("ann")
    mine = session(ann)
    await add(store, ann, mine)

    assert await store.read(lambda tx: store.find_session(tx, mine.token_hash)) == (mine, ann, False)
    assert await store.read(lambda tx: store.find_session(tx, b"\x00" * 32)) is None


async def test_ending_is_final_and_keeps_its_first_moment(store: SqlIdentityStore) -> None:
    ann, bob = profile("ann"), profile("bob")
    first, second, foreign = session(ann), session(ann), session(bob)
    await add(store, ann, bob, first, second, foreign)

    await store.write(lambda tx: store.end_session(tx, first.id, 5))
    await store.write(lambda tx: store.end_session(tx, first.id, 9))
    assert await store.write(lambda tx: store.end_sessions(tx, ann.id, 7)) == 1

    ended = {
        row.id: row.revoked_at
        for row in await store.read(
            lambda tx: store.list_sessions(tx, tenant=None, profile_id=None, limit=10, after=None)
        )
    }
    assert ended == {first.id: 5, second.id: 7, foreign.id: None}


async def test_old_sessions_are_dropped_a_bounded_number_at_a_time(store: SqlIdentityStore) -> None:
    ann = profile("ann")
    await add(store, ann, *(session(ann, at=at, expires_at=at + 1) for at in range(1_000, 1_010)), session(ann, at=DAY))

    assert await store.write(lambda tx: store.drop_sessions(tx, DAY, 4)) == 4
    assert await store.write(lambda tx: store.drop_sessions(tx, DAY, 40)) == 6
    assert await store.write(lambda tx: store.drop_sessions(tx, DAY, 40)) == 0


async def test_an_address_is_known_by_a_login_from_there(store: SqlIdentityStore) -> None:
    ann = profile("ann")
    await add(store, ann, session(ann, at=100, ip="203.0.113.9"))

    def known(ip: str, since: int) -> Any:
        return store.read(lambda tx: store.signed_in_from(tx, ann.id, ip, since))

    assert await known("203.0.113.9", 100)
    assert not await known("203.0.113.9", 101)
    assert not await known("203.0.113.8", 0)


async def test_a_key_is_found_by_its_secret_and_revoked_once(store: SqlIdentityStore) -> None:
    ann = profile("ann")
    mine = key(ann)
    await add(store, ann, mine)

    assert await store.read(lambda tx: store.find_key(tx, mine.key_hash)) == (mine, ann)
    await store.write(lambda tx: store.key_used(tx, mine.id, 4))
    await store.write(lambda tx: store.revoke_key(tx, mine.id, 5))
    await store.write(lambda tx: store.revoke_key(tx, mine.id, 9))

    found = await store.read(lambda tx: store.get_key(tx, mine.id, None))
    assert found is not None
    assert (found.last_used_at, found.revoked_at) == (4, 5)


# ── Failed logins ────────────────────────────────────────────────────────────


async def test_attempts_are_kept_replaced_forgotten_and_dropped(store: SqlIdentityStore) -> None:
    one = Attempts(key=b"a" * 32, failures=1, last_at=10, blocked_until=0)
    two = Attempts(key=b"a" * 32, failures=2, last_at=20, blocked_until=30)
    other = Attempts(key=b"b" * 32, failures=7, last_at=5, blocked_until=0)
    for attempts in (one, two, other):
        await store.write(lambda tx, attempts=attempts: store.put_attempts(tx, attempts))

    assert await store.read(lambda tx: store.get_attempts(tx, one.key)) == two
    assert await store.read(lambda tx: store.count_attempts(tx, 0)) == (2, 9)
    assert await store.read(lambda tx: store.count_attempts(tx, 6)) == (1, 2)
    assert await store.write(lambda tx: store.drop_attempts(tx, 6, 10)) == 1
    await store.write(lambda tx: store.forget_attempts(tx, one.key))
    assert await store.read(lambda tx: store.get_attempts(tx, one.key)) is None


# ── Query plans ──────────────────────────────────────────────────────────────

_LISTS = [
    (f"SELECT * FROM {table} WHERE {where} ORDER BY created_at DESC, id DESC LIMIT 51", f"ix_{table}_{index}")
    for table in ("user_profiles", "admin_sessions", "admin_api_keys")
    for where, index in (
        ("tenant_id = 'acme'", "tenant"),
        ("tenant_id = 'acme' AND (created_at, id) < (1, 'x')", "tenant"),
        ("1 = 1", "created"),
        ("(created_at, id) < (1, 'x')", "created"),
        ("profile_id = 'p'", "profile"),
    )
    if (table, index) != ("user_profiles", "profile")
]

_SINGLES = [
    ("SELECT * FROM user_profiles WHERE issuer = 'local' AND subject = 'ann'", "autoindex_user_profiles"),
    (
        "SELECT count(*) FROM user_profiles WHERE role = 'owner' AND state = 'active' AND tenant_id IS NULL",
        "ix_user_profiles_role",
    ),
    ("SELECT * FROM admin_sessions WHERE token_hash = x'00'", "autoindex_admin_sessions"),
    ("SELECT * FROM admin_api_keys WHERE key_hash = x'00'", "autoindex_admin_api_keys"),
    ("SELECT id FROM admin_sessions WHERE expires_at < 5 ORDER BY expires_at LIMIT 20", "ix_admin_sessions_expires"),
    (
        "SELECT id FROM admin_sessions WHERE profile_id = 'p' AND created_at >= 5 AND ip = 'i' LIMIT 1",
        "ix_admin_sessions_profile",
    ),
    (
        "SELECT key FROM admin_login_attempts WHERE last_at < 5 ORDER BY last_at LIMIT 20",
        "ix_admin_login_attempts_last",
    ),
    ("SELECT count(*) FROM admin_login_attempts WHERE last_at >= 5", "ix_admin_login_attempts_last"),
]


@pytest.mark.parametrize(("query", "index"), _LISTS + _SINGLES)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_each_query_uses_its_index(database: Database, query: str, index: str) -> None:
    """No table is scanned and nothing is sorted in a temporary tree."""
    rows = await database.read(lambda tx: connection_of(tx).execute(text(f"EXPLAIN QUERY PLAN {query}")).all())
    plan = "; ".join(str(row[3]) for row in rows)

    assert index in plan
    assert "TEMP B-TREE" not in plan
