"""API keys: what programs sign in with."""

from __future__ import annotations

from dataclasses import dataclass

from custodes.errors import InvalidInput, NotFound, PermissionDenied
from custodes.kernel.bearer import fingerprint
from custodes.kernel.clock import DAY, Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, page_of
from custodes.kernel.tenant import check_tenant
from custodes.planes.identity.model import ApiKey, Principal, Profile, Role
from custodes.planes.identity.names import check_name
from custodes.planes.identity.ports import IdentityStore
from custodes.planes.identity.tokens import new_api_key
from custodes.runtime.transactions import Transaction, Work, nothing

#: Longest name of a key, characters.
MAX_NAME = 100

#: Longest life that can be asked for, days.
MAX_DAYS = 3650


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made."""

    #: The key's row.
    key: ApiKey
    #: The key itself: shown once.
    secret: str


class ApiKeys:
    """Makes, finds, lists and revokes API keys."""

    def __init__(self, store: IdentityStore, clock: Clock, random_bits: RandomBits) -> None:
        self._store = store
        self._clock = clock
        self._random_bits = random_bits

    async def create(
        self,
        name: str,
        *,
        owner: Principal,
        role: Role | None = None,
        tenant: str | None = None,
        days: int | None = None,
        key_id: str = "",
        also: Work = nothing,
    ) -> NewApiKey:
        """Make a key. It does what it may or what its owner may, whichever is less, at each moment.

        Args:
            name: what it is for.
            owner: who makes it.
            role: the most it may do; default the owner's role.
            tenant: the only tenant it may see; default all that the owner sees.
            days: until it stops to work; None for never.
            key_id: its id (a UUIDv7), so that ``also`` can name it beforehand.
            also: what commits with it.

        Raises:
            InvalidInput: a value is not acceptable.
            PermissionDenied: it would do or see more than its owner.
        """
        _check(name, tenant, days)
        role = owner.role if role is None else role
        if not owner.role.covers(role) or owner.tenant not in (None, tenant or owner.tenant):
            msg = "A key cannot do or see more than who makes it"
            raise PermissionDenied(msg, remedy=f"Ask for the role {owner.role} or less, and for your own tenant")
        now = self._clock.now()
        secret, prefix = new_api_key(self._random_bits)
        key = ApiKey(
            id=key_id or uuid7(now, self._random_bits),
            profile_id=owner.profile_id,
            tenant=tenant or owner.tenant,
            name=name,
            prefix=prefix,
            key_hash=fingerprint(secret),
            role=role,
            created_at=now,
            expires_at=None if days is None else now + days * DAY,
            last_used_at=None,
            revoked_at=None,
        )

        def work(tx: Transaction) -> None:
            self._store.add_key(tx, key)
            also(tx)

        await self._store.write(work)
        return NewApiKey(key, secret)

    async def find(self, secret: str) -> tuple[ApiKey, Profile] | None:
        """Find the key that a secret is, while it works, with its profile."""
        found = await self._store.read(lambda tx: self._store.find_key(tx, fingerprint(secret)))
        return found if found is not None and self.works(found[0]) else None

    def works(self, key: ApiKey) -> bool:
        """Tell whether a key still lets somebody in."""
        return key.revoked_at is None and (key.expires_at is None or self._clock.now() < key.expires_at)

    async def list_keys(
        self,
        *,
        tenant: str | None = None,
        profile_id: str | None = None,
        reaching: bool = False,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[ApiKey]:
        """List, revoked ones too, newest first; None filters nothing.

        Args:
            tenant: only this tenant's.
            profile_id: only this profile's.
            reaching: with a tenant's also those that span all tenants.
            limit: rows at most.
            cursor: after the page before.
        """
        after = None if cursor is None else decode_cursor(cursor)
        rows = await self._store.read(
            lambda tx: self._store.list_keys(
                tx, tenant=tenant, profile_id=profile_id, limit=limit + 1, after=after, reaching=reaching
            )
        )
        return page_of(rows, limit, lambda key: (key.created_at, key.id))

    async def get(self, key_id: str, *, tenant: str | None = None, profile_id: str | None = None) -> ApiKey:
        """Return one, revoked or not.

        Args:
            key_id: which.
            tenant: only when it is this tenant's.
            profile_id: only when it is this profile's.

        Raises:
            NotFound: no such key, or not of this tenant or profile.
        """
        return await self._store.read(lambda tx: self._found(tx, key_id, tenant, profile_id))

    async def revoke(
        self, key_id: str, *, tenant: str | None = None, profile_id: str | None = None, also: Work = nothing
    ) -> None:
        """Revoke one, from the next request on; idempotent.

        Args:
            key_id: which.
            tenant: only when it is this tenant's.
            profile_id: only when it is this profile's.
            also: what commits with it.

        Raises:
            NotFound: no such key, or not of this tenant or profile.
        """
        now = self._clock.now()

        def work(tx: Transaction) -> None:
            self._found(tx, key_id, tenant, profile_id)
            self._store.revoke_key(tx, key_id, now)
            also(tx)

        await self._store.write(work)

    def _found(self, tx: Transaction, key_id: str, tenant: str | None, profile_id: str | None) -> ApiKey:
        key = self._store.get_key(tx, key_id, tenant)
        if key is None or profile_id not in (None, key.profile_id):
            msg = "No such API key"
            raise NotFound(msg)
        return key


def _check(name: str, tenant: str | None, days: int | None) -> None:
    check_name(name, MAX_NAME)
    if tenant is not None:
        check_tenant(tenant)
    if days is not None and not 1 <= days <= MAX_DAYS:
        msg = f"days is not between 1 and {MAX_DAYS}"
        raise InvalidInput(msg)
