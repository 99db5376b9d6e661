"""Webhooks as their senders make them, correctly signed, for tests of handlers and endpoints.

::

    webhook = signed_webhook("stripe", {"id": "evt_1", "type": "invoice.paid"}, "whsec_test")
    await client.post("/hooks/stripe", content=webhook.body, headers=webhook.headers)
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from custodes.errors import ConfigurationError
from custodes.kernel.clock import SECOND, to_iso
from custodes.kernel.signing import (
    PRIVATE_PREFIX,
    SYMMETRIC_PREFIX,
    PrivateKey,
    hmac_base64,
    hmac_hex,
    symmetric_key,
)
from custodes.planes.inbound.sources.base import Headers, WebhookRequest
from custodes.runtime.system_clock import SystemClock


@dataclass(frozen=True, slots=True)
class SignedWebhook:
    """One delivery, ready to be sent."""

    #: Headers, the signature among them.
    headers: dict[str, str]
    #: The exact bytes that are signed.
    body: bytes
    #: URL that the sender believes it calls; Twilio and Square sign it.
    url: str

    @property
    def request(self) -> WebhookRequest:
        """The delivery as a source sees it."""
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        return WebhookRequest(headers=Headers(raw), body=self.body, url=self.url)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What the signers work on."""

    body: bytes
    secret: str
    #: Unix seconds.
    timestamp: int
    event_type: str
    event_id: str
    url: str
    options: Mapping[str, Any]


def signed_webhook(
    kind: str,
    body: bytes | str | Mapping[str, Any],
    secret: str,
    *,
    event_type: str = "",
    event_id: str = "",
    now: int | None = None,
    url: str = "",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> SignedWebhook:
    """Make a delivery of a built-in kind of source, signed as its sender would.

    Args:
        kind: ``stripe``, ``github``, ``clerk``, ``svix``, ``standard-webhooks``, ``shopify``, ``slack``, ``gitlab``,
            ``twilio``, ``square``, ``zendesk`` or ``hmac``.
        body: The exact bytes, or text, or an object to be written as JSON.
        secret: The secret to sign with: for v1a the private key ``whsk_…``.
        event_type: Type, where the sender puts it into a header (GitHub, Shopify, GitLab).
        event_id: Id, where the sender puts it into a header; default: a random one.
        now: Moment of signing, microseconds since the epoch; default: this moment.
        url: URL that the sender calls; default: ``https://example.com/hooks/{kind}``.
        headers: More headers, or others than the ones made here.
        options: For ``hmac``: the options of the source.

    Raises:
        ConfigurationError: no such kind, or a secret that cannot sign for it.
    """
    if kind not in _SIGNERS:
        msg = f"There is no signer for {kind!r}"
        raise ConfigurationError(msg, remedy=f"Use one of {', '.join(_SIGNERS)}")
    content = _bytes(body)
    delivery = _Delivery(
        body=content,
        secret=secret,
        timestamp=(SystemClock().now() if now is None else now) // SECOND,
        event_type=event_type,
        event_id=event_id or str(uuid.uuid4()),
        url=_url(kind, content, url),
        options=options,
    )
    made = {"content-type": _content_type(content), **_SIGNERS[kind](delivery), **(headers or {})}
    return SignedWebhook(headers={name: value for name, value in made.items() if value}, body=content, url=delivery.url)


def _bytes(body: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _content_type(body: bytes) -> str:
    is_json = body[:1] in (b"{", b"[")
    return "application/json" if is_json else "application/x-www-form-urlencoded"


def _url(kind: str, body: bytes, url: str) -> str:
    url = url or f"https://example.com/hooks/{kind}"
    if kind != "twilio" or _content_type(body) != "application/json" or "bodySHA256=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"


def _stripe(delivery: _Delivery) -> dict[str, str]:
    message = b"%d.%b" % (delivery.timestamp, delivery.body)
    return {"stripe-signature": f"t={delivery.timestamp},v1={hmac_hex(delivery.secret.encode(), message)}"}


def _github(delivery: _Delivery) -> dict[str, str]:
    return {
        "x-hub-signature-256": "sha256=" + hmac_hex(delivery.secret.encode(), delivery.body),
        "x-github-delivery": delivery.event_id,
        "x-github-event": delivery.event_type or "push",
    }


def _shopify(delivery: _Delivery) -> dict[str, str]:
    return {
        "x-shopify-hmac-sha256": hmac_base64(delivery.secret.encode(), delivery.body),
        "x-shopify-webhook-id": delivery.event_id,
        "x-shopify-topic": delivery.event_type or "orders/create",
    }


def _standard(prefix: str) -> Callable[[_Delivery], dict[str, str]]:
    def sign(delivery: _Delivery) -> dict[str, str]:
        message = b"%b.%d.%b" % (delivery.event_id.encode(), delivery.timestamp, delivery.body)
        return {
            f"{prefix}id": delivery.event_id,
            f"{prefix}timestamp": str(delivery.timestamp),
            f"{prefix}signature": _standard_signature(delivery.secret, message),
        }

    return sign


def _standard_signature(secret: str, message: bytes) -> str:
    if secret.startswith(PRIVATE_PREFIX):
        private = PrivateKey.read(secret)
        if private is not None:
            return "v1a," + private.sign(message)
    else:
        key = symmetric_key(secret)
        if key is not None:
            return "v1," + hmac_base64(key, message)
    msg = "The secret cannot sign Standard Webhooks"
    raise ConfigurationError(msg, remedy=f"Use {SYMMETRIC_PREFIX}… or {PRIVATE_PREFIX}… and base64")


def _slack(delivery: _Delivery) -> dict[str, str]:
    message = b"v0:%d:%b" % (delivery.timestamp, delivery.body)
    return {
        "x-slack-request-timestamp": str(delivery.timestamp),
        "x-slack-signature": "v0=" + hmac_hex(delivery.secret.encode(), message),
    }


def _gitlab(delivery: _Delivery) -> dict[str, str]:
    about = {"x-gitlab-event": delivery.event_type or "Push Hook", "idempotency-key": delivery.event_id}
    if delivery.secret.startswith(SYMMETRIC_PREFIX):
        return {**about, **_standard("webhook-")(delivery)}
    return {**about, "x-gitlab-token": delivery.secret}


def _twilio(delivery: _Delivery) -> dict[str, str]:
    is_form = "bodySHA256=" not in delivery.url
    form = delivery.body.decode("latin-1") if is_form else ""
    fields = parse_qsl(form, keep_blank_values=True, errors="surrogateescape")
    message = delivery.url + "".join(name + value for name, value in sorted(set(fields)))
    signature = hmac_base64(delivery.secret.encode(), message.encode("utf-8", "surrogateescape"), "sha1")
    return {"x-twilio-signature": signature}


def _square(delivery: _Delivery) -> dict[str, str]:
    message = delivery.url.encode() + delivery.body
    return {"x-square-hmacsha256-signature": hmac_base64(delivery.secret.encode(), message)}


def _zendesk(delivery: _Delivery) -> dict[str, str]:
    timestamp = to_iso(delivery.timestamp * SECOND)[:19] + "Z"
    return {
        "x-zendesk-webhook-signature": hmac_base64(delivery.secret.encode(), timestamp.encode() + delivery.body),
        "x-zendesk-webhook-signature-timestamp": timestamp,
        "x-zendesk-webhook-invocation-id": delivery.event_id,
    }


def _hmac(delivery: _Delivery) -> dict[str, str]:
    option = delivery.options.get
    values = {"timestamp": str(delivery.timestamp).encode(), "id": delivery.event_id.encode(), "body": delivery.body}
    message = option("template", "{body}").encode()
    for name in ("timestamp", "id", "body"):
        message = message.replace(b"{%b}" % name.encode(), values[name])
    sign = hmac_base64 if option("encoding", "hex") == "base64" else hmac_hex
    signature = sign(delivery.secret.encode(), message, option("algorithm", "sha256"))
    about = {
        option("timestamp_header", ""): str(delivery.timestamp),
        option("id_header", ""): delivery.event_id,
        option("type_header", ""): delivery.event_type,
        option("header", "x-signature"): option("prefix", "") + signature,
    }
    return {name: value for name, value in about.items() if name}


_SIGNERS: Mapping[str, Callable[[_Delivery], dict[str, str]]] = {
    "stripe": _stripe,
    "github": _github,
    "clerk": _standard("svix-"),
    "svix": _standard("svix-"),
    "standard-webhooks": _standard("webhook-"),
    "shopify": _shopify,
    "slack": _slack,
    "gitlab": _gitlab,
    "twilio": _twilio,
    "square": _square,
    "zendesk": _zendesk,
    "hmac": _hmac,
}
