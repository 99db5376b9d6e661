"""Sources of webhooks: who sends, and how its signature is checked.

What a source of one's own is made of stands here; see docs/howto/add-a-webhook-source.md.
"""

from custodes.planes.inbound.sources.base import (
    Headers,
    Source,
    TimedSource,
    Verified,
    WebhookRequest,
    check_time,
    checked_tolerance,
    content_key,
    content_type,
    header,
    id_key,
    is_name,
    malformed_body,
    no_match,
    unsigned_header,
)

__all__ = [
    "Headers",
    "Source",
    "TimedSource",
    "Verified",
    "WebhookRequest",
    "check_time",
    "checked_tolerance",
    "content_key",
    "content_type",
    "header",
    "id_key",
    "is_name",
    "malformed_body",
    "no_match",
    "unsigned_header",
]
