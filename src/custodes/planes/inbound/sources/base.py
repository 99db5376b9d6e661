"""What a source is: one sender of webhooks, and how its signature is checked.

A source is asked once per delivery, with the raw bytes and before anything of them is decoded::

    source.verify(request, now)  ->  Verified | SignatureRefused | MalformedPayload

It holds no state but its secrets, reads no clock and does no I/O. Whatever a stranger sends, no other error leaves it.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import ClassVar, NamedTuple

from custodes.errors import ConfigurationError, MalformedPayload, SignatureRefused
from custodes.kernel.clock import SECOND

#: Seconds that a signed timestamp may differ from our clock, either way (Stripe, Slack, Standard Webhooks: 5 minutes).
DEFAULT_TOLERANCE = 300

#: Widest tolerance that can be configured, seconds: what is older is a replay.
MAX_TOLERANCE = 86_400

#: Bodies above this are refused unless the source says otherwise, bytes.
DEFAULT_MAX_BODY = 1024 * 1024

#: Secrets of one source in use at the same time: each costs a signature per delivery.
MAX_SECRETS = 10

#: Longest id or type of an event that is taken from a delivery, characters (the columns hold 255).
MAX_NAME = 255

#: Longest value of a header that is looked at, characters.
MAX_HEADER = 4_096

#: What a source may be called: it is part of URLs and of unique keys.
NAME = re.compile(r"[a-z0-9-]{1,40}")


@lru_cache(maxsize=256)
def _on_the_wire(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")


class Headers(Mapping[str, str]):
    """The headers of a request as they came: names in any case, values as latin-1, so that every byte has a place.

    ``headers["x"]`` and ``headers.get("x")`` give the first value of a name; :meth:`values_of` gives all.
    """

    __slots__ = ("_index", "_repeats", "raw")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]], index: Mapping[bytes, bytes] | None = None) -> None:
        #: Names and values in the order of the request.
        self.raw = raw if isinstance(raw, list) else list(raw)
        if index is None:
            index = {name.lower(): value for name, value in self.raw}
        self._index = index
        #: Whether a name is there more than once, which is rare; the index then holds its last value only.
        self._repeats = len(index) < len(self.raw)

    def values_of(self, name: str) -> list[str]:
        """Every value of a name, in the order of the request."""
        wanted = _on_the_wire(name)
        if self._repeats:
            return [value.decode("latin-1") for key, value in self.raw if key.lower() == wanted]
        value = self._index.get(wanted)
        return [] if value is None else [value.decode("latin-1")]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _on_the_wire(name) in self._index

    def __getitem__(self, name: str) -> str:
        values = self.values_of(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._index)

    def __len__(self) -> int:
        return len(self._index)


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One delivery as it came over the wire."""

    #: All headers.
    headers: Headers
    #: The exact bytes.
    body: bytes
    #: The public URL that the sender called, query included; Twilio and Square sign it.
    url: str = ""
    #: HTTP method.
    method: str = "POST"


class Verified(NamedTuple):
    """What is known of a delivery whose signature holds; a tuple, because one is made for every delivery."""

    #: The sender's id of the event or delivery; empty when it gives none. At most 255 characters.
    event_id: str
    #: The sender's name of what happened; empty when it gives none. At most 255 characters.
    event_type: str
    #: Two deliveries with the same key are the same event. Made of signed facts. At most 255 characters.
    dedupe_key: str
    #: When it happened (or was signed), microseconds since the epoch; ``None`` when nothing signed says so.
    occurred_at: int | None = None
    #: Which of the source's secrets signed it, from 0: tells when an old one can go. ``None``: the source does not say.
    signed_with: int | None = None
    #: Names of the fields above that come from headers outside the signature: anyone with a copy can change them.
    unsigned: frozenset[str] = frozenset()
    #: Media type of the body, without parameters, lower case; empty when not stated.
    content_type: str = ""


class Source(ABC):
    """One sender of webhooks. Subclass it, or one of the ready ones, and implement :meth:`verify`.

    A subclass finds its secrets, checked, in ``self._secrets``, and as bytes, which most senders sign with, in
    ``self._keys``.

    Args:
        secrets: Signing secrets that are accepted, newest first; several while a secret is rotated.
        name: Name in URLs (``/hooks/{name}``), 1–40 of ``a-z0-9-``; default: the class's own.
        max_body: Largest body taken, bytes.

    Raises:
        ConfigurationError: no secret, an empty one, too many, or a name or size that cannot be.
    """

    #: Name when none is given.
    name: str = ""
    #: How it signs, for people: ``"HMAC-SHA256, hex"``.
    scheme: ClassVar[str] = ""
    #: Largest body taken, bytes.
    max_body: int = DEFAULT_MAX_BODY
    #: Whether the sender delivers again after a 5xx. Where not, what we cannot store is lost for good.
    retries: bool = True
    #: Patterns (``fnmatch``) of event types that speak of fraud; they are raised as security events.
    fraud_types: tuple[str, ...] = ()
    #: Patterns of every type the sender documents; empty: any type is known.
    known_types: tuple[str, ...] = ()

    def __init__(self, secrets: Sequence[str], *, name: str = "", max_body: int = 0) -> None:
        self.name = checked_name(name or self.name)
        self._secrets = checked_secrets(self.name, secrets)
        self._keys = [secret.encode() for secret in self._secrets]
        if max_body < 0:
            msg = f"max_body of source {self.name!r} is {max_body}"
            raise ConfigurationError(msg, remedy="Give a number of bytes above 0")
        self.max_body = max_body or type(self).max_body
        self._fraud = _one_pattern(self.fraud_types)
        self._known = _one_pattern(self.known_types)

    @abstractmethod
    def verify(self, request: WebhookRequest, now: int) -> Verified:
        """Check the signature over the raw bytes, then read who and what it is.

        Args:
            request: The delivery as it came.
            now: Microseconds since the epoch.

        Raises:
            SignatureRefused: with a stable ``reason``.
            MalformedPayload: the signature holds, but the body is not what this sender sends.
        """

    def challenge(self, request: WebhookRequest) -> bytes | None:
        """Answer to a handshake that must be sent back, asked after :meth:`verify`; ``None``: it is a normal event."""
        del request
        return None

    def secrets_for_diagnosis(self) -> Sequence[str]:
        """Return the secrets, to try them in other ways (:mod:`custodes.planes.inbound.diagnosis`); never to show."""
        return self._secrets

    def is_fraud(self, event_type: str) -> bool:
        """Tell whether this type speaks of fraud."""
        return self._fraud is not None and self._fraud.match(event_type) is not None

    def is_known(self, event_type: str) -> bool:
        """Tell whether the sender documents this type."""
        return self._known is None or self._known.match(event_type) is not None

    def __repr__(self) -> str:
        # Secrets never show up in logs and tracebacks.
        return f"<{type(self).__name__} {self.name!r}>"


class TimedSource(Source):
    """A sender that signs the moment, too. Subclasses hold it against the tolerance by :meth:`check_time`.

    Args:
        secrets: As of every source.
        name: As of every source.
        max_body: As of every source.
        tolerance: Seconds that the signed moment may differ from now, either way.
    """

    def __init__(
        self, secrets: Sequence[str], *, name: str = "", max_body: int = 0, tolerance: int = DEFAULT_TOLERANCE
    ) -> None:
        super().__init__(secrets, name=name, max_body=max_body)
        self._tolerance = checked_tolerance(self.name, tolerance)

    def check_time(self, signed_at: int | None, now: int) -> None:
        """Refuse a signed moment too far from now; see :func:`check_time`. To be asked after the signature."""
        check_time(signed_at, now, self._tolerance)


def _one_pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(translate, patterns))) if patterns else None


def checked_name(name: str) -> str:
    """Return a name of a source that can stand in a URL, or raise ``ConfigurationError``."""
    if not NAME.fullmatch(name):
        msg = f"A webhook source cannot be called {name[:60]!r}"
        raise ConfigurationError(msg, remedy="Use 1 to 40 of the characters a-z, 0-9 and -")
    return name


def checked_secrets(name: str, secrets: Sequence[str]) -> tuple[str, ...]:
    """Return the secrets without surrounding white space, or raise ``ConfigurationError``: none means no source."""
    if isinstance(secrets, str):
        msg = f"The secrets of source {name!r} are one text"
        raise ConfigurationError(msg, remedy="Give a list: secrets=[secret]")
    # None is what an environment variable that is not set gives.
    cleaned = tuple((secret or "").strip() for secret in secrets or ())
    if not cleaned or not all(cleaned):
        msg = f"Source {name!r} has {'an empty' if cleaned else 'no'} secret"
        raise ConfigurationError(msg, remedy="Give the signing secret that the sender shows for this endpoint")
    if not all(map(_is_text, cleaned)):
        msg = f"A secret of source {name!r} is no text"
        raise ConfigurationError(msg, remedy="Check how it got into the environment: it must be UTF-8")
    if len(cleaned) > MAX_SECRETS:
        msg = f"Source {name!r} has {len(cleaned)} secrets"
        raise ConfigurationError(msg, remedy=f"Keep at most {MAX_SECRETS} and remove the oldest")
    return cleaned


def _is_text(secret: str) -> bool:
    # The environment hands bytes that are no UTF-8 over as lone surrogates, which no key can be made of.
    return not any("\ud800" <= character <= "\udfff" for character in secret)


def checked_tolerance(name: str, seconds: int) -> int:
    """Return a tolerance in microseconds, or raise ``ConfigurationError``: 0 does not switch the check off."""
    if not 1 <= seconds <= MAX_TOLERANCE:
        msg = f"The tolerance of source {name!r} is {seconds} s"
        raise ConfigurationError(msg, remedy=f"Give 1 to {MAX_TOLERANCE} seconds")
    return seconds * SECOND


def header(request: WebhookRequest, name: str) -> str:
    """Return the one value of a header that the signature needs.

    Raises:
        SignatureRefused: ``missing-signature``, or ``malformed-header`` when it is there twice, empty or too long:
            two values would let a proxy and us see different ones.
    """
    values = request.headers.values_of(name)
    if not values:
        msg = f"The header {name} is missing"
        raise SignatureRefused(msg, reason="missing-signature", remedy="Check that the sender signs this endpoint")
    if len(values) > 1 or not 0 < len(values[0]) <= MAX_HEADER:
        msg = f"The header {name} is empty, too long or there more than once"
        raise SignatureRefused(msg, reason="malformed-header")
    return values[0]


def unsigned_header(request: WebhookRequest, name: str) -> str:
    """Return the first value of a header outside the signature, shortened and printable; empty when absent."""
    values = request.headers.values_of(name)
    if not values:
        return ""
    value = values[0].strip()[:MAX_NAME]
    return value if value.isascii() and value.isprintable() else ""


def content_type(request: WebhookRequest) -> str:
    """Return the media type of the body: lower case, no parameters; empty when not stated."""
    return _media_type(unsigned_header(request, "content-type"))


@lru_cache(maxsize=256)
def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def check_time(signed_at: int | None, now: int, tolerance: int) -> None:
    """Refuse a signed moment too far from now; all in microseconds.

    Asked after the signature, so that ``timestamp-too-old`` means a genuine delivery that is replayed or was held up.

    Raises:
        SignatureRefused: ``malformed-header`` when there is no moment, ``timestamp-too-old``, ``timestamp-in-future``.
    """
    if signed_at is None:
        msg = "The signed timestamp is not a moment"
        raise SignatureRefused(msg, reason="malformed-header")
    if now - signed_at > tolerance:
        msg = f"The signature is {(now - signed_at) // SECOND} s old; {tolerance // SECOND} s are tolerated"
        raise SignatureRefused(msg, reason="timestamp-too-old", remedy="Have the sender deliver it again")
    if signed_at - now > tolerance:
        msg = f"The signature is {(signed_at - now) // SECOND} s ahead; {tolerance // SECOND} s are tolerated"
        raise SignatureRefused(msg, reason="timestamp-in-future", remedy="Check the clock of this machine (NTP)")


def content_key(*parts: bytes) -> str:
    """Make a dedupe key of what was signed, for senders whose signature holds no id."""
    return "sha256:" + hashlib.sha256(b"\0".join(parts)).hexdigest()


def id_key(event_id: str) -> str:
    """Make a dedupe key of a signed id."""
    return "id:" + event_id if len(event_id) <= MAX_NAME - 3 else content_key(event_id.encode())


def is_name(text: str) -> bool:
    """Tell whether an id or a type from a signed body can be stored and shown: 1–255 printable characters."""
    return 0 < len(text) <= MAX_NAME and text.isprintable()


def no_match(name: str) -> SignatureRefused:
    """Make the refusal of a signature that no secret explains."""
    msg = f"No secret of source {name!r} explains the signature"
    return SignatureRefused(
        msg,
        reason="no-match",
        remedy="Compare the signing secret with the sender's, and pass the body on unchanged",
    )


def malformed_body(name: str, why: str) -> MalformedPayload:
    """Make the refusal of a body that is signed but not what the sender sends."""
    msg = f"The signed body from {name!r} {why}"
    return MalformedPayload(msg, remedy="Look at the raw bytes in the webhook log")
