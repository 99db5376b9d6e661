"""Fetching small public documents from issuers: discovery and keys."""

from __future__ import annotations

import json
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import aiohttp

from custodes.errors import CustodesError

#: Longest a fetch may take altogether, seconds.
TIMEOUT_SECONDS = 5.0

#: Largest document that is read, bytes; real key sets are a few kilobytes.
MAX_DOCUMENT = 262_144

#: Hosts that may be reached without TLS: an issuer on the same machine, for development and tests.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class FetchFailed(CustodesError):
    """An issuer's document cannot be had now."""

    code = "fetch-failed"
    status = 503
    title = "Issuer unreachable"


class HttpFetcher(Protocol):
    """**Protocol:** fetches a JSON document."""

    async def __call__(self, url: str) -> dict[str, Any]:
        """Fetch one, in bounded time and space.

        Raises:
            FetchFailed: it cannot be had, is too large or is not a JSON object.
        """
        ...


def check_url(url: str) -> str:
    """Refuse to go where a token's issuer must not send us: only https, or http to this machine.

    Raises:
        FetchFailed: not such a URL.
    """
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not safe or not parts.hostname or parts.username is not None:
        msg = "An issuer's URL is not https"
        raise FetchFailed(msg, remedy="Use https; http only for 127.0.0.1, ::1 and localhost")
    return url


class AiohttpFetcher:
    """The :class:`HttpFetcher` of real life: no redirects, no proxies from the environment, no cookies.

    A session per fetch: one happens every few minutes at most, and nothing needs to be closed.
    """

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS, max_bytes: int = MAX_DOCUMENT) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._max_bytes = max_bytes

    async def __call__(self, url: str) -> dict[str, Any]:
        """Fetch one document."""
        check_url(url)
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
            ):
                if response.status != 200:
                    raise _failed(f"status {response.status}")
                # One byte more than allowed tells a document that is too large from one that just fits.
                raw = await _read_at_most(response.content, self._max_bytes + 1)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _failed(type(error).__name__) from error
        if len(raw) > self._max_bytes:
            raise _failed(f"more than {self._max_bytes} bytes")
        return _object(raw)


async def _read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    raw = bytearray()
    while len(raw) < limit:
        chunk = await content.read(limit - len(raw))
        if not chunk:
            break
        raw += chunk
    return bytes(raw)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _failed("not JSON") from error
    if not isinstance(found, dict):
        raise _failed("not a JSON object")
    return cast("dict[str, Any]", found)


def _failed(why: str) -> FetchFailed:
    msg = f"An issuer's document cannot be had: {why}"
    return FetchFailed(msg)
