"""Identifiers: UUIDv7 (RFC 9562 §5.7), time-ordered, as 36-character lower-case text."""

from __future__ import annotations

from collections.abc import Callable

#: A source of random bits: ``random_bits(n)`` returns an int of n bits (``random.SystemRandom().getrandbits``).
RandomBits = Callable[[int], int]


def uuid7(now: int, random_bits: RandomBits) -> str:
    """Make a UUIDv7.

    Args:
        now: microseconds since the epoch. The millisecond goes into the first 48 bits, the rest of the microseconds
            into ``rand_a`` (method 3 of RFC 9562 §6.2), so ids of one process sort by time to the microsecond.
        random_bits: source of randomness.
    """
    millis, micros = divmod(now, 1_000)
    # 12 bits hold 0..4095; 1000 microseconds spread over them keep the order.
    rand_a = (micros << 12) // 1_000
    head = ((millis & 0xFFFFFFFFFFFF) << 16 | 0x7000 | rand_a).to_bytes(8, "big").hex()
    tail = (0b10 << 62 | random_bits(62)).to_bytes(8, "big").hex()
    return f"{head[:8]}-{head[8:12]}-{head[12:]}-{tail[:4]}-{tail[4:]}"


def uuid7_time(identifier: str) -> int:
    """Read back the moment of a UUIDv7, microseconds, to the millisecond.

    Raises:
        ValueError: it is none.
    """
    return int(identifier[:8] + identifier[9:13], 16) * 1_000
