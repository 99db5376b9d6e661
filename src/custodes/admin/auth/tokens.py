"""Tokens of Clerk and of OIDC issuers: verified by the issuer's published keys (RFC 7515, 7519, 8725).

What a token says is believed only after its signature holds. Before that it names two things: its issuer, which must be
one that is configured, and the id of a key, which must be one of that issuer's. Nothing in it is ever followed
(``jku``, ``x5u``) or used as a key (``jwk``, ``x5c``).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError

from custodes.admin.auth.fetch import HttpFetcher, check_url, discover
from custodes.admin.auth.jwks import ALGORITHMS, MAX_KID, Jwks
from custodes.errors import AuthenticationFailed, ConfigurationError, TokenExpired
from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.planes.identity.model import Method

#: Longest token that is looked at, characters: fits any server's header limit.
MAX_TOKEN = 8_192

#: How far the issuer's clock may be from ours.
LEEWAY = MINUTE

#: Kinds of token that may sign somebody in (header ``typ``, RFC 8725 §3.11); a token may also say none.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})

#: Largest NumericDate that is believed, seconds: the year 9999.
_MAX_DATE = 253_402_300_799

#: Longest subject, characters.
_MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """An issuer whose tokens are accepted."""

    #: Exactly what ``iss`` must say.
    url: str
    #: Clerk or OIDC.
    method: Method
    #: What ``aud`` must hold; empty: not asked for (Clerk's session tokens have none).
    audience: str = ""
    #: What ``azp`` must be one of; empty: the audience.
    authorized_parties: frozenset[str] = frozenset()
    #: Where the keys are; empty: found by OIDC discovery.
    jwks_url: str = ""


@dataclass(frozen=True, slots=True)
class Identification:
    """Whom a token stands for."""

    #: Who vouches.
    issuer: str
    #: For whom.
    subject: str
    #: Clerk or OIDC.
    method: Method
    #: Who really acts (``act.sub``); empty when nobody does.
    impersonator: str


def clerk_issuer(url: str, authorized_parties: Sequence[str]) -> Issuer:
    """Describe a Clerk instance by its frontend API URL.

    Raises:
        ConfigurationError: no authorized party is named, so tokens that any page of the instance got would let somebody
            in here.
    """
    if not authorized_parties:
        msg = "Nothing says which pages' tokens are accepted from Clerk"
        raise ConfigurationError(
            msg, remedy="Set CUSTODES_CLERK_AUTHORIZED_PARTIES to their origins, or CUSTODES_PUBLIC_URL"
        )
    url = url.rstrip("/")
    return Issuer(
        url=url,
        method=Method.CLERK,
        authorized_parties=frozenset(authorized_parties),
        jwks_url=f"{url}/.well-known/jwks.json",
    )


def oidc_issuer(url: str, audience: str, authorized_parties: Sequence[str] = ()) -> Issuer:
    """Describe an OIDC issuer; its keys are found by discovery.

    Raises:
        ConfigurationError: no audience is set, so tokens for any other program would let somebody in here.
    """
    if not audience:
        msg = f"No audience is set for the issuer {url}"
        raise ConfigurationError(msg, remedy="Set CUSTODES_OIDC_AUDIENCE to the client id or API identifier")
    return Issuer(url=url, method=Method.OIDC, audience=audience, authorized_parties=frozenset(authorized_parties))


class _Registry(jws.JWSRegistry):
    """Exactly our algorithms.

    ``EdDSA`` among them, without the warning that its name leaves the curve open (RFC 9864): our keys are bound to it.
    """

    max_header_length = 4_096

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            msg = "The algorithm is not accepted"
            raise UnsupportedAlgorithmError(msg)
        return self.algorithms[name]


# Header fields that nobody has registered are common (Clerk's "cat") and mean nothing to us.
_REGISTRY = _Registry(strict_check_header=False)


class TokenVerifier:
    """Verifies tokens of the configured issuers.

    Args:
        issuers: whose tokens are accepted.
        fetch: fetches their documents.
        clock: source of time.
    """

    def __init__(self, issuers: Sequence[Issuer], fetch: HttpFetcher, clock: Clock) -> None:
        self._clock = clock
        self._issuers = {issuer.url: (issuer, Jwks(_source(issuer, fetch), clock, issuer.url)) for issuer in issuers}

    def __bool__(self) -> bool:
        return bool(self._issuers)

    def accepts(self, method: Method) -> bool:
        """Tell whether an issuer of a kind is configured."""
        return any(issuer.method is method for issuer, _ in self._issuers.values())

    async def verify(self, token: str, *, nonce: str | None = None) -> Identification:
        """Verify a token.

        Args:
            token: the token.
            nonce: what its ``nonce`` must say, for an ID token that was asked for with one.

        Raises:
            AuthenticationFailed: it does not hold; never says more than which check failed.
            TokenExpired: it did hold, and its time is over.
        """
        header, claimed = _peek(token)
        algorithm, kid = _signature_of(header)
        known = self._issuers.get(claimed.get("iss", "")) if isinstance(claimed.get("iss"), str) else None
        if known is None:
            raise _refused("its issuer is not one of ours")
        issuer, jwks = known
        for candidate in await jwks.candidates(kid, algorithm):
            try:
                signed = jws.deserialize_compact(token, candidate.key, registry=_REGISTRY)
            except (JoseError, ValueError, TypeError):
                continue
            claims = _claims(signed.payload)
            if nonce is not None and claims.get("nonce") != nonce:
                raise _refused("it was made for another attempt")
            return self._accept(claims, issuer)
        raise _refused("no key of its issuer has signed it")

    def _accept(self, claims: Mapping[str, Any], issuer: Issuer) -> Identification:
        if claims.get("iss") != issuer.url:
            raise _refused("its issuer is not one of ours")
        expires = self._check_times(claims)
        _check_audience(claims, issuer)
        _check_party(claims, issuer)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _MAX_SUBJECT:
            raise _refused("it names nobody")
        # A logout token (OIDC back-channel logout 1.0 §2.4) is no login; a Clerk session may still wait for a task.
        if "events" in claims or claims.get("sts") == "pending":
            raise _refused("it is not for signing in")
        found = Identification(issuer.url, subject, issuer.method, _impersonator(claims))
        # Last: that it has expired is no news to the audit trail, as of one that would have held before.
        if self._clock.now() >= expires + LEEWAY:
            msg = "The token is refused: it has expired"
            raise TokenExpired(msg, remedy="Get a new one from its issuer: sign in again")
        return found

    def _check_times(self, claims: Mapping[str, Any]) -> int:
        """Return when it expires, which it may have done."""
        now = self._clock.now()
        expires, begins, issued = (_date(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise _refused("it does not say when it expires")
        if begins is not None and now < begins - LEEWAY:
            raise _refused("it is not valid yet")
        if issued is not None and now < issued - LEEWAY:
            raise _refused("it was issued in the future")
        if issued is not None and issued > expires:
            raise _refused("it expires before it was issued")
        return expires


def _source(issuer: Issuer, fetch: HttpFetcher) -> Any:
    async def fetch_keys() -> dict[str, Any]:
        found = issuer.jwks_url or str((await discover(issuer.url, fetch)).get("jwks_uri", ""))
        return await fetch(check_url(found, issuer=issuer.url))

    return fetch_keys


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read header and claims of a token that proves nothing yet."""
    parts = token.split(".") if len(token) <= MAX_TOKEN else []
    if len(parts) != 3:
        raise _refused("it is not a signed token")
    header, claims = _decode(parts[0]), _decode(parts[1])
    return header, claims


def _decode(part: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise _refused("it is malformed") from None
    return _claims(raw)


def _claims(raw: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise _refused("it is malformed") from None
    if not isinstance(found, dict):
        raise _refused("it is malformed")
    return cast("dict[str, Any]", found)


def _signature_of(header: Mapping[str, Any]) -> tuple[str, str | None]:
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused("its algorithm is not accepted")
    if not (kid is None or (isinstance(kid, str) and len(kid) <= MAX_KID)):
        raise _refused("its key id is malformed")
    if not (kind is None or (isinstance(kind, str) and kind.lower() in _TYPES)):
        raise _refused("it is not for signing in")
    if "crit" in header or "b64" in header:
        raise _refused("it asks for an extension")
    return algorithm, kid


def _date(claims: Mapping[str, Any], name: str) -> int | None:
    """Read a NumericDate (RFC 7519 §2) as microseconds."""
    value = claims.get(name)
    if value is None:
        return None
    # Written so that NaN fails the comparison, too.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MAX_DATE:
        raise _refused(f"its {name} is malformed")
    return int(value * SECOND)


def _check_audience(claims: Mapping[str, Any], issuer: Issuer) -> None:
    if not issuer.audience:
        return
    audience: object = claims.get("aud")
    named = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if issuer.audience not in named:
        raise _refused("it is for another audience")
    if len(named) > 1 and "azp" not in claims:
        raise _refused("it is for several audiences and does not say which party asked for it")


def _check_party(claims: Mapping[str, Any], issuer: Issuer) -> None:
    """Hold ``azp`` against who may ask for tokens (OIDC Core 1.0 §3.1.3.7; Clerk: the origin of the page)."""
    party: object = claims.get("azp")
    allowed = issuer.authorized_parties or ({issuer.audience} if issuer.audience else frozenset[str]())
    if party is None and not issuer.authorized_parties:
        return
    if not isinstance(party, str) or (allowed and party not in allowed):
        raise _refused("it was issued to another party")


def _impersonator(claims: Mapping[str, Any]) -> str:
    """Find who really acts (RFC 8693 §4.1)."""
    actor: object = claims.get("act")
    if actor is None:
        return ""
    name: object = cast("dict[str, object]", actor).get("sub") if isinstance(actor, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_SUBJECT:
        raise _refused("it does not say who acts")
    return name


def _refused(why: str) -> AuthenticationFailed:
    msg = f"The token is refused: {why}"
    return AuthenticationFailed(msg)
