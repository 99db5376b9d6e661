"""Histograms with fixed exponential buckets: exact to merge, 2.2 % to read.

Bucket boundaries are the powers of 2^(1/16) (OpenTelemetry's base-2 exponential histogram at scale 4, upper bounds
inclusive), the same for every histogram ever made. So merging is integer addition: the order of merging, the number of
workers and the store make no difference to any percentile.

A value is a non-negative integer (microseconds, bytes). Bucket 0 holds zero, bucket ``k`` holds the integers in
``(2^((k-2)/16), 2^((k-1)/16)]``, the last one everything above :data:`MAX_VALUE`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import accumulate, chain, compress, pairwise
from math import ceil, inf, isqrt
from operator import add
from struct import pack, unpack_from
from typing import TYPE_CHECKING

from custodes.errors import MalformedPayload
from custodes.kernel.remembered import Remembered

#: Buckets per power of two are 2 to this power.
SCALE = 4

#: Largest relative error of a quantile: (γ − 1)/(γ + 1) with γ = 2^(1/16).
MAX_RELATIVE_ERROR = (2 ** (1 / 16) - 1) / (2 ** (1 / 16) + 1)

#: Largest value told from larger ones: 2^40 (twelve days in µs, one tebibyte in bytes).
MAX_VALUE = 1 << 40

#: Largest count that a bucket may have in an encoding: what a signed 64-bit column holds.
MAX_COUNT = (1 << 63) - 1

#: First byte of an encoding, so that another scale can come later and be told apart.
_FORMAT = SCALE

#: Bytes before the counts of a dense encoding, and widest count of one: two of them side by side are an integer that
#: :mod:`struct` knows, which adding them up needs (:func:`_added`).
_DENSE_HEAD = 4
_DENSE_WIDTH = 4

#: How a sparse encoding begins whose distances and counts have one byte each.
_BYTEWISE = bytes((_FORMAT, 0x11))

#: A dense encoding is written when it is at most so many times as long as the sparse one.
_DENSE = 1.25

#: Width in bytes → its letter in :mod:`struct`.
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _sixteenth_root_of_two_to(power: int) -> int:
    """Floor of 2^(power/16), in integers: float logarithms are off by one bucket near a boundary on some machines."""
    root = 1 << power
    for _ in range(SCALE):
        root = isqrt(root)
    return root


#: Largest integer of each bucket. The first powers floor to the same integers; ``bisect_left`` then takes the first.
BOUNDS: Sequence[int] = [0, *(_sixteenth_root_of_two_to(power) for power in range(40 * (1 << SCALE) + 1))]

#: Index of the bucket of everything above :data:`MAX_VALUE`.
OVERFLOW = len(BOUNDS)

#: Find the bucket of a value: ``bucket_of(us)``. Values below zero count as zero.
bucket_of = partial(bisect_left, BOUNDS)

#: Longest encoding that is looked at: every bucket in use with the largest count.
MAX_ENCODED = 2 + (OVERFLOW + 1) * (8 + 8)


#: Quantiles of what is in a store, some 400 bytes each: those of the panels of a few pages.
_known: Remembered[list[float]] = Remembered(16_384)


#: Encodings that a histogram hands on as they are when it is merged; more are added up first, and once.
_FEW = 4


def midpoint(bucket: int) -> float:
    """Return the value that stands for a bucket: no integer of it is further away than the largest relative error."""
    if bucket == 0:
        return 0.0
    if bucket >= OVERFLOW:
        return float(MAX_VALUE)
    low, high = BOUNDS[bucket - 1] + 1, BOUNDS[bucket]
    return 2.0 * low * high / (low + high)


_MIDPOINTS = [midpoint(bucket) for bucket in range(OVERFLOW + 1)]

#: Largest square of a value of each bucket.
_SQUARES = [*(float(bound) ** 2 for bound in BOUNDS), inf]


@lru_cache(maxsize=64)
def _check_ranks(qs: tuple[float, ...]) -> None:
    """Hold ranks against what they may be; whoever reads percentiles asks for the same ones again and again."""
    if any(not 0 <= q <= 1 for q in qs) or any(low > high for low, high in pairwise(qs)):
        msg = f"Quantiles must rise and be from 0 to 1: {list(qs)}"
        raise ValueError(msg)


class Histogram:
    """Counts per bucket, sparse.

    ``counts`` is open to hot paths: ``histogram.counts[bucket_of(value)] += 1`` is :meth:`record` without the call.
    What is read from a store waits until somebody asks: for percentiles it is added up side by side, without a count
    in a dictionary.
    """

    __slots__ = ("_waiting", "counts")

    #: Bucket → how many values.
    counts: defaultdict[int, int]

    def __init__(self, values: Iterable[int] = ()) -> None:
        #: What ``counts`` will be made of when they are touched for the first time; None from then on.
        self._waiting: list[bytes | Parsed] | None = []
        for value in values:
            self.record(value)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Make the counts when they are touched for the first time."""
            if name != "counts":
                raise AttributeError(name)
            counts = self.counts = defaultdict(int, _pairs(*_together(self._waiting)))
            self._waiting = None
            return counts

    def record(self, value: int, times: int = 1) -> None:
        """Count a value. Values below zero count as zero, values above :data:`MAX_VALUE` as that."""
        self.counts[bucket_of(value)] += times

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts.values())

    def merge(self, other: Histogram) -> None:
        """Add another histogram to this one."""
        if other._waiting is not None and len(other._waiting) <= _FEW:
            self.merge_parsed(other._waiting)
            return
        counts = self.counts
        if not counts:
            counts.update(other.counts)
            return
        for bucket, times in other.counts.items():
            counts[bucket] += times

    def copy(self) -> Histogram:
        """Make an independent copy."""
        twin = Histogram()
        twin.merge(self)
        return twin

    def quantile(self, q: float) -> float:
        """Value at rank ⌈q·n⌉, at most :data:`MAX_RELATIVE_ERROR` away from the true one; 0.0 when empty."""
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> list[float]:
        """Values at several ranks, in one pass. ``qs`` rise, each from 0 to 1.

        Raises:
            ValueError: they do not rise, or one is outside of 0..1.
        """
        _check_ranks(tuple(qs))
        waiting = self._waiting
        if waiting is None:
            buckets = sorted(self.counts)
            return _at_ranks(buckets, map(self.counts.__getitem__, buckets), qs)
        encodings = [one for one in waiting if isinstance(one, bytes)]
        if not encodings or len(encodings) < len(waiting):
            return _quantiles_of(waiting, qs)
        return [*_known.of(encodings, tuple(qs), lambda: _quantiles_of(encodings, qs))]

    def squares(self) -> float:
        """Bound the sum of the squares of all values from above: each counts as the largest of its bucket."""
        if self._waiting == []:  # as of most figures that are ranked: their histograms are in the store
            return 0.0
        return sum([_SQUARES[bucket] * times for bucket, times in self.counts.items() if times])

    def encode(self) -> bytes:
        """Write as bytes, compact and quick to read; equal histograms have equal bytes, an empty one is ``b""``.

        The first byte is the scale; the low half of the second is the width of a count. Then one of two shapes, all
        numbers unsigned, little-endian, and counts of the smallest width that holds the largest of them:

        * *sparse*, for few buckets far apart: the high half of the second byte is the width of a distance; then, of
          each bucket in use, the distance from the one before (the first: from zero), and after these all the counts.
        * *dense*, when that is hardly longer: the high half is zero; then the first bucket in two bytes, and a count
          for each from there to the last in use. Dense histograms are added up as one large integer
          (:meth:`merge_all`), several times as fast.
        """
        buckets = sorted(bucket for bucket, times in self.counts.items() if times)
        if not buckets:
            return b""
        steps = [after - before for before, after in pairwise((0, *buckets))]
        times = [self.counts[bucket] for bucket in buckets]
        step_width, count_width = _width(max(steps)), _width(max(times))
        span = buckets[-1] - buckets[0] + 1
        if count_width <= _DENSE_WIDTH and 2 + span * count_width <= _DENSE * len(buckets) * (step_width + count_width):
            counts = [0] * span
            for bucket, count in zip(buckets, times, strict=True):
                counts[bucket - buckets[0]] = count
            return pack(f"<BBH{span}{_CODES[count_width]}", _FORMAT, count_width, buckets[0], *counts)
        return pack(
            f"<BB{len(steps)}{_CODES[step_width]}{len(times)}{_CODES[count_width]}",
            _FORMAT,
            step_width << 4 | count_width,
            *steps,
            *times,
        )

    @classmethod
    def decode(cls, encoded: bytes) -> Histogram:
        """Read back what :meth:`encode` wrote.

        Raises:
            MalformedPayload: not such bytes; nothing larger than :data:`MAX_ENCODED` is looked at.
        """
        histogram = cls()
        histogram.merge_encoded(encoded)
        return histogram

    def merge_encoded(self, encoded: bytes) -> None:
        """Add an encoded histogram to this one; on an error this one is unchanged.

        Raises:
            MalformedPayload: not an encoding of ours.
        """
        if not encoded:
            return
        self.merge_parsed((parse(encoded),))

    def merge_all(self, encodings: Iterable[bytes]) -> None:
        """Add many encoded histograms: the same as each by :meth:`merge_encoded`, and quicker when they are dense.

        Raises:
            MalformedPayload: one is not an encoding of ours; this one is unchanged.
        """
        self.merge_parsed([parse(encoded) for encoded in encodings])

    def wait_for(self, encodings: Iterable[bytes]) -> None:
        """Add many encoded histograms of a store of ours once somebody asks; then, what is no encoding is an error.

        Percentiles of the same encodings are remembered: several panels of a page ask for the same ones, and each again
        and again, while most of what they show stays as it is.
        """
        if self._waiting is None:
            self.merge_all(encodings)
        else:
            self._waiting += filter(None, encodings)

    def merge_parsed(self, parsed: Iterable[bytes | Parsed]) -> None:
        """Add many encodings that :func:`parse` took apart: for those who add the same ones to several histograms."""
        if self._waiting is not None:
            self._waiting += parsed
            return
        counts = self.counts
        for bucket, more in _pairs(*_together(parsed)):
            counts[bucket] += more

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.encode() == other.encode()

    __hash__ = None  # pyright: ignore[reportAssignmentType] - mutable

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values>"


#: An encoding taken apart: of a dense one the width of its counts in bytes, its first bucket and all its counts as one
#: integer, the first lowest; of a sparse one the distances of its buckets and their counts. Nothing in it holds many
#: objects: of tens of thousands, the garbage collector would take longer than adding them up.
Parsed = tuple[int, int, int] | tuple[Sequence[int], Sequence[int]]


def parse(encoded: bytes) -> Parsed:
    """Take an encoding apart, held against what it may say: buckets that rise and exist, counts above zero.

    Raises:
        MalformedPayload: not an encoding of ours; nothing larger than :data:`MAX_ENCODED` is looked at.
    """
    if encoded[:2] == _BYTEWISE:  # as most histograms of few values: the same as below, in a third of the time
        middle = len(encoded) // 2 + 1
        steps, times = encoded[2:middle], encoded[middle:]
        if len(steps) == len(times) and 0 not in times and 0 not in steps[1:] and 0 < sum(steps) <= OVERFLOW:
            return steps, times
    if not encoded:
        return b"", b""
    if encoded[0] != _FORMAT or not 2 < len(encoded) <= MAX_ENCODED:
        raise _malformed("its first byte names no scale we know, or its length cannot be")
    if encoded[1] >> 4:
        return _numbers(encoded)
    width = encoded[1]
    return width, _first_of_dense(encoded, width), int.from_bytes(encoded[_DENSE_HEAD:], "little")


def _together(waiting: Iterable[bytes | Parsed]) -> tuple[int, Sequence[int]]:
    """Add encodings up: the first bucket, and the counts from there on, of which some may be zero."""
    dense: dict[int, list[tuple[int, int, int]]] = {}
    sparse: list[tuple[Sequence[int], Sequence[int]]] = []
    parsed: list[Parsed] = [parse(one) if isinstance(one, bytes) else one for one in waiting]
    for one in parsed:
        if len(one) == 3:
            some = dense.get(one[0])
            if some is None:
                dense[one[0]] = [one]
            else:
                some.append(one)
        elif one[0]:
            sparse.append((list(accumulate(one[0])), one[1]))
    runs = [
        _added(width, some[begin : begin + (1 << 8 * width)])
        for width, some in dense.items()
        for begin in range(0, len(some), 1 << 8 * width)
    ]
    if len(runs) == 1 and not sparse:
        return runs[0]
    first = min(chain((base for base, _ in runs), (buckets[0] for buckets, _ in sparse)), default=0)
    end = max(chain((base + len(run) for base, run in runs), (buckets[-1] + 1 for buckets, _ in sparse)), default=0)
    times = [0] * (end - first)
    for base, run in runs:
        where = slice(base - first, base - first + len(run))
        times[where] = map(add, times[where], run)
    for buckets, counts in sparse:
        for bucket, more in zip(buckets, counts, strict=True):
            times[bucket - first] += more
    return first, times


def _at_ranks(buckets: Sequence[int], times: Iterable[int], qs: Sequence[float]) -> list[float]:
    passed = list(accumulate(times))
    if not passed:
        return [0.0] * len(qs)
    return [_MIDPOINTS[buckets[bisect_left(passed, max(1, ceil(q * passed[-1])))]] for q in qs]


def _quantiles_of(waiting: Iterable[bytes | Parsed], qs: Sequence[float]) -> list[float]:
    first, times = _together(waiting)
    return _at_ranks(range(first, first + len(times)), times, qs)


def _pairs(first: int, times: Sequence[int]) -> Iterable[tuple[int, int]]:
    """Pair counts side by side with their buckets, those that are zero left out."""
    return zip(compress(range(first, first + len(times)), times), filter(None, times), strict=True)


def _added(width: int, some: Sequence[tuple[int, int, int]]) -> tuple[int, Sequence[int]]:
    """Add up dense counts of a width, all of a histogram at once.

    A few small counts, as those of a minute, have room for their sum where they are. Else every other count is masked
    out, so that those which are left have room for a sum beside them; the others are what is missing to the sum of all.
    Of a width of *w* bytes no more than 2^(8w) may be added.

    Returns:
        The first bucket and the sums from there on.
    """
    if len(some) == 1:
        return some[0][1], _counts(width, some[0][2])
    base = min([first for _, first, _ in some])
    bits, mask = 8 * width, _EVERY_OTHER[width]
    aligned = [numbers << (first - base) * bits if first != base else numbers for _, first, numbers in some]
    if len(some) <= _LIGHT:
        used = 0
        for numbers in aligned:
            used |= numbers
        if not used & _TOP[width]:
            return base, _counts(width, sum(aligned))
    even = sum([numbers & mask for numbers in aligned])
    odd = (sum(aligned) - even) >> bits
    pairs = -(-max(even.bit_length(), odd.bit_length()) // (2 * bits))
    added = [0] * (2 * pairs)
    for place, lanes in enumerate((even, odd)):
        added[place::2] = unpack_from(f"<{pairs}{_CODES[2 * width]}", lanes.to_bytes(pairs * 2 * width, "little"))
    return base, added


def _counts(width: int, numbers: int) -> Sequence[int]:
    """Take one large integer apart into counts of a width."""
    length = -(-numbers.bit_length() // (8 * width))
    counts = numbers.to_bytes(length * width, "little")
    return counts if width == 1 else unpack_from(f"<{length}{_CODES[width]}", counts)


#: Most dense encodings that are added up as they are, when no count of any of them has one of its highest bits set, and
#: these bits by width: so many counts below 2^(8w) / so many stay below 2^(8w).
_LIGHT = 8
_TOP = {
    width: int.from_bytes((bytes(width - 1) + bytes((256 - 256 // _LIGHT,))) * (OVERFLOW + 1), "little")
    for width in _CODES
    if width <= _DENSE_WIDTH
}

#: Width of a dense count → mask of every other count.
_EVERY_OTHER = {
    width: int.from_bytes((b"\xff" * width + bytes(width)) * (OVERFLOW // 2 + 1), "little")
    for width in _CODES
    if width <= _DENSE_WIDTH
}


def _width(number: int) -> int:
    """Smallest width of an unsigned integer that holds a number, bytes."""
    return next(width for width in _CODES if number < 1 << 8 * width)


def _first_of_dense(encoded: bytes, width: int) -> int:
    """Tell the first bucket of a dense encoding."""
    if width not in _CODES or width > _DENSE_WIDTH:
        raise _malformed("its second byte names no widths")
    buckets, rest = divmod(len(encoded) - _DENSE_HEAD, width)
    if rest or buckets <= 0:
        raise _malformed("it ends in the middle of a number")
    first = encoded[2] | encoded[3] << 8
    if first + buckets > OVERFLOW + 1:
        raise _malformed("its buckets do not exist")
    return first


def _numbers(encoded: bytes) -> tuple[Sequence[int], Sequence[int]]:
    step, count = _CODES.get(encoded[1] >> 4), _CODES.get(encoded[1] & 0xF)
    if step is None or count is None:
        raise _malformed("its second byte names no widths")
    buckets, rest = divmod(len(encoded) - 2, (encoded[1] >> 4) + (encoded[1] & 0xF))
    if rest or not buckets:
        raise _malformed("it ends in the middle of a number")
    numbers: Sequence[int] = unpack_from(f"<{buckets}{step}{buckets}{count}", encoded, 2)
    steps, times = numbers[:buckets], numbers[buckets:]
    if 0 in steps[1:] or sum(steps) > OVERFLOW:
        raise _malformed("its buckets do not rise, or do not exist")
    if 0 in times or max(times) > MAX_COUNT:
        raise _malformed("a count is out of range")
    return steps, times


def _malformed(why: str) -> MalformedPayload:
    msg = f"Not an encoded histogram: {why}"
    return MalformedPayload(msg, remedy="Store and send encoded histograms unchanged")
