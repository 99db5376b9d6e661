"""Tenants: who the data belongs to."""

from __future__ import annotations

import re

from custodes.errors import InvalidInput

#: The tenant of an install that has only one, and of everything that names none.
DEFAULT_TENANT = "default"

#: Stands for all tenants together; no tenant can be called so.
EVERY_TENANT = "*"

#: Takes what a host names that cannot be a tenant id: a tenant of its own, for nothing of it may be told as another's.
UNACCEPTABLE_TENANT = "unacceptable-tenant-id"

#: Longest tenant id, characters: it is an index prefix of every table.
MAX_TENANT_LENGTH = 64

#: What a tenant id looks like, as a regular expression.
TENANT = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$"

_TENANT = re.compile(TENANT)


def valid_tenant(text: str) -> bool:
    """Tell whether a text may be a tenant id: 1–64 of ``A-Z a-z 0-9 . _ : @ -``, starting with a letter or digit."""
    return _TENANT.fullmatch(text) is not None


def check_tenant(text: str, what: str = "The tenant") -> None:
    """Make sure that a text is a tenant id.

    Args:
        text: the text.
        what: what it is called in the error.

    Raises:
        InvalidInput: it is none.
    """
    if not valid_tenant(text):
        msg = f"{what} is not a tenant id"
        raise InvalidInput(msg, remedy="1 to 64 of A-Z a-z 0-9 . _ : @ -, starting with a letter or digit")
