"""Calls under way: batches that were sent, until they are heard of.

Those who wait are told when there is no answer in time. The call goes on for a while, for it may have taken slots, and
only its answer tells which.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

from custodes.storage.redis.batch import Batch
from custodes.storage.redis.lines import Line, Lines
from custodes.storage.redis.reasons import undecided
from custodes.storage.redis.scripts import Commands, Script

#: How much of the deadline our own event loop may take away before a call that was not answered says nothing of Redis.
_LATE_PART = 0.25

#: Longest that an answer is listened for when those who asked were told that there is none in time, seconds, and calls
#: that are listened for.
_LISTEN_SECONDS = 5.0
_MAX_LATE = 8


class Caller(Protocol):
    """**Protocol:** who hears what came of a call."""

    def heard(self, batch: Batch, reply: bytes, begun: int) -> None:
        """Take the answer, perhaps of a batch that is late; ``begun`` is the monotonic time before it was asked for."""
        ...

    def failed(self, batch: Batch, what: str, *, ours: bool = False) -> None:
        """Hear that there is none; ``ours`` when that may be our own lateness."""
        ...

    def ended(self) -> None:
        """Hear that a call is over, and whoever waited for it has been told."""
        ...


class _Call:
    """A batch on its way.

    Args:
        batch: what was sent.
        given: when it was given to be sent, in the loop's time.
        ends: until when those who asked wait.
        over: is done when the call is.
        line: the connection that it is sent on; None where a task waits for the answer, which is :attr:`over` then.
    """

    __slots__ = ("batch", "ends", "given", "line", "over", "timer")

    def __init__(
        self, batch: Batch, given: float, ends: float, over: asyncio.Future[None], line: Line | None = None
    ) -> None:
        self.batch = batch
        self.given = given
        self.ends = ends
        self.over = over
        self.line = line
        #: What happens next if no answer comes.
        self.timer: asyncio.Handle | None = None

    def heard(self) -> None:
        """Wait no more."""
        if self.timer is not None:
            self.timer.cancel()


class Calls:
    """Sends batches.

    Args:
        script: what decides on them.
        client: sends commands, where there are no lines.
        lines: connections to one server; None when there are several.
        monotonic: monotonic clock, microseconds.
        deadline: seconds that a request may wait.
        caller: hears what came of them.
    """

    def __init__(
        self,
        script: Script,
        client: Commands,
        lines: Lines | None,
        monotonic: Callable[[], int],
        deadline: float,
        caller: Caller,
    ) -> None:
        self._script = script
        self._commands = client if lines is None else lines
        self._lines = lines
        self._monotonic = monotonic
        self._deadline = deadline
        self._caller = caller
        #: Each is done when the call is over.
        self.under_way: set[asyncio.Future[None]] = set()
        #: Those that were not answered in time, and may yet be.
        self.late: dict[asyncio.Future[None], _Call] = {}
        self._stopping = False

    def begin(self, batch: Batch, ends: float) -> None:
        """Send a batch, which has until this moment of the loop's time."""
        if self._lines is None or not self._send(self._lines, batch, ends):
            self._begin_task(batch, ends)

    async def stop(self) -> None:
        """Wait for those under way; who is late is listened to no more."""
        self._stopping = True
        late = dict(self.late)
        for call in late.values():
            self._give_up(call)
        await asyncio.gather(*late, *self.under_way, return_exceptions=True)

    def _send(self, lines: Lines, batch: Batch, ends: float) -> bool:
        """Send on a connection that is free, with no task to wait for the answer; False when none is."""
        line = lines.take_free()
        if line is None:
            return False
        loop = asyncio.get_running_loop()
        call = _Call(batch, loop.time(), ends, loop.create_future(), line)
        self._watch(call)
        # Nothing of a call may refer to it in a circle once it is over: with it, the collector would have to find all
        # the requests of the batch, which took it a seventh of the time of a decision.
        line.ask(self._script.by_digest(batch.keys, batch.packed), partial(self._answered, call, self._monotonic()))
        return True

    def _answered(self, call: _Call, begun: int, reply: Any) -> None:
        """Take what came on a connection, and let others have it."""
        call.heard()
        batch, line, lines = call.batch, cast("Line", call.line), cast("Lines", self._lines)
        if isinstance(reply, Exception):
            from redis.exceptions import NoScriptError

            unknown = isinstance(reply, NoScriptError)
            lines.put_back(line, usable=unknown)
            if unknown and not batch.late:
                self._begin_task(batch, call.ends)
            else:
                self._fail(batch, reply)
        else:
            lines.put_back(line, usable=True)
            self._hear(batch, reply, begun)
        self._end(call.over)

    def _give_up(self, call: _Call) -> None:
        """End a call without an answer."""
        call.heard()
        if call.line is None or self._lines is None:
            call.over.cancel()
            return
        call.line.give_up()
        self._lines.put_back(call.line, usable=False)
        self._end(call.over)

    def _begin_task(self, batch: Batch, ends: float) -> None:
        task = asyncio.get_running_loop().create_task(self._call(batch, ends))
        self.under_way.add(task)
        task.add_done_callback(self._end)

    async def _call(self, batch: Batch, ends: float) -> None:
        """Send where a connection has to be made first, or the script has to be sent, or the client knows to whom."""
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        call = _Call(batch, asyncio.get_running_loop().time(), ends, task)
        self._watch(call)
        try:
            begun = self._monotonic()
            reply = await self._script.run(self._commands, batch.keys, batch.packed)
        except Exception as error:  # noqa: BLE001 - whatever the client raises, those who wait must hear of it
            self._fail(batch, error)
        else:
            self._hear(batch, reply, begun)
        finally:
            call.heard()

    def _hear(self, batch: Batch, reply: bytes, begun: int) -> None:
        try:
            self._caller.heard(batch, reply, begun)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with an answer, those who wait must hear of it
            self._fail(batch, error)

    def _fail(self, batch: Batch, error: Exception) -> None:
        if not batch.late:
            self._caller.failed(batch, undecided(error))

    def _watch(self, call: _Call) -> None:
        self.under_way.add(call.over)
        call.timer = asyncio.get_running_loop().call_at(call.ends, self._be_late, call)

    def _be_late(self, call: _Call, *, looked: bool = False) -> None:
        """Tell those who wait that there is no decision in time; the call goes on, for it may have taken slots."""
        loop = asyncio.get_running_loop()
        late = self._deadline * _LATE_PART
        if loop.time() - call.ends > late and not looked:
            # The loop did something else: the answer may be there, and is read in this turn.
            call.timer = loop.call_soon(partial(self._be_late, call, looked=True))
            return
        call.batch.late = True
        # Sent late, or looked for late: then the answer may well have been there.
        ours = looked or call.ends - call.given < self._deadline - late
        what = f"Redis did not decide within {self._deadline * 1_000:g} ms"
        self._caller.failed(call.batch, what, ours=ours)
        if self._stopping or len(self.late) >= _MAX_LATE:
            self._give_up(call)
            return
        self.under_way.discard(call.over)
        self.late[call.over] = call
        call.timer = loop.call_at(call.ends + _LISTEN_SECONDS, self._give_up, call)
        self._caller.ended()

    def _end(self, over: asyncio.Future[None]) -> None:
        self.under_way.discard(over)
        self.late.pop(over, None)
        if not over.done():
            over.set_result(None)
        self._caller.ended()
