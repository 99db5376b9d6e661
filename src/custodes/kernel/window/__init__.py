"""Rate-limit algorithms: pure, exact, integer microseconds, weighted by cost.

Each is a :class:`Meter`. None of them reads a clock: time is an argument. A time that goes back never admits more.

============== ======================== ======================================= =============================
meter          state                    worst count in any rolling window       lateness (frees quota late by)
============== ======================== ======================================= =============================
SlidingLog     8 B per admitted event   limit                                   0
SubWindows     8 B x (slices + 4)       limit                                   window / slices
Gcra           one int                  limit + burst - 1                       0
CalendarQuota  two ints                 2 x limit                               0
Concurrency    8 B per held slot        limit, held at one moment               0
============== ======================== ======================================= =============================
"""

from typing import TYPE_CHECKING

from custodes.kernel.compiled import twin
from custodes.kernel.window.calendar import CalendarQuota, CalendarUnit
from custodes.kernel.window.cells import Ask, Cells, Outcome, decide, decide_contested, held
from custodes.kernel.window.concurrency import Concurrency
from custodes.kernel.window.gcra import Gcra
from custodes.kernel.window.log import MAX_LOG, SlidingLog
from custodes.kernel.window.meter import NEVER, Meter
from custodes.kernel.window.near import MAX_NEAR, Near, capacity, left_when_near
from custodes.kernel.window.own_cells import MAX_SUBJECTS, SHARED_STATES, OwnCells
from custodes.kernel.window.subwindows import SLICES, SubWindows

if not TYPE_CHECKING and (_twin := twin("custodes.kernel.window._log")) is not None:
    SlidingLog = _twin.SlidingLog

__all__ = [
    "MAX_LOG",
    "MAX_NEAR",
    "MAX_SUBJECTS",
    "NEVER",
    "SHARED_STATES",
    "SLICES",
    "Ask",
    "CalendarQuota",
    "CalendarUnit",
    "Cells",
    "Concurrency",
    "Gcra",
    "Meter",
    "Near",
    "Outcome",
    "OwnCells",
    "SlidingLog",
    "SubWindows",
    "capacity",
    "decide",
    "decide_contested",
    "held",
    "left_when_near",
]
