"""Profiles, passwords, sessions, API keys and failed logins in SQL; saved views beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, delete, func, insert, or_, select, tuple_, update

from custodes.planes.identity.model import ApiKey, Attempts, Credential, Profile, Role, Session, State
from custodes.planes.identity.ports import After
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.bulk import counted
from custodes.storage.sql.database import Database, connection_of
from custodes.storage.sql.saved_views import SqlViewRows
from custodes.storage.sql.tables.identity import (
    admin_sessions,
    api_keys,
    local_credentials,
    login_attempts,
    user_profiles,
)
from custodes.storage.sql.turns import take_turn

T = TypeVar("T")

_Record = Profile | Credential | Session | ApiKey | Attempts


class SqlIdentityStore(SqlViewRows):
    """The identity plane's :class:`~custodes.planes.identity.ports.IdentityStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ── Works ────────────────────────────────────────────────────────────────

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a work that only reads."""
        return await self._database.read(work)

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True, once: str = "") -> T:
        """Run a work and commit it."""
        return await self._database.write(work, durable=durable, once=once)

    async def join(
        self, connection: object, work: Callable[[Transaction], T], *, committed: Callable[[], None] | None = None
    ) -> T:
        """Run a work in the caller's transaction."""
        return await self._database.join(connection, work, committed=committed)

    def take_turn(self, tx: Transaction, *about: str) -> None:
        """Wait for one's turn."""
        take_turn(tx, *about)

    # ── Profiles ─────────────────────────────────────────────────────────────

    def add_profile(self, tx: Transaction, profile: Profile) -> bool:
        """Add one, unless the subject is taken."""
        if self.find_profile(tx, profile.issuer, profile.subject) is not None:
            return False
        _add(tx, user_profiles, profile)
        return True

    def get_profile(self, tx: Transaction, profile_id: str, tenant: str | None) -> Profile | None:
        """Find one by id."""
        return _profile(_one(tx, user_profiles, profile_id, tenant))

    def find_profile(self, tx: Transaction, issuer: str, subject: str) -> Profile | None:
        """Find one by its name at its issuer."""
        query = select(user_profiles).where(user_profiles.c.issuer == issuer, user_profiles.c.subject == subject)
        return _profile(connection_of(tx).execute(query).first())

    def list_profiles(
        self,
        tx: Transaction,
        *,
        tenant: str | None,
        role: Role | None,
        state: State | None,
        limit: int,
        after: After,
        reaching: bool = False,
    ) -> Sequence[Profile]:
        """List, newest first."""
        query = _newest_first(user_profiles, tenant, limit, after, reaching=reaching)
        if role is not None:
            query = query.where(user_profiles.c.role == role.value)
        if state is not None:
            query = query.where(user_profiles.c.state == state.value)
        return [Profile(**_values(row, Profile)) for row in connection_of(tx).execute(query)]

    def change_profile(self, tx: Transaction, profile_id: str, role: Role, state: State) -> None:
        """Set role and state."""
        _set(tx, user_profiles, profile_id, role=role.value, state=state.value)

    def profile_seen(self, tx: Transaction, profile_id: str, at: int) -> None:
        """Note when it last asked for something."""
        _set(tx, user_profiles, profile_id, last_seen_at=at)

    def count_owners(self, tx: Transaction) -> int:
        """Count the active owners of all tenants."""
        query = (
            select(func.count())
            .select_from(user_profiles)
            .where(
                user_profiles.c.role == Role.OWNER.value,
                user_profiles.c.state == State.ACTIVE.value,
                user_profiles.c.tenant_id.is_(None),
            )
        )
        return int(connection_of(tx).execute(query).scalar_one())

    # ── Passwords ────────────────────────────────────────────────────────────

    def put_credential(self, tx: Transaction, credential: Credential) -> None:
        """Set the password."""
        mine = local_credentials.c.profile_id == credential.profile_id
        connection_of(tx).execute(delete(local_credentials).where(mine))
        _add(tx, local_credentials, credential)

    def get_credential(self, tx: Transaction, profile_id: str) -> Credential | None:
        """Find the password."""
        query = select(local_credentials).where(local_credentials.c.profile_id == profile_id)
        row = connection_of(tx).execute(query).first()
        return None if row is None else Credential(**_values(row, Credential))

    # ── Sessions ─────────────────────────────────────────────────────────────

    def add_session(self, tx: Transaction, session: Session) -> None:
        """Keep a new one."""
        _add(tx, admin_sessions, session)

    def find_session(self, tx: Transaction, token_hash: bytes) -> tuple[Session, Profile, bool] | None:
        """Find one by its token, with its profile."""
        query = select(admin_sessions).where(admin_sessions.c.token_hash == token_hash)
        row = connection_of(tx).execute(query).first()
        profile = None if row is None else self.get_profile(tx, row.profile_id, None)
        if row is None or profile is None:
            return None
        credential = self.get_credential(tx, profile.id)
        return _read_session(row), profile, credential is not None and credential.must_change

    def list_sessions(
        self, tx: Transaction, *, tenant: str | None, profile_id: str | None, limit: int, after: After
    ) -> Sequence[Session]:
        """List, newest first."""
        query = _of_profile(_newest_first(admin_sessions, tenant, limit, after), admin_sessions, profile_id)
        return [_read_session(row) for row in connection_of(tx).execute(query)]

    def get_session(self, tx: Transaction, session_id: str, tenant: str | None) -> Session | None:
        """Find one by id."""
        row = _one(tx, admin_sessions, session_id, tenant)
        return None if row is None else _read_session(row)

    def session_seen(self, tx: Transaction, session_id: str, at: int) -> None:
        """Note when it was last used."""
        _set(tx, admin_sessions, session_id, last_seen_at=at)

    def end_session(self, tx: Transaction, session_id: str, at: int) -> None:
        """End one."""
        _set(tx, admin_sessions, session_id, admin_sessions.c.revoked_at.is_(None), revoked_at=at)

    def end_sessions(self, tx: Transaction, profile_id: str, at: int) -> int:
        """End all of a profile."""
        open_ones = (admin_sessions.c.profile_id == profile_id) & admin_sessions.c.revoked_at.is_(None)
        return connection_of(tx).execute(update(admin_sessions).where(open_ones).values(revoked_at=at)).rowcount

    def signed_in_from(self, tx: Transaction, profile_id: str, ip: str, since: int) -> bool:
        """Tell whether a profile has signed in from an address."""
        sessions = admin_sessions.c
        query = (
            select(sessions.id)
            .where(sessions.profile_id == profile_id, sessions.created_at >= since, sessions.ip == ip)
            .limit(1)
        )
        return connection_of(tx).execute(query).first() is not None

    def drop_sessions(self, tx: Transaction, before: int, limit: int) -> int:
        """Forget long expired sessions."""
        sessions = admin_sessions.c
        old = select(sessions.id).where(sessions.expires_at < before).order_by(sessions.expires_at).limit(limit)
        return connection_of(tx).execute(delete(admin_sessions).where(sessions.id.in_(old))).rowcount

    def count_droppable_sessions(self, tx: Transaction, before: int) -> int:
        """Count long expired sessions."""
        return counted(connection_of(tx), admin_sessions, admin_sessions.c.expires_at < before)

    # ── API keys ─────────────────────────────────────────────────────────────

    def add_key(self, tx: Transaction, key: ApiKey) -> None:
        """Keep a new one."""
        _add(tx, api_keys, key)

    def find_key(self, tx: Transaction, key_hash: bytes) -> tuple[ApiKey, Profile] | None:
        """Find one by its secret, with its profile."""
        row = connection_of(tx).execute(select(api_keys).where(api_keys.c.key_hash == key_hash)).first()
        profile = None if row is None else self.get_profile(tx, row.profile_id, None)
        return None if row is None or profile is None else (_read_key(row), profile)

    def list_keys(
        self,
        tx: Transaction,
        *,
        tenant: str | None,
        profile_id: str | None,
        limit: int,
        after: After,
        reaching: bool = False,
    ) -> Sequence[ApiKey]:
        """List, newest first."""
        query = _newest_first(api_keys, tenant, limit, after, reaching=reaching)
        query = _of_profile(query, api_keys, profile_id)
        return [_read_key(row) for row in connection_of(tx).execute(query)]

    def get_key(self, tx: Transaction, key_id: str, tenant: str | None) -> ApiKey | None:
        """Find one by id."""
        row = _one(tx, api_keys, key_id, tenant)
        return None if row is None else _read_key(row)

    def key_used(self, tx: Transaction, key_id: str, at: int) -> None:
        """Note when it was last used."""
        _set(tx, api_keys, key_id, last_used_at=at)

    def revoke_key(self, tx: Transaction, key_id: str, at: int) -> None:
        """Revoke one."""
        _set(tx, api_keys, key_id, api_keys.c.revoked_at.is_(None), revoked_at=at)

    # ── Failed logins ────────────────────────────────────────────────────────

    def get_attempts(self, tx: Transaction, key: bytes) -> Attempts | None:
        """Find what is known of an account or an address."""
        row = connection_of(tx).execute(select(login_attempts).where(login_attempts.c.key == key)).first()
        return None if row is None else Attempts(**_values(row, Attempts))

    def put_attempts(self, tx: Transaction, attempts: Attempts) -> None:
        """Set it."""
        self.forget_attempts(tx, attempts.key)
        _add(tx, login_attempts, attempts)

    def forget_attempts(self, tx: Transaction, key: bytes) -> None:
        """Forget it."""
        connection_of(tx).execute(delete(login_attempts).where(login_attempts.c.key == key))

    def drop_attempts(self, tx: Transaction, before: int, limit: int) -> int:
        """Forget what is old."""
        attempts = login_attempts.c
        old = select(attempts.key).where(attempts.last_at < before).order_by(attempts.last_at).limit(limit)
        return connection_of(tx).execute(delete(login_attempts).where(attempts.key.in_(old))).rowcount

    def count_attempts(self, tx: Transaction, since: int) -> tuple[int, int]:
        """Count what has failed lately."""
        attempts = login_attempts.c
        query = select(func.count(), func.coalesce(func.sum(attempts.failures), 0)).where(attempts.last_at >= since)
        row = connection_of(tx).execute(query).one()
        return int(row[0]), int(row[1])


# ── Rows and records ─────────────────────────────────────────────────────────

#: Fields whose column has another name.
_COLUMNS = {"tenant": "tenant_id"}

#: Fields that are more than their column's value.
_KINDS: dict[str, Callable[[Any], Any]] = {"role": Role, "state": State}


def _newest_first(table: Table, tenant: str | None, limit: int, after: After, *, reaching: bool = False) -> Select[Any]:
    order = (table.c.created_at, table.c.id)
    query = select(table).order_by(*(column.desc() for column in order)).limit(limit)
    if tenant is not None:
        of_tenant = table.c.tenant_id == tenant
        query = query.where(or_(of_tenant, table.c.tenant_id.is_(None)) if reaching else of_tenant)
    return query if after is None else query.where(tuple_(*order) < tuple_(*after))


def _of_profile(query: Select[Any], table: Table, profile_id: str | None) -> Select[Any]:
    return query if profile_id is None else query.where(table.c.profile_id == profile_id)


def _one(tx: Transaction, table: Table, identifier: str, tenant: str | None) -> Row[Any] | None:
    query = select(table).where(table.c.id == identifier)
    if tenant is not None:
        query = query.where(table.c.tenant_id == tenant)
    return connection_of(tx).execute(query).first()


def _set(tx: Transaction, table: Table, identifier: str, *conditions: ColumnElement[bool], **values: Any) -> None:
    connection_of(tx).execute(update(table).where(table.c.id == identifier, *conditions).values(**values))


def _add(tx: Transaction, table: Table, record: _Record) -> None:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    row = {_COLUMNS.get(name, name): value for name, value in values.items()}
    connection_of(tx).execute(insert(table).values(**row))


def _values(row: Row[Any], kind: type[_Record]) -> dict[str, Any]:
    found = row._mapping  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - SQLAlchemy's documented way
    values = {field.name: found[_COLUMNS.get(field.name, field.name)] for field in fields(kind)}
    return {name: _KINDS[name](value) if name in _KINDS else value for name, value in values.items()}


def _profile(row: Row[Any] | None) -> Profile | None:
    return None if row is None else Profile(**_values(row, Profile))


def _read_session(row: Row[Any]) -> Session:
    return Session(**_values(row, Session))


def _read_key(row: Row[Any]) -> ApiKey:
    return ApiKey(**_values(row, ApiKey))
