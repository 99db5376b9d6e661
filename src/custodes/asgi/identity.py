"""Who calls, as the host says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from custodes.errors import InvalidInput
from custodes.kernel.caller import Identity
from custodes.kernel.redact import visible
from custodes.kernel.tenant import MAX_TENANT_LENGTH, valid_tenant

#: Longest user or API-key id that is kept, characters.
MAX_ID_LENGTH = 256

#: How a blank at the end of an id is written.
_BLANK = r"\x20"

#: Tells who calls, from the ASGI scope, before limits are decided and before the application runs. None: anonymous.
#: A plain function must not block; an async one is given up on after ``CUSTODES_HOOK_LIMIT_MS``.
Identify = Callable[[Any], Awaitable[Identity | None] | Identity | None]


def clean_id(value: object) -> str:
    """Make an id fit to be kept and seen: text, bounded; what cannot be printed is written as Python writes it.

    So are blanks at its ends, which nobody sees: with ``bob `` as he is, whoever types or pastes that means ``bob``.
    """
    if value is None:
        return ""
    text = visible(str(value)[:MAX_ID_LENGTH])
    if text[:1] == " " or text[-1:] == " ":
        bare = text.strip(" ")
        before = len(text) - len(text.lstrip(" ")) if bare else 0
        text = _BLANK * before + bare + _BLANK * (len(text) - before - len(bare))
    return text[:MAX_ID_LENGTH].rstrip(" ")


def clean_tenant(value: object) -> str | None:
    """Make a tenant id of what the host names, numbers and UUIDs too; None when it can be none."""
    if isinstance(value, str):
        text = str.__str__(value)  # of an enumeration of texts its value; str() gives the member's name
    else:
        text = str(value) if isinstance(value, (int, UUID)) and not isinstance(value, bool) else ""
    return text if valid_tenant(text) else None


def unacceptable(tenant: object) -> InvalidInput:
    """Say what is wrong with a tenant id, for the log."""
    shown = f" {visible(tenant[:MAX_TENANT_LENGTH])!r}" if isinstance(tenant, str) else ""
    msg = f"The host names a tenant{shown} ({type(tenant).__name__}) that is no tenant id"
    return InvalidInput(msg, remedy="1 to 64 of A-Z a-z 0-9 . _ : @ -, starting with a letter or digit")


def user_of(scope: Mapping[str, Any], session_key: str) -> str:
    """Read who the host's own middleware found, after the host has answered.

    Looks at ``scope["user"]`` (Starlette's authentication, Django Channels) and at ``scope["session"]``.

    Args:
        scope: the request's ASGI scope.
        session_key: key of the session that holds the user id; empty: the session is not read.
    """
    user = scope.get("user")
    if user is not None:
        return _name_of(user)
    session = scope.get("session") if session_key else None
    if isinstance(session, Mapping):
        return clean_id(session.get(session_key))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return ""


def _name_of(user: object) -> str:
    if isinstance(user, str):
        return clean_id(user)
    if not getattr(user, "is_authenticated", False):
        return ""
    for name in ("identity", "pk", "id", "username", "display_name"):
        try:
            value: object = getattr(user, name, None)
        except NotImplementedError:  # Starlette's BaseUser.identity, when a host has not defined it
            continue
        if value is not None and value != "":
            return clean_id(value)
    return ""
