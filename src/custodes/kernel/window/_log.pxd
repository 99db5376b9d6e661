"""What other twins see of ``_log.pyx``."""

from libc.stdint cimport int64_t


cdef class Stamps:
    cdef int64_t *at
    cdef Py_ssize_t start
    cdef Py_ssize_t size
    cdef Py_ssize_t room


cdef class SlidingLog:
    cdef readonly int64_t limit
    cdef readonly int64_t window
    cdef readonly int64_t refill
    cdef readonly int64_t lateness
    cdef readonly double worst_case_factor

    cdef bint charge(self, Stamps state, int64_t now, int64_t cost, int64_t *left, int64_t *more_in) except -1
