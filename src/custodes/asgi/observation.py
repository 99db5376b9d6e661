"""What is seen of one request: noted while it passes, worked out once it has passed.

While a request passes, what is needed to tell its measures and its trace is noted and nothing is computed: between the
requests of a host everything of ours has left the processor's caches. :meth:`Observation.settle` does the rest, for
some hundred requests at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from custodes.asgi.routes import Templates
from custodes.kernel.address import Addresses
from custodes.kernel.clock import Clock, ticks_of
from custodes.kernel.ids import RandomBits
from custodes.kernel.trace import (
    MAX_PARENT_LENGTH,
    MAX_STATE_LENGTH,
    NEW_FLAGS,
    Trace,
    new_ids,
    new_span_id,
    read_parent,
)
from custodes.planes.traffic.model import Exchange, TraceIds
from custodes.runtime.shield import Shield

#: Characters of a user agent that are kept.
MAX_USER_AGENT = 256

#: Characters of a path that are kept once a request is over: as many as its row has.
MAX_PATH = 2_048

#: For requests that end within this time after a look at both clocks it holds how far these are apart, nanoseconds: a
#: look is two calls, and hundreds of requests are settled at a time.
WALL_HOLDS = 10_000_000

#: User agents whose text is remembered: few make up nearly all requests, and their rows share it.
_MAX_AGENTS = 1_024


#: What a door has at hand; kept in slots, or in the struct of the compiled twin (see ``passages.py``).
DOOR_FIELDS = (
    "absorbs",
    "agents",
    "client_of",
    "default_tenant",
    "direct",
    "forwarded",
    "forwarded_header",
    "now",
    "of_route",
    "path_below",
    "random_bits",
    "session_user_key",
    "templates",
    "ticks",
    "wall",
    "wall_until",
)


class Door:
    """What all requests through one middleware need, at hand: looked up once, not once a request.

    Args:
        shield: guards the host against us.
        clock: source of time.
        addresses: finds the client's address.
        random_bits: source of randomness for trace ids.
        default_tenant: tenant of a request that nobody names one for.
        session_user_key: key of the host's session that holds the user id; empty: the session is not read.
        path_below: finds the path that the host routes by, from the scope's path and ``root_path``.
    """

    __slots__ = ()

    def __init__(
        self,
        shield: Shield,
        clock: Clock,
        addresses: Addresses,
        random_bits: RandomBits,
        *,
        default_tenant: str,
        session_user_key: str,
        path_below: Callable[[str, str], str],
    ) -> None:
        self.absorbs = shield.absorbs
        self.now = clock.now
        #: Monotonic time, nanoseconds.
        self.ticks = ticks_of(clock)
        self.direct = addresses.direct
        self.forwarded = addresses.forwarded
        self.forwarded_header = addresses.header
        self.client_of = addresses.client
        self.random_bits = random_bits
        self.default_tenant = default_tenant
        self.session_user_key = session_user_key
        self.path_below = path_below
        self.templates = Templates()
        self.of_route = self.templates.of_route
        #: Texts of user agents, by what was sent.
        self.agents: dict[bytes, str] = {}
        #: From the monotonic hand to the wall clock, microseconds, and until when that holds, nanoseconds.
        self.wall = 0
        self.wall_until = -1

    def look_at_the_clock(self) -> None:
        """Find out how far the wall clock is from the monotonic hand; for all requests that end before long."""
        ticks = self.ticks()
        self.wall = self.now() - ticks // 1_000
        self.wall_until = ticks + WALL_HOLDS

    def agent(self, sent: bytes) -> str:
        """Make a text of a ``User-Agent`` header."""
        known = self.agents.get(sent)
        if known is None:
            known = sent[:MAX_USER_AGENT].decode("latin-1")
            if len(sent) <= MAX_USER_AGENT:
                if len(self.agents) >= _MAX_AGENTS:
                    self.agents.clear()
                self.agents[sent] = known
        return known


def cut(seen: Observation) -> None:
    """Let go of what nobody will read of a request that is over.

    Hundreds wait to be settled, and thousands of rows for the flush. Servers take paths of 64 kB and headers of
    megabytes: as they came, a single client could have gigabytes of them kept here.
    """
    if len(seen.path) > MAX_PATH:
        seen.path = seen.path[:MAX_PATH]
    if len(seen.agent) > MAX_USER_AGENT:
        seen.agent = seen.agent[:MAX_USER_AGENT]
    if seen.parent is not None and len(seen.parent) > MAX_PARENT_LENGTH:
        seen.parent = None
    if seen.state is not None and len(seen.state) > MAX_STATE_LENGTH:
        seen.state = None


class Observation(Exchange):
    """One request, as the limiter and the recorder see it; made for each, so it is slotted and does little.

    What the limiter needs is set when it is opened, what can wait by :meth:`settle`.
    """

    __slots__ = ("_settled", "_trace", "agent", "complete", "door", "end", "first", "last", "parent", "start", "state")

    #: Of the middleware that it passes through.
    door: Door
    #: Value of the ``traceparent`` header; None when there is none or more than one.
    parent: bytes | None
    #: Value of the ``tracestate`` header.
    state: bytes | None
    #: Value of the ``User-Agent`` header.
    agent: bytes
    #: First byte of the request; first byte of the answer; last byte of the answer; end of the application. Monotonic,
    #: nanoseconds; 0 before.
    start: int
    first: int
    last: int
    end: int
    #: Whether the last byte of the answer was handed over.
    complete: bool

    def open(self, door: Door) -> None:
        """Begin: what ``__init__`` would do, without the cost of going through ``type.__call__``."""
        self.door = door
        self.first = self.last = self.end = 0
        self.complete = self._settled = self.disconnected = False
        self._trace: Trace | None = None
        self.ids = None
        self.route = self.error = None
        self.status = self.request_bytes = self.response_bytes = 0
        self.user = self.api_key = self.limited_by = ""
        self.tenant = door.default_tenant

    @property
    def trace(self) -> Trace:
        """Where the request stands in its trace."""
        trace = self._trace
        if trace is None:
            trace_id, span_id, parent_id, flags = self.ids or self.read_ids()
            states = (self.state,) if self.state and parent_id else ()
            trace = self._trace = Trace(trace_id, span_id, parent_id, flags, states, self.door.random_bits)
        return trace

    def read_ids(self) -> TraceIds:
        """Read which trace the request belongs to, or begin one."""
        random_bits = self.door.random_bits
        parent = None if self.parent is None else read_parent(self.parent)
        if parent is None:
            trace_id, span_id = new_ids(random_bits)
            ids = (trace_id, span_id, "", NEW_FLAGS)
        else:
            ids = (parent[0], new_span_id(random_bits), parent[1], parent[2])
        # Another thread may have asked meanwhile; whoever comes first has named it.
        if self.ids is None:
            self.ids = ids
        return self.ids

    def settle(self) -> None:
        """Work out the measures, once the application has returned."""
        if self._settled:
            return
        self._settled = True
        door = self.door
        start, end = self.start, self.end
        if self.complete:
            self.total_us = (self.last - start) // 1_000
            self.background_us = (end - self.last) // 1_000
        else:
            self.total_us = (end - start) // 1_000
            self.background_us = 0
        if end > door.wall_until:
            door.look_at_the_clock()
        self.started_at = door.wall + start // 1_000
        if self.status:
            self.ttfb_us = (self.first - start) // 1_000
        else:
            self.ttfb_us = self.total_us
            if not self.disconnected:
                self.status = 500  # what every server makes of an application that does not answer
        self.user_agent = door.agent(self.agent)
        if self.method == "HEAD":
            self.response_bytes = 0  # the body of an answer to HEAD is never sent
