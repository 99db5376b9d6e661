"""Stripe: ``Stripe-Signature: t=…,v1=…``, hex HMAC-SHA256 of ``t.body``.

Snapshot events (v1 API) and thin events (v2) are signed the same way and both carry their id in the body. ``v0`` is a
signature of test mode that proves nothing. Source: docs.stripe.com/webhooks#verify-manually.
"""

from __future__ import annotations

import msgspec

from custodes.errors import SignatureRefused
from custodes.kernel.clock import SECOND, from_iso
from custodes.kernel.signing import MAX_SIGNATURES, MAX_TIMESTAMP_DIGITS, hmac_hex, matching, unix_seconds
from custodes.planes.inbound.sources.base import (
    TimedSource,
    Verified,
    WebhookRequest,
    content_type,
    header,
    id_key,
    is_name,
    malformed_body,
    no_match,
)
from custodes.planes.inbound.sources.envelope import read_fields


class _Event(msgspec.Struct):
    """What is read of an event."""

    id: str
    type: str = ""
    #: Unix seconds in snapshot events, RFC 3339 in thin ones.
    created: int | float | str | None = None


_EVENT = msgspec.json.Decoder(_Event)

#: First words of the event types of API version 2026-10 (docs.stripe.com/api/events/types).
_FAMILIES = """
    account application_fee apps balance balance_settings billing billing_portal capability cash_balance charge checkout
    climate coupon credit_note customer customer_cash_balance_transaction entitlements file financial_connections
    identity invoice invoice_payment invoiceitem issuing_authorization issuing_card issuing_cardholder issuing_dispute
    issuing_personalization_design issuing_token issuing_transaction mandate payment_intent payment_link payment_method
    payout person plan price product promotion_code quote radar refund reporting reserve review setup_intent sigma
    source subscription_schedule tax tax_rate terminal test_helpers three_d_secure topup transfer treasury v1 v2
"""


class Stripe(TimedSource):
    """Webhooks of Stripe; secrets are the endpoints' ``whsec_…``, used as they stand."""

    name = "stripe"
    scheme = "HMAC-SHA256 of timestamp and body, hex (v1)"
    fraud_types = (
        "radar.early_fraud_warning.*",
        "charge.dispute.*",
        "review.*",
        "issuing_dispute.*",
        "v1.radar.early_fraud_warning.*",
        "v1.charge.dispute.*",
        "v1.review.*",
    )
    known_types = tuple(f"{family}.*" for family in _FAMILIES.split())

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature, then its moment, then read id, type and moment of the event."""
        timestamp, signatures = _parts(header(request, "stripe-signature"))
        message = b"%b.%b" % (timestamp.encode("ascii"), request.body)
        signed_with = matching((hmac_hex(key, message) for key in self._keys), signatures)
        if signed_with is None:
            raise no_match(self.name)
        self.check_time(int(timestamp) * SECOND, now)
        event = read_fields(_EVENT, request.body)
        if event is None or not is_name(event.id) or (event.type and not is_name(event.type)):
            raise malformed_body(self.name, "is not an event with an id")
        return Verified(
            event_id=event.id,
            event_type=event.type,
            dedupe_key=id_key(event.id),
            occurred_at=_moment(event.created),
            signed_with=signed_with,
            content_type=content_type(request),
        )


def _parts(value: str) -> tuple[str, list[str]]:
    """Take timestamp and v1 signatures out of the header; what else is in it does no harm."""
    timestamps: list[str] = []
    signatures: list[str] = []
    for item in value.split(","):
        key, _, text = item.strip(" ").partition("=")
        if key == "t":
            timestamps.append(text)
        elif key == "v1":
            signatures.append(text)
    if len(timestamps) != 1 or unix_seconds(timestamps[0]) is None or not 0 < len(signatures) <= MAX_SIGNATURES:
        msg = "The header stripe-signature needs one t= and one to ten v1="
        raise SignatureRefused(msg, reason="malformed-header")
    return timestamps[0], signatures


def _moment(created: float | str | None) -> int | None:
    if isinstance(created, str):
        try:
            return from_iso(created)
        except ValueError:
            return None
    if created is None or not 0 <= created < 10**MAX_TIMESTAMP_DIGITS:
        return None
    return int(created * SECOND)
