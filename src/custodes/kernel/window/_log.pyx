"""Twin of ``log.py``: the same windows, with the events of a subject in one block of memory."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memmove

cimport cython

from custodes.kernel.window.log import MAX_LOG, TIDY_AFTER
from custodes.kernel.window.meter import NEVER

cdef Py_ssize_t most = MAX_LOG, tidy_after = TIDY_AFTER
cdef int64_t never = NEVER

cdef enum:
    #: Events that a new subject has room for.
    FIRST_ROOM = 4


@cython.final
cdef class Stamps:
    """Events in order of time: those from ``start`` on may still count, those from ``size`` on are room for more."""

    def __cinit__(self):
        self.start = self.size = 0
        self.room = FIRST_ROOM
        self.at = <int64_t *>PyMem_Malloc(FIRST_ROOM * sizeof(int64_t))
        if self.at is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.at)

    def __len__(self):
        return self.size

    def __sizeof__(self):
        return sizeof(Stamps) + self.room * sizeof(int64_t)


@cython.final
cdef class SlidingLog:
    """Admits iff the events in ``(now - window, now]`` and this cost are within the limit; see ``log.py``."""

    def __init__(self, limit, window):
        if not 1 <= limit <= MAX_LOG:
            raise ValueError(f"A log holds 1 to {MAX_LOG} events, not {limit}")
        if window < 1:
            raise ValueError(f"A window is at least a microsecond long, not {window}")
        self.limit = limit
        self.window = self.refill = window
        self.worst_case_factor = 1.0
        self.lateness = 0

    def fresh(self):
        """Return an empty log."""
        return Stamps()

    def wait(self, Stamps state not None, int64_t now, int64_t cost):
        """Tell how long until the oldest events that stand in the way leave the window."""
        cdef Py_ssize_t start = first_that_counts(state, self.window, now)
        cdef int64_t in_the_way = state.size - start + cost - self.limit
        if in_the_way <= 0:
            return 0
        return never if cost > self.limit else state.at[start + in_the_way - 1] + self.window - now

    def attempt(self, Stamps state not None, int64_t now, int64_t cost):
        """Append one stamp a unit; never earlier than the last, so that the log stays in order."""
        cdef int64_t left, more_in
        return (state, left, more_in) if self.charge(state, now, cost, &left, &more_in) else None

    cdef bint charge(self, Stamps state, int64_t now, int64_t cost, int64_t *left, int64_t *more_in) except -1:
        cdef Py_ssize_t start = state.start, size = state.size, first = start, number
        cdef int64_t stamp = now, oldest, horizon, room = self.limit - (size - start) - cost
        if size and state.at[size - 1] > now:
            stamp = state.at[size - 1]
        horizon = stamp - self.window
        oldest = state.at[start] if start < size else stamp
        if oldest <= horizon:
            first = size if state.at[size - 1] <= horizon else first_after(state, horizon, start)
            oldest = state.at[first] if first < size else stamp
            room += first - start
        if room < 0:  # what a refused request saw leave is back in the window when the clock goes back
            return False
        make_room(state, cost)  # what may fail comes first: a state is changed whole or not at all
        state.start = first
        if first >= tidy_after:
            tidy(state, cost)
            size = state.size
        if size + cost > state.room:  # never; a fault above must not write where it may not
            raise SystemError("A log has no room for its events")
        for number in range(size, size + cost):
            state.at[number] = stamp
        state.size = size + cost
        left[0] = room
        more_in[0] = oldest + self.window - now
        return True

    def undo(self, Stamps state not None, now, Py_ssize_t cost):
        """Remove the stamps again."""
        if not 0 <= cost <= state.size - state.start:
            raise ValueError("More is taken back than was charged")
        state.size -= cost
        return state

    def view(self, Stamps state not None, int64_t now):
        """Tell what is left and when the oldest event leaves."""
        cdef Py_ssize_t start = first_that_counts(state, self.window, now)
        cdef int64_t used = state.size - start
        return self.limit - used, state.at[start] + self.window - now if used else 0

    def pack(self, Stamps state not None):
        """Write the events that may still count."""
        return PyBytes_FromStringAndSize(<char *>(state.at + state.start), (state.size - state.start) * sizeof(int64_t))

    def unpack(self, raw):
        """Read the events back."""
        cdef bytes packed = bytes(raw)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(packed)
        if length % sizeof(int64_t):
            raise ValueError("Whole events of eight bytes are expected")
        cdef Stamps state = Stamps()
        make_room(state, length // sizeof(int64_t))
        memcpy(state.at, PyBytes_AS_STRING(packed), length)
        state.size = length // sizeof(int64_t)
        return state


cdef int make_room(Stamps state, int64_t more) except -1:
    """Have room for so many events more; half as many again, so that events are moved seldom."""
    if not 0 <= more <= most:
        raise ValueError(f"{more} units are more than any log holds")
    cdef Py_ssize_t needed = state.size + more
    cdef int64_t *moved
    if needed > state.room:
        needed += needed >> 1
        moved = <int64_t *>PyMem_Realloc(state.at, needed * sizeof(int64_t))
        if moved is NULL:
            raise MemoryError
        state.at = moved
        state.room = needed
    return 0


cdef void tidy(Stamps state, Py_ssize_t more) noexcept:
    """Move what may still count to the front; give memory back when most of it is not used, but that for ``more``."""
    cdef Py_ssize_t size = state.size - state.start, enough = 2 * (size + more) + FIRST_ROOM
    cdef int64_t *moved
    memmove(state.at, state.at + state.start, size * sizeof(int64_t))
    state.start = 0
    state.size = size
    if enough < state.room >> 1:
        moved = <int64_t *>PyMem_Realloc(state.at, enough * sizeof(int64_t))
        if moved is not NULL:
            state.at = moved
            state.room = enough


cdef Py_ssize_t first_after(Stamps state, int64_t horizon, Py_ssize_t low) noexcept:
    """Find the first event after a moment, from ``low`` on; past the end when there is none."""
    cdef Py_ssize_t high = state.size, middle
    while low < high:
        middle = (low + high) >> 1
        if state.at[middle] <= horizon:
            low = middle + 1
        else:
            high = middle
    return low


cdef Py_ssize_t first_that_counts(Stamps state, int64_t window, int64_t now) noexcept:
    """Find the oldest event in the window; past the end when there is none."""
    if state.start == state.size:
        return state.start
    cdef int64_t newest = state.at[state.size - 1]
    return first_after(state, (newest if newest > now else now) - window, state.start)
