"""A limit of one's own, outside of requests: mails per customer, tries per coupon, calls to a supplier."""

from __future__ import annotations

import threading
from collections.abc import Callable

from custodes.errors import InvalidInput
from custodes.kernel.window import NEVER, Cells
from custodes.kernel.window.cells import Key
from custodes.kernel.window.meter import State
from custodes.planes.ratelimit.language import MAX_AMOUNT


class Quota:
    """Counts subjects of the host's choice in this worker; for any thread.

    ::

        mails = custodes.ratelimit.quota("100/hour")
        if not mails.hit(customer_id): ...

    Args:
        cells: the states of one limit, kept in memory.
        now: the time that limits count on, microseconds.
    """

    __slots__ = ("_cells", "_lock", "_now")

    def __init__(self, cells: Cells, now: Callable[[], int]) -> None:
        self._cells = cells
        self._lock = threading.Lock()
        self._now = now

    def hit(self, key: Key, cost: int = 1) -> bool:
        """Charge a subject if the limit admits; tell whether it did.

        Args:
            key: the subject.
            cost: units.

        Raises:
            InvalidInput: the cost is no whole number, or less than 1.
        """
        if type(cost) is not int or cost != 1:  # nearly always 1: a call would cost as much as a third of the charge
            cost = _units(cost)
        with self._lock:
            cells = self._cells
            now = self._now()
            state = cells.at_hand.get(key)
            if state is None:
                key, state = cells.recall(key, now)
            charged = cells.attempt(state, now, cost)
            if charged is None:
                return False
            cells.at_hand[key] = charged[0]
            return True

    def wait(self, key: Key, cost: int = 1) -> int | None:
        """Tell, without charging, how many microseconds until this would be admitted: 0 for now, None for never.

        Raises:
            InvalidInput: the cost is no whole number, or less than 1.
        """
        if type(cost) is not int or cost != 1:  # nearly always 1: a call would cost as much as a third of the charge
            cost = _units(cost)
        with self._lock:
            now = self._now()
            wait = self._cells.wait(self._state(key, now), now, cost)
        return None if wait == NEVER else wait

    def remaining(self, key: Key) -> int:
        """Tell the units left."""
        with self._lock:
            now = self._now()
            return self._cells.view(self._state(key, now), now)[0]

    def _state(self, key: Key, now: int) -> State:
        state = self._cells.at_hand.get(key)
        return self._cells.recall(key, now)[1] if state is None else state


def _units(cost: object) -> int:
    """Check a cost; one that no limit admits stays one."""
    if not isinstance(cost, int) or cost < 1:
        msg = f"A cost is a whole number of units, at least 1, not {cost!r:.64}"
        raise InvalidInput(msg, remedy="Charge 1 or more; nothing is given back to a quota")
    return min(int(cost), MAX_AMOUNT + 1)
