"""GitLab: a signing token (Standard Webhooks ``v1``) or, older and weaker, a secret token sent along in a header.

A secret beginning with ``whsec_`` is a signing token; anything else is compared with ``X-Gitlab-Token``, which proves
who sent the request and nothing about its content. Where a signing token is configured and the request is signed, the
signature decides: there is no falling back to the weaker proof.
Source: docs.gitlab.com/user/project/integrations/webhooks, gitlab-org/gitlab!230944.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from custodes.kernel.clock import SECOND
from custodes.kernel.signing import SYMMETRIC_PREFIX, matching
from custodes.planes.inbound.sources.base import (
    DEFAULT_TOLERANCE,
    TimedSource,
    Verified,
    WebhookRequest,
    content_key,
    content_type,
    header,
    id_key,
    is_name,
    no_match,
    unsigned_header,
)
from custodes.planes.inbound.sources.envelope import read_fields
from custodes.planes.inbound.sources.standard_webhooks import STANDARD_NAMES, explaining, read_envelope, read_key


class _Event(msgspec.Struct):
    """What is read of the body."""

    object_kind: str = ""
    event_name: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class GitLab(TimedSource):
    """Webhooks of GitLab; the type is ``object_kind`` (or ``event_name``) of the body."""

    name = "gitlab"
    scheme = "Standard Webhooks v1 (signing token), or a shared secret token"
    #: Largest payload that GitLab sends (docs.gitlab.com: 25 MB).
    max_body = 25 * 1024 * 1024
    #: Nothing promises that a failed delivery comes again, and several in a row switch the webhook off for a while.
    retries = False

    def __init__(
        self, secrets: Sequence[str], *, name: str = "", max_body: int = 0, tolerance: int = DEFAULT_TOLERANCE
    ) -> None:
        super().__init__(secrets, name=name, max_body=max_body, tolerance=tolerance)
        #: Places of the secrets of each kind, so that a verdict names the right one.
        self._signing = [n for n, secret in enumerate(self._secrets) if secret.startswith(SYMMETRIC_PREFIX)]
        self._plain = [n for n in range(len(self._secrets)) if n not in self._signing]
        self._signing_keys = [read_key(self.name, self._secrets[n]) for n in self._signing]

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature where there is one and a signing token, the secret token otherwise."""
        if self._signing_keys and (not self._plain or "webhook-signature" in request.headers):
            return self._signed(request, now)
        return self._by_token(request)

    def _signed(self, request: WebhookRequest, now: int) -> Verified:
        envelope = read_envelope(request, (STANDARD_NAMES,))
        place = explaining(self._signing_keys, envelope, request.body)
        if place is None:
            raise no_match(self.name)
        signed_at = int(envelope.timestamp) * SECOND
        self.check_time(signed_at, now)
        event_type = _type(request.body)
        return Verified(
            event_id=envelope.id,
            event_type=event_type or unsigned_header(request, "x-gitlab-event"),
            dedupe_key=id_key(envelope.id),
            occurred_at=signed_at,
            signed_with=self._signing[place],
            unsigned=frozenset() if event_type else frozenset({"event_type"}),
            content_type=content_type(request),
        )

    def _by_token(self, request: WebhookRequest) -> Verified:
        given = header(request, "x-gitlab-token")
        place = matching((self._secrets[n] for n in self._plain), [given.encode("latin-1").decode("utf-8", "replace")])
        if place is None:
            raise no_match(self.name)
        return Verified(
            event_id=unsigned_header(request, "idempotency-key") or unsigned_header(request, "x-gitlab-event-uuid"),
            event_type=_type(request.body) or unsigned_header(request, "x-gitlab-event"),
            dedupe_key=content_key(request.body),
            signed_with=self._plain[place],
            unsigned=frozenset({"event_id", "event_type", "dedupe_key"}),
            content_type=content_type(request),
        )


def _type(body: bytes) -> str:
    """Read the type; a custom webhook template may have any body."""
    event = read_fields(_EVENT, body)
    if event is None:
        return ""
    found = event.object_kind or event.event_name
    return found if is_name(found) else ""
