"""Fetching small public documents from issuers: discovery and keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, cast
from urllib.parse import urlencode, urlsplit

from custodes.errors import CustodesError
from custodes.kernel.destinations import Destinations
from custodes.runtime.outgoing.client import Limits, OutgoingClient
from custodes.runtime.outgoing.failure import OutgoingFailed
from custodes.runtime.outgoing.target import Policy

#: Longest a fetch may take altogether, seconds.
TIMEOUT_SECONDS = 5.0

#: Largest document that is read, bytes; real key sets are a few kilobytes.
MAX_DOCUMENT = 262_144

#: Hosts that may be reached without TLS: an issuer on the same machine, for development and tests.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

#: This machine, as exceptions of the policy.
_LOCAL = ("127.0.0.0/8", "::1/128")

#: Both, because :func:`check_url` has decided which hosts ``http`` is for.
_SCHEMES = frozenset({"http", "https"})


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


def is_local(url: str) -> bool:
    """Tell whether a URL names this machine."""
    return urlsplit(url).hostname in LOOPBACK


def check_url(url: str, *, issuer: str = "") -> str:
    """Refuse to go where a token's issuer must not send us: only https, or http to this machine.

    Args:
        url: where to go.
        issuer: who sends us there: only one on this machine may send us to this machine. Empty: a setting does.

    Raises:
        FetchFailed: not such a URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        msg = "An issuer's URL is none"
        raise FetchFailed(msg, remedy="Look at the issuer's discovery document") from None
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not safe or not parts.hostname or parts.username is not None:
        msg = "An issuer's URL is not https"
        raise FetchFailed(msg, remedy="Use https; http only for 127.0.0.1, ::1 and localhost")
    if issuer and is_local(url) and not is_local(issuer):
        msg = "An issuer elsewhere names this machine"
        raise FetchFailed(msg, remedy="Look at the issuer's discovery document")
    return url


async def discover(issuer: str, fetch: HttpFetcher) -> dict[str, Any]:
    """Fetch what an issuer says of itself (OIDC Discovery 1.0 §4).

    Raises:
        FetchFailed: it cannot be had, or is another issuer's.
    """
    document = await fetch(check_url(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
    if document.get("issuer") != issuer:
        raise _failed("it is another issuer's")
    return document


class GuardedFetcher:
    """The :class:`HttpFetcher` of real life: through the client that all requests of ours go through.

    A client per fetch: what is fetched is remembered for minutes, codes are sent only by those who have begun to sign
    in here, at a bounded pace, and nothing needs to be closed.

    Args:
        policy: where requests may go; this machine is added for an issuer that is on it.
        timeout_seconds: longest that a fetch may take.
        max_bytes: largest document.
    """

    def __init__(
        self, policy: Policy, *, timeout_seconds: float = TIMEOUT_SECONDS, max_bytes: int = MAX_DOCUMENT
    ) -> None:
        self._policy = policy
        self._local = replace(policy, destinations=Destinations([*map(str, policy.destinations.exceptions), *_LOCAL]))
        self._limits = Limits(total_seconds=timeout_seconds, answer_bytes=max_bytes)

    async def __call__(self, url: str) -> dict[str, Any]:
        """Fetch one document."""
        return await self._ask("GET", url, {})

    async def send(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a form and return the document that comes back.

        Raises:
            FetchFailed: none did.
        """
        body = urlencode(form).encode()
        return await self._ask("POST", url, {**headers, "content-type": "application/x-www-form-urlencoded"}, body)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        check_url(url)
        client = OutgoingClient(self._local if is_local(url) else self._policy)
        try:
            answer = await client.request(
                method,
                url,
                headers={**headers, "accept": "application/json"},
                body=body,
                limits=self._limits,
                schemes=_SCHEMES,
            )
        except OutgoingFailed as error:
            raise _failed(error.message) from None
        finally:
            await client.close()
        if answer.status != 200:
            raise _failed(f"status {answer.status}")
        if answer.truncated:
            raise _failed(f"more than {self._limits.answer_bytes} bytes")
        return _object(answer.body)


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
