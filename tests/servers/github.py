"""A stand-in for GitHub's API of webhook deliveries: lists newest first, with cursors in the ``Link`` header."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

#: The token that it takes.
TOKEN = "ghp_of_the_stand_in"


@dataclass
class SentDelivery:
    """A delivery as GitHub remembers it."""

    id: int
    guid: str
    delivered_at: str
    event: str
    payload: dict[str, object] | None
    signature: str
    content_type: str


@dataclass
class GitHubStandIn:
    """Answers at ``/repos/acme/shop/hooks/7/deliveries``."""

    secret: str
    per_page: int = 100
    sent: list[SentDelivery] = field(default_factory=list)
    #: Requests that came, by path and query.
    asked: list[str] = field(default_factory=list)
    #: When set, what every request is answered with.
    status: int = 200
    #: From which place in the list on it answers 502; None: it answers all of it.
    fails_from: int | None = None
    url: str = ""
    _runner: web.AppRunner | None = None

    def send(
        self, guid: str, delivered_at: str, payload: dict[str, object], event: str = "push", *, form: bool = False
    ) -> bytes:
        """Make a delivery; returns the bytes that were on the wire."""
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        content_type = "application/json"
        if form:
            body, content_type = urlencode({"payload": body}).encode(), "application/x-www-form-urlencoded"
        signature = "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        self.sent.append(SentDelivery(len(self.sent) + 1, guid, delivered_at, event, payload, signature, content_type))
        return body

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/repos/acme/shop/hooks/7/deliveries", self._list)
        app.router.add_get("/repos/acme/shop/hooks/7/deliveries/{id}", self._one)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.asked.append(request.path_qs)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Bad credentials"}, status=401)
        return None if self.status == 200 else web.json_response({"message": "no"}, status=self.status)

    async def _list(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        newest_first = sorted(self.sent, key=lambda sent: (sent.delivered_at, sent.id), reverse=True)
        start = int(request.query.get("cursor", "0"))
        if self.fails_from is not None and start >= self.fails_from:
            return web.json_response({"message": "Bad gateway"}, status=502)
        size = min(self.per_page, int(request.query["per_page"]))
        rows = [
            {"id": sent.id, "guid": sent.guid, "delivered_at": sent.delivered_at, "event": sent.event, "status": "OK"}
            for sent in newest_first[start : start + size]
        ]
        headers = {}
        if start + size < len(newest_first):
            headers["link"] = f'<{self.url}{request.path}?per_page={size}&cursor={start + size}>; rel="next"'
        return web.json_response(rows, headers=headers)

    async def _one(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        sent = self.sent[int(request.match_info["id"]) - 1]
        headers = {
            "X-GitHub-Delivery": sent.guid,
            "X-GitHub-Event": sent.event,
            "X-Hub-Signature-256": sent.signature,
            "content-type": sent.content_type,
        }
        return web.json_response({"id": sent.id, "request": {"headers": headers, "payload": sent.payload}})
