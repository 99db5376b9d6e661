"""Twin of ``observation.py`` and of what is usual in ``passage.py`` and ``http_passage.py``.

A request whose scope, headers and messages are what servers and frameworks send. With anything else the Python is
asked, before anything was noted.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

cimport cython

from custodes.asgi.http_passage import HttpPassage
from custodes.asgi.observation import MAX_PATH, MAX_USER_AGENT
from custodes.asgi.observation import Observation as PlainObservation
from custodes.asgi.observation import cut as cut_in_python
from custodes.asgi.passage import MAX_METHOD, Passage

cdef extern from "Python.h":
    str PyUnicode_FromStringAndSize(const char *text, Py_ssize_t size)
    void PyObject_GC_UnTrack(void *object)

cdef bytes TRACEPARENT = b"traceparent", TRACESTATE = b"tracestate", USER_AGENT = b"user-agent", NOTHING = b""
cdef Py_ssize_t longest_method = MAX_METHOD, longest_path = MAX_PATH, longest_agent = MAX_USER_AGENT
cdef object trace_of = PlainObservation.trace.fget, ids_of = PlainObservation.read_ids

cdef enum:
    #: Length of a ``traceparent`` of version 00, and where its parts begin: trace id, parent id, flags.
    PARENT_SIZE = 55
    TRACE_AT = 3
    TRACE_SIZE = 32
    SPAN_AT = 36
    SPAN_SIZE = 16
    FLAGS_AT = 53
    FLAGS_SIZE = 2


cdef class DoorFields:
    """What a door has at hand; see ``observation.py``."""

    cdef public object absorbs, client_of, default_tenant, now, path_below, random_bits, session_user_key, templates
    cdef public object ticks
    cdef public bytes forwarded_header
    cdef public dict agents, direct, forwarded, of_route
    cdef public int64_t wall, wall_until


@cython.final
@cython.no_gc  # it holds nothing that holds it, once its exception is let go of; the collector would look at hundreds
@cython.freelist(256)
cdef class Observation:
    """One request, as the limiter and the recorder see it; see ``observation.py``."""

    cdef public DoorFields door
    cdef public object parent, state, agent, ids, route, error, _trace
    cdef public object kind, method, path, client_ip, user, api_key, tenant, limited_by, user_agent
    cdef public int64_t start, first, last, end, status, request_bytes, response_bytes
    cdef public int64_t started_at, total_us, ttfb_us, background_us
    cdef public bint complete, disconnected, _settled

    cpdef open(self, DoorFields door):
        """Begin; all else is nothing already."""
        self.door = door
        self.user = self.api_key = self.limited_by = ""
        self.tenant = door.default_tenant

    @property
    def trace(self):
        """Where the request stands in its trace."""
        return trace_of(self)

    @property
    def trace_id(self):
        """W3C trace id, 32 hex digits."""
        return (self.ids if self.ids is not None else self.read_ids())[0]

    cpdef object read_ids(self):
        """Read which trace the request belongs to, or begin one."""
        cdef const char *text
        if type(self.parent) is not bytes or PyBytes_GET_SIZE(self.parent) != PARENT_SIZE:
            return ids_of(self)
        text = PyBytes_AS_STRING(self.parent)
        if not is_version_00(text):
            return ids_of(self)
        ids = (
            PyUnicode_FromStringAndSize(text + TRACE_AT, TRACE_SIZE),
            span_id(self.door.random_bits(64)),
            PyUnicode_FromStringAndSize(text + SPAN_AT, SPAN_SIZE),
            PyUnicode_FromStringAndSize(text + FLAGS_AT, FLAGS_SIZE),
        )
        if self.ids is None:  # another thread may have asked meanwhile; whoever comes first has named it
            self.ids = ids
        return self.ids

    cpdef settle(self):
        """Work out the measures, once the application has returned."""
        if self._settled:
            return
        self._settled = True
        cdef DoorFields door = self.door
        if self.complete:
            self.total_us = (self.last - self.start) // 1_000
            self.background_us = (self.end - self.last) // 1_000
        else:
            self.total_us = (self.end - self.start) // 1_000
            self.background_us = 0
        if self.end > door.wall_until:
            door.look_at_the_clock()
        self.started_at = door.wall + self.start // 1_000
        if self.status:
            self.ttfb_us = (self.first - self.start) // 1_000
        else:
            self.ttfb_us = self.total_us
            if not self.disconnected:
                self.status = 500
        cdef PyObject *known = PyDict_GetItemWithError(door.agents, self.agent)
        self.user_agent = door.agent(self.agent) if known is NULL else <object>known
        if self.method == "HEAD":
            self.response_bytes = 0

    cpdef tuple row(self, error_group="", error=""):
        """Make the raw row."""
        self.settle()
        trace_id, span, parent_id, _ = self.ids if self.ids is not None else self.read_ids()
        cdef tuple made = (
            self.tenant,
            self.started_at,
            self.kind,
            self.method,
            self.route,
            self.path,
            self.status,
            self.total_us,
            self.ttfb_us,
            self.background_us,
            self.request_bytes,
            self.response_bytes,
            self.user,
            self.api_key,
            self.client_ip,
            trace_id,
            span,
            parent_id,
            self.user_agent,
            self.limited_by,
            self.disconnected,
            error_group,
            error,
        )
        # Texts and numbers alone: the collector would find that out by itself, and let go of it then.
        PyObject_GC_UnTrack(<void *>made)
        return made


cdef class Passing:
    """What an HTTP request is held in, and what is usual of it. ``HttpPassage`` stands behind it for all else."""

    cdef public DoorFields door
    cdef public object error, release, _scope, _receive, _send, _answer, _headers
    cdef public Observation seen

    def open(self, DoorFields door not None, kind, scope, receive, send):
        """Begin; see :meth:`custodes.asgi.passage.Passage.open`."""
        cdef PyObject *found
        cdef Observation seen
        cdef Named named
        cdef list headers
        if type(scope) is not dict:
            return Passage.open(self, door, kind, scope, receive, send)
        if not is_outermost(<dict>scope):
            return Passage.open(self, door, kind, scope, receive, send)
        found = PyDict_GetItemWithError(scope, "headers")
        if found is NULL or type(<object>found) is not list:
            return Passage.open(self, door, kind, scope, receive, send)
        headers = <list><object>found
        named.parent = named.state = named.agent = named.line = NULL
        if not find(headers, door.forwarded_header, &named):
            return Passage.open(self, door, kind, scope, receive, send)
        seen = Observation.__new__(Observation)
        seen.parent = None if named.parent is NULL else <object>named.parent
        seen.state = None if named.state is NULL else <object>named.state
        seen.agent = NOTHING if named.agent is NULL else <object>named.agent
        line = NOTHING if named.line is NULL else <object>named.line
        seen.open(door)
        seen.kind = kind
        seen.path = scope["path"]
        method = scope["method"]
        seen.method = method if len(method) <= longest_method else method[:longest_method]
        found = PyDict_GetItemWithError(scope, "client")
        client = None if found is NULL else <object>found
        peer = client[0] if client else ""
        found = PyDict_GetItemWithError(door.direct, peer)
        if found is NULL or not <object>found:
            found = PyDict_GetItemWithError(door.forwarded, (peer, line))
        seen.client_ip = <object>found if found is not NULL and <object>found else door.client_of(peer, line)
        self.door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self.seen = seen
        seen.start = door.ticks()

    def send(self, message):
        """Hand on what the application answers; see :meth:`custodes.asgi.http_passage.HttpPassage.send`."""
        cdef Observation seen = self.seen
        cdef PyObject *found
        cdef list given, headers
        if type(message) is not dict:
            return HttpPassage.send(self, message)
        found = PyDict_GetItemWithError(message, "type")
        if found is NULL or type(<object>found) is not str:
            return HttpPassage.send(self, message)
        kind = <str><object>found
        if kind == "http.response.start":
            found = PyDict_GetItemWithError(message, "status")
            if found is NULL or type(<object>found) is not int or not 0 < <object>found < 1_000:
                return HttpPassage.send(self, message)
            status = <object>found
            found = PyDict_GetItemWithError(message, "headers")
            if found is NULL or type(<object>found) is not list:
                return HttpPassage.send(self, message)
            given = <list><object>found
            try:
                if not seen.disconnected:
                    seen.status = status
                self._answer = message
                seen.first = self.door.ticks()
                if self._headers is not None:
                    headers = given.copy()
                    headers.extend(self._headers)
                    message = (<dict>message).copy()
                    (<dict>message)["headers"] = headers
            except BaseException as error:
                if not self.door.absorbs("middleware", error):
                    raise
            return self._send(message)
        if kind == "http.response.body" and not seen.last:
            found = PyDict_GetItemWithError(message, "more_body")
            if found is not NULL and <object>found is not False:
                return HttpPassage.send(self, message)
            found = PyDict_GetItemWithError(message, "body")
            if found is NULL or type(<object>found) is not bytes:
                return HttpPassage.send(self, message)
            try:
                seen.response_bytes += PyBytes_GET_SIZE(<object>found)
                seen.complete = True
                seen.last = self.door.ticks()
            except BaseException as error:
                if not self.door.absorbs("middleware", error):
                    raise
            return self._send(message)
        return HttpPassage.send(self, message)

    def add_headers(self, headers):
        """Have headers added to the start of the answer."""
        self._headers = headers if self._headers is None else [*self._headers, *headers]

    def close(self):
        """Note what only the scope tells; see :meth:`custodes.asgi.passage.Passage.close`."""
        cdef Observation seen = self.seen
        scope = self._scope
        if seen.limited_by or type(scope) is not dict or not seen.user and ("user" in scope or "session" in scope):
            return Passage.close(self)
        cdef DoorFields door = self.door
        seen.end = door.ticks()
        seen.error = self.error
        seen.route = route_of(door, <dict>scope)
        if (
            len(seen.path) > longest_path
            or len(seen.agent) > longest_agent
            or seen.state is not None
            or seen.parent is not None
            and len(seen.parent) != PARENT_SIZE
        ):
            cut_in_python(seen)
        return seen


cdef object route_of(DoorFields door, dict scope):
    """Name the route; see :meth:`custodes.asgi.routes.Templates.resolve`."""
    cdef PyObject *route = PyDict_GetItemWithError(scope, "route")
    cdef PyObject *known = NULL
    if route is not NULL and "fastapi" not in scope and "app_root_path" not in scope:
        known = PyDict_GetItemWithError(door.of_route, <Py_ssize_t>route)
    return door.templates.resolve(scope) if known is NULL else (<tuple?><object>known)[1]


@cython.final
cdef class Doorkeeper:
    """Tells that a request is the host's; of all others, :meth:`custodes.asgi.mount.Mounted.find_door` is asked."""

    cdef object life, find_door
    cdef tuple own_prefixes

    def __init__(self, life, tuple own_prefixes not None, find_door):
        self.life = life
        self.own_prefixes = own_prefixes
        self.find_door = find_door

    def __call__(self, scope):
        cdef PyObject *found
        cdef str path
        if type(scope) is not dict or not is_http(<dict>scope) or not is_outermost(<dict>scope):
            return self.find_door(scope)
        found = PyDict_GetItemWithError(scope, "path")
        if found is NULL or type(<object>found) is not str:
            return self.find_door(scope)
        path = <str><object>found
        if self.life.running is not True:
            return self.find_door(scope)
        for prefix in self.own_prefixes:
            if path.startswith(<str?>prefix):
                return self.find_door(scope)
        return None


cdef bint is_http(dict scope) except -1:
    cdef PyObject *kind = PyDict_GetItemWithError(scope, "type")
    return kind is not NULL and type(<object>kind) is str and <str><object>kind == "http"


cdef bint is_outermost(dict scope) except -1:
    cdef PyObject *root = PyDict_GetItemWithError(scope, "root_path")
    return root is NULL or type(<object>root) is str and not <str><object>root


cdef struct Named:
    # Values of the headers that matter; NULL for one that is not there. The list of headers owns them.
    PyObject *parent
    PyObject *state
    PyObject *agent
    PyObject *line


cdef bint find(list headers, bytes forwarded, Named *named) except -1:
    """Find the headers that matter; False when something is not as servers send it, or comes several times."""
    cdef tuple pair
    for each in headers:
        if type(each) is not tuple or len(<tuple>each) != 2:
            return False
        pair = <tuple>each
        name, value = pair[0], pair[1]
        if type(name) is not bytes or type(value) is not bytes:
            return False
        if same(<bytes>name, forwarded):
            if named.line is not NULL:
                return False
            named.line = <PyObject *>value
        elif same(<bytes>name, TRACEPARENT):
            if named.parent is not NULL:
                return False
            named.parent = <PyObject *>value
        elif same(<bytes>name, TRACESTATE):
            if named.state is not NULL:
                return False
            named.state = <PyObject *>value
        elif same(<bytes>name, USER_AGENT):
            if named.agent is not NULL:
                return False
            named.agent = <PyObject *>value
    return True


cdef inline bint same(bytes name, bytes known) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(known)
    return PyBytes_GET_SIZE(name) == size and memcmp(PyBytes_AS_STRING(name), PyBytes_AS_STRING(known), size) == 0


cdef bint is_version_00(const char *text) noexcept:
    """Tell whether a header of the right length is one of version 00, with ids that are not all zero."""
    if text[0] != c"0" or text[1] != c"0" or text[2] != c"-" or text[35] != c"-" or text[52] != c"-":
        return False
    return hex_digits(text + TRACE_AT, TRACE_SIZE) == 2 and hex_digits(text + SPAN_AT, SPAN_SIZE) == 2 and hex_digits(
        text + FLAGS_AT, FLAGS_SIZE
    ) > 0


cdef int hex_digits(const char *text, Py_ssize_t size) noexcept:
    """Tell whether these are small hex digits: 0 for no, 1 for zeros alone, 2 for others."""
    cdef Py_ssize_t at
    cdef int found = 1
    for at in range(size):
        if c"1" <= text[at] <= c"9" or c"a" <= text[at] <= c"f":
            found = 2
        elif text[at] != c"0":
            return 0
    return found


cdef str span_id(bits):
    """Make a span id: 16 hex digits, never all zero; see :func:`custodes.kernel.trace.new_span_id`."""
    cdef uint64_t left = <uint64_t>bits | <uint64_t>1 << 63
    cdef char[SPAN_SIZE] text
    cdef Py_ssize_t at
    for at in range(SPAN_SIZE - 1, -1, -1):
        text[at] = b"0123456789abcdef"[left & 15]
        left >>= 4
    return PyUnicode_FromStringAndSize(text, SPAN_SIZE)
