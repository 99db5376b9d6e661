"""What an endpoint may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from custodes.errors import Conflict, InvalidInput
from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.kernel.redact import storable
from custodes.kernel.several import several
from custodes.planes.outbound.headers import checked_headers
from custodes.planes.outbound.match import checked_pattern
from custodes.planes.outbound.model import Endpoint, Options, RetryPolicy

#: Longest description and reason, characters.
MAX_TEXT = 500

#: Most retries.
MAX_RETRIES = 30

#: Longest version of payloads, characters.
MAX_VERSION = 64

#: Most channels of an endpoint, and longest, characters.
MAX_CHANNELS = 10
MAX_CHANNEL = 100

#: Options of an endpoint that follow from the source that is forwarded to it.
_OF_SOURCE = ("match", "channels", "payload_version", "ordered")

#: Least and most deliveries a second that an endpoint may ask for: one in a quarter of an hour, and more than one
#: process sends. What is below would put the next one off beyond every clock.
MIN_RATE = 0.001
MAX_RATE = 10_000


def checked_text(text: str) -> str:
    """Check a description or a reason; returns it fit for every store.

    Raises:
        InvalidInput: too long.
    """
    if len(text) > MAX_TEXT:
        msg = f"The text has {len(text)} characters"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_TEXT}")
    return storable(text)


def checked_retry(retry: RetryPolicy) -> RetryPolicy:
    """Bound a policy: a delivery must end, and an endpoint must not be hammered.

    Raises:
        InvalidInput: a value is out of bounds.
    """
    if len(retry.schedule) > MAX_RETRIES:
        msg = f"The schedule has {len(retry.schedule)} waits"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_RETRIES}")
    for wait in retry.schedule:
        _within("wait of the schedule", wait, SECOND, DAY)
    _within("timeout", retry.timeout, SECOND, 60 * SECOND)
    return retry


def changed_retry(before: RetryPolicy, asked: RetryPolicy | Mapping[str, Any] | None) -> RetryPolicy:
    """Return a policy with what is asked for: another one, or some of its fields, or nothing.

    Raises:
        InvalidInput: a value is out of bounds.
    """
    if not asked:
        return before
    return checked_retry(asked if isinstance(asked, RetryPolicy) else replace(before, **asked))


def checked_options(options: Options) -> Options:
    """Check what an endpoint asks for; returns it in its kept form.

    Raises:
        InvalidInput: a value is not acceptable.
    """
    if options.rate != 0 and not MIN_RATE <= options.rate <= MAX_RATE:
        msg = f"The rate is {options.rate:g}"
        raise InvalidInput(msg, remedy=f"Use {MIN_RATE:g} to {MAX_RATE:g} a second; 0 for as many as come")
    if not 1 <= options.concurrency <= 100:
        msg = f"The concurrency is {options.concurrency}"
        raise InvalidInput(msg, remedy="Use 1 to 100")
    if options.disable_after:
        _within("time to being disabled", options.disable_after, HOUR, 90 * DAY)
    if len(options.payload_version) > MAX_VERSION or not options.payload_version.isprintable():
        msg = "The payload version is not acceptable"
        raise InvalidInput(msg, remedy=f"Use at most {MAX_VERSION} printable characters")
    return replace(
        options,
        match=checked_pattern(options.match),
        channels=checked_channels(options.channels),
        headers=checked_headers(options.headers),
    )


def checked_channels(channels: Iterable[str]) -> tuple[str, ...]:
    """Check channels; returns them without repetitions.

    Raises:
        InvalidInput: too many, too long, empty, or one text.
    """
    kept = several("channels", channels)
    if len(kept) > MAX_CHANNELS or any(not 0 < len(one) <= MAX_CHANNEL or not one.isprintable() for one in kept):
        msg = "The channels are not acceptable"
        raise InvalidInput(msg, remedy=f"Give at most {MAX_CHANNELS}, of 1 to {MAX_CHANNEL} characters each")
    return kept


def check_change(before: Endpoint, after: Endpoint) -> None:
    """Refuse what would part an endpoint from its source.

    Raises:
        Conflict: what follows from the source was changed.
    """
    bound = (before.url, before.event_types, *_bound(before.options)) == (
        after.url,
        after.event_types,
        *_bound(after.options),
    )
    if before.source and not bound:
        msg = f"URL, event types and filters of this endpoint are those of the source {before.source}"
        raise Conflict(msg, remedy="Change where the source is forwarded to (CUSTODES_FORWARD_TO, forward_to) instead")


def _bound(options: Options) -> tuple[object, ...]:
    return tuple(getattr(options, name) for name in _OF_SOURCE)


def _within(name: str, micros: int, least: int, most: int) -> None:
    if not least <= micros <= most:
        msg = f"The {name} is {micros / SECOND:g} s"
        raise InvalidInput(msg, remedy=f"Use {least / SECOND:g} to {most / SECOND:g} s")
