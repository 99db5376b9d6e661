"""The client: every request that Custodes sends goes through here.

What it holds to, whoever asks:

- a name is looked up once for a connection, *all* its addresses are checked (:mod:`custodes.kernel.destinations`), and
  the socket goes to a checked address; ``Host`` and SNI keep the name. An answer that changes between the check and the
  connection (DNS rebinding) changes nothing;
- redirects are not followed, proxies and ``.netrc`` of the environment not used, cookies not kept;
- one deadline for everything, others for connecting and for silence;
- of the answer no more is read than was asked for, and nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import aiohttp
from aiohttp.connector import Connection

from custodes.runtime.outgoing.failure import FailureKind, OutgoingFailed, tls_failure
from custodes.runtime.outgoing.resolver import CheckedResolver, Lookup, SystemLookup
from custodes.runtime.outgoing.target import Policy
from custodes.runtime.outgoing.timing import Stopwatch, Timing, running

#: Bytes of an answer that are read unless more are asked for.
MAX_ANSWER = 65_536

#: Headers of an answer that are taken, and bytes of one: together what a stranger can make us hold before the body.
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8_190

#: Bytes of an answer that the system may take in before they are read (Linux keeps twice as many): of an endless one it
#: would otherwise take megabytes for each connection.
RECEIVE_BUFFER = 65_536

#: How long an idle connection is kept, seconds: below the five after which common servers (uvicorn, Node) hang up, so
#: that a request seldom meets a connection that is just being closed.
KEEP_ALIVE_SECONDS = 4.0

#: From this size on a body is written in pieces, bytes.
LARGE_BODY = 65_536

#: URLs that are remembered taken apart and checked: the text of one says the same each time.
MAX_TARGETS = 1_000

_DEFAULT_DEADLINE = 15.0
_DEFAULT_CONNECT = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much time and space one request may take."""

    #: For everything, seconds.
    total_seconds: float = _DEFAULT_DEADLINE
    #: For the name, the connection and TLS, seconds.
    connect_seconds: float = _DEFAULT_CONNECT
    #: Of silence, seconds; 0: as long as the total.
    read_seconds: float = 0.0
    #: Of the answer's body, bytes; what is beyond is not read.
    answer_bytes: int = MAX_ANSWER


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    #: HTTP status.
    status: int
    #: Headers, names in lower case; of repeated ones the first.
    headers: Mapping[str, str]
    #: The body as it came, packed as it may be, up to the limit.
    body: bytes
    #: Whether there was more.
    truncated: bool
    #: Where the time went.
    timing: Timing


class OutgoingClient:
    """Sends requests.

    Args:
        policy: what may be called.
        lookup: looks names up; default: the system's resolver.
        trust: verifies certificates; default: the system's authorities.
    """

    def __init__(self, policy: Policy, *, lookup: Lookup | None = None, trust: ssl.SSLContext | None = None) -> None:
        self.policy = policy
        # What is refused is not remembered.
        self._target = lru_cache(MAX_TARGETS)(policy.target)
        self._lookup = lookup
        self._trust = trust
        self._system: SystemLookup | None = None
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limits: Limits = Limits(),
        schemes: frozenset[str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send one request and read its answer.

        Args:
            method: HTTP method.
            url: absolute URL.
            headers: what to send; ``Host`` and ``Content-Length`` are ours.
            body: exact bytes.
            limits: time and space.
            schemes: other schemes than the policy's.
            trust: another TLS context (a client certificate); made by :func:`tls_context`.

        Raises:
            OutgoingFailed: there was no answer; says where it ended.
        """
        target = self._target(url, schemes)
        loop = asyncio.get_running_loop()
        watch = Stopwatch(loop.time())
        token = running.set(watch)
        arguments: dict[str, Any] = {
            "headers": {"accept-encoding": "identity", **(headers or {})},
            "allow_redirects": False,
            "skip_auto_headers": ("content-type", "user-agent"),
            "timeout": aiohttp.ClientTimeout(
                total=None, connect=limits.connect_seconds, sock_read=limits.read_seconds or None
            ),
        }
        if trust is not None:
            arguments["ssl"] = trust
        try:
            async with asyncio.timeout(limits.total_seconds):
                return await self._send(method, target, body, arguments, limits.answer_bytes, watch)
        except OutgoingFailed as error:
            error.timing = watch.read(loop.time())
            raise
        except Exception as error:
            failure = _failure(error, watch)
            if failure is None:
                raise
            failure.timing = watch.read(loop.time())
            raise failure from None  # the library's texts hold the URL and the address
        finally:
            running.reset(token)

    async def close(self) -> None:
        """Close all connections; idempotent, and the client can be used again."""
        session, self._session = self._session, None
        system, self._system = self._system, None
        if session is not None:
            await session.close()
        if system is not None:
            system.close()

    async def _send(
        self, method: str, target: Any, body: bytes | None, arguments: dict[str, Any], limit: int, watch: Stopwatch
    ) -> Answer:
        session = self._opened()
        try:
            return await self._exchange(session, method, target, {**arguments, "data": _data(body)}, limit, watch)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if watch.socket:
                raise
            # A connection that had been idle was just being closed by the other side: once more, on a new one.
            return await self._exchange(session, method, target, {**arguments, "data": _data(body)}, limit, watch)

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: Any,
        arguments: dict[str, Any],
        limit: int,
        watch: Stopwatch,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        async with session.request(method, target, **arguments) as response:
            answered = loop.time()
            # One byte more than is wanted tells an answer that just fits from one that does not.
            body = await _read(response.content, limit + 1)
            if len(body) > limit:
                response.close()  # the rest is not waited for: the connection ends here
            headers: dict[str, str] = {}
            for name, value in response.headers.items():
                headers.setdefault(name.lower(), value)
            timing = watch.read(loop.time(), answered)
            return Answer(response.status, headers, body[:limit], len(body) > limit, timing)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            lookup = self._lookup
            if lookup is None:
                lookup = self._system = SystemLookup()
            self._session = aiohttp.ClientSession(
                connector=_TimedConnector(
                    resolver=CheckedResolver(self.policy, lookup),
                    # The resolver is asked for each connection, in the task of the request that it times.
                    use_dns_cache=False,
                    limit=0,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                    socket_factory=self._socket,
                    ssl=self._trust or system_trust(),
                ),
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_headers=MAX_HEADERS,
                max_field_size=MAX_HEADER_BYTES,
                max_line_size=MAX_HEADER_BYTES,
            )
        return self._session

    def _socket(self, info: Any) -> socket.socket:
        """Make a socket for a checked address; the last door, which nothing gets past unchecked."""
        family, kind, protocol, _, address = info
        if self.policy.destinations.refusal(str(address[0])):
            raise PermissionError("the address is not allowed")
        watch = running.get()
        if watch is not None:
            watch.socket = asyncio.get_running_loop().time()
            watch.tls = watch.opened = 0.0
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return made


class _TimedConnector(aiohttp.TCPConnector):
    """Notes when a connection is ready."""

    async def connect(self, *args: Any, **kwargs: Any) -> Connection:
        """Give a connection: an idle one, or a new one."""
        connection = await super().connect(*args, **kwargs)
        watch = running.get()
        if watch is not None and watch.socket:
            watch.opened = asyncio.get_running_loop().time()
        return connection


class _TimedContext(ssl.SSLContext):
    """Notes when a handshake begins."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        watch = running.get()
        if watch is not None:
            watch.tls = asyncio.get_running_loop().time()
        return super().wrap_bio(*args, **kwargs)


def tls_context(authorities: str | None = None) -> ssl.SSLContext:
    """Make a TLS context that verifies certificates and names, TLS 1.2 or newer; its handshakes are timed.

    Args:
        authorities: PEM text of the authorities that are trusted; None: the system's.
    """
    context = _TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if authorities is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cadata=authorities)
    return context


@cache
def system_trust() -> ssl.SSLContext:
    """Make the context that trusts the system's authorities, once: reading them takes a while."""
    return tls_context()


def _data(body: bytes | None) -> bytes | io.BytesIO | None:
    """Return a body as the library wants it: a large one in pieces, so that the loop goes on between them."""
    return body if body is None or len(body) < LARGE_BODY else io.BytesIO(body)


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    read = bytearray()
    while len(read) < limit:
        chunk = await content.read(limit - len(read))
        if not chunk:
            break
        read += chunk
    return bytes(read)


#: How the library says that a handshake failed.
_HANDSHAKE = (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)

#: What an exception of the library is, the more special ones first; of TLS: :func:`_tls_error`.
_KINDS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], FailureKind, str], ...] = (
    (TimeoutError, FailureKind.TIMEOUT, "it took too long"),
    (aiohttp.ClientConnectorError, FailureKind.CONNECT, "nobody took the connection"),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, aiohttp.ClientOSError),
        FailureKind.BROKEN,
        "the connection ended before the answer did",
    ),
    (aiohttp.ClientResponseError, FailureKind.PROTOCOL, "the answer is not HTTP that can be read"),
    ((aiohttp.InvalidURL, ValueError), FailureKind.REFUSED, "the request cannot be sent as it is"),
    (aiohttp.ClientError, FailureKind.BROKEN, "the connection broke"),
    (OSError, FailureKind.BROKEN, "the connection broke"),
)


def _failure(error: BaseException, watch: Stopwatch) -> OutgoingFailed | None:
    tls = _tls_error(error)
    if tls is not None:
        return tls_failure(tls)
    if isinstance(error, aiohttp.ClientConnectorError) and watch.tls:
        return OutgoingFailed("the connection ended during the TLS handshake", FailureKind.TLS)
    for kinds, kind, text in _KINDS:
        if isinstance(error, kinds):
            return OutgoingFailed(text, kind)
    return None


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """Find what OpenSSL said beneath an error of the library.

    In TLS 1.3 a receiver says what it thinks of our certificate after the handshake has ended for us: the library takes
    that for a connection that broke.
    """
    found: BaseException | None = error
    while isinstance(found, aiohttp.ClientError):  # some of which are errors of TLS by their class
        found = found.__cause__
    if not isinstance(found, ssl.SSLError):
        return None
    # A connection that ends without a word of TLS is one that ended.
    ended = isinstance(found, ssl.SSLEOFError | ssl.SSLZeroReturnError) and not isinstance(error, _HANDSHAKE)
    return None if ended else found
