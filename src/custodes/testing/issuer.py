"""An issuer of tokens that lives in the test: Clerk or any OIDC issuer, without a network."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from custodes.admin.auth.fetch import FetchFailed
from custodes.kernel.clock import SECOND, Clock

#: Seconds that its tokens last.
LIFETIME = 300


class _AnyAlgorithm(jws.JWSRegistry):
    max_header_length = 65_536

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


_REGISTRY = _AnyAlgorithm(strict_check_header=False)


def _make_key(algorithm: str, kid: str) -> Key:
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", {"kid": kid}, private=True)
        case "EdDSA":
            return OKPKey.generate_key("Ed25519", {"kid": kid}, private=True)
        case _:
            return RSAKey.generate_key(2048, {"kid": kid}, private=True)


class FakeIssuer:
    """Signs tokens, publishes keys, counts who asks for them; pass :meth:`fetch` as ``fetch`` to ``create_admin_app``.

    Args:
        clock: source of ``iat``, ``nbf`` and ``exp``.
        url: ``iss`` of its tokens.
        audience: ``aud`` of its tokens; empty: none.
    """

    def __init__(self, clock: Clock, url: str = "https://issuer.example.com", audience: str = "custodes") -> None:
        self._clock = clock
        self.url = url
        self.audience = audience
        #: URLs that were fetched, in order.
        self.fetched: list[str] = []
        #: False while it cannot be reached.
        self.reachable = True

    @cached_property
    def keys(self) -> dict[str, Key]:
        """Private keys by key id; the first signs unless a token asks for another.

        It is made when it is asked for: to make an RSA key takes longer than most tests.
        """
        return {"key-1": _make_key("RS256", "key-1")}

    def add_key(self, algorithm: str, kid: str) -> None:
        """Make a key pair and publish it."""
        self.keys[kid] = _make_key(algorithm, kid)

    def claims(self, subject: str, **changes: Any) -> dict[str, Any]:
        """Return claims that hold; a change to None leaves the claim out."""
        now = self._clock.now() // SECOND
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": subject,
            "aud": self.audience or None,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        subject: str,
        *,
        algorithm: str = "RS256",
        kid: str = "key-1",
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Sign a token for a subject.

        Args:
            subject: ``sub``.
            algorithm: ``alg``.
            kid: which key signs.
            header: more header fields.
            **changes: claims to change; None leaves one out.
        """
        head: dict[str, Any] = {"alg": algorithm, "kid": kid, "typ": "JWT", **(header or {})}
        return self.sign(head, self.claims(subject, **changes), self.keys[kid])

    def sign(self, header: dict[str, Any], claims: dict[str, Any], key: Key) -> str:
        """Sign claims under a header with a key of your own."""
        return jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=_REGISTRY)

    async def fetch(self, url: str) -> dict[str, Any]:
        """Answer as its web server would: discovery and keys."""
        self.fetched.append(url)
        if not self.reachable:
            msg = "The issuer is down"
            raise FetchFailed(msg)
        if url == f"{self.url}/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/.well-known/jwks.json"}
        if url == f"{self.url}/.well-known/jwks.json":
            return self.jwks()
        msg = f"Nothing is at {url}"
        raise FetchFailed(msg)

    def jwks(self) -> dict[str, Any]:
        """Return the published keys."""
        return {"keys": [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]}
