"""Errors: which kind each is, told once a kind and not once an occurrence.

The hot path computes the fingerprint. A traceback is captured the first time that a kind is seen in this process,
without its frames (which would keep the request alive) and without reading source files; it is written out later, off
the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from traceback import TracebackException

from custodes.kernel.fingerprint import fingerprint, places, type_name
from custodes.kernel.redact import redact_text, storable
from custodes.planes.traffic.model import Exchange

#: Kinds of errors reported in one flush; further occurrences are counted as ``(overflow)``.
MAX_KINDS = 100

#: Kinds of errors whose traceback is remembered as reported, in one process.
MAX_REPORTED = 2_000

#: Longest traceback kept, characters; the middle of a longer one is left out.
MAX_TRACEBACK = 64 * 1_024

#: Frames of one exception that are written out.
MAX_TRACEBACK_FRAMES = 64

#: Longest error text of a raw row and longest title of a group, characters.
MAX_ERROR_TEXT = 500
MAX_TITLE = 200

#: Digest of the occurrences beyond :data:`MAX_KINDS`.
OVERFLOW_DIGEST = "(overflow)"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A kind of error that was seen since the last flush."""

    #: Whose.
    tenant: str
    #: Digest of the kind (:func:`custodes.kernel.fingerprint.fingerprint`).
    digest: str
    #: The type and where it was raised.
    title: str
    #: Method and route of the first occurrence.
    method: str
    route: str | None
    #: First and last occurrence since the last flush, microseconds.
    first_at: int
    last_at: int
    #: Trace of the last occurrence.
    trace_id: str
    #: The traceback, captured; None when this process has reported it before.
    captured: TracebackException | None


class Faults:
    """Kinds of errors seen since the last flush. Not locked: the recorder is."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Sighting] = {}
        self._reported: set[tuple[str, str]] = set()

    def see(self, exchange: Exchange) -> tuple[str, str]:
        """Note the error of an exchange; returns its digest and its text for the raw row."""
        error = exchange.error
        assert error is not None
        digest = fingerprint(error)
        key = (exchange.tenant, digest)
        known = self._seen.get(key)
        if known is not None:
            self._seen[key] = replace(
                known,
                first_at=min(known.first_at, exchange.started_at),
                last_at=max(known.last_at, exchange.started_at),
                trace_id=exchange.trace_id,
            )
        elif len(self._seen) >= MAX_KINDS:
            digest = OVERFLOW_DIGEST
        else:
            self._seen[key] = self._sighting(exchange, error, digest)
        return digest, _text_of(error)

    def take(self) -> list[Sighting]:
        """Hand over what was seen and begin anew."""
        seen, self._seen = self._seen, {}
        return list(seen.values())

    def _sighting(self, exchange: Exchange, error: BaseException, digest: str) -> Sighting:
        key = (exchange.tenant, digest)
        captured = None
        if key not in self._reported:
            if len(self._reported) >= MAX_REPORTED:
                self._reported.clear()
            self._reported.add(key)
            captured = _capture(error)
        return Sighting(
            exchange.tenant,
            digest,
            _title_of(error),
            exchange.method,
            exchange.route,
            exchange.started_at,
            exchange.started_at,
            exchange.trace_id,
            captured,
        )


def write_out(captured: TracebackException | None) -> str:
    """Write a captured traceback as text, secrets masked, cut to :data:`MAX_TRACEBACK`; empty for None."""
    if captured is None:
        return ""
    written = storable("".join(captured.format()))
    # An exception may quote a whole request: masked is only what is near to what is kept, and no half of a secret is.
    return _shortened(redact_text(_shortened(written, 2 * MAX_TRACEBACK)), MAX_TRACEBACK)


def _shortened(text: str, longest: int) -> str:
    """Leave out the middle of a text that is too long."""
    half = longest // 2 - 20
    return text if len(text) <= longest else f"{text[:half]}\n… cut …\n{text[-half:]}"


def _capture(error: BaseException) -> TracebackException | None:
    try:
        return TracebackException.from_exception(
            error, limit=-MAX_TRACEBACK_FRAMES, lookup_lines=False, compact=True, max_group_width=4
        )
    except Exception:  # noqa: BLE001 - an exception whose str() raises must not hide the others
        return None


def _text_of(error: BaseException) -> str:
    try:
        message = str(error)[: 2 * MAX_ERROR_TEXT]
    except Exception:  # noqa: BLE001 - a foreign __str__ must not keep an exchange from being recorded
        message = ""
    name = type_name(error)
    return redact_text(storable(f"{name}: {message}" if message else name))[:MAX_ERROR_TEXT]


def _title_of(error: BaseException) -> str:
    passed = places(error)
    name = type_name(error)
    return storable(f"{name} in {_as_said(passed[-1])}" if passed else name)[:MAX_TITLE]


def _as_said(place: str) -> str:
    """Write a place as one says it: ``shop:create_app.<locals>.refund`` is ``refund (shop)``."""
    module, _, function = place.partition(":")
    return f"{function.rpartition('<locals>.')[2]} ({module})"
