"""Rate-limit states shared by all instances, in Redis.

Requests that come together are decided by one call; while calls are under way, those that come are gathered, so that
nobody waits when there is little to do and nobody pays for a call of his own when there is much. What is known to be
refused is refused here. When Redis does not answer in time, a few requests wait for the deadline, then none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, cast

from custodes.errors import StorageUnavailable
from custodes.kernel.clock import SECOND
from custodes.kernel.window import Ask, Concurrency, Meter, Outcome, held
from custodes.kernel.window.cells import Key
from custodes.runtime.breaker import Breaker
from custodes.runtime.log import get_logger
from custodes.storage.redis.batch import Batch, GiveBack, Item, Look, Question, answer_of, asks_of, fail
from custodes.storage.redis.calls import Calls
from custodes.storage.redis.cells import RedisCells, known_refusal
from custodes.storage.redis.connection import connect, disconnect, is_cluster
from custodes.storage.redis.kinds import Kind
from custodes.storage.redis.leases import Leases
from custodes.storage.redis.lines import Lines
from custodes.storage.redis.presence import Presence
from custodes.storage.redis.reasons import reason, undecided
from custodes.storage.redis.scripts import Commands, Script, decision
from custodes.storage.redis.split import Split
from custodes.storage.redis.subjects import Subjects

if TYPE_CHECKING:
    from redis.asyncio import Redis, RedisCluster

#: How long a request waits for its decision, microseconds.
DEFAULT_DEADLINE = 20_000

#: Calls under way while further requests are only gathered: with two, one is decided while the other is put together.
_FEW_CALLS = 2

#: Calls under way at most.
_MAX_CALLS = 8

#: Longest that a request is held to be gathered with others, seconds.
_GATHER_SECONDS = 0.0005

#: Requests decided by one call at most. Few enough for it to take less than a millisecond of the server's time; enough
#: for a call to cost each of them little: with half as many, the processors work a fifth more for each decision.
MAX_BATCH = 64

#: Requests that are decided by one call rather than by two.
_LEAST = 16

#: Requests that wait at most; beyond, they are not decided.
_MAX_WAITING = 10_000

#: How often it is tried whether Redis answers again, seconds.
_PROBE_SECONDS = 0.25

#: Longest that this may take, seconds.
_PROBE_DEADLINE = 1.0

#: The same when it is not known whether our own lateness was the cause: until it is, each request waits its deadline.
_DOUBT_DEADLINE = 0.5

_log = get_logger("custodes.ratelimit")


class RedisWindows:
    """The :class:`~custodes.planes.ratelimit.ports.Windows` of all instances.

    Args:
        url: see :func:`custodes.storage.redis.connection.connect`.
        secret: names subjects in Redis; the same in all instances.
        monotonic: monotonic clock, microseconds.
        deadline: how long a request waits for its decision, microseconds.
        script: what decides; another one in tests, whose time stands still.
    """

    #: Whether ``decide`` answers at once.
    synchronous = False
    #: Whether leases are taken.
    lends = True

    def __init__(
        self,
        url: str,
        secret: bytes,
        *,
        monotonic: Callable[[], int],
        deadline: int = DEFAULT_DEADLINE,
        script: Script | None = None,
    ) -> None:
        self._client: Redis | RedisCluster = connect(url)
        self._in_parts = is_cluster(url)
        self._lines = None if self._in_parts else Lines(cast("Redis", self._client))
        self._secret = secret
        #: By what the limits have in common that are asked together.
        self._subjects: dict[str, Subjects] = {}
        self._monotonic = monotonic
        self._deadline = deadline / SECOND
        self._script = script or decision()
        self._cells: dict[str, RedisCells] = {}
        self._kinds = Kind()
        #: The loop of the host. Asking for it is a system call before Python 3.12, and each request would.
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Server time minus monotonic time: never less than it is, so that no refusal outlives its end.
        self._ahead: int | None = None
        self._breaker = Breaker()
        self._trouble = ""
        self._presence = Presence(self._client, secret)
        self._leases = Leases(monotonic, lambda: self.instances, self.give_back)
        #: By part of the cluster; one part for all when there is none.
        self._waiting: dict[int, list[Item]] = {}
        self._count = 0
        self._since = 0.0
        self._sender: asyncio.Handle | None = None
        self._calls = Calls(self._script, self._client, self._lines, monotonic, self._deadline, self)
        self._probe: asyncio.Task[None] | None = None
        self._doubt: asyncio.Task[None] | None = None
        #: Decisions that could not be made in time.
        self.failures = 0
        #: Calls to Redis, and refusals that needed none.
        self.calls = 0
        self.known_refusals = 0

    # ── Port ─────────────────────────────────────────────────────────────────

    @property
    def leased_decisions(self) -> int:
        """Decisions made without a call, on units that this instance had taken before."""
        return self._leases.decided

    @property
    def overflowed(self) -> int:
        """Decisions on subjects that had to share a state: none, Redis has room or says that it has not."""
        return 0

    @property
    def available(self) -> bool:
        """False while Redis is known not to answer."""
        return not self._breaker.open

    @property
    def trouble(self) -> str:
        """Why Redis does not decide, as it was last tried."""
        return self._trouble if self._breaker.open else ""

    @property
    def instances(self) -> int:
        """Instances that said they live, when Redis was last asked."""
        return self._presence.instances

    def cells(self, name: str, meter: Meter, *, shadow: bool = False, together: str = "") -> RedisCells:
        """Return a limit; the same one for the same name, in every instance."""
        found = self._cells.get(name)
        if found is None or found.subjects.together != together:
            subjects = self._subjects.get(together)
            if subjects is None:
                subjects = self._subjects[together] = Subjects(together, self._secret, in_parts=self._in_parts)
            found = self._cells[name] = RedisCells(name, meter, subjects, shadow=shadow, in_parts=self._in_parts)
        found.shadow = shadow
        return found

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the limits of other names, and every refusal; what is in Redis ends by itself."""
        wanted = set(names)
        self._leases.end()
        self._cells = {name: cells for name, cells in self._cells.items() if name in wanted}
        self._kinds = Kind()
        for cells in self._cells.values():
            cells.forget_refusals()
        self._subjects = {cells.subjects.together: cells.subjects for cells in self._cells.values()}

    def decide(self, asks: Sequence[Ask], now: int) -> Outcome | Awaitable[Outcome]:
        """Decide on all limits of a request: at once when it is known to be refused, else with whatever else waits.

        Raises:
            StorageUnavailable: Redis is known not to answer, or too many wait. The awaitable raises it when there is no
                decision within the deadline.
        """
        if self._ahead is None:
            self._ahead = now - self._monotonic()
        leases, kind, subject = False, self._kinds, asks[0][1]
        for cells, key, cost in asks:
            if key in cells.denied:
                refused = known_refusal(asks, self._monotonic() + self._ahead)
                if refused is not None:
                    self.known_refusals += 1
                    return refused
            if cells.lease > 1:
                leases = True
            if kind is not None:
                kind = (kind.further.get(cells) or kind.also(cells)) if cost == 1 and key == subject else None
        if leases:
            if subject in asks[0][0].leases:
                decided = self._leases.spend(asks, self._ahead)
                if decided is not None:
                    return decided
            kind = None
        return self._ask(asks, kind if kind is not None and kind.common else None, leases=leases)

    def _ask(self, asks: Sequence[Ask], kind: Kind | None, *, leases: bool) -> Awaitable[Outcome]:
        if self._breaker.open or self._count >= _MAX_WAITING:
            self.failures += 1
            raise _unavailable("Redis does not answer" if self._breaker.open else "Too many requests wait for Redis")
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[Outcome] = loop.create_future()
        if self._in_parts:
            self._submit(asks, answer)
        else:
            self._enqueue(0, Question(asks, answer) if kind is None else (asks, answer, kind))
        if leases:
            for borrow in self._leases.renew(asks):
                self._enqueue(self._part_of(borrow.cells, borrow.key), borrow)
        return answer

    def release(self, cells: RedisCells, key: Key, taken_at: int, cost: int) -> None:
        """Give back slots with the next call; what cannot be given back is free at the end of its lease."""
        assert isinstance(cells.meter, Concurrency)
        self.give_back(cells, key, taken_at, cost)

    async def near(self, cells: RedisCells, now: int) -> list[tuple[Key, int]]:
        """List who has used 80 % of a limit or more, of those that this instance has decided on lately.

        What they have left is asked for, for others have decided on them, too; when nobody answers, it is what they had
        left when this instance last heard of it.
        """
        del now  # the server's time counts
        seen = cells.near.all()
        if not seen or self._breaker.open or self._count + len(seen) > _MAX_WAITING:
            return seen
        loop = asyncio.get_running_loop()
        looks = [Look(cells, key, loop.create_future()) for key, _ in seen]
        for look in looks:
            self._enqueue(self._part_of(cells, look.key), look)
        views = await asyncio.gather(*(look.answer for look in looks), return_exceptions=True)
        found: list[tuple[Key, int]] = []
        for (key, left_then), view in zip(seen, views, strict=True):
            left = left_then if isinstance(view, BaseException) else view[0]
            if left <= cells.near_at:
                found.append((key, left))
            else:
                cells.near.forget(key)
        return found

    async def start(self) -> None:
        """Connect, so that no request has to; what cannot be reached now is tried again in the background."""
        await self._presence.start()
        try:
            await asyncio.gather(*(self._ask_for_an_answer() for _ in range(_FEW_CALLS)))
        except Exception as error:  # noqa: BLE001 - a host starts without Redis, too
            while not self._breaker.open:
                self._lose(undecided(error))

    async def stop(self) -> None:
        """Give back what is leased, decide on what waits, then close the connections."""
        self._leases.end()
        while self._count and not self._breaker.open:
            self._send()
            await asyncio.sleep(0.001)
        for task in (self._probe, self._doubt):
            if task is not None:
                task.cancel()
        await self._calls.stop()
        self._abandon(_unavailable("The limiter has stopped"))
        await self._presence.stop()
        if self._lines is not None:
            await self._lines.close()
        await disconnect(self._client)

    # ── Gathering ────────────────────────────────────────────────────────────

    def _part_of(self, cells: RedisCells, key: Key) -> int:
        return cells.named(key)[1] if self._in_parts else 0

    def _submit(self, asks: Sequence[Ask], answer: asyncio.Future[Outcome]) -> None:
        """Ask the parts of a cluster that the limits are in."""
        parts: dict[int, list[int]] = {}
        for number, (cells, key, _) in enumerate(asks):
            parts.setdefault(cells.named(key)[1], []).append(number)
        if len(parts) == 1:
            self._enqueue(next(iter(parts)), Question(asks, answer))
            return
        split = Split(asks, answer, self.give_back)
        for part, numbers in parts.items():
            self._enqueue(part, split.question(numbers))

    def give_back(self, cells: RedisCells, key: Key, at: int, cost: int) -> None:
        """Take back a charge of a moment with the next call; lost when Redis does not answer."""
        if self._count < _MAX_WAITING and not self._breaker.open:
            self._enqueue(self._part_of(cells, key), GiveBack(cells, key, at, cost))

    def _enqueue(self, part: int, item: Item) -> None:
        self._count += 1
        waiting = self._waiting.get(part)
        if waiting is not None:
            waiting.append(item)
            return
        self._waiting[part] = [item]
        if self._count == 1:
            loop = asyncio.get_running_loop()
            self._since = loop.time()
            if len(self._calls.under_way) < _FEW_CALLS:
                # After whatever else is ready now: what comes together goes together.
                self._sender = loop.call_soon(self._send)
            elif len(self._calls.under_way) < _MAX_CALLS:
                self._sender = loop.call_later(_GATHER_SECONDS, self._send)

    def _send(self) -> None:
        """Begin the calls for what waits."""
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None
        if not self._count:
            return
        ends = self._since + self._deadline
        now = self._monotonic() + (self._ahead or 0)
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for items in waiting.values():
            # Two calls under way: while the server decides on one, this process writes or reads the other.
            parts = 1 if self._calls.under_way else 2
            size = min(MAX_BATCH, max(_LEAST, -(-len(items) // parts)))
            for first in range(0, len(items), size):
                self._calls.begin(Batch(items[first : first + size], now), ends)

    # ── What comes of calls ──────────────────────────────────────────────────

    def ended(self) -> None:
        """Send what has gathered meanwhile."""
        if self._count and len(self._calls.under_way) < _MAX_CALLS:
            # After those that this call has answered, who may ask again at once.
            if self._sender is not None:
                self._sender.cancel()
            self._sender = asyncio.get_running_loop().call_soon(self._send)

    def heard(self, batch: Batch, reply: bytes, begun: int) -> None:
        """Hand out the answers."""
        self.calls += 1
        server_now, again = batch.settle(reply, begun)
        if not batch.late:
            self._breaker.succeeded()
            self._follow(server_now - begun)
        if batch.lent:
            self._leases.hold(batch.lent)
        for question in again:
            if not answer_of(question).done():
                cells, key, _ = asks_of(question)[0]
                self._enqueue(self._part_of(cells, key), question)
        for asks, outcome in batch.unclaimed:
            for (cells, key, cost), taken_at in held(asks, outcome, server_now):
                # Whatever is known of Redis otherwise: it has just answered.
                self._enqueue(self._part_of(cells, key), GiveBack(cells, key, taken_at, cost))

    def _follow(self, ahead: int) -> None:
        """Take over what the server's clock says; when it was put back, no refusal that was to end by it stands."""
        if self._ahead is not None and ahead < self._ahead - SECOND:
            for cells in self._cells.values():
                cells.forget_refusals()
        self._ahead = ahead

    def failed(self, batch: Batch, what: str, *, ours: bool = False) -> None:
        """Have those who wait hear of it, and find out whether Redis is still there."""
        self.failures += batch.fail(_unavailable(what))
        if not ours:
            self._lose(what)
        elif self._doubt is None or self._doubt.done():
            self._doubt = asyncio.get_running_loop().create_task(self._make_sure(what))

    async def _make_sure(self, what: str) -> None:
        """Ask, with time to spare, whether Redis answers at all."""
        try:
            await self._ask_for_an_answer(_DOUBT_DEADLINE)
        except Exception:  # noqa: BLE001 - whatever it is, it is not an answer
            while not self._breaker.open:
                self._lose(what)

    def _lose(self, what: str) -> None:
        if self._breaker.failed():
            self._trouble = what
            _log.warning("redis_lost", what=what)
            self._abandon(_unavailable(what))
            self._probe = asyncio.get_running_loop().create_task(self._until_it_answers())

    def _abandon(self, error: StorageUnavailable) -> None:
        """Have all that wait hear that nobody will answer."""
        waiting, self._waiting, self._count = self._waiting, {}, 0
        for items in waiting.values():
            self.failures += fail(items, error)

    async def _until_it_answers(self) -> None:
        """Ask now and then, so that no request has to."""
        while self._breaker.open:
            await asyncio.sleep(_PROBE_SECONDS)
            try:
                await self._ask_for_an_answer()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not an answer
                self._trouble = undecided(error)
            else:
                self._breaker.succeeded()
                _log.info("redis_answers_again")

    async def _ask_for_an_answer(self, seconds: float = _PROBE_DEADLINE) -> None:
        """Have nothing decided. Longer than a decision may take, for a connection may have to be made first."""
        async with asyncio.timeout(max(seconds, self._deadline)):
            await _decide_nothing(self._script, self._lines or self._client)


async def why_undecided(url: str) -> str:
    """Ask Redis once whether it decides, as a limiter would that starts; nothing begins, and nothing stays open.

    Returns why it does not, in words; an empty text when it does.

    Args:
        url: see :func:`custodes.storage.redis.connection.connect`, also for what is raised.
    """
    client = connect(url)
    try:
        async with asyncio.timeout(_PROBE_DEADLINE):
            await _decide_nothing(decision(), client)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not an answer
        return reason(error)
    finally:
        await disconnect(client)
    return ""


async def _decide_nothing(script: Script, commands: Commands) -> None:
    await script.run(commands, [b"custodes:{0}:probe"], Batch((), 0).packed)


def _unavailable(what: str) -> StorageUnavailable:
    return StorageUnavailable(f"Limits were not decided: {what}", remedy="Look at Redis and CUSTODES_REDIS_URL")
