"""How long to wait before trying again."""

from __future__ import annotations

from dataclasses import dataclass

from custodes.kernel.clock import HOUR, SECOND
from custodes.kernel.ids import RandomBits

#: Bits of randomness in one delay: finer than a microsecond for any cap below a week.
_BITS = 32


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting with proportional jitter.

    The jitter is applied after the cap, so that a thousand jobs that failed together do not come back together even
    when all of them have reached it. A delay is within ``[(1 - jitter) * d, (1 + jitter) * d]`` where ``d`` is
    ``min(cap, base * factor ** (attempt - 1))``.
    """

    #: Wait after the first failure, microseconds.
    base: int = 5 * SECOND
    #: What each further failure multiplies it with.
    factor: float = 3.0
    #: Longest wait before jitter, microseconds.
    cap: int = 6 * HOUR
    #: Share by which a wait is shortened or lengthened, 0 to 1.
    jitter: float = 0.2

    def delay(self, attempt: int, random_bits: RandomBits) -> int:
        """Return the wait after a failed attempt, microseconds.

        Args:
            attempt: which attempt failed, from 1.
            random_bits: source of randomness.
        """
        share = random_bits(_BITS) / (1 << _BITS)
        return int(self._plain(attempt) * (1 - self.jitter + 2 * self.jitter * share))

    @property
    def longest(self) -> int:
        """No delay is longer, microseconds."""
        return int(self.cap * (1 + self.jitter)) + 1

    def _plain(self, attempt: int) -> float:
        try:
            return min(float(self.cap), self.base * self.factor ** (attempt - 1))
        except OverflowError:
            return float(self.cap)
