"""What was worked out of bytes, remembered by a digest of them: a few hundred bytes each, however long they are."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")

#: Bytes of a digest: that two of 2^32 are alike is as likely as one in 2^64.
_DIGEST = 16


class Remembered(Generic[T]):
    """Answers by what they were worked out of; from any thread. When there are too many, all are forgotten.

    Args:
        most: answers at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def of(self, parts: Sequence[bytes], asked: Hashable, work: Callable[[], T]) -> T:
        """Return the answer to what is asked of some bytes, whatever their order; worked out where none is known.

        What ``work`` raises is not remembered.
        """
        parts = sorted(parts)
        digest = blake2b(repr([*map(len, parts)]).encode(), digest_size=_DIGEST)
        digest.update(b"".join(parts))
        key = digest.digest(), asked
        known = self._answers.get(key)
        if known is None:
            known = work()
            if len(self._answers) >= self._most:
                self._answers.clear()
            self._answers[key] = known
        return known
