"""Shopify: ``X-Shopify-Hmac-Sha256``, base64 HMAC-SHA256 of the body with the app's client secret.

Topic, shop and ids come in headers that are not signed. One body may be sent under several topics (``orders/create``
and ``orders/paid``), so the topic is part of what makes an event: a copy sent under another topic is not caught.
Source: shopify.dev/docs/apps/build/webhooks/subscribe/https.
"""

from __future__ import annotations

from custodes.kernel.signing import hmac_base64
from custodes.planes.inbound.sources.body_signed import BodySigned


class Shopify(BodySigned):
    """Webhooks of Shopify; the type is the topic."""

    name = "shopify"
    scheme = "HMAC-SHA256 of the body, base64"
    #: A product with all its variants and images takes megabytes.
    max_body = 10 * 1024 * 1024
    fraud_types = ("disputes/*", "orders/risk_assessment_changed")
    signature_header = "x-shopify-hmac-sha256"
    delivery_header = "x-shopify-webhook-id"
    type_header = "x-shopify-topic"
    type_distinguishes = True

    def signature(self, key: bytes, body: bytes) -> str:
        """Sign a body as Shopify does."""
        return hmac_base64(key, body)
