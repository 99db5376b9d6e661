"""How often somebody whom nobody knows may ask for what costs something."""

from __future__ import annotations

from custodes.errors import RateLimited
from custodes.kernel.clock import MINUTE, SECOND, Clock

#: Links and addresses that are counted apart in a minute.
_MAX_COUNTED = 10_000

#: Counts that those beyond share, by hash: nobody may do more than the limit, some may do less. Were the counts to
#: start anew, whoever has addresses enough would get rid of their own.
_SHARED = 1_024


class TooFast(RateLimited):
    """More requests than one link or address may send."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "Too many requests through this link, or from this address", remedy=f"Go on in {retry_after} s"
        )
        #: Seconds to wait.
        self.retry_after = retry_after


class Pace:
    """Counts what each one does in a minute; of this process.

    Args:
        clock: source of time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._minute = -1
        self._counts: dict[tuple[str, str], int] = {}

    def has_room(self, what: str, who: str, most: int) -> bool:
        """Count one more; tell whether it is within the limit."""
        minute = self._clock.now() // MINUTE
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        key = (what, who)
        if key not in self._counts and len(self._counts) >= _MAX_COUNTED:
            # Hashes of texts are keyed per process: nobody outside can choose whom to share with.
            key = (what, f"shared {hash(who) % _SHARED}")
        self._counts[key] = count = self._counts.get(key, 0) + 1
        return count <= most

    def hold(self, what: str, who: str, most: int) -> None:
        """Count one more.

        Raises:
            TooFast: it is beyond the limit.
        """
        if not self.has_room(what, who, most):
            raise TooFast(int((MINUTE - self._clock.now() % MINUTE) // SECOND) + 1)
