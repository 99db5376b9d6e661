"""The processor: takes one event through the handlers that want it, and says what becomes of it."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from custodes.errors import Permanent
from custodes.kernel.clock import HOUR, MINUTE, SECOND, Clock
from custodes.kernel.fingerprint import type_name
from custodes.kernel.ids import RandomBits
from custodes.kernel.redact import redact_text, storable
from custodes.kernel.trace import NEW_FLAGS, Trace, new_span_id, read_parent
from custodes.planes.inbound.handlers import Handler, Handlers
from custodes.planes.inbound.model import FINISHED, Attempt, Ending, Outcome, Progress, Status, Wait, WebhookEvent
from custodes.planes.inbound.ports import EventStore
from custodes.planes.inbound.roster import Roster
from custodes.planes.inbound.threads import Call, Threads
from custodes.runtime.batches import Batches
from custodes.runtime.current import serving
from custodes.runtime.jobs import Lease
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Store, Transaction
from custodes.runtime.worker import Again, Done

#: Longest error message that is kept, characters.
MAX_ERROR = 2_000

#: Wait of an event for whose handler there is no thread, microseconds.
NO_THREAD = 5 * SECOND

#: How long a coroutine that is out of time may take to clean up, seconds.
GRACE_SECONDS = 1.0

#: An event is given up when this many workers in a row died or were cut off while they were at it.
MAX_LOST = 5

#: When an event is looked at again that another process has a handler for, microseconds, and up to twice as long: it
#: comes as near as may be to whoever has it.
PASS_ON = SECOND

#: How long an event waits at the least and at the most until it is looked for a handler again that no process has, and
#: for how long in all, microseconds. In between it waits as long again as it has waited.
MISSING_LEAST = 10 * SECOND
MISSING_MOST = 5 * MINUTE
MISSING_FOR = 24 * HOUR

#: How names of handlers begin that are our own, as those that forward: they do nothing in place of the host's.
OWN_HANDLER = "custodes."

#: Outcomes after which a handler is not called again.
_FINAL = frozenset({Outcome.SUCCEEDED, Outcome.PERMANENT})

#: What is known of a handler before its first attempt.
_NOT_CALLED = Wait(tries=0, due_at=0)

_GIVEN_UP = "A handler had given up before"

#: Stands for a type of error whose name or words no store takes.
_UNWRITABLE = "Unwritable"

#: Stands for "it did not end in time".
_LATE = TimeoutError()


_log = get_logger("custodes.inbound")

#: An event, and how far it has come.
_Loaded = tuple[WebhookEvent, Progress]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of an attempt at an event."""

    #: The event.
    event: WebhookEvent
    #: Its state now.
    status: Status
    #: What each handler did.
    attempts: Sequence[Attempt]
    #: How far it has come by now.
    progress: Progress
    #: When it ended, microseconds since the epoch.
    at: int
    #: Time that the handlers took together, microseconds; None when none was called.
    processing_us: int | None
    #: When it is tried again; None when it is not.
    next_retry_at: int | None
    #: Why it did not succeed; None when it did.
    error: str | None
    #: Whether it counts as an attempt; False: no handler was called.
    counted: bool = True

    @property
    def unhandled(self) -> bool:
        """Whether the event is done because no process has a handler for it."""
        return self.status is Status.SUCCEEDED and not self.progress.done

    @property
    def is_news(self) -> bool:
        """Whether it is worth counting and telling: that an event waits for another process is not."""
        return self.status in FINISHED or (self.status is Status.FAILED and self.counted)


class Processor:
    """Does the jobs of kind ``webhook``: the :class:`custodes.runtime.worker.Doer` of this plane.

    Handlers run one after the other in order of registration. Each has attempts and waits of its own: a retry calls
    only those that are not done and whose wait is over. An event that no process wants has succeeded. One that waits
    for a handler which is not here is given back, and does not count as tried.
    """

    def __init__(
        self,
        *,
        store: Store,
        events: EventStore,
        handlers: Handlers,
        roster: Roster,
        clock: Clock,
        random_bits: RandomBits,
        concluded: Callable[[Conclusion], None],
    ) -> None:
        self._store = store
        self._events = events
        self._handlers = handlers
        self._roster = roster
        self._clock = clock
        self._random_bits = random_bits
        self._concluded = concluded
        self._loading: Batches[str, _Loaded | None] = Batches(self._load)
        #: Where plain functions run.
        self.threads = Threads()

    def begin(self, tx: Transaction, leases: Sequence[Lease]) -> None:
        """Note that a worker is at these events."""
        self._events.begin(tx, [lease.ref for lease in leases])

    async def do(self, lease: Lease) -> Done[Conclusion] | Again[Conclusion]:
        """Take one event through its handlers."""
        loaded = await self._loading.do(lease.ref)
        if loaded is None:  # purged, or its restore was left half done: there is nothing to do any more
            return Done()
        event, progress = loaded
        if lease.lost >= MAX_LOST:
            conclusion = self._poisoned(event, progress, lease.lost)
        else:
            conclusion = await self._handle(event, progress)

        def written() -> None:
            if conclusion.is_news:
                self._concluded(conclusion)

        if conclusion.next_retry_at is not None:
            return Again(conclusion.next_retry_at, conclusion, written, conclusion.counted)
        return Done(conclusion, written)

    def write(self, tx: Transaction, results: Sequence[Conclusion]) -> None:
        """Note what became of events."""
        self._events.add_attempts(tx, [(each.event, attempt) for each in results for attempt in each.attempts])
        self._events.conclude(tx, [_ending_of(each) for each in results])

    def plain(self, result: Conclusion, error: Exception) -> Conclusion:
        """Leave out what handlers said: their attempts count all the same."""
        why = f"What came of it could not be written: {type(error).__name__}"
        attempts = [
            replace(each, error_type=_UNWRITABLE, error=why) if each.error_type else each for each in result.attempts
        ]
        return replace(result, attempts=attempts, error=why if result.error else result.error)

    async def _load(self, event_ids: Sequence[str]) -> Sequence[_Loaded | None]:
        found = await self._store.read(lambda tx: self._events.load(tx, event_ids))
        return [found.get(event_id) for event_id in event_ids]

    # ── Calling ──────────────────────────────────────────────────────────────

    async def _handle(self, event: WebhookEvent, progress: Progress) -> Conclusion:
        wanting = self._handlers.wanting(event.source, event.type)
        left = {handler.name: progress.waiting.get(handler.name, _NOT_CALLED) for handler in wanting}
        left = {name: wait for name, wait in left.items() if name not in progress.done}
        missing = self._missing(event, progress, {handler.name for handler in wanting})
        due = self._clock.now()
        if not missing:
            # Whoever is next is called in any case: the clock of who set the job's time may be ahead of ours.
            due = max(due, min((wait.due_at for wait in left.values()), default=0))
        called = [handler for handler in wanting if handler.name in left and left[handler.name].due_at <= due]
        attempts, threadless = list[Attempt](), list[Handler]()
        for handler in called:
            if (attempt := await self._call(handler, event)) is None:
                threadless.append(handler)
            else:
                attempts.append(attempt)
        called = [handler for handler in called if handler not in threadless]
        now, done, waiting = self._clock.now(), dict(progress.done), dict(left)
        for handler, attempt in zip(called, attempts, strict=True):
            tries = waiting.pop(handler.name).tries + 1
            if attempt.outcome in _FINAL or tries >= handler.max_attempts:
                done[handler.name] = attempt.outcome
            else:
                waiting[handler.name] = Wait(tries, now + handler.backoff.delay(tries, self._random_bits))
        spent = sum(attempt.duration_us for attempt in attempts) if attempts else None
        error = "; ".join(f"{a.handler}: {a.error_type}: {a.error}" for a in attempts if a.error_type)[:MAX_ERROR]
        waits = {handler.name: Wait(waiting.pop(handler.name).tries, now + NO_THREAD) for handler in threadless}
        looked = {name: self._looked_for(name, wait, now) for name, wait in missing.items()}
        absent = "; ".join(f"Handler {name} is not in this process" for name in missing)
        for name in [name for name, due_at in looked.items() if due_at is None]:
            done[name] = Outcome.FAILED
            del looked[name]
        stuck = "; ".join(f"{name}: No thread is free: other handlers hang, or there are too many" for name in waits)
        error = "; ".join(filter(None, (error, absent, stuck)))[:MAX_ERROR]
        waiting.update({name: wait for name, wait in waits.items() if wait.tries})
        dues = [wait.due_at for wait in (*waiting.values(), *waits.values())] + [
            due_at for due_at in looked.values() if due_at is not None
        ]
        waiting.update({name: missing[name] for name in looked if name in progress.waiting})
        reached = Progress(done, waiting)
        counted = bool(attempts) or not (missing or waits)
        if dues:
            status = Status.FAILED if waiting else Status.RECEIVED
            why = error or f"Called again: {', '.join(waiting)}"[:MAX_ERROR]
            return Conclusion(event, status, attempts, reached, now, spent, min(dues), why, counted)
        good = all(outcome is Outcome.SUCCEEDED for outcome in done.values())
        status = Status.SUCCEEDED if good else Status.DEAD
        why = None if good else error or _GIVEN_UP
        return Conclusion(event, status, attempts, reached, now, spent, None, why, counted)

    def _missing(self, event: WebhookEvent, progress: Progress, here: set[str]) -> Mapping[str, Wait]:
        """Find the handlers that the event is not done with and that are not here: those of other processes, too."""
        missing = {name: wait for name, wait in progress.waiting.items() if name not in here}
        # What nobody here handles waits for those as well that were there just now: they are about to come back.
        lately = all(name.startswith(OWN_HANDLER) for name in here)
        for name in sorted(self._roster.elsewhere(event.source, event.type, lately=lately)):
            if name not in here and name not in progress.done:
                missing.setdefault(name, _NOT_CALLED)
        return missing

    def _looked_for(self, name: str, wait: Wait, now: int) -> int | None:
        """Tell when an event is looked at next for a handler that is not here; None: it has waited long enough."""
        if self._roster.has(name):
            return max(wait.due_at, now + PASS_ON + self._random_bits(16) * PASS_ON // 0xFFFF)
        if wait is _NOT_CALLED:  # its process has gone just now
            return now + MISSING_LEAST
        waited = now - wait.due_at
        if waited >= MISSING_FOR:
            return None
        return max(wait.due_at, now + min(max(waited, MISSING_LEAST), MISSING_MOST))

    async def _call(self, handler: Handler, event: WebhookEvent) -> Attempt | None:
        """Call a handler; None: there was no thread for it, and its time has not begun."""
        context = contextvars.copy_context()
        context.run(serving.set, _Handling(event, self._random_bits))
        begin: Callable[[], Any] = partial(handler.function, event)
        call: Call | None = None
        returned: list[object] = []
        if not handler.is_async:
            call = await self.threads.begin(event.source, lambda: returned.append(context.run(_plainly, begin)))
            if call is None:
                return None
        started_at, begun = self._clock.now(), self._clock.monotonic()
        if call is None:
            error = await self._run(begin, handler.timeout_seconds, context)
        else:
            error = await self._wait_for(call, handler)
            if error is None and inspect.isawaitable(returned[0]):  # an async function behind a plain decorator
                left = handler.timeout_seconds - (self._clock.monotonic() - begun) / SECOND
                error = await self._run(returned.pop, left, context)
        outcome, error_type, message = _judge(error, handler.timeout_seconds)
        return Attempt(
            number=event.attempt,
            handler=handler.name,
            outcome=outcome,
            started_at=started_at,
            duration_us=max(0, self._clock.monotonic() - begun),
            error_type=error_type,
            error=message,
        )

    async def _wait_for(self, call: Call, handler: Handler) -> BaseException | None:
        """Wait for a thread as :meth:`_run` does for a coroutine; one that hangs is left behind."""
        try:
            await asyncio.wait({call.future}, timeout=handler.timeout_seconds)
            if call.future.done():
                return call.future.result()
            _log.warning("handler_thread_lost", handler=handler.name, seconds=handler.timeout_seconds)
            return _LATE
        finally:
            self.threads.lose(call)

    async def _run(
        self, begin: Callable[[], Any], seconds: float, context: contextvars.Context
    ) -> BaseException | None:
        """Call a handler within its time; returns what it raised, :data:`_LATE` when it did not end."""
        running = asyncio.get_running_loop().create_task(_await(begin), context=context)
        try:
            await asyncio.wait({running}, timeout=max(0.0, seconds))
            if running.done():
                return asyncio.CancelledError() if running.cancelled() else running.exception()
            running.cancel()
            # It gets a moment to clean up; one that will not end is left behind.
            await asyncio.wait({running}, timeout=GRACE_SECONDS)
            return _LATE
        finally:
            running.cancel()
            running.add_done_callback(_forget)

    def _poisoned(self, event: WebhookEvent, progress: Progress, lost: int) -> Conclusion:
        error = f"Given up: {lost} workers in a row died or were cut off while they handled it"
        return Conclusion(event, Status.DEAD, [], Progress(progress.done), self._clock.now(), None, None, error)


def _ending_of(conclusion: Conclusion) -> Ending:
    return Ending(
        event_id=conclusion.event.id,
        status=conclusion.status,
        progress=conclusion.progress,
        at=conclusion.at,
        processing_us=conclusion.processing_us,
        next_retry_at=conclusion.next_retry_at,
        error=conclusion.error,
        counted=conclusion.counted,
    )


def _values(event: WebhookEvent, wanted: str) -> list[bytes]:
    return [value.encode("latin-1", "replace") for name, value in event.all_headers if name == wanted]


class _Handling:
    """What :func:`custodes.runtime.current.current_trace` finds inside a handler."""

    def __init__(self, event: WebhookEvent, random_bits: RandomBits) -> None:
        self._event = event
        self._random_bits = random_bits
        self._trace: Trace | None = None
        self.client_ip = self.user_agent = ""

    @property
    def trace(self) -> Trace:
        """The trace of the event; read when it is asked for, as most handlers do not."""
        self._trace = self._trace or _trace_of(self._event, self._random_bits)
        return self._trace

    def name_caller(self, user: str, api_key: str, tenant: str) -> None:
        """A webhook has no caller to name."""

    def note_exception(self, error: Exception) -> None:
        """What a handler raises is an attempt that failed, and no answer."""


def _trace_of(event: WebhookEvent, random_bits: RandomBits) -> Trace:
    """Continue the trace of an event: the sender's, with its flags and ``tracestate``, where it came with one."""
    parents = _values(event, "traceparent")
    found = read_parent(parents[0]) if len(parents) == 1 else None
    flags, states = NEW_FLAGS, list[bytes]()
    if found is not None and found[0] == event.trace_id:
        flags, states = found[2], _values(event, "tracestate")
    return Trace(event.trace_id, new_span_id(random_bits), "", flags, states, random_bits)


async def _await(begin: Callable[[], Any]) -> None:
    try:
        returned = begin()
        if inspect.isawaitable(returned):
            returned = await returned
        while inspect.iscoroutine(returned):  # one that is handed back has not run either; a task runs by itself
            returned = await returned
    except SystemExit as error:  # a handler must not end the server
        raise _Exited(str(error)) from None
    _check_ran(returned)


def _plainly(begin: Callable[[], Any]) -> object:
    try:
        returned = begin()
    except SystemExit as error:
        raise _Exited(str(error)) from None
    _check_ran(returned)
    return returned


def _check_ran(returned: object) -> None:
    """Raise where a handler handed back a generator: not a line of it has run, and the event would be lost."""
    if isinstance(returned, Generator | AsyncGenerator):
        msg = "The handler is a generator, of which nothing has run: it must not yield"
        raise TypeError(msg)


class _Exited(RuntimeError):
    """A handler called ``sys.exit``."""


def _forget(running: asyncio.Future[Any]) -> None:
    """Look at the outcome of what was left behind, so that nobody else complains about it."""
    if not running.cancelled():
        running.exception()


def _judge(error: BaseException | None, seconds: float) -> tuple[Outcome, str, str]:
    if error is None:
        return Outcome.SUCCEEDED, "", ""
    if error is _LATE:
        return Outcome.TIMED_OUT, "TimeoutError", f"It took longer than {seconds:g} s"
    outcome = Outcome.PERMANENT if isinstance(error, Permanent) else Outcome.FAILED
    kind = SystemExit.__name__ if isinstance(error, _Exited) else type_name(error)
    return outcome, storable(kind)[:128], _message(error)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a foreign __str__ must not keep the failure from being recorded
        text = "(its message cannot be shown)"
    return redact_text(storable(text[: MAX_ERROR * 2]))[:MAX_ERROR]
