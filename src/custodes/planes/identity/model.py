"""Who may administer, and how far.

A *profile* says what a person or program may do; a *principal* is a profile that has just proven who it is, for the
length of one request.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


class Method(StrEnum):
    """How a principal has proven who it is."""

    #: Cookie of a local login; the only one that needs protection against CSRF.
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
    #: Who vouches for the subject: ``"local"`` or the issuer's URL.
    issuer: str = "local"
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
