"""Who may administer: profiles, API keys, sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, Owner, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Body, Identifier, Moment, Reason
from custodes.admin.paging import PageModel, PageQuery
from custodes.errors import NotFound, PermissionDenied
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.planes.audit.model import Reference
from custodes.planes.identity.api_keys import MAX_DAYS, NewApiKey
from custodes.planes.identity.api_keys import MAX_NAME as MAX_KEY_NAME
from custodes.planes.identity.model import LOCAL, ApiKey, Method, Principal, Profile, Role, Session, State
from custodes.planes.identity.profiles import MAX_EMAIL, MAX_NAME, MAX_SUBJECT

router = APIRouter()

_TenantField = Annotated[str | None, Field(default=None, max_length=64, description="The only tenant; null for all")]


class ProfileModel(BaseModel):
    """Somebody who may administer."""

    id: str = Field(description="UUIDv7")
    tenant: str | None = Field(description="The only tenant it may see; null for all")
    issuer: str = Field(description="Who vouches for the subject: `local`, `host` or a URL")
    subject: str = Field(description="User name of a local account, or `sub` at the issuer")
    email: str = Field(description="For people to read")
    display_name: str = Field(description="For people to read")
    role: Role = Field(description="What it may do")
    state: State = Field(description="Whether it may sign in")
    created_at: Moment = Field(description="When it was made")
    last_seen_at: Moment | None = Field(description="When it last asked for something, to five minutes; null: never")

    @classmethod
    def of(cls, profile: Profile) -> ProfileModel:
        """Tell a profile."""
        return cls.model_validate(profile, from_attributes=True)


class NewProfileBody(Body):
    """A profile to make."""

    subject: str = Field(min_length=1, max_length=MAX_SUBJECT, description="User name, or `sub` at the issuer")
    role: Role = Field(description="What it may do; at most what you may")
    issuer: str = Field(
        default=LOCAL, min_length=1, max_length=MAX_SUBJECT, description="`local`, `host` or `iss` of the tokens"
    )
    email: str = Field(default="", max_length=MAX_EMAIL, description="For people to read")
    display_name: str = Field(default="", max_length=MAX_NAME, description="For people to read")
    tenant: _TenantField


class NewProfileModel(ProfileModel):
    """A profile that was just made."""

    one_time_password: str | None = Field(
        default=None, description="First password of a local account; shown once, must be changed at the first login"
    )


class RoleBody(Body):
    """A change of role."""

    role: Role = Field(description="What it shall be allowed to do")


class OneTimePassword(BaseModel):
    """A password to hand over."""

    one_time_password: str = Field(description="Shown once; must be changed at the next login")


class ApiKeyModel(BaseModel):
    """An API key, without the key."""

    id: str = Field(description="UUIDv7")
    profile_id: str = Field(description="Who made it")
    tenant: str | None = Field(description="The only tenant it may see; null for all that its maker sees")
    name: str = Field(description="What it is for")
    prefix: str = Field(description="Its beginning, to recognise it by")
    role: Role = Field(description="The most it may do; never more than its maker may")
    created_at: Moment = Field(description="When it was made")
    expires_at: Moment | None = Field(description="When it stops to work; null: never")
    last_used_at: Moment | None = Field(description="When it was last used, to the minute; null: never")
    revoked_at: Moment | None = Field(description="When it was revoked; null while it works")

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyModel:
        """Tell a key."""
        return cls.model_validate(key, from_attributes=True)


class NewApiKeyBody(Body):
    """An API key to make."""

    name: str = Field(min_length=1, max_length=MAX_KEY_NAME, description="What it is for")
    role: Role | None = Field(default=None, description="The most it may do; default and at most your own role")
    tenant: _TenantField
    days: int | None = Field(default=90, ge=1, le=MAX_DAYS, description="Until it stops to work; null: never")


class NewApiKeyModel(ApiKeyModel):
    """An API key that was just made."""

    key: str = Field(description="The key itself; shown once")

    @classmethod
    def made(cls, new: NewApiKey) -> NewApiKeyModel:
        """Tell a new key."""
        return cls(**ApiKeyModel.of(new.key).__dict__, key=new.secret)


class SessionModel(BaseModel):
    """A local login."""

    id: str = Field(description="UUIDv7")
    profile_id: str = Field(description="Whose")
    tenant: str | None = Field(description="The only tenant its profile may see; null for all")
    created_at: Moment = Field(description="When it began")
    last_seen_at: Moment = Field(description="When it was last used, to the minute")
    expires_at: Moment = Field(description="When it ends at the latest")
    revoked_at: Moment | None = Field(description="When it was ended; null while it was not")
    ip: str = Field(description="Client address of the login")
    user_agent: str = Field(description="User agent of the login")

    @classmethod
    def of(cls, session: Session) -> SessionModel:
        """Tell a session."""
        return cls.model_validate(session, from_attributes=True)


RoleFilter = Annotated[Role | None, Query(description="Only this role")]
StateFilter = Annotated[State | None, Query(description="Only this state")]

_PROFILES = Export("user-profiles", ProfileModel, ProfileModel.of)


# ── Profiles ─────────────────────────────────────────────────────────────────


@router.get("/user-profiles")
async def list_profiles(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    role: RoleFilter = None,
    state: StateFilter = None,
) -> PageModel[ProfileModel]:
    """List who may administer, newest first."""
    found = await custodes.identity.profiles.list_profiles(
        tenant=tenant, role=role, state=state, limit=page.limit, cursor=page.cursor
    )
    return PageModel[ProfileModel].of(found, ProfileModel.of)


@router.get("/user-profiles/export", **STREAMED)
async def export_profiles(
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    wanted: ExportQuery,
    role: RoleFilter = None,
    state: StateFilter = None,
) -> StreamingResponse:
    """Stream who may administer, newest first."""
    rows = walk(
        lambda cursor: custodes.identity.profiles.list_profiles(
            tenant=tenant, role=role, state=state, limit=MAX_LIMIT, cursor=cursor
        )
    )
    return await _PROFILES.stream(trail, wanted, rows, asked={"role": role, "state": state}, tenant=tenant)


@router.get("/user-profiles/{profile_id}")
async def get_profile(profile_id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> ProfileModel:
    """Return one profile."""
    return ProfileModel.of(await custodes.identity.profiles.get(profile_id, tenant=tenant))


@router.post("/user-profiles", status_code=201)
async def create_profile(body: NewProfileBody, custodes: CustodesDep, owner: Owner, trail: Trail) -> NewProfileModel:
    """Let somebody administer (owners only)."""
    profile_id = custodes.new_id()
    entry = trail.entry(
        "user_profile.created",
        target=Reference("user_profile", profile_id, body.subject),
        context={"role": body.role.value, "issuer": body.issuer},
        tenant=body.tenant,
    )
    made = await custodes.identity.profiles.create(**dict(body), by=owner, profile_id=profile_id, also=entry)
    return NewProfileModel(**ProfileModel.of(made.profile).__dict__, one_time_password=made.one_time_password)


@router.put("/user-profiles/{profile_id}/role")
async def set_role(
    profile_id: Identifier, body: RoleBody, custodes: CustodesDep, owner: Owner, trail: Trail, reason: Reason = ""
) -> ProfileModel:
    """Change what somebody may do, from their next request on (owners only)."""
    before = await custodes.identity.profiles.get(profile_id, tenant=owner.tenant)
    entry = trail.entry(
        "role.changed",
        target=_named(before),
        changes=[("role", before.role.value, body.role.value)],
        reason=reason,
        tenant=before.tenant,
    )
    return ProfileModel.of(await custodes.identity.profiles.set_role(profile_id, body.role, by=owner, also=entry))


@router.post("/user-profiles/{profile_id}/disable")
async def disable_profile(
    profile_id: Identifier, custodes: CustodesDep, owner: Owner, trail: Trail, reason: Reason = ""
) -> ProfileModel:
    """Keep somebody out, from their next request on, and end their sessions (owners only)."""
    return await _set_state(profile_id, State.DISABLED, "user.disabled", custodes, owner, trail, reason)


@router.post("/user-profiles/{profile_id}/enable")
async def enable_profile(
    profile_id: Identifier, custodes: CustodesDep, owner: Owner, trail: Trail, reason: Reason = ""
) -> ProfileModel:
    """Let somebody in again (owners only)."""
    return await _set_state(profile_id, State.ACTIVE, "user.enabled", custodes, owner, trail, reason)


async def _set_state(
    profile_id: str, state: State, action: str, custodes: CustodesDep, owner: Principal, trail: Trail, reason: str
) -> ProfileModel:
    profile = await custodes.identity.profiles.get(profile_id, tenant=owner.tenant)
    entry = trail.entry(action, target=_named(profile), reason=reason, tenant=profile.tenant)
    return ProfileModel.of(await custodes.identity.profiles.set_state(profile_id, state, by=owner, also=entry))


@router.post("/user-profiles/{profile_id}/reset-password")
async def reset_password(
    profile_id: Identifier, custodes: CustodesDep, owner: Owner, trail: Trail, reason: Reason = ""
) -> OneTimePassword:
    """Give a local account a new one-time password and end its sessions (owners only)."""
    profile = await custodes.identity.profiles.get(profile_id, tenant=owner.tenant)
    entry = trail.entry("auth.password_reset", target=_named(profile), reason=reason, tenant=profile.tenant)
    password = await custodes.identity.profiles.reset_password(profile_id, by=owner, also=entry)
    return OneTimePassword(one_time_password=password)


# ── API keys ─────────────────────────────────────────────────────────────────


@router.get("/api-keys")
async def list_api_keys(
    custodes: CustodesDep, admin: Admin, tenant: TenantScope, page: PageQuery
) -> PageModel[ApiKeyModel]:
    """List API keys, newest first: an owner sees all, an admin their own."""
    found = await custodes.identity.keys.list_keys(
        tenant=tenant, profile_id=_own(admin), limit=page.limit, cursor=page.cursor
    )
    return PageModel[ApiKeyModel].of(found, ApiKeyModel.of)


@router.post("/api-keys", status_code=201)
async def create_api_key(body: NewApiKeyBody, custodes: CustodesDep, admin: Admin, trail: Trail) -> NewApiKeyModel:
    """Make an API key: it can do no more than you can."""
    if admin.method is Method.API_KEY:
        msg = "An API key cannot make another"
        raise PermissionDenied(msg, remedy="Sign in as a person to make API keys")
    key_id = custodes.new_id()
    entry = trail.entry("api_key.created", target=Reference("api_key", key_id, body.name), tenant=body.tenant)
    made = await custodes.identity.keys.create(
        body.name, owner=admin, role=body.role, tenant=body.tenant, days=body.days, key_id=key_id, also=entry
    )
    return NewApiKeyModel.made(made)


@router.delete("/api-keys/{key_id}", status_code=204, response_model=None)
async def revoke_api_key(
    key_id: Identifier, custodes: CustodesDep, admin: Admin, trail: Trail, reason: Reason = ""
) -> None:
    """Revoke an API key, from its next request on: an owner any, an admin their own."""
    key = await custodes.identity.keys.get(key_id, tenant=admin.tenant, profile_id=_own(admin))
    target = Reference("api_key", key_id, key.name)
    entry = trail.entry("api_key.revoked", target=target, reason=reason, tenant=key.tenant)
    await custodes.identity.keys.revoke(key_id, tenant=admin.tenant, profile_id=_own(admin), also=entry)


# ── Sessions ─────────────────────────────────────────────────────────────────


@router.get("/sessions")
async def list_sessions(
    custodes: CustodesDep, admin: Admin, tenant: TenantScope, page: PageQuery
) -> PageModel[SessionModel]:
    """List local logins, newest first: an owner sees all, an admin their own."""
    found = await custodes.identity.sessions.list_sessions(
        tenant=tenant, profile_id=_own(admin), limit=page.limit, cursor=page.cursor
    )
    return PageModel[SessionModel].of(found, SessionModel.of)


@router.delete("/sessions/{session_id}", status_code=204, response_model=None)
async def end_session(session_id: Identifier, custodes: CustodesDep, admin: Admin, trail: Trail) -> None:
    """End a session: an owner any, an admin their own."""
    session = await custodes.identity.sessions.get(session_id, tenant=admin.tenant)
    if _own(admin) not in (None, session.profile_id):
        msg = "No such session"
        raise NotFound(msg)
    entry = trail.entry("auth.session_revoked", target=f"admin_session:{session_id}", tenant=session.tenant)
    await custodes.identity.sessions.end(session_id, tenant=admin.tenant, also=entry)


def _named(profile: Profile) -> Reference:
    return Reference("user_profile", profile.id, profile.subject)


def _own(principal: Principal) -> str | None:
    """Limit somebody who is not an owner to what is theirs."""
    return None if principal.role.covers(Role.OWNER) else principal.profile_id
