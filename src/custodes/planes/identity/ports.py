"""What the identity plane needs kept.

Every method runs inside a transaction that the plane opened with :meth:`read` or :meth:`write`; several calls in one
work are atomic. Lists are newest first by (created_at, id); ``after`` is the last row of the page before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from custodes.planes.identity.model import (
    ApiKey,
    Attempts,
    Credential,
    Profile,
    Role,
    SavedView,
    SeenView,
    Session,
    State,
)
from custodes.planes.identity.places import Tab
from custodes.runtime.transactions import Store, Transaction

#: (created_at, id) of the last row of the page before.
After = tuple[int, str] | None


class ProfileRows(Protocol):
    """**Protocol:** who may administer."""

    def add_profile(self, tx: Transaction, profile: Profile) -> bool:
        """Add one; False, and nothing done, when the issuer already has such a subject."""
        ...

    def get_profile(self, tx: Transaction, profile_id: str, tenant: str | None) -> Profile | None:
        """Find one by id; None also when a tenant is given and it is not that tenant's."""
        ...

    def find_profile(self, tx: Transaction, issuer: str, subject: str) -> Profile | None:
        """Find one by its name at its issuer, compared exactly."""
        ...

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
        """List; a None filters nothing. ``reaching``: with the tenant's also those that span all tenants."""
        ...

    def change_profile(self, tx: Transaction, profile_id: str, role: Role, state: State) -> None:
        """Set role and state; nothing happens when there is no such profile."""
        ...

    def profile_seen(self, tx: Transaction, profile_id: str, at: int) -> None:
        """Note when it last asked for something."""
        ...

    def count_owners(self, tx: Transaction) -> int:
        """Count the active owners of all tenants."""
        ...


class CredentialRows(Protocol):
    """**Protocol:** passwords of local profiles."""

    def put_credential(self, tx: Transaction, credential: Credential) -> None:
        """Set the password, replacing the one before."""
        ...

    def get_credential(self, tx: Transaction, profile_id: str) -> Credential | None:
        """Find the password; None for a profile of another issuer."""
        ...


class SessionRows(Protocol):
    """**Protocol:** local logins."""

    def add_session(self, tx: Transaction, session: Session) -> None:
        """Keep a new one."""
        ...

    def find_session(self, tx: Transaction, token_hash: bytes) -> tuple[Session, Profile, bool] | None:
        """Find one by its token: the session, its profile, and whether the password must be changed."""
        ...

    def list_sessions(
        self, tx: Transaction, *, tenant: str | None, profile_id: str | None, limit: int, after: After
    ) -> Sequence[Session]:
        """List, ended ones too."""
        ...

    def get_session(self, tx: Transaction, session_id: str, tenant: str | None) -> Session | None:
        """Find one by id; None also when it is another tenant's."""
        ...

    def session_seen(self, tx: Transaction, session_id: str, at: int) -> None:
        """Note when it was last used."""
        ...

    def end_session(self, tx: Transaction, session_id: str, at: int) -> None:
        """End one; nothing happens when it has ended before."""
        ...

    def end_sessions(self, tx: Transaction, profile_id: str, at: int) -> int:
        """End all of a profile and tell how many."""
        ...

    def signed_in_from(self, tx: Transaction, profile_id: str, ip: str, since: int) -> bool:
        """Tell whether a profile has signed in from an address since a moment."""
        ...

    def drop_sessions(self, tx: Transaction, before: int, limit: int) -> int:
        """Forget sessions that would have expired before a moment, a bounded number, and tell how many."""
        ...

    def count_droppable_sessions(self, tx: Transaction, before: int) -> int:
        """Count what :meth:`drop_sessions` would forget in the end."""
        ...


class ApiKeyRows(Protocol):
    """**Protocol:** API keys."""

    def add_key(self, tx: Transaction, key: ApiKey) -> None:
        """Keep a new one."""
        ...

    def find_key(self, tx: Transaction, key_hash: bytes) -> tuple[ApiKey, Profile] | None:
        """Find one by its secret, with its profile."""
        ...

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
        """List, revoked ones too. ``reaching``: with the tenant's also those that span all tenants."""
        ...

    def get_key(self, tx: Transaction, key_id: str, tenant: str | None) -> ApiKey | None:
        """Find one by id; None also when it is another tenant's."""
        ...

    def key_used(self, tx: Transaction, key_id: str, at: int) -> None:
        """Note when it was last used."""
        ...

    def revoke_key(self, tx: Transaction, key_id: str, at: int) -> None:
        """Revoke one; nothing happens when it was revoked before."""
        ...


class AttemptRows(Protocol):
    """**Protocol:** failed logins."""

    def get_attempts(self, tx: Transaction, key: bytes) -> Attempts | None:
        """Find what is known of an account or an address."""
        ...

    def put_attempts(self, tx: Transaction, attempts: Attempts) -> None:
        """Set it, replacing what was known before."""
        ...

    def forget_attempts(self, tx: Transaction, key: bytes) -> None:
        """Forget it."""
        ...

    def drop_attempts(self, tx: Transaction, before: int, limit: int) -> int:
        """Forget what is older than a moment, a bounded number, and tell how many."""
        ...

    def count_attempts(self, tx: Transaction, since: int) -> tuple[int, int]:
        """Count accounts and addresses with failures since a moment, and their failures."""
        ...


class ViewRows(Protocol):
    """**Protocol:** saved views. A tenant of None is one like any other: those who see all tenants.

    When a profile is deleted, its private views go with it; those that it shared stay.
    """

    def add_view(self, tx: Transaction, view: SavedView) -> None:
        """Keep a new one."""
        ...

    def get_view(self, tx: Transaction, view_id: str, *, tenant: str | None, profile_id: str) -> SeenView | None:
        """Find one by id; None also when this profile does not see it."""
        ...

    def list_views(
        self, tx: Transaction, *, tenant: str | None, profile_id: str, tab: Tab | None, limit: int, after: After
    ) -> Sequence[SeenView]:
        """List those that a profile sees: its own and those that are shared; a tab of None filters nothing."""
        ...

    def put_view(self, tx: Transaction, view: SavedView) -> None:
        """Replace what one is; nothing happens when there is no such view."""
        ...

    def drop_view(self, tx: Transaction, view_id: str) -> None:
        """Delete one, and whose default it is; nothing happens when there is no such view."""
        ...

    def find_view(self, tx: Transaction, made_by: str, name: str) -> str | None:
        """Find the id of the view that a profile keeps under a name, compared exactly."""
        ...

    def count_made_views(self, tx: Transaction, made_by: str) -> int:
        """Count the views that a profile has made."""
        ...

    def count_shared_views(self, tx: Transaction, tenant: str | None) -> int:
        """Count the views that the administrators of a tenant share."""
        ...

    def set_default(self, tx: Transaction, profile_id: str, view: SavedView) -> None:
        """Have a view's tab open with it for one profile, in the place of the view that it opened with before."""
        ...

    def clear_defaults(self, tx: Transaction, view_id: str, *, of: str | None = None, but: str | None = None) -> None:
        """Have no tab open with a view any more: for one profile (``of``), for all but one, or for all."""
        ...

    def clear_shared_default(self, tx: Transaction, tenant: str | None, tab: Tab) -> None:
        """Have a tab open with no shared view any more."""
        ...


class Turns(Protocol):
    """**Protocol:** decisions that are made one after another, in whichever process."""

    def take_turn(self, tx: Transaction, *about: str) -> None:
        """Wait until nobody else decides on any of these things, and keep others waiting until this commits.

        What a transaction reads after this is what the one before it has left behind.
        """
        ...


class IdentityStore(
    Store, Turns, ProfileRows, CredentialRows, SessionRows, ApiKeyRows, AttemptRows, ViewRows, Protocol
):
    """**Protocol:** all that the identity plane keeps, and the works that touch it."""
