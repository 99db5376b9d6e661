"""Senders that sign the body and nothing else: no moment, no id, no type.

Whoever has a copy of one delivery can send it again with other headers. So what makes it the same event is the hash of
its body, and what the headers say is marked as unsigned.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

from custodes.errors import ConfigurationError, SignatureRefused
from custodes.kernel.signing import matching
from custodes.planes.inbound.sources.base import (
    Source,
    Verified,
    WebhookRequest,
    content_key,
    content_type,
    header,
    no_match,
    unsigned_header,
)

#: What makes two deliveries of one body the same event. ``body``: always. ``delivery``: only under one delivery id,
#: for senders that mean it when they send one body twice; then a replay under a new id counts as new.
Dedupe = Literal["body", "delivery"]


class BodySigned(Source):
    """A source whose signature covers the body alone."""

    #: Header of the signature.
    signature_header: ClassVar[str]
    #: What stands before the signature in it.
    prefix: ClassVar[str] = ""
    #: Header of the sender's delivery id; a retry keeps it.
    delivery_header: ClassVar[str]
    #: Header of the type.
    type_header: ClassVar[str]
    #: Whether one body is sent with several types, each an event of its own.
    type_distinguishes: ClassVar[bool] = False

    def __init__(self, secrets: Sequence[str], *, name: str = "", max_body: int = 0, dedupe: Dedupe = "body") -> None:
        super().__init__(secrets, name=name, max_body=max_body)
        if dedupe not in get_args(Dedupe):
            msg = f"dedupe of source {self.name!r} is {dedupe!r}"
            raise ConfigurationError(msg, remedy='Use "body" or "delivery"')
        self._dedupe: Dedupe = dedupe

    @abstractmethod
    def signature(self, key: bytes, body: bytes) -> str:
        """Sign a body as the sender does, without the prefix."""

    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature; the body is not decoded at all."""
        del now
        value = header(request, self.signature_header)
        if not value.startswith(self.prefix):
            msg = f"The header {self.signature_header} does not begin with {self.prefix}"
            raise SignatureRefused(msg, reason="malformed-header")
        given = value[len(self.prefix) :]
        signed_with = matching((self.signature(key, request.body) for key in self._keys), [given])
        if signed_with is None:
            raise no_match(self.name)
        delivery = unsigned_header(request, self.delivery_header)
        event_type = unsigned_header(request, self.type_header)
        return Verified(
            event_id=delivery,
            event_type=event_type,
            dedupe_key=self._key(request.body, delivery, event_type),
            signed_with=signed_with,
            unsigned=_UNSIGNED,
            content_type=content_type(request),
        )

    def _key(self, body: bytes, delivery: str, event_type: str) -> str:
        parts = [body]
        if self.type_distinguishes:
            parts.append(event_type.encode())
        if self._dedupe == "delivery":
            parts.append(delivery.encode())
        return content_key(*parts)


_UNSIGNED = frozenset({"event_id", "event_type"})
