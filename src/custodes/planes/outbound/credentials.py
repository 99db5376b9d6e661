"""How we prove to an endpoint who we are, beside the signature."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote_plus, urlencode

from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND, Clock
from custodes.planes.outbound.addresses import checked_url
from custodes.planes.outbound.model import AuthKind
from custodes.runtime.outgoing.client import Limits, OutgoingClient, tls_context
from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed
from custodes.runtime.outgoing.timing import Timing

#: What each kind takes, all required unless a default stands there.
FIELDS: Mapping[AuthKind, Mapping[str, str | None]] = {
    AuthKind.NONE: {},
    AuthKind.BASIC: {"username": None, "password": None},
    AuthKind.BEARER: {"token": None},
    AuthKind.OAUTH2: {"token_url": None, "client_id": None, "client_secret": None, "scope": "", "audience": ""},
    AuthKind.MTLS: {"certificate": None, "private_key": None},
}

#: Longest value, characters: a chain of certificates.
MAX_VALUE = 20_000

#: A token is fetched anew so long before it ends; and lives so long when its answer does not say, microseconds.
_EARLY = 30 * SECOND
_LIFE = 300 * SECOND

#: Tokens and TLS contexts that are remembered.
_MAX_REMEMBERED = 200

#: Time and space for fetching a token.
TOKEN_LIMITS = Limits(total_seconds=10, answer_bytes=65_536)

#: What a token URL may say was wrong (RFC 6749 §5.2). Other words of it are not repeated: they may hold the secret.
_TOKEN_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is added to one request."""

    #: Headers.
    headers: Mapping[str, str]
    #: TLS context with a client certificate; None: the usual one.
    trust: ssl.SSLContext | None = None


NOTHING = Credentials({})


def checked_auth(kind: AuthKind, values: Mapping[str, str], *, allow_http: bool = False) -> dict[str, str]:
    """Check what a kind of authentication takes; returns it complete.

    Raises:
        InvalidInput: something is missing, too long or unknown, the token URL is none, or the certificate and its key
            do not belong together.
    """
    wanted = FIELDS[kind]
    unknown = sorted(set(values) - set(wanted))
    missing = sorted(name for name, default in wanted.items() if default is None and not values.get(name))
    if unknown or missing:
        msg = f"Authentication of kind {kind} takes {', '.join(wanted) or 'nothing'}"
        raise InvalidInput(
            msg, remedy=f"Missing: {', '.join(missing) or '-'}; unknown: {', '.join(unknown)[:100] or '-'}"
        )
    kept = {name: values.get(name) or default or "" for name, default in wanted.items()}
    if any(len(value) > MAX_VALUE for value in kept.values()):
        msg = "A value of the authentication is too long"
        raise InvalidInput(msg, remedy=f"Give at most {MAX_VALUE} characters")
    if kind is not AuthKind.MTLS and any(not value.isprintable() or not value.isascii() for value in kept.values()):
        msg = "A value of the authentication has characters that no header can have"
        raise InvalidInput(msg, remedy="Use printable ASCII")
    if kind is AuthKind.BASIC and ":" in kept["username"]:
        msg = "A user name of basic authentication has no colon"
        raise InvalidInput(msg, remedy="RFC 7617 §2")
    if kind is AuthKind.OAUTH2:
        checked_url(kept["token_url"], allow_http=allow_http, name="The token URL")
    if kind is AuthKind.MTLS:
        _client_context(kept)
    return kept


class Authenticator:
    """Makes credentials; remembers tokens until they end, and TLS contexts."""

    def __init__(self, client: OutgoingClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[str]] = {}

    async def credentials(self, kind: AuthKind, secret_id: str, sealed: bytes) -> Credentials:
        """Make what a request carries.

        Args:
            kind: which.
            secret_id: what tokens and contexts are remembered by: new secrets have new ids.
            sealed: the opened secret, JSON.

        Raises:
            OutgoingFailed: a token cannot be had.
        """
        values = cast("dict[str, str]", json.loads(sealed))
        match kind:
            case AuthKind.BASIC:
                plain = f"{values['username']}:{values['password']}".encode()
                return Credentials({"authorization": f"Basic {base64.b64encode(plain).decode('ascii')}"})
            case AuthKind.BEARER:
                return Credentials({"authorization": f"Bearer {values['token']}"})
            case AuthKind.OAUTH2:
                return Credentials({"authorization": f"Bearer {await self._token(secret_id, values)}"})
            case AuthKind.MTLS:
                return Credentials({}, self._context(secret_id, values))
            case AuthKind.NONE:
                return NOTHING

    def forget(self, secret_id: str) -> None:
        """Fetch a new token next time: the receiver did not take this one."""
        self._tokens.pop(secret_id, None)

    async def _token(self, secret_id: str, values: Mapping[str, str]) -> str:
        token, until = self._tokens.get(secret_id, ("", 0))
        if until > self._clock.now():
            return token
        # One fetch for all who wait, and one failure for all: where none can be had, nobody waits twice.
        fetching = self._fetching.get(secret_id)
        if fetching is None:
            fetching = self._fetching[secret_id] = asyncio.create_task(self._fetch_and_remember(secret_id, values))
            fetching.add_done_callback(lambda task: self._fetched(secret_id, task))
        return await asyncio.shield(fetching)

    async def _fetch_and_remember(self, secret_id: str, values: Mapping[str, str]) -> str:
        now = self._clock.now()
        token, life = await self._fetch(values)
        _remember(self._tokens, secret_id, (token, now + max(life - _EARLY, SECOND)))
        return token

    def _fetched(self, secret_id: str, task: asyncio.Task[str]) -> None:
        self._fetching.pop(secret_id, None)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits for it any more

    async def _fetch(self, values: Mapping[str, str]) -> tuple[str, int]:
        """Fetch a token (RFC 6749 §4.4.2); the client proves itself by basic authentication (§2.3.1)."""
        form = {"grant_type": "client_credentials"} | {
            name: values[name] for name in ("scope", "audience") if values.get(name)
        }
        plain = f"{quote_plus(values['client_id'])}:{quote_plus(values['client_secret'])}".encode()
        headers = {
            "authorization": f"Basic {base64.b64encode(plain).decode('ascii')}",
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }
        try:
            answer = await self._client.request(
                "POST", values["token_url"], headers=headers, body=urlencode(form).encode(), limits=TOKEN_LIMITS
            )
        except OutgoingFailed as failure:
            raise _no_token(f"{failure.kind}: {failure.message}", failure.timing) from None
        found = _json_object(answer.body)
        if answer.status != 200:
            known = [error for error in _TOKEN_ERRORS if error == found.get("error")]
            raise _no_token(" ".join([f"it answered {answer.status}", *known]), answer.timing)
        token, life = found.get("access_token"), found.get("expires_in", _LIFE // SECOND)
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and 0 < len(token) <= MAX_VALUE):
            raise _no_token("there is no access_token in its answer", answer.timing)
        try:
            return token, int(float(life)) * SECOND
        except (ValueError, TypeError, OverflowError):
            raise _no_token("expires_in of its answer is no number of seconds", answer.timing) from None

    def _context(self, secret_id: str, values: Mapping[str, str]) -> ssl.SSLContext:
        known = self._contexts.get(secret_id)
        if known is None:
            known = _client_context(values)
            _remember(self._contexts, secret_id, known)
        return known


def _client_context(values: Mapping[str, str]) -> ssl.SSLContext:
    context = tls_context()
    # The standard library reads certificates from files only; this one is readable by us alone and gone at once.
    descriptor, path = tempfile.mkstemp(prefix="custodes-", suffix=".pem")
    try:
        os.write(descriptor, f"{values['private_key']}\n{values['certificate']}\n".encode())
        context.load_cert_chain(path, password=lambda: b"")  # never ask a terminal for a passphrase
    except (ssl.SSLError, ValueError, OSError):
        msg = "The certificate and its private key cannot be used"
        raise InvalidInput(msg, remedy="Give PEM texts that belong together, the key without a passphrase") from None
    finally:
        os.close(descriptor)
        os.unlink(path)  # noqa: PTH108
    return context


def _no_token(why: str, timing: Timing) -> OutgoingFailed:
    """Say that it is the token that could not be had, and not the endpoint that failed."""
    return OutgoingFailed(f"no token could be had from the token URL: {why}", FailureKind.CREDENTIALS, timing)


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _remember(known: OrderedDict[str, Any], key: str, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MAX_REMEMBERED:
        known.popitem(last=False)
