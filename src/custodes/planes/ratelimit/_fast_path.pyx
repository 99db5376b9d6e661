"""Twin of the loop in ``Judge.check``: what nearly every request comes to.

Somebody who is known, under limits that are decided at once and admit. All else is the judge's, which begins anew.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from custodes.kernel.window._log cimport SlidingLog, Stamps

cimport cython

from custodes.kernel.window.cells import COUNT_EVERY
from custodes.planes.ratelimit.answers import FREE, Admitted
from custodes.planes.ratelimit.plans import UNKNOWN

cdef Py_ssize_t count_every = COUNT_EVERY
cdef object new = Admitted.__new__

cdef enum:
    #: Limits of one request; those with more are the judge's.
    MOST_LIMITS = 16
    #: Longest ``RateLimit`` header, without its figures; and the longest figure, characters.
    LONGEST_TEMPLATE = 2_048
    LONGEST_FIGURE = 20


cdef struct Figure:
    # What is left of a limit, and the seconds until there is more.
    int64_t left
    int64_t seconds


@cython.final
cdef class Step:
    """One limit to charge; see :attr:`custodes.planes.ratelimit.plans.Plan.steps`."""

    cdef object key_of, cells, attempt, units
    cdef uint64_t bit
    cdef int64_t cost
    cdef SlidingLog log

    def __init__(self, key_of, bit, units, cells, attempt, meter):
        self.key_of = key_of
        self.bit = bit
        self.units = self.cost = units
        self.cells = cells
        self.attempt = attempt
        self.log = meter if type(meter) is SlidingLog else None


cdef tuple compile_steps(plan):
    """Make the steps of a plan; none where there are too many limits, or too many rules for the bits of a number."""
    cdef bint few = len(plan.steps) <= MOST_LIMITS and all(step[1] < 1 << 63 for step in plan.steps)
    plan.compiled_steps = tuple([Step(*step) for step in plan.steps]) if few else ()
    return plan.compiled_steps


@cython.final
cdef class FastPath:
    """Decides on a request, or has the judge do it.

    Args:
        judge: the judge; its ``check`` and ``contest`` are called.
        in_force: rules and access entries.
        ticks: monotonic time, nanoseconds.
        offset: from that to the time that limits count on, microseconds.
    """

    cdef object check_generally, contest, in_force, ticks
    cdef int64_t offset

    def __init__(self, judge, in_force, ticks, offset):
        self.check_generally = judge.check
        self.contest = judge.contest
        self.in_force = in_force
        self.ticks = ticks
        self.offset = offset

    def check(self, call, unknown=UNKNOWN):
        """Decide on a request; see :meth:`custodes.planes.ratelimit.judge.Judge.check`."""
        client = call.client_ip
        in_force = self.in_force
        if type(client) is not str or not client or ":" in <str>client or in_force.access.entries:
            return self.check_generally(call, unknown)
        cdef dict by_method = in_force.book.by_method  # held: another thread may put a new book in its place
        cdef PyObject *found = PyDict_GetItemWithError(by_method, call.method)
        if found is NULL:
            return self.check_generally(call, unknown)
        cdef dict remembered = <dict?><object>found
        found = PyDict_GetItemWithError(remembered, call.path)
        if found is NULL:
            return self.check_generally(call, unknown)
        plan = <object>found
        cdef tuple steps = plan.compiled_steps
        if steps is None:
            steps = compile_steps(plan)
        if not steps:
            return self.check_generally(call, unknown)
        cdef int64_t ticks = self.ticks()
        return self.charge(call, client, plan, steps, ticks // 1_000 + self.offset)

    cdef object charge(self, call, client, plan, tuple steps, int64_t now):
        cdef Figure[MOST_LIMITS] figures
        cdef Py_ssize_t told = 0
        cdef int64_t more_in
        cdef uint64_t mask = 0
        cdef PyObject *found
        cdef list charges
        cdef dict at_hand, applicable
        cdef Step step
        for each in steps:
            step = <Step>each
            key = client if step.key_of is None else step.key_of(call, client)
            if not key:
                continue
            cells = step.cells
            at_hand = cells.at_hand
            found = PyDict_GetItemWithError(at_hand, key)
            if found is NULL:
                return self.contest(call, plan, client, now, told)
            state = <object>found
            if step.log is not None and type(state) is Stamps:
                if not step.log.charge(<Stamps>state, now, step.cost, &figures[told].left, &more_in):
                    return self.contest(call, plan, client, now, told)
            else:
                charged = step.attempt(state, now, step.units)
                if charged is None:
                    return self.contest(call, plan, client, now, told)
                after, figures[told].left, more_in = charged
                if after is not state:
                    cells.at_hand[key] = after
            if step.cost == 1:
                charges = cells.fresh_charges
                charges.append(key)
                if len(charges) >= count_every:
                    cells.count()
            else:
                cells.tally[key] += step.units
            figures[told].seconds = (more_in + 999_999) // 1_000_000
            told += 1
            mask |= step.bit
        if not told:
            return FREE
        applicable = plan.applicable
        found = PyDict_GetItemWithError(applicable, mask)
        answers = (plan.applicable_to(mask) if found is NULL else <object>found).answers
        cdef list plain = []
        cdef Py_ssize_t number
        for number in range(told):
            plain.append(figures[number].left)
            plain.append(figures[number].seconds)
        decision = new(Admitted)
        decision.headers = (answers.policy_header, (b"ratelimit", filled(answers.template, plain, figures, told)))
        decision.figures = plain
        return decision


cdef bytes filled(bytes template, list plain, Figure *figures, Py_ssize_t told):
    """Do what ``template % (*plain,)`` does, of a template with ``%d`` and ``%%`` alone."""
    cdef char[LONGEST_TEMPLATE + 2 * MOST_LIMITS * LONGEST_FIGURE] text
    cdef const char *sign = PyBytes_AS_STRING(template)
    cdef const char *end = sign + PyBytes_GET_SIZE(template)
    cdef Py_ssize_t at = 0, figure = 0
    if PyBytes_GET_SIZE(template) > LONGEST_TEMPLATE:
        return template % tuple(plain)
    while sign < end:
        if sign[0] != c"%":
            text[at] = sign[0]
            at += 1
            sign += 1
            continue
        if sign[1] == c"%":
            text[at] = c"%"
            at += 1
        elif figure < 2 * told:
            at += write(text + at, figures[figure >> 1].seconds if figure & 1 else figures[figure >> 1].left)
            figure += 1
        sign += 2
    return PyBytes_FromStringAndSize(text, at)


cdef Py_ssize_t write(char *text, int64_t figure) noexcept:
    """Write a figure; returns how many characters it has. Never negative: a limit that admits has something left."""
    cdef char[LONGEST_FIGURE] digits
    cdef Py_ssize_t size = 0, number
    while True:
        digits[size] = <char>(c"0" + figure % 10)
        size += 1
        figure //= 10
        if figure <= 0:
            break
    for number in range(size):
        text[number] = digits[size - 1 - number]
    return size
