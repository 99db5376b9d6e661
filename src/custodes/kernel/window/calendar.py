"""Quotas by the calendar: what plans and invoices mean by "a month"."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from custodes.kernel.clock import DAY, HOUR, MINUTE, from_datetime
from custodes.kernel.window.meter import NEVER, Stamps, unpack_stamps

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Where things are in the state.
_END, _USED = 0, 1


class CalendarUnit(StrEnum):
    """How long a quota lasts."""

    #: From :00 seconds on.
    MINUTE = "minute"
    #: From minute :00 of UTC on, in every zone.
    HOUR = "hour"
    #: From midnight of the zone on.
    DAY = "day"
    #: From midnight of the first of the month on, in the zone.
    MONTH = "month"


#: Shortest and longest that each may be: a clock change moves midnight by up to two hours (Antarctica/Troll).
_SHIFT = 2 * HOUR
_LENGTHS = {
    CalendarUnit.MINUTE: (MINUTE, MINUTE),
    CalendarUnit.HOUR: (HOUR, HOUR),
    CalendarUnit.DAY: (DAY, DAY),
    CalendarUnit.MONTH: (28 * DAY, 31 * DAY),
}


class CalendarQuota:
    """Admits iff what was used since the period began and this cost are within the limit.

    The state is ``array('q')``: end of the period, units used in it. A time that went back stays in the later period.
    ``window`` is the shortest that the period can be; any stretch of that length touches at most two periods.
    """

    __slots__ = ("lateness", "limit", "refill", "unit", "window", "worst_case_factor", "zone")

    def __init__(self, limit: int, unit: CalendarUnit, zone: tzinfo = UTC) -> None:
        if limit < 1:
            msg = f"limit is at least 1, not {limit}"
            raise ValueError(msg)
        shortest, longest = _LENGTHS[unit]
        if zone is not UTC and unit in (CalendarUnit.DAY, CalendarUnit.MONTH):
            shortest, longest = shortest - _SHIFT, longest + _SHIFT
        self.limit = limit
        self.unit = unit
        self.zone = zone
        self.window = shortest
        self.refill = longest
        self.worst_case_factor = 2.0
        self.lateness = 0

    def fresh(self) -> Stamps:
        """Return a quota of a period long past."""
        return array("q", (0, 0))

    def wait(self, state: Stamps, now: int, cost: int) -> int:
        """Tell when the next period begins."""
        used = state[_USED] if now < state[_END] else 0
        if used + cost <= self.limit:
            return 0
        return NEVER if cost > self.limit else state[_END] - now

    def attempt(self, state: Stamps, now: int, cost: int) -> tuple[Stamps, int, int] | None:
        """Use up some of the period's quota."""
        begun = now < state[_END]
        used = (state[_USED] if begun else 0) + cost
        if used > self.limit:
            return None
        if not begun:
            state[_END] = self.period_end(now)
        state[_USED] = used
        return state, self.limit - used, state[_END] - now

    def undo(self, state: Stamps, now: int, cost: int) -> Stamps:
        """Give the quota back."""
        state[_USED] -= cost
        return state

    def view(self, state: Stamps, now: int) -> tuple[int, int]:
        """Tell what is left of the period's quota and when the next begins."""
        if now >= state[_END] or not state[_USED]:
            return self.limit, 0
        return self.limit - state[_USED], state[_END] - now

    def pack(self, state: Stamps) -> bytes:
        """Write the period and its use."""
        return state.tobytes()

    def unpack(self, raw: bytes) -> Stamps:
        """Read the period and its use back."""
        state = unpack_stamps(raw)
        if len(state) != 2:
            msg = f"2 numbers expected, not {len(state)}"
            raise ValueError(msg)
        return state

    def period_end(self, now: int) -> int:
        """Tell when the period that holds this moment ends."""
        if self.unit is CalendarUnit.MINUTE:
            return now - now % MINUTE + MINUTE
        if self.unit is CalendarUnit.HOUR:
            return now - now % HOUR + HOUR
        local = (_EPOCH + timedelta(microseconds=now)).astimezone(self.zone)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        end = _next_month(midnight) if self.unit is CalendarUnit.MONTH else midnight + timedelta(days=1)
        return from_datetime(end.astimezone(UTC))


def _next_month(moment: datetime) -> datetime:
    # The 28th and four days is in the next month, whatever the month.
    return (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
