"""Who may administer, and how far.

A *profile* says what a person or program may do; a *principal* is a profile that has just proven who it is, for the
length of one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from custodes.planes.identity.places import Tab

#: Issuer of accounts that this install keeps itself, and of subjects that the host app vouches for.
LOCAL = "local"
HOST = "host"


class Role(StrEnum):
    """What a profile may do, least first."""

    #: May sign in and see itself.
    MEMBER = "member"
    #: May read and act in every plane.
    ADMIN = "admin"
    #: May also say who else may: profiles, roles, API keys of others.
    OWNER = "owner"

    def covers(self, other: Role) -> bool:
        """Tell whether this role may do all that the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.MEMBER: 0, Role.ADMIN: 1, Role.OWNER: 2}


class State(StrEnum):
    """Whether a profile may sign in."""

    #: It may.
    ACTIVE = "active"
    #: It may not, by no method; kept for the trail.
    DISABLED = "disabled"


class Method(StrEnum):
    """How a principal has proven who it is."""

    #: Cookie of a local login.
    SESSION = "session"
    #: API key of a program.
    API_KEY = "api_key"
    #: Session token of Clerk.
    CLERK = "clerk"
    #: Token of another OIDC issuer.
    OIDC = "oidc"
    #: The host app vouched for it (mounted mode).
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A profile that has proven who it is, for one request."""

    #: Id of the row in ``user_profiles``.
    profile_id: str
    #: Name at its issuer: the user name of a local account, ``sub`` of a token.
    subject: str
    #: What it may do in this request: the role of the profile, or less when the API key holds less.
    role: Role
    #: The only tenant it may see; None for all.
    tenant: str | None
    #: How it has proven who it is.
    method: Method
    #: Who vouches for the subject: ``"local"``, ``"host"`` or the issuer's URL.
    issuer: str = LOCAL
    #: Id of the session or API key used; empty for tokens and for the host app.
    credential_id: str = ""
    #: Who really acts when an issuer lets one person act as another (``act.sub``); empty otherwise.
    impersonator: str = ""
    #: True when the password must be changed before anything else is allowed.
    must_change_password: bool = False

    @property
    def actor(self) -> str:
        """Name in the audit trail: ``user:<subject>``."""
        return f"user:{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A row of ``user_profiles``: who may administer (T7)."""

    #: UUIDv7.
    id: str
    #: The only tenant it may see; None for all.
    tenant: str | None
    #: Who vouches for the subject: ``"local"``, ``"host"`` or the issuer's URL.
    issuer: str
    #: Name at the issuer; unique there.
    subject: str
    #: E-mail address for people to read; never used to sign in.
    email: str
    #: Name for people to read.
    display_name: str
    #: What it may do.
    role: Role
    #: Whether it may sign in.
    state: State
    #: When it was made, microseconds.
    created_at: int
    #: When it last asked for something, microseconds, to five minutes; None when never.
    last_seen_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """The password of a local profile."""

    #: Whose.
    profile_id: str
    #: Its tenant, as the profile's.
    tenant: str | None
    #: Argon2id in PHC form; holds salt and parameters.
    password_hash: str
    #: True for a one-time password that somebody else has seen.
    must_change: bool
    #: When it was set, microseconds.
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A local login. The token itself is known to the browser only."""

    #: UUIDv7; names it in lists and in the audit trail.
    id: str
    #: Whose.
    profile_id: str
    #: Its tenant, as the profile's.
    tenant: str | None
    #: SHA-256 of the token.
    token_hash: bytes
    #: When it began, microseconds.
    created_at: int
    #: When it was last used, microseconds, to the minute.
    last_seen_at: int
    #: When it ends however much it is used, microseconds.
    expires_at: int
    #: When it was ended, microseconds; None while it lasts.
    revoked_at: int | None
    #: Client address of the login.
    ip: str
    #: User agent of the login, cut to 256 characters.
    user_agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What a program signs in with. The key itself is shown once, when it is made."""

    #: UUIDv7.
    id: str
    #: Who made it; it can never do more than that profile can at that moment.
    profile_id: str
    #: The only tenant it may see; None for all that its profile sees.
    tenant: str | None
    #: What it is for, as its maker says.
    name: str
    #: Its public beginning, to recognise it by: ``ck_0f3a…``.
    prefix: str
    #: SHA-256 of the whole key.
    key_hash: bytes
    #: The most it may do.
    role: Role
    #: When it was made, microseconds.
    created_at: int
    #: When it stops to work, microseconds; None for never.
    expires_at: int | None
    #: When it was last used, microseconds, to the minute; None when never.
    last_used_at: int | None
    #: When it was revoked, microseconds; None while it works.
    revoked_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Failed logins in a row, of one account or from one address."""

    #: SHA-256 of the account or the address: what was typed as a user name may be a password.
    key: bytes
    #: How many.
    failures: int
    #: When the last one was, microseconds.
    last_at: int
    #: No other attempt is looked at before this moment, microseconds.
    blocked_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A view of the dashboard that is kept under a name."""

    #: UUIDv7.
    id: str
    #: Whose administrators it is for; None for those of all tenants.
    tenant: str | None
    #: Id of the profile that made it; None when there is no such profile any more.
    made_by: str | None
    #: What it is called; unique among those of its maker.
    name: str
    #: Tab that it is of.
    tab: Tab
    #: Path and query below the dashboard.
    place: str
    #: False: only its maker sees it. True: every administrator with the same tenant does.
    shared: bool
    #: Whether its tab opens with it, for all who have chosen no view of their own for it.
    opens_tab: bool
    #: When it was made, microseconds.
    created_at: int
    #: When it was last changed, microseconds.
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenView:
    """A saved view as one profile sees it."""

    #: The view.
    view: SavedView
    #: Name of its maker, for people; empty when there is no such profile any more.
    maker: str
    #: Whether the profile has made it.
    mine: bool
    #: Whether its tab opens with it for the profile, by its own choice.
    my_default: bool
