"""Where alerts go: the log, and a signed webhook."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

from custodes.errors import ConfigurationError
from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.signing import hmac_base64, symmetric_key
from custodes.planes.alerts.model import Notification
from custodes.runtime.log import get_logger
from custodes.runtime.outgoing.client import Limits, OutgoingClient
from custodes.runtime.outgoing.failure import OutgoingFailed

#: Longest that a receiver may take, seconds (Standard Webhooks recommends 15 to 30).
TIMEOUT_SECONDS = 15.0

#: Bytes of a secret, at least and at most, as Standard Webhooks asks; "foo" is base64, too, of two.
_KEY_BYTES = (24, 64)

#: Bytes of an answer that are read: only its status matters.
_ANSWER_BYTES = 1_024

#: An operator may have alerts sent without TLS inside of a network of their own.
_SCHEMES = frozenset({"http", "https"})

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
        write = _log.info if notification.news in {"resolved", "test"} else _log.warning
        write("alert", news=str(notification.news), **{key: payload[key] for key in _LOGGED if key in payload})

    async def close(self) -> None:
        """Nothing to let go of."""


_LOGGED = ("incident_id", "name", "severity", "state", "summary", "value", "tenant", "trace_id")


def signing_key(secret: str) -> bytes:
    """Read the secret that alert webhooks are signed with; empty for none.

    Raises:
        ConfigurationError: it is not one, or not of 24 to 64 bytes.
    """
    if not secret:
        return b""
    key = symmetric_key(secret)
    least, most = _KEY_BYTES
    if key is None or not least <= len(key) <= most:
        msg = "The secret of alert webhooks is not one"
        remedy = f"Set CUSTODES_ALERT_WEBHOOK_SECRET to whsec_ and base64 of {least}-{most} bytes"
        raise ConfigurationError(msg, remedy=remedy)
    return key


class WebhookSink:
    """Posts each message as JSON, signed as Standard Webhooks v1 (``webhook-id``, ``-timestamp``, ``-signature``).

    Redirects are not followed and proxies of the environment not used: what is signed goes where it was meant to go.

    Args:
        url: ``https://…`` or ``http://…``; a user name and password in it are sent as basic authentication.
        secret: ``whsec_`` and base64; empty: not signed.
        client: sends it.
        clock: source of time.
        timeout_seconds: longest that the receiver may take.

    Raises:
        ConfigurationError: the URL or the secret is not one.
    """

    def __init__(
        self,
        url: str,
        secret: str = "",
        *,
        client: OutgoingClient,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        if not url.lower().startswith(("http://", "https://")) or not _host(url):
            msg = f"{sink_name('webhook', url)!r} is not the URL of a webhook"
            raise ConfigurationError(msg, remedy="Write https://host/path in CUSTODES_ALERT_URLS")
        self.name = sink_name("webhook", url)
        self._url, self._credentials = without_user(url)
        self._key = signing_key(secret)
        self._client = client
        self._clock = clock
        self._limits = Limits(total_seconds=timeout_seconds, answer_bytes=_ANSWER_BYTES)

    async def send(self, notification: Notification) -> None:
        """Post one message."""
        body = json.dumps(notification.payload, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"content-type": "application/json", "user-agent": "custodes", **self._sign(notification.id, body)}
        try:
            answer = await self._client.request(
                "POST", self._url, headers=headers | self._credentials, body=body, limits=self._limits, schemes=_SCHEMES
            )
        except OutgoingFailed as error:
            msg = f"It could not be reached: {error.message}"
            raise SinkFailed(msg) from None
        if not 200 <= answer.status < 300:
            msg = f"It answered {answer.status}"
            raise SinkFailed(msg, permanent=answer.status in GONE)

    async def close(self) -> None:
        """Nothing to let go of: the connections are the client's."""

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


def without_user(url: str) -> tuple[str, dict[str, str]]:
    """Take user name and password out of a URL: (URL, header)."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    plain = base64.b64encode(unquote(user).encode()).decode("ascii")
    return urlunsplit(parts._replace(netloc=place)), {"authorization": f"Basic {plain}"}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
