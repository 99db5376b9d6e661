"""Signing in to the admin API in a test, for real."""

from __future__ import annotations

from custodes.app import Custodes
from custodes.planes.identity.model import HOST, Method, Principal, Role


async def key_for(custodes: Custodes, role: Role | str = Role.ADMIN, tenant: str | None = None) -> dict[str, str]:
    """Make a profile with a role and an API key of it; return the headers to send.

    Args:
        custodes: an open install.
        role: what it may do.
        tenant: the only tenant it may see; None for all.
    """
    role = Role(role)
    made = await custodes.identity.profiles.create(
        f"test-{custodes.new_id()}", role=role, issuer=HOST, tenant=tenant, display_name=f"Test {role}"
    )
    principal = Principal(
        profile_id=made.profile.id, subject=made.profile.subject, role=role, tenant=tenant, method=Method.HOST
    )
    key = await custodes.identity.keys.create("test", owner=principal)
    return {"X-API-Key": key.secret}
