"""A webhook source of one's own: a parcel service that signs ``moment + body`` with HMAC-SHA512.

Run: uvicorn examples.custom_source:app --no-proxy-headers
"""

from __future__ import annotations

import os

from custodes import Custodes
from custodes.errors import SignatureRefused
from custodes.kernel.clock import SECOND
from custodes.kernel.json_bounds import parse_json
from custodes.kernel.signing import hmac_hex, matching, unix_seconds
from custodes.planes.inbound.sources import (
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

SECRET = "only-for-this-example"


class Parcels(TimedSource):
    """Webhooks of the parcel service: ``Parcel-Signature: MOMENT:HEX``."""

    name = "parcels"
    scheme = "HMAC-SHA512 of moment and body, hex"
    max_body = 64 * 1024
    fraud_types = ("parcel.intercepted",)
    known_types = ("parcel.*",)

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check signature and moment, then read the event."""
        # 1. What was sent, read strictly: nothing here raises anything but SignatureRefused
        moment, _, signature = header(request, "parcel-signature").partition(":")
        seconds = unix_seconds(moment)
        if seconds is None:
            raise SignatureRefused("The header parcel-signature has no moment", reason="malformed-header")
        # 2. The raw bytes, against every secret, in constant time
        message = moment.encode() + request.body
        expected = (hmac_hex(key, message, "sha512") for key in self._keys)
        signed_with = matching(expected, [signature])
        if signed_with is None:
            raise no_match(self.name)
        # 3. Not too old, and not from the future
        self.check_time(seconds * SECOND, now)
        # 4. Only now the body, within bounds
        event = parse_json(request.body)
        if not isinstance(event, dict) or not is_name(str(event.get("id", ""))):
            raise malformed_body(self.name, "has no id")
        return Verified(
            event_id=str(event["id"]),
            event_type=str(event.get("type", ""))[:255],
            dedupe_key=id_key(str(event["id"])),
            occurred_at=seconds * SECOND,
            signed_with=signed_with,
            content_type=content_type(request),
        )


def delivery(body: bytes, moment: int) -> dict[str, str]:
    """Sign a body as the parcel service would, for tests; the moment in Unix seconds."""
    signature = hmac_hex(SECRET.encode(), str(moment).encode() + body, "sha512")
    return {"parcel-signature": f"{moment}:{signature}", "content-type": "application/json"}


async def host(scope, receive, send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"hello"})


custodes = Custodes(os.environ.get("CUSTODES_DATABASE_URL", "sqlite:///custodes.db"))
custodes.inbound.add_source(Parcels([SECRET]))
app = custodes.wrap(host)
