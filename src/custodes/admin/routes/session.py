"""Signing in and out, and who one is."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from custodes.admin.dependencies import SignedIn
from custodes.planes.identity.model import Method, Principal, Role

router = APIRouter()


class Me(BaseModel):
    """Who the request comes from."""

    profile_id: str = Field(description="Id of the profile (UUIDv7)")
    subject: str = Field(description="Name at the issuer")
    issuer: str = Field(description="Who vouches for the subject: `local` or a URL")
    role: Role = Field(description="What it may do")
    tenant: str | None = Field(description="The only tenant it may see; null for all")
    method: Method = Field(description="How it has proven who it is")
    must_change_password: bool = Field(description="Whether the password must be changed before anything else")

    @classmethod
    def of(cls, principal: Principal) -> Me:
        """Tell a principal."""
        return cls.model_validate(principal, from_attributes=True)


@router.get("/me")
async def me(principal: SignedIn) -> Me:
    """Tell who you are."""
    return Me.of(principal)
