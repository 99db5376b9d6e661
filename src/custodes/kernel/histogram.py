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
from functools import partial
from itertools import pairwise
from math import ceil, isqrt

from custodes.errors import MalformedPayload

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

#: Longest variable-length integer, bytes: 63 bits in groups of seven.
_MAX_VARINT = 9


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
MAX_ENCODED = 1 + (OVERFLOW + 1) * (2 + _MAX_VARINT)


def midpoint(bucket: int) -> float:
    """Return the value that stands for a bucket: no integer of it is further away than the largest relative error."""
    if bucket == 0:
        return 0.0
    if bucket >= OVERFLOW:
        return float(MAX_VALUE)
    low, high = BOUNDS[bucket - 1] + 1, BOUNDS[bucket]
    return 2.0 * low * high / (low + high)


class Histogram:
    """Counts per bucket, sparse.

    ``counts`` is open to hot paths: ``histogram.counts[bucket_of(value)] += 1`` is :meth:`record` without the call.
    """

    __slots__ = ("counts",)

    def __init__(self, values: Iterable[int] = ()) -> None:
        #: Bucket → how many values.
        self.counts: defaultdict[int, int] = defaultdict(int)
        for value in values:
            self.record(value)

    def record(self, value: int, times: int = 1) -> None:
        """Count a value. Values below zero count as zero, values above :data:`MAX_VALUE` as that."""
        self.counts[bucket_of(value)] += times

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts.values())

    def merge(self, other: Histogram) -> None:
        """Add another histogram to this one."""
        counts = self.counts
        for bucket, times in other.counts.items():
            counts[bucket] += times

    def copy(self) -> Histogram:
        """Make an independent copy."""
        twin = Histogram()
        twin.counts.update(self.counts)
        return twin

    def quantile(self, q: float) -> float:
        """Value at rank ⌈q·n⌉, at most :data:`MAX_RELATIVE_ERROR` away from the true one; 0.0 when empty."""
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> list[float]:
        """Values at several ranks, in one pass. ``qs`` rise, each from 0 to 1.

        Raises:
            ValueError: they do not rise, or one is outside of 0..1.
        """
        if any(not 0 <= q <= 1 for q in qs) or any(low > high for low, high in pairwise(qs)):
            msg = f"Quantiles must rise and be from 0 to 1: {list(qs)}"
            raise ValueError(msg)
        ranks = iter(_ranks(qs, self.count))
        found: list[float] = []
        rank = next(ranks, None)
        passed = 0
        for bucket in sorted(self.counts):
            passed += self.counts[bucket]
            while rank is not None and rank <= passed:
                found.append(midpoint(bucket))
                rank = next(ranks, None)
        return found or [0.0] * len(qs)

    def encode(self) -> bytes:
        """Write as bytes: the scale, then for each bucket in use its distance from the one before and its count.

        Both are variable-length integers, seven bits a byte, lowest first. An empty histogram is ``b""``. Equal
        histograms have equal bytes.
        """
        out = bytearray()
        previous = 0
        for bucket in sorted(self.counts):
            times = self.counts[bucket]
            if times:
                _put(out, bucket - previous)
                _put(out, times)
                previous = bucket
        return bytes((_FORMAT,)) + bytes(out) if out else b""

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
        if encoded[0] != _FORMAT or len(encoded) > MAX_ENCODED:
            raise _malformed("its first byte names no scale we know, or it is too long")
        numbers = encoded[1:] if encoded.isascii() else _numbers(encoded)
        if len(numbers) % 2:
            raise _malformed("a bucket has no count")
        pairs: list[tuple[int, int]] = []
        bucket = 0
        for position in range(0, len(numbers), 2):
            bucket += numbers[position]
            pairs.append((bucket, numbers[position + 1]))
        _check(pairs)
        counts = self.counts
        for bucket, times in pairs:
            counts[bucket] += times

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.encode() == other.encode()

    __hash__ = None  # pyright: ignore[reportAssignmentType] - mutable

    def __repr__(self) -> str:
        return f"<Histogram of {self.count} values>"


def _ranks(qs: Sequence[float], count: int) -> list[int]:
    return [max(1, ceil(q * count)) for q in qs] if count else []


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _numbers(encoded: bytes) -> list[int]:
    """Read the variable-length integers after the first byte."""
    numbers: list[int] = []
    number = shift = 0
    for byte in encoded[1:]:
        if byte > 0x7F:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 7 * (_MAX_VARINT - 1):
                raise _malformed("a number is too long")
        else:
            numbers.append(number | byte << shift)
            number = shift = 0
    if shift:
        raise _malformed("it ends in the middle of a number")
    return numbers


def _check(pairs: Sequence[tuple[int, int]]) -> None:
    """Hold decoded pairs against what an encoding may say: buckets that rise and exist, counts above zero."""
    previous = -1
    for bucket, times in pairs:
        if not previous < bucket <= OVERFLOW or not 0 < times <= MAX_COUNT:
            raise _malformed("a bucket is out of order or a count is out of range")
        previous = bucket


def _malformed(why: str) -> MalformedPayload:
    msg = f"Not an encoded histogram: {why}"
    return MalformedPayload(msg, remedy="Store and send encoded histograms unchanged")
