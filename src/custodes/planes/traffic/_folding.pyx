"""Twin of ``folding.py``: the same functions, in one loop each."""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

cimport cython

from custodes.kernel.histogram import BOUNDS, bucket_of
from custodes.planes.traffic.folding import ERROR_GROUP, TABLED, meet_errors
from custodes.planes.traffic.model import CALL_FIELDS

__all__ = ["Intake", "Tally", "bytes_of", "count_times", "group_alike", "late_work", "meet", "meet_errors"]

cdef enum:
    MOST_TABLED = 4_096
    MOST_BUCKETS = 2_048

# Where each field stands in a row.
cdef Py_ssize_t TENANT = CALL_FIELDS.index("tenant")
cdef Py_ssize_t STARTED_AT = CALL_FIELDS.index("started_at")
cdef Py_ssize_t METHOD = CALL_FIELDS.index("method")
cdef Py_ssize_t ROUTE = CALL_FIELDS.index("route")
cdef Py_ssize_t STATUS = CALL_FIELDS.index("status")
cdef Py_ssize_t TOTAL = CALL_FIELDS.index("total_us")
cdef Py_ssize_t TTFB = CALL_FIELDS.index("ttfb_us")
cdef Py_ssize_t BACKGROUND = CALL_FIELDS.index("background_us")
cdef Py_ssize_t REQUEST_BYTES = CALL_FIELDS.index("request_bytes")
cdef Py_ssize_t RESPONSE_BYTES = CALL_FIELDS.index("response_bytes")
cdef Py_ssize_t USER = CALL_FIELDS.index("user")
cdef Py_ssize_t API_KEY = CALL_FIELDS.index("api_key")
cdef Py_ssize_t CLIENT_IP = CALL_FIELDS.index("client_ip")
cdef Py_ssize_t LIMITED_BY = CALL_FIELDS.index("limited_by")
cdef Py_ssize_t DISCONNECTED = CALL_FIELDS.index("disconnected")
cdef Py_ssize_t ERROR = ERROR_GROUP

assert TABLED == MOST_TABLED
assert len(BOUNDS) < MOST_BUCKETS

#: Bucket of each time below TABLED.
cdef int[MOST_TABLED] buckets
cdef int each
for each in range(MOST_TABLED):
    buckets[each] = bucket_of(each)


@cython.final
cdef class Tally:
    """Requests of one consumer, or of one combination; see ``consumers.py``."""

    cdef public int64_t count, client_errors, server_errors, limited, response_bytes

    def add(self, Tally other not None):
        """Add the requests of another."""
        self.count += other.count
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.limited += other.limited
        self.response_bytes += other.response_bytes


@cython.final
cdef class Intake:
    """Takes exchanges in; see :meth:`custodes.planes.traffic.recorder.Recorder.record`."""

    cdef object fresh, fold, faulty
    cdef Py_ssize_t fold_every

    def __init__(self, fresh, Py_ssize_t fold_every, fold, faulty):
        self.fresh = fresh
        self.fold_every = fold_every
        self.fold = fold
        self.faulty = faulty

    def record(self, exchange):
        """Take an exchange in; nobody may change it from now on."""
        self.fresh.append(exchange if exchange.error is None else self.faulty(exchange))
        if len(self.fresh) >= self.fold_every:
            self.fold()


def group_alike(list rows, window, turn):
    """Put rows together that are folded as one, by window and by what they have in common."""
    cdef dict groups = {}
    cdef int64_t start = window.start, end = window.end, at
    cdef tuple row, kind = None
    cdef list group = None
    cdef PyObject *found
    for one in rows:
        row = one
        at = row[STARTED_AT]
        if not start <= at < end:
            window = turn(at)
            start, end = window.start, window.end
            kind = None
        # Most rows are like the one before.
        if kind is None or not alike(row, kind):
            kind = (
                row[TENANT], row[METHOD], row[ROUTE], row[STATUS], row[LIMITED_BY], row[DISCONNECTED], row[ERROR]
            )  # fmt: skip
            found = PyDict_GetItemWithError(groups, (window, kind))
            if found is NULL:
                group = groups[window, kind] = []
            else:
                group = <list><object>found
        group.append(row)
    return groups


cdef bint alike(tuple row, tuple kind):
    """Tell whether a row is of a kind because all that they have in common is the very same."""
    return (
        row[TENANT] is kind[0]
        and row[METHOD] is kind[1]
        and row[ROUTE] is kind[2]
        and row[STATUS] is kind[3]
        and row[LIMITED_BY] is kind[4]
        and row[DISCONNECTED] is kind[5]
        and row[ERROR] is kind[6]
    )


def bytes_of(list rows):
    """Add up the bytes that rows have received and sent."""
    cdef int64_t received = 0, sent = 0
    cdef tuple row
    for one in rows:
        row = one
        received += <int64_t>row[REQUEST_BYTES]
        sent += <int64_t>row[RESPONSE_BYTES]
    return received, sent


def count_times(list rows, totals, ttfbs):
    """Count the times of rows by bucket; returns sum, least and most of those to the last byte, microseconds."""
    cdef int64_t summed = 0, least = (<tuple>rows[0])[TOTAL], most = least, took
    cdef tuple row
    for one in rows:
        row = one
        took = row[TOTAL]
        summed += took
        if took < least:
            least = took
        if took > most:
            most = took
    count(rows, TOTAL, totals)
    count(rows, TTFB, ttfbs)
    return summed, least, most


cdef int count(list rows, Py_ssize_t column, counter) except -1:
    cdef int[MOST_BUCKETS] counts
    cdef int bucket, lowest = MOST_BUCKETS, highest = -1
    cdef int64_t took
    cdef tuple row
    for bucket in range(MOST_BUCKETS):
        counts[bucket] = 0
    for one in rows:
        row = one
        took = row[column]
        bucket = buckets[took] if 0 <= took < MOST_TABLED else bucket_of(took)
        counts[bucket] += 1
        if bucket < lowest:
            lowest = bucket
        if bucket > highest:
            highest = bucket
    for bucket in range(lowest, highest + 1):
        if counts[bucket]:
            counter[bucket] += counts[bucket]
    return 0


def late_work(list rows, int64_t least):
    """List work that went on after the last byte for at least so many microseconds."""
    cdef list late = []
    cdef tuple row
    for one in rows:
        row = one
        if <int64_t>row[BACKGROUND] >= least:
            late.append(row[BACKGROUND])
    return late


def meet(consumers, list rows):
    """Count who made requests that went well."""
    cdef dict tallies = consumers.tallies
    cdef PyObject *found
    cdef tuple row
    cdef Tally tally
    for one in rows:
        row = one
        who = (row[TENANT], row[CLIENT_IP], row[USER], row[API_KEY])
        found = PyDict_GetItemWithError(tallies, who)
        if found is NULL:
            tally = consumers.begin(who)
            tallies = consumers.tallies
        else:
            tally = <Tally?><object>found
        tally.count += 1
        tally.response_bytes += <int64_t>row[RESPONSE_BYTES]
