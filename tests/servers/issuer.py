"""A small OIDC issuer that really listens: discovery, keys, the authorization page, the token endpoint.

It is as strict as RFC 9700 asks: redirect URIs compared as text, codes that count once, PKCE with S256, the client's
secret.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from custodes.kernel.clock import Clock
from custodes.testing.issuer import FakeIssuer


class IssuerServer:
    """Signs ``subject`` in without asking; use as an async context manager."""

    def __init__(self, clock: Clock, *, client_id: str, secret: str, redirect_uri: str) -> None:
        self._clock = clock
        self.client_id = client_id
        self.secret = secret
        self.redirect_uri = redirect_uri
        #: Who signs in.
        self.subject = "ann"
        #: Claims to change in the next ID tokens.
        self.claims: dict[str, Any] = {}
        self._codes: dict[str, dict[str, str]] = {}
        #: Requests by what they were for.
        self.asked: Counter[str] = Counter()
        #: Requests that were refused, and why.
        self.refused: list[str] = []

    async def __aenter__(self) -> IssuerServer:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/.well-known/jwks.json", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.signer = FakeIssuer(self._clock, self.url, self.client_id)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _discovery(self, _request: web.Request) -> web.Response:
        self.asked["discovery"] += 1
        return web.json_response(
            {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/.well-known/jwks.json",
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response(self.signer.jwks())

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        if asked.get("client_id") != self.client_id or asked.get("redirect_uri") != self.redirect_uri:
            return self._refuse("client or redirect URI is not registered")
        kind = (asked.get("response_type"), asked.get("code_challenge_method"))
        if kind != ("code", "S256") or not asked.get("nonce"):
            return self._refuse("PKCE, nonce or response type")
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        answer = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return web.Response(status=302, headers={"Location": f"{self.redirect_uri}?{answer}"})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked["token"] += 1
        form = await request.post()
        asked = self._codes.pop(str(form.get("code")), None)
        if asked is None:
            return self._refuse("the code is unknown, or was used")
        expected = f"Basic {base64.b64encode(f'{self.client_id}:{self.secret}'.encode()).decode()}"
        if request.headers.get("Authorization") != expected:
            return self._refuse("the client's secret")
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return self._refuse("PKCE")
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return self._refuse("another redirect URI")
        token = self.signer.token(self.subject, **{"nonce": asked["nonce"], **self.claims})
        return web.json_response({"access_token": "x", "token_type": "Bearer", "id_token": token})

    def _refuse(self, why: str) -> web.Response:
        self.refused.append(why)
        return web.json_response({"error": "invalid_request", "error_description": why}, status=400)
