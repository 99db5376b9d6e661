"""The gate: who is asking?"""

from __future__ import annotations

from fastapi import Request

from custodes.errors import AuthenticationFailed
from custodes.planes.identity.model import Principal


async def authenticate(request: Request) -> Principal:
    """Find out who sends a request; a profile is looked up every time, nothing is remembered.

    Raises:
        AuthenticationFailed: no credentials, or none that hold.
    """
    del request
    msg = "No credentials that hold"
    raise AuthenticationFailed(msg, remedy="Send a session cookie, an API key or a token of a configured issuer")
