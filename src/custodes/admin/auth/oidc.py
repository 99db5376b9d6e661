"""Signing in at an OIDC issuer: the authorization-code flow, with PKCE, ``state`` and ``nonce``.

OpenID Connect Core 1.0 §3.1, RFC 7636 (S256 only), RFC 9207 (``iss`` in the answer), RFC 9700. What has to be
remembered between leaving and coming back is in a cookie of the browser that left: an answer counts in no other.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlencode, urlsplit

from custodes.admin.auth.cookies import ATTEMPT_SECONDS
from custodes.admin.auth.discovery import Discovery
from custodes.admin.auth.fetch import HttpFetcher, check_url
from custodes.admin.auth.tokens import Identification, TokenVerifier, oidc_issuer
from custodes.errors import AuthenticationFailed
from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.ids import RandomBits

#: Longest code, state and error of an answer that are looked at, characters.
MAX_ANSWER = 2_048

#: Bits of ``state``, ``nonce`` and the PKCE verifier (RFC 7636 §7.1).
_BITS = 256


class FormSender(Protocol):
    """**Protocol:** sends a form to an issuer."""

    async def send(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Send one and return the JSON object that comes back.

        Raises:
            FetchFailed: none did.
        """
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way: what only this browser and we know of it."""

    #: Ties the answer to this browser.
    state: str
    #: Ties the token to this attempt.
    nonce: str
    #: Proves at the token endpoint who began (PKCE).
    verifier: str
    #: Place of the dashboard to go to.
    then: str

    def dump(self, key: bytes, now: int) -> str:
        """Write it as the value of a cookie, signed: an answer makes us ask the issuer, with our secret."""
        text = json.dumps([str(now), self.state, self.nonce, self.verifier, self.then], separators=(",", ":"))
        value = _text_of(text.encode())
        return f"{value}.{_signature(value, key)}"

    @classmethod
    def load(cls, cookie: str, key: bytes, now: int) -> Attempt | None:
        """Read the value of a cookie; None when it is none of ours, or of an attempt that is over."""
        value, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _signature(value, key).encode()):
            return None
        begun, *parts = cast("list[str]", json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))))
        # Either way round: the clocks of two processes differ a little.
        return cls(*parts) if abs(now - int(begun)) <= ATTEMPT_SECONDS * SECOND else None


class OidcLogin:
    """Sends people to an issuer and takes them back.

    Args:
        issuer: its URL, exactly as ``iss`` spells it.
        client_id: ours at the issuer.
        client_secret: of the client; empty for a public one, which PKCE alone protects.
        fetch: fetches the issuer's documents.
        sender: sends the code to the token endpoint.
        clock: source of time.
        random_bits: never a seeded source.
        key: signs attempts; the same in all processes of an install.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        *,
        fetch: HttpFetcher,
        sender: FormSender,
        clock: Clock,
        random_bits: RandomBits,
        key: bytes,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._discovery = Discovery(issuer, fetch, clock)
        self._sender = sender
        self._clock = clock
        self._key = key
        self._random_bits = random_bits
        self._verifier = TokenVerifier([oidc_issuer(issuer, client_id)], fetch, clock)

    @property
    def name(self) -> str:
        """Of the issuer, for a person: its host."""
        return urlsplit(self.issuer).hostname or self.issuer

    def keep(self, attempt: Attempt) -> str:
        """Write what the browser must bring back."""
        return attempt.dump(self._key, self._clock.now())

    def recall(self, cookie: str) -> Attempt | None:
        """Read what it has brought back; None when that is no attempt that we began lately."""
        return Attempt.load(cookie, self._key, self._clock.now())

    async def begin(self, redirect_uri: str, then: str) -> tuple[str, Attempt]:
        """Begin to sign somebody in; returns the URL to go to, and what the browser must bring back.

        Raises:
            FetchFailed: the issuer cannot be reached.
        """
        attempt = Attempt(self._secret(), self._secret(), self._secret(), then)
        place = check_url(await self._endpoint("authorization_endpoint"), issuer=self.issuer)
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": redirect_uri,
                "scope": "openid",
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
                "code_challenge_method": "S256",
            }
        )
        return f"{place}{'&' if urlsplit(place).query else '?'}{query}", attempt

    async def finish(self, attempt: Attempt, answer: Mapping[str, str], redirect_uri: str) -> Identification:
        """Find out who has come back.

        Args:
            attempt: what the browser brought back in its cookie.
            answer: the query parameters of the issuer's answer.
            redirect_uri: the one that was sent.

        Raises:
            AuthenticationFailed: the answer is not one to this attempt, the issuer refused, or the token does not hold.
            FetchFailed: the issuer cannot be reached.
        """
        if not hmac.compare_digest(attempt.state.encode(), answer.get("state", "")[:MAX_ANSWER].encode()):
            raise _refused("the answer belongs to another attempt")
        if answer.get("iss", self.issuer) != self.issuer:
            raise _refused("another issuer has answered")
        if "error" in answer:
            raise _refused(f"the issuer says {answer['error'][:64]!r}")
        code = answer.get("code", "")
        if not 0 < len(code) <= MAX_ANSWER:
            raise _refused("the issuer sent no code")
        tokens = await self._redeem(code, attempt.verifier, redirect_uri)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise _refused("the issuer sent no ID token")
        return await self._verifier.verify(token, nonce=attempt.nonce)

    async def _redeem(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self._client_id,
        }
        headers: dict[str, str] = {}
        document = await self._discovery.document()
        if self._client_secret:
            ways: object = document.get("token_endpoint_auth_methods_supported")
            if isinstance(ways, list) and "client_secret_basic" not in ways:
                form["client_secret"] = self._client_secret
            else:  # the default of OIDC Discovery 1.0 §3
                pair = urlencode({self._client_id: self._client_secret}).replace("=", ":", 1)
                headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        place = check_url(str(document.get("token_endpoint", "")), issuer=self.issuer)
        return await self._sender.send(place, form, headers)

    async def _endpoint(self, name: str) -> str:
        return str((await self._discovery.document()).get(name, ""))

    def _secret(self) -> str:
        return _text_of(self._random_bits(_BITS).to_bytes(_BITS // 8, "big"))


def _text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _signature(value: str, key: bytes) -> str:
    return _text_of(hmac.digest(key, value.encode(), "sha256"))


def _refused(why: str) -> AuthenticationFailed:
    msg = f"Signing in has failed: {why}"
    return AuthenticationFailed(msg, remedy="Sign in again")
