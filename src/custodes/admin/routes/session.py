"""Signing in and out, one's own password, and who one is."""

from __future__ import annotations

from typing import Annotated, TypedDict

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, SecretStr

from custodes.admin.auth.cookies import SESSION_COOKIE, can_keep_cookies, clear_session, set_session
from custodes.admin.auth.csrf import check_origin
from custodes.admin.dependencies import AuditTrail, CustodesDep, SignedIn, Trail
from custodes.admin.fields import Body, Moment
from custodes.admin.problems import trace_of
from custodes.app import Custodes
from custodes.errors import Conflict, PermissionDenied
from custodes.planes.audit.model import ACTOR_ISSUER
from custodes.planes.identity.logins import AlsoOf, Login
from custodes.planes.identity.model import Method, Principal, Profile, Role
from custodes.planes.identity.passwords import MAX_LENGTH
from custodes.planes.identity.profiles import MAX_SUBJECT
from custodes.planes.identity.sessions import Client
from custodes.planes.identity.tokens import csrf_token
from custodes.runtime.transactions import Work

router = APIRouter()

_Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_LENGTH)]


class Credentials(Body):
    """A local login."""

    username: str = Field(min_length=1, max_length=MAX_SUBJECT, description="User name of a local account")
    password: _Password = Field(description="Its password")


class NewPassword(Body):
    """A change of one's own password."""

    current: _Password = Field(description="The password as it is")
    new: _Password = Field(description="The password as it shall be: at least 12 characters")


class Me(BaseModel):
    """Who the request comes from."""

    profile_id: str = Field(description="Id of the profile (UUIDv7)")
    subject: str = Field(description="Name at the issuer")
    issuer: str = Field(description="Who vouches for the subject: `local`, `host` or a URL")
    role: Role = Field(description="What it may do")
    tenant: str | None = Field(description="The only tenant it may see; null for all")
    method: Method = Field(description="How it has proven who it is")
    must_change_password: bool = Field(description="Whether the password must be changed before anything else")
    tenant_time_zone: str = Field(
        description="Time zone of its tenant, or of the default tenant for who sees all; empty: none is set"
    )
    recording_since: Moment | None = Field(
        description="When the first call of this install was recorded, as finely as that is kept; null: none was yet"
    )
    may: list[str] = Field(description="Operations of this API that the role may call, by their ids, sorted")
    csrf_token: str | None = Field(
        default=None, description="Send as `X-CSRF-Token` with requests that change something; null without a session"
    )

    @classmethod
    async def of(cls, principal: Principal, request: Request, csrf: str | None = None) -> Me:
        """Tell a principal."""
        told = {name: getattr(principal, name) for name in _PRINCIPAL}
        return cls(**told, **await _around(request, principal), csrf_token=csrf)

    @classmethod
    async def signed_in(cls, login: Login, request: Request) -> Me:
        """Tell who has just signed in."""
        profile = login.profile
        return cls(
            profile_id=profile.id,
            subject=profile.subject,
            issuer=profile.issuer,
            role=profile.role,
            tenant=profile.tenant,
            method=Method.SESSION,
            must_change_password=login.must_change_password,
            **await _around(request, profile),
            csrf_token=csrf_token(login.opened.token),
        )


#: Fields of a principal that are told.
_PRINCIPAL = ("profile_id", "subject", "issuer", "role", "tenant", "method", "must_change_password")


class _Around(TypedDict):
    may: list[str]
    tenant_time_zone: str
    recording_since: Moment | None


async def _around(request: Request, who: Principal | Profile) -> _Around:
    """What follows for somebody from this API and from the settings."""
    required: dict[str, str] = request.app.state.required_roles
    refused: frozenset[str] = frozenset() if who.tenant is None else request.app.state.whole_install
    custodes: Custodes = request.app.state.custodes
    return {
        "may": sorted(
            name
            for name, least in required.items()
            if name not in refused and (least == "none" or who.role.covers(Role(least)))
        ),
        "tenant_time_zone": custodes.settings.time_zone_of(who.tenant),
        "recording_since": await custodes.traffic.get_recording_since(),
    }


@router.post("/login", openapi_extra={"security": []})
async def login(body: Credentials, request: Request, response: Response, custodes: CustodesDep) -> Me:
    """Sign in to a local account: sets the session cookie."""
    done = await sign_in(request, custodes, body.username, body.password.get_secret_value())
    set_session(response, done.opened.token, seconds=custodes.settings.session_hours * 3600)
    return await Me.signed_in(done, request)


@router.post("/logout", status_code=204, response_model=None)
async def logout(response: Response, custodes: CustodesDep, principal: SignedIn, trail: Trail) -> None:
    """End the session."""
    if principal.method is not Method.SESSION:
        msg = "There is no session to end"
        raise Conflict(msg, remedy="Revoke an API key under api-keys; sign out of another issuer there")
    await custodes.identity.sessions.end(
        principal.credential_id,
        also=trail.entry("auth.logout", target=f"admin_session:{principal.credential_id}"),
    )
    clear_session(response)


@router.get("/me")
async def me(request: Request, principal: SignedIn) -> Me:
    """Tell who you are."""
    token = request.cookies.get(SESSION_COOKIE)
    return await Me.of(principal, request, csrf_token(token) if token and principal.method is Method.SESSION else None)


@router.post("/password")
async def change_password(
    body: NewPassword, request: Request, response: Response, custodes: CustodesDep, principal: SignedIn, trail: Trail
) -> Me:
    """Change your own password: all your sessions end, and this one goes on with a new cookie."""
    done = await set_password(
        request, custodes, principal, trail, body.current.get_secret_value(), body.new.get_secret_value()
    )
    set_session(response, done.opened.token, seconds=custodes.settings.session_hours * 3600)
    return await Me.signed_in(done, request)


# ── Shared with the pages ────────────────────────────────────────────────────


async def sign_in(request: Request, custodes: Custodes, username: str, password: str) -> Login:
    """Sign in, from our own page or from a program, over a connection whose cookies are kept.

    Raises:
        PermissionDenied: the request comes from another site, or over plain http from afar.
        TooManyAttempts: wait first.
        AuthenticationFailed: user name or password is wrong.
    """
    check_origin(request, custodes.settings.public_url)
    if not can_keep_cookies(request, custodes.settings.public_url):
        msg = "Signing in needs https, or an address of this machine"
        public = custodes.settings.public_url
        there = (
            f"Open the dashboard at {public}" if public else "Put TLS in front and set CUSTODES_PUBLIC_URL=https://…"
        )
        raise PermissionDenied(msg, remedy=there)
    client = client_of(request)
    entry = login_entry(request, custodes, client, Method.SESSION)
    return await custodes.identity.logins.sign_in(username, password, client, trace_id=trace_of(request), also=entry)


def login_entry(request: Request, custodes: Custodes, client: Client, method: Method) -> AlsoOf:
    """Prepare the audit entry of a login; ``method``: how somebody has proven who it is."""

    def entry(profile: Profile) -> Work:
        return custodes.audit.admin_entry(
            "auth.login",
            actor=f"user:{profile.subject}",
            target=f"user_profile:{profile.id}",
            context={"method": method.value, ACTOR_ISSUER: profile.issuer, "user_agent": client.user_agent},
            trace_id=trace_of(request),
            tenant=profile.tenant,
            ip=client.ip,
        )

    return entry


async def set_password(
    request: Request, custodes: Custodes, principal: Principal, trail: AuditTrail, current: str, new: str
) -> Login:
    """Change one's own password.

    Raises:
        PermissionDenied: not from a session.
    """
    if principal.method is not Method.SESSION:
        msg = "A password is changed from a session"
        raise PermissionDenied(msg, remedy="Sign in with the password first")
    return await custodes.identity.logins.change_password(
        principal.profile_id,
        current,
        new,
        client_of(request),
        also=trail.entry("auth.password_changed", target=f"user_profile:{principal.profile_id}"),
    )


def client_of(request: Request) -> Client:
    """Tell where a request comes from."""
    return Client(str(getattr(request.state, "client_ip", "")), request.headers.get("user-agent", ""))
