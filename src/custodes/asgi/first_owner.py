"""The one-time login of a first start: how the first person gets in, when nobody else can vouch for them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from custodes.app import Custodes


def signs_in_elsewhere(custodes: Custodes) -> bool:
    """Tell whether somebody outside vouches for people: an OIDC issuer, Clerk, or the host app itself."""
    settings = custodes.settings
    return bool(settings.oidc_issuers or settings.clerk_issuer or custodes.admin_auth)


async def announce_owner(custodes: Custodes, stream: TextIO | None = None) -> bool:
    """Make the first owner and print the one-time login, when there is no owner and nobody signs in elsewhere.

    Printed by one of several processes, once in the life of an install. It goes to the stream and never through
    logging: log lines are kept and shipped, a password must not be.

    Args:
        custodes: an open install.
        stream: where to print; default: standard error.

    Returns:
        Whether a login was printed.

    Raises:
        StorageUnavailable: the store cannot take it now.
    """
    if signs_in_elsewhere(custodes):
        return False
    password = await custodes.identity.ensure_owner()
    if password is None:
        return False
    out = stream or sys.stderr
    out.write(
        "Custodes: first start, an owner account was made.\n"
        "  user      owner\n"
        f"  password  {password}\n"
        "  It opens nothing until you have chosen your own with it. Lost it? custodes user reset-password owner\n"
    )
    out.flush()
    return True
