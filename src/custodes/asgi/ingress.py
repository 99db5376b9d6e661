"""The ingress: where webhooks come in. Raw ASGI, for it is on the path of every delivery.

``POST /hooks/{source}``, and ``POST /api/stripe/webhook-enhanced`` for Stripe. The answer says what the sender needs to
know and no more: 2xx is sent after the event and its job are on the disk; whoever is refused is not told why.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from custodes.asgi.bodies import Bodies
from custodes.asgi.delivery import Delivery
from custodes.asgi.passage import Refusal
from custodes.asgi.routes import path_below
from custodes.errors import CustodesError, InvalidInput, PayloadTooLarge, StorageUnavailable
from custodes.kernel.clock import SECOND
from custodes.planes.inbound.receiver import Receipt, Registration
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.planes.ratelimit.model import Source
from custodes.runtime.current import serving
from custodes.runtime.log import get_logger
from custodes.runtime.patience import within

if TYPE_CHECKING:
    from custodes.app import Custodes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

#: Where deliveries of a source come in, before its name.
HOOKS = "/hooks/"

#: The second address of the source ``stripe`` (spec H).
STRIPE_ENHANCED = "/api/stripe/webhook-enhanced"

#: Headers of one delivery, and the bytes of their names and values together: what common servers and proxies take.
MAX_HEADERS = 100
MAX_HEADER_BYTES = 32_768

#: Longest URL that is remembered, put together, bytes.
_MAX_REMEMBERED = 1_024

#: Longest that the body of a delivery may take to arrive, seconds.
BODY_SECONDS = 30.0

#: How often it is logged that deliveries of a source cannot be kept, microseconds: thousands may come in an outage.
TELL_EVERY = 10 * SECOND

#: When a sender should come back after a 503, seconds.
RETRY_AFTER = 5

_log = get_logger("custodes.ingress")


class Ingress:
    """Takes webhooks in; it needs no middleware around it.

    Args:
        custodes: the install.
    """

    def __init__(self, custodes: Custodes) -> None:
        self._inbound = custodes.inbound
        self._bodies = Bodies()
        self._source = custodes.inbound.source
        self._shield = custodes.shield
        self._addresses = custodes.addresses
        self._now = custodes.clock.now
        self._random_bits = custodes.trace_bits
        self._public_url = custodes.settings.public_url.rstrip("/")
        self._public_path = urlsplit(self._public_url).path
        self._tells_trace = custodes.settings.trace_response
        #: By source: when it was last told that deliveries are not kept, and how many were not since then.
        self._told: dict[str, tuple[int, int]] = {}
        self._check: Callable[[Any], Any] | None = None
        if custodes.settings.rate_limiting_enabled:
            self._check = custodes.ratelimit.check
            _limit_addresses(custodes)

    def handles(self, path: str) -> bool:
        """Tell whether a path is that of a source; others are left to the host."""
        return self._registered(path) is not None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one delivery."""
        root: str = scope.get("root_path") or ""
        path: str = path_below(scope["path"], root) if root else scope["path"]
        registration = self._registered(path)
        if registration is None:
            return _answer(send, 404, _NOT_FOUND)
        if scope["method"] != "POST":
            return _answer(send, 405, _NOT_ALLOWED, [(b"allow", b"POST")])
        delivery = Delivery(path, registration.tenant, self._now(), self._random_bits)
        return self._serve(registration, delivery, scope, receive, send)

    def _registered(self, path: str) -> Registration | None:
        if path.startswith(HOOKS):
            return self._source(path[len(HOOKS) :])
        return self._source("stripe") if path == STRIPE_ENHANCED else None

    # ── One delivery ─────────────────────────────────────────────────────────

    async def _serve(
        self, registration: Registration, delivery: Delivery, scope: Scope, receive: Receive, send: Send
    ) -> None:
        token = serving.set(delivery)
        raw: list[tuple[bytes, bytes]] = scope["headers"]
        found = dict(raw)
        try:
            delivery.read(scope, found, self._addresses)
            if self._check is not None and await self._over_limit(self._check, registration, delivery, raw, send):
                return
            length = _check_headers(raw, found)
            body = await _read_body(receive, length, registration.source.max_body, self._bodies)
            if body is None:  # the sender has left
                return
            receipt = await self._inbound.receive(
                registration,
                WebhookRequest(Headers(raw, found), body, self._url(scope, found)),
                trace_id=delivery.trace_id,
                client_ip=delivery.client_ip,
                event_id=delivery.event_id,
            )
        except _Refused as refused:
            request = WebhookRequest(Headers(raw[:MAX_HEADERS]), b"")
            self._inbound.refuse(
                registration, request, refused.error, trace_id=delivery.trace_id, client_ip=delivery.client_ip
            )
            closing = [(b"connection", b"close")]
            if refused.status == _NO_ROOM:
                closing.append((b"retry-after", b"%d" % RETRY_AFTER))
                _log.warning("delivery_gave_way", source=registration.source.name, held=self._bodies.held)
            await _answer(send, refused.status, _problem(refused.status, refused.error), closing)
        except CustodesError as error:
            retry: list[tuple[bytes, bytes]] = []
            if isinstance(error, StorageUnavailable):
                retry.append((b"retry-after", b"%d" % RETRY_AFTER))
                self._tell_not_kept(registration.source.name, error)
            await _answer(send, error.status, _REFUSALS.get(error.status) or _not_taken(error), retry)
        except Exception:  # noqa: BLE001 - a fault of ours: the sender delivers again, the log says why
            _log.exception("delivery_failed", source=registration.source.name, trace_id=delivery.trace_id)
            await _answer(send, 500, _FAILED)
        else:
            await _acknowledge(send, receipt, delivery.trace.traceresponse if self._tells_trace else "")
        finally:
            serving.reset(token)
            if delivery.release is not None:
                self._give_back(delivery.release)

    def _tell_not_kept(self, source: str, error: CustodesError) -> None:
        """Log that a delivery could not be kept; in an outage once in a while, with how many there were in between."""
        now = self._now()
        told_at, since = self._told.get(source, (0, 0))
        if 0 <= now - told_at < TELL_EVERY:
            self._told[source] = (told_at, since + 1)
            return
        self._told[source] = (now, 0)
        _log.warning("delivery_not_kept", source=source, error=str(error), untold=since)

    async def _over_limit(
        self,
        check: Callable[[Any], Any],
        registration: Registration,
        delivery: Delivery,
        raw: list[tuple[bytes, bytes]],
        send: Send,
    ) -> bool:
        """Ask the limiter, and answer for it when it refuses. What fails of it is left to the rules' failure mode."""
        try:
            verdict = check(delivery)
            if hasattr(verdict, "__await__"):
                asked = self._shield.wait("limiter", verdict, None, unclaimed=self._let_go)
                verdict = await asked or verdict.undecided()
            if verdict.allowed:  # what is left of a limit is of no use to a sender: no headers
                delivery.release = verdict.release
                return False
            status, problem = verdict.problem
            refusal = Refusal(status, list(verdict.headers), problem)
        except Exception as error:
            if not self._shield.absorbs("limiter", error):
                raise
            return False
        self._inbound.turn_away(
            registration, raw[:MAX_HEADERS], trace_id=delivery.trace_id, client_ip=delivery.client_ip
        )
        await _answer(send, refusal.status, refusal.body, refusal.headers)
        return True

    def _let_go(self, verdict: Any) -> None:
        """Give back what a decision holds whose sender has gone."""
        if verdict is not None and verdict.release is not None:
            self._give_back(verdict.release)

    def _give_back(self, release: Callable[[], object]) -> None:
        try:
            pending: Any = release()
            if hasattr(pending, "__await__"):
                self._shield.later("limiter", pending)
        except Exception as error:
            if not self._shield.absorbs("limiter", error):
                raise

    def _url(self, scope: Scope, found: dict[bytes, bytes]) -> str:
        """Return the URL that the sender called: some schemes sign it."""
        path = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
        base = self._public_url or (scope.get("scheme", "http"), found.get(b"host", b""))
        # The path of the public URL is in the request's already, unless a proxy takes it away.
        if self._public_path and path.startswith(f"{self._public_path}/".encode()):
            base = self._public_url.removesuffix(self._public_path)
        query: bytes = scope.get("query_string", b"")
        if len(path) + len(query) + len(found.get(b"host", b"")) > _MAX_REMEMBERED:
            return _called.__wrapped__(base, path, query)
        return _called(base, path, query)


#: A host and path that come again and again are put together once; strangers can push out 256 of them, no more.
@lru_cache(maxsize=256)
def _called(base: str | tuple[str, bytes], path: bytes, query: bytes) -> str:
    if isinstance(base, tuple):
        base = f"{base[0]}://{base[1].decode('latin-1')}"
    url = base + path.partition(b"?")[0].decode("latin-1")
    return f"{url}?{query.decode('latin-1')}" if query else url


class _Refused(Exception):
    """A delivery that is refused before its signature is looked at."""

    def __init__(self, status: int, error: CustodesError) -> None:
        self.status = status
        self.error = error


def _limit_addresses(custodes: Custodes) -> None:
    """Limit the deliveries of one address as the settings say; once for an install, however many doors it has."""
    limit = custodes.settings.webhook_ip_limit
    known = {rule.name for rule in custodes.ratelimit.list_rules() if rule.source is Source.CODE}
    for name, route in (("webhooks-by-address", HOOKS + "{source}"), ("stripe-by-address", STRIPE_ENHANCED)):
        if limit and name not in known:
            custodes.ratelimit.limit(limit, by="ip", route=route, methods="POST", name=name)


def _check_headers(raw: list[tuple[bytes, bytes]], found: dict[bytes, bytes]) -> int:
    """Refuse headers that are too many or too large; return the announced length of the body, -1 when there is none."""
    if len(raw) > MAX_HEADERS:
        raise _refusal(431, InvalidInput, "The delivery has too many headers")
    if sum(map(len, chain.from_iterable(raw))) > MAX_HEADER_BYTES:
        raise _refusal(431, InvalidInput, "The headers of the delivery are too large")
    encoding = found.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise _refusal(415, InvalidInput, "The delivery is compressed")
    stated = found.get(b"content-length")
    if stated is None:
        return -1
    return int(stated) if stated.isdigit() and len(stated) < 16 else 1 << 60


async def _read_body(receive: Receive, length: int, most: int, bodies: Bodies) -> bytes | None:
    """Read a body of at most ``most`` bytes; None when the sender leaves before its end."""
    if length > most:
        raise _refusal(413, PayloadTooLarge, f"The body has more than {most} bytes")
    try:
        return await within(BODY_SECONDS, _collect(receive, most, bodies))
    except TimeoutError:
        raise _refusal(408, InvalidInput, f"The body did not arrive within {BODY_SECONDS:g} s") from None


async def _collect(receive: Receive, most: int, bodies: Bodies) -> bytes | None:
    message = await receive()
    whole: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False) and len(whole) <= most:
        return whole  # nearly always: nothing is held
    body = bodies.begin()
    size = 0
    try:
        while message["type"] == "http.request":
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _refusal(413, PayloadTooLarge, f"The body has more than {most} bytes")
            bodies.add(body, part)
            if body.gave_way:
                raise _refusal(_NO_ROOM, StorageUnavailable, "Too much is being sent at once; deliver it again")
            if not message.get("more_body", False):
                return b"".join(body.parts)
            message = await receive()
    finally:
        bodies.end(body)
    return None


def _refusal(status: int, kind: type[CustodesError], text: str) -> _Refused:
    return _Refused(status, kind(text))


#: Status of what there is no room for; senders deliver it again.
_NO_ROOM = 503

# ── Answers ──────────────────────────────────────────────────────────────────

_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")


async def _acknowledge(send: Send, receipt: Receipt, trace: str) -> None:
    told = [(b"traceresponse", trace.encode("ascii"))] if trace else []
    if receipt.challenge is not None:
        await _send(send, 200, receipt.challenge, [_TEXT, _NO_SNIFFING, *told])
        return
    word = b"accepted" if receipt.first else b"duplicate"
    await _send(send, 200, b'{"status":"%b","id":"%b"}' % (word, receipt.event_id.encode()), [_JSON, *told])


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    await _send(send, status, body, [_PROBLEM, *(headers or ())])


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem(status: int, error: CustodesError) -> bytes:
    return _document(status, error.code, error.title, error.message)


def _not_taken(error: CustodesError) -> bytes:
    """Write the answer to what is refused seldom, as a body that a source finds too large to read."""
    return _document(error.status, error.code, error.title, "The delivery could not be taken")


def _document(status: int, code: str, title: str, detail: str) -> bytes:
    problem = {"type": f"urn:custodes:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}
    return json.dumps(problem).encode()


_NOT_FOUND = _document(404, "not-found", "Not found", "No webhooks are accepted here")
_NOT_ALLOWED = _document(405, "method-not-allowed", "Method not allowed", "Webhooks are posted")
_FAILED = _document(500, "error", "Error", "The delivery could not be taken; deliver it again")

#: What is told of a refusal: the same for every reason, so that nobody can learn from it.
_REFUSALS = {
    400: _document(400, "malformed-payload", "Malformed payload", "The body is not what this source sends"),
    401: _document(401, "signature-refused", "Signature refused", "The delivery could not be verified"),
    503: _document(503, "storage-unavailable", "Storage unavailable", "The delivery was not kept; deliver it again"),
}
