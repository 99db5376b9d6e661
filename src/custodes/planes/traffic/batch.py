"""What one flush writes: rollups, raw rows and error groups, made from what was recorded, off the event loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.redact import storable
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.traffic.faults import Sighting, write_out
from custodes.planes.traffic.model import CALL_FIELDS, RawCall
from custodes.planes.traffic.recorder import Fold, Taken, Window
from custodes.planes.traffic.rollup import (
    ALL_NAMED,
    Figures,
    Keyspace,
    Rollups,
    Series,
    add_rollups,
    keep_heaviest,
    route_name,
)

#: Longest text from outside that is kept in a raw row, characters.
MAX_TEXT = 2_048

_STARTED_AT = CALL_FIELDS.index("started_at")

#: What a client or the host writes freely: may be long, hold NUL or halves of surrogate pairs.
_FREE_TEXTS = tuple(CALL_FIELDS.index(name) for name in ("path", "method", "user", "api_key", "user_agent"))


@dataclass(frozen=True, slots=True)
class GroupSighting:
    """A kind of error to write down: a new group, or a later occurrence of a known one."""

    #: UUIDv7 that the group gets when it is new.
    id: str
    #: What was seen.
    seen: Sighting
    #: Traceback, written out; empty when this process has reported it before.
    traceback: str


@dataclass(slots=True)
class Batch:
    """What is written in one transaction, once: the id tells a repeated attempt from a new batch."""

    #: UUIDv7, and the writer of its rollups.
    id: str
    #: Figures by series.
    rollups: Rollups = field(default_factory=Rollups)
    #: Raw rows: the fields of an exchange, the error's group and text, the id.
    calls: list[RawCall] = field(default_factory=list[RawCall])
    #: Kinds of errors.
    sightings: list[GroupSighting] = field(default_factory=list[GroupSighting])
    #: Requests that the rollups hold.
    recorded: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.rollups or self.calls or self.sightings)

    def absorb(self, other: Batch) -> None:
        """Take in another batch that has not been written either."""
        add_rollups(self.rollups, other.rollups)
        self.calls += other.calls
        self.sightings += other.sightings
        self.recorded += other.recorded


def seal(identifier: str, taken: Taken, random_bits: RandomBits) -> Batch:
    """Turn what was recorded into what is written. Heavy: for a thread, not for the event loop."""
    rollups: Rollups = {}
    for window in taken.windows:
        _add_window(rollups, window)
    _add_all_named(rollups)
    return Batch(
        identifier,
        keep_heaviest(rollups),
        _with_ids(_cleaned(taken.calls), random_bits),
        [_written(seen, random_bits) for seen in taken.sightings],
        taken.recorded,
    )


def _add_window(rollups: Rollups, window: Window) -> None:
    bucket = window.start
    for (tenant, method, route, status), fold in window.folds.items():
        figures = _figures(fold, status)
        endpoint = Series(tenant, Keyspace.ENDPOINT, bucket, route_name(route), method)
        rollups.setdefault(endpoint, Figures()).add(figures)
        if method != "CALL":
            total = Series(tenant, Keyspace.TOTAL, bucket, "", "")
            rollups.setdefault(total, Figures()).add(figures, times=method != "WEBSOCKET")
        if fold.background is not None:
            for name, verb in ((route_name(route), method), ("", "")):
                work = Series(tenant, Keyspace.BACKGROUND, bucket, name, verb)
                rollups.setdefault(work, Figures()).add(fold.background)
    for (tenant, digest), count in window.errors.items():
        errors = rollups.setdefault(Series(tenant, Keyspace.ERROR, bucket, digest, ""), Figures())
        errors.count += count
        errors.server_errors += count
    rollups.update(window.consumers.figures(bucket))  # no other window tells of consumers in this bucket


def _figures(fold: Fold, status: int) -> Figures:
    figures = Figures()
    figures.count = fold.count
    figures.client_errors = fold.count if 400 <= status < 500 else 0
    figures.server_errors = fold.count if status >= 500 else fold.faults
    figures.limited = fold.limited
    figures.disconnected = fold.disconnected
    figures.request_bytes = fold.request_bytes
    figures.response_bytes = fold.response_bytes
    figures.statuses = {status: fold.count}
    if timed := fold.count - fold.limited:
        figures.add_times(timed, fold.total_sum, fold.total_min, fold.total_max)
        figures.total.counts.update(fold.total)
        if status:  # a client that left before the answer saw no first byte
            figures.ttfb.counts.update(fold.ttfb)
    return figures


def _add_all_named(rollups: Rollups) -> None:
    """Add up the tenants, so that everybody together is read in few rows however many tenants there are."""
    together: Rollups = {}
    for series, figures in rollups.items():
        if series.tenant != DEFAULT_TENANT:
            together.setdefault(series._replace(tenant=ALL_NAMED), Figures()).add(figures)
            if series.keyspace is Keyspace.TOTAL:
                one = Series(ALL_NAMED, Keyspace.TENANT, series.bucket, series.tenant, "")
                together.setdefault(one, Figures()).add(figures, times=False)
    rollups.update(together)


def _cleaned(calls: list[RawCall]) -> list[RawCall]:
    """Make every text storable. One look at all of them together: nearly always there is nothing to do."""
    texts = [call[index] for call in calls for index in _FREE_TEXTS]
    if max(map(len, texts), default=0) <= MAX_TEXT:
        together = "".join(texts)
        if "\0" not in together and _encodes(together):
            return calls
    return [_clean(call) for call in calls]


def _clean(call: RawCall) -> RawCall:
    fields = list(call)
    for index in _FREE_TEXTS:
        fields[index] = storable(fields[index][:MAX_TEXT])
    return tuple(fields)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_ids(calls: Sequence[RawCall], random_bits: RandomBits) -> list[RawCall]:
    """Give each row a UUIDv7 of its moment (RFC 9562 §5.7, method 3).

    As :func:`custodes.kernel.ids.uuid7`, but for thousands at a time: the variant takes the whole digit ``8``, which
    leaves 60 random bits instead of 62 and saves half of the time.
    """
    identified: list[RawCall] = []
    for call in calls:
        millis, micros = divmod(call[_STARTED_AT], 1_000)
        noise = random_bits(60)
        fields = (millis >> 16, millis & 0xFFFF, (micros << 12) // 1_000, noise >> 48, noise & 0xFFFFFFFFFFFF)
        identified.append((*call, "%08x-%04x-7%03x-8%03x-%012x" % fields))  # noqa: UP031 - the fastest way there is
    return identified


def _written(seen: Sighting, random_bits: RandomBits) -> GroupSighting:
    return GroupSighting(uuid7(seen.first_at, random_bits), seen, write_out(seen.captured))
