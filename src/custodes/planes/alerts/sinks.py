"""Where alerts go: the log, and a signed webhook."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from custodes.errors import ConfigurationError
from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.signing import hmac_base64, symmetric_key
from custodes.planes.alerts.model import Notification
from custodes.runtime.log import get_logger

#: Longest that a receiver may take, seconds (Standard Webhooks recommends 15 to 30).
TIMEOUT_SECONDS = 15.0

#: Answers that mean "never again": the receiver is gone, or was never there.
GONE = frozenset({404, 410})

_log = get_logger("custodes.alerts")


class SinkFailed(Exception):
    """A sink did not take a message.

    Args:
        message: what happened; never a URL with its secrets, never what the receiver said.
        permanent: True when it makes no sense to try again; switches the sink off.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class Sink(Protocol):
    """**Protocol:** tells somebody outside."""

    @property
    def name(self) -> str:
        """Stable name without secrets, the same after a restart."""
        ...

    async def send(self, notification: Notification) -> None:
        """Send one message; may get the same one again, with the same id.

        Raises:
            SinkFailed: it was not taken.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; idempotent."""
        ...


class LogSink:
    """Writes each message to the log."""

    name = "log"

    async def send(self, notification: Notification) -> None:
        """Write one line."""
        payload = notification.payload
        write = _log.info if notification.news == "resolved" else _log.warning
        write("alert", news=str(notification.news), **{key: payload[key] for key in _LOGGED if key in payload})

    async def close(self) -> None:
        """Nothing to let go of."""


_LOGGED = ("incident_id", "name", "severity", "state", "summary", "value", "tenant", "trace_id")


class WebhookSink:
    """Posts each message as JSON, signed as Standard Webhooks v1 (``webhook-id``, ``-timestamp``, ``-signature``).

    Redirects are not followed and proxies of the environment not used: what is signed goes where it was meant to go.

    Args:
        url: ``https://…`` or ``http://…``.
        secret: ``whsec_`` and base64; empty: not signed.
        clock: source of time.
        timeout_seconds: longest that the receiver may take.

    Raises:
        ConfigurationError: the URL or the secret is not one.
    """

    def __init__(self, url: str, secret: str = "", *, clock: Clock, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if not url.lower().startswith(("http://", "https://")) or not _host(url):
            msg = f"{sink_name('webhook', url)!r} is not the URL of a webhook"
            raise ConfigurationError(msg, remedy="Write https://host/path in CUSTODES_ALERT_URLS")
        key = symmetric_key(secret) if secret else b""
        if key is None or (secret and not key):
            msg = "The secret of alert webhooks is not one"
            raise ConfigurationError(
                msg, remedy="Set CUSTODES_ALERT_WEBHOOK_SECRET to whsec_ and base64 of 24-64 bytes"
            )
        self.name = sink_name("webhook", url)
        self._url = url
        self._key = key
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notification: Notification) -> None:
        """Post one message."""
        body = json.dumps(notification.payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"content-type": "application/json", "user-agent": "custodes", **self._sign(notification.id, body)}
        try:
            status = await self._post(body, headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # The texts of these errors hold the URL; their types say enough.
            msg = f"It could not be reached: {type(error).__name__}"
            raise SinkFailed(msg) from None
        if not 200 <= status < 300:
            msg = f"It answered {status}"
            raise SinkFailed(msg, permanent=status in GONE)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=False)
        async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
            return response.status

    def _sign(self, identifier: str, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock.now() // SECOND)
        headers = {"webhook-id": identifier, "webhook-timestamp": timestamp}
        if self._key:
            signed = b".".join([identifier.encode(), timestamp.encode(), body])
            headers["webhook-signature"] = f"v1,{hmac_base64(self._key, signed)}"
        return headers


def sink_name(kind: str, url: str) -> str:
    """Name a sink after its kind and host; a hash tells two of one host apart without showing what is secret."""
    # Apprise URLs keep tokens where a host would be (slack://token/…), so of those only the scheme is shown.
    shown = _host(url) if kind == "webhook" else url.split(":", 1)[0]
    return f"{kind}:{shown[:100]}#{hashlib.blake2b(url.encode(), digest_size=4).hexdigest()}"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
