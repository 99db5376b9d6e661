"""What is done with rows that are folded together: by functions of C as far as Python has them, or by the twin.

``_folding.pyx`` has the same functions (see :mod:`custodes.kernel.compiled`); the recorder takes those where they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from custodes.kernel.histogram import bucket_of
from custodes.planes.traffic.model import CALL_FIELDS, RawCall

if TYPE_CHECKING:
    from custodes.planes.traffic.consumers import Consumers

#: Times below this many microseconds find their bucket in a table; those above by bisection, which takes longer than
#: all else there is to do with a time.
TABLED = 4_096
_tabled_bucket_of = bytes(map(bucket_of, range(TABLED))).__getitem__

#: Place of the error's group in a row: behind what the exchange says of itself.
ERROR_GROUP = len(CALL_FIELDS)


class Stretch(Protocol):
    """**Protocol:** what began within a stretch of time."""

    @property
    def start(self) -> int:
        """Begin, microseconds."""
        ...

    @property
    def end(self) -> int:
        """End, microseconds; not included."""
        ...


W = TypeVar("W", bound=Stretch)


def _column(*names: str) -> Callable[[RawCall], Any]:
    return itemgetter(*(ERROR_GROUP if name == "error_group" else CALL_FIELDS.index(name) for name in names))


# What rows that are folded as one have in common: their series, and whatever a count depends on.
_alike = _column("tenant", "method", "route", "status", "limited_by", "disconnected", "error_group")
_who = _column("tenant", "client_ip", "user", "api_key")
_started_at = _column("started_at")
_total = _column("total_us")
_ttfb = _column("ttfb_us")
_background = _column("background_us")
_request_bytes = _column("request_bytes")
_response_bytes = _column("response_bytes")


def group_alike(rows: list[RawCall], window: W, turn: Callable[[int], W]) -> dict[tuple[W, Any], list[RawCall]]:
    """Put rows together that are folded as one, by window and by what they have in common.

    Args:
        rows: the rows.
        window: the one that most of them are likely to have begun in.
        turn: finds the window of a moment.
    """
    groups: dict[tuple[W, Any], list[RawCall]] = {}
    for row, at, kind in zip(rows, map(_started_at, rows), map(_alike, rows), strict=True):
        if not window.start <= at < window.end:
            window = turn(at)
        group = groups.get((window, kind))
        if group is None:
            groups[window, kind] = [row]
        else:
            group.append(row)
    return groups


def bytes_of(rows: list[RawCall]) -> tuple[int, int]:
    """Add up the bytes that rows have received and sent."""
    return sum(map(_request_bytes, rows)), sum(map(_response_bytes, rows))


def count_times(rows: list[RawCall], totals: Counter[int], ttfbs: Counter[int]) -> tuple[int, int, int]:
    """Count the times of rows by bucket; returns sum, least and most of those to the last byte, microseconds."""
    times = list(map(_total, rows))
    firsts = list(map(_ttfb, rows))
    totals.update(map(_bucket_in(times), times))
    ttfbs.update(map(_bucket_in(firsts), firsts))
    return sum(times), min(times), max(times)


def late_work(rows: list[RawCall], least: int) -> list[int]:
    """List work that went on after the last byte for at least so many microseconds."""
    return [took for took in map(_background, rows) if took >= least]


def meet(consumers: Consumers, rows: list[RawCall]) -> None:
    """Count who made requests that went well."""
    consumers.meet(*_whos(rows))


def meet_errors(consumers: Consumers, rows: list[RawCall], *, limited: bool, server: bool) -> None:
    """Count who made requests that were refused or failed, all in the same way."""
    consumers.meet_errors(*_whos(rows), limited=limited, server=server)


def _whos(rows: list[RawCall]) -> tuple[map[Any], map[int]]:
    return map(_who, rows), map(_response_bytes, rows)


def _bucket_in(times: Sequence[int]) -> Callable[[int], int]:
    """Return the fastest way to find the bucket of each of these times."""
    return _tabled_bucket_of if max(times) < TABLED and min(times) >= 0 else bucket_of
