"""What a rule would have done: recorded traffic replayed against it, beside everything that counts."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from custodes.errors import InvalidInput
from custodes.kernel.clock import SECOND, Clock
from custodes.kernel.tenant import EVERY_TENANT
from custodes.kernel.window import Ask, Concurrency, Meter, OwnCells, decide
from custodes.planes.ratelimit.access import AccessTable
from custodes.planes.ratelimit.analytics import TOP, point_length
from custodes.planes.ratelimit.endpoints import endpoint_of
from custodes.planes.ratelimit.model import Effect, Rule
from custodes.planes.ratelimit.plans import UNKNOWN, RuleBook, gather
from custodes.planes.ratelimit.ports import RecordedCall, Recordings

#: Most calls that are replayed: the newest of the stretch. They take about a second of processor time.
MAX_REPLAYED = 100_000

#: Longest that a replay takes, microseconds; what comes later than what was reached is left out.
MAX_TIME = 10 * SECOND

#: Calls read by one query, and decided before other tasks get a turn (about a millisecond).
_PAGE = 5_000
_SLICE = 200


@dataclass(slots=True)
class Hit:
    """What would have become of the calls of one subject, or of one endpoint."""

    #: Subject (``ip:203.0.113.9``) or endpoint.
    label: str
    #: Calls that the rule holds for.
    calls: int = 0
    #: Of these, those that would have been refused.
    refused: int = 0
    #: Of these, those that the host answered with success: status 1 to 399.
    successes_refused: int = 0


@dataclass(slots=True)
class Point:
    """A stretch of the replay."""

    #: Begin, microseconds.
    at: int
    #: Calls that the rule holds for, and those that would have been refused.
    calls: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """What a rule would have done."""

    #: The rule, as it was understood.
    rule: Rule
    #: The stretch that was replayed, microseconds; shorter than what was asked for when :attr:`cut`.
    since: int
    until: int
    #: Whether there were too many calls, or they took too long.
    cut: bool
    #: Length of a point, microseconds.
    bucket: int
    #: Calls that were recorded in the stretch.
    recorded: int
    #: Of these, those that another rule or a block had refused: they are not held against this rule.
    refused_already: int
    #: Of these, those that the allow list lets through.
    let_through: int
    #: Calls that the rule holds for, and of these those that would have been refused.
    calls: int
    refused: int
    #: Of these, those that the host answered with success.
    successes_refused: int
    #: Subjects that the rule counted, and those that would have been refused at least once.
    subjects: int
    subjects_refused: int
    #: In order of time; points without any call are left out.
    trend: Sequence[Point]
    #: Who would have been refused, and where, most often first.
    identifiers: Sequence[Hit]
    endpoints: Sequence[Hit]

    @property
    def refusal_rate(self) -> float:
        """Refused part of the calls that the rule holds for, 0 to 1."""
        return self.refused / self.calls if self.calls else 0.0


class Replay:
    """Replays recorded calls.

    Args:
        recordings: where they are kept.
        clock: measures how long it takes.
        client_of: names the client behind an address (IPv6 by its prefix).
    """

    def __init__(self, recordings: Recordings, clock: Clock, client_of: Callable[[str], str]) -> None:
        self._recordings = recordings
        self._clock = clock
        self._client_of = client_of
        # One at a time: a few administrators must not take the processor from the host together.
        self._turn = asyncio.Lock()

    async def run(self, rule: Rule, access: AccessTable, *, since: int, until: int, tenant: str | None) -> WhatIf:
        """Hold the calls of a stretch of time against a rule, as if it alone had begun to count with the first.

        A call that was refused by another rule or a block is not charged, as it is not when rules decide together; one
        that the rule of this very name refused is asked again.

        Args:
            rule: the rule; counts as enabled and not in shadow.
            access: who is let through without limits.
            since: begin, microseconds; included.
            until: end, microseconds; not included.
            tenant: only this tenant's calls; all when None.

        Raises:
            InvalidInput: the stretch is empty.
        """
        if since >= until:
            msg = "since is not before until"
            raise InvalidInput(msg, remedy="Swap them")
        async with self._turn:
            deadline = self._clock.monotonic() + MAX_TIME
            begin = await self._recordings.begin(tenant=tenant, since=since, until=until, limit=MAX_REPLAYED)
            trial = _Trial(
                replace(rule, enabled=True, shadow=False), access, self._client_of, point_length(begin, until)
            )
            reached = begin
            after: RecordedCall | None = None
            while self._clock.monotonic() < deadline:
                page = await self._recordings.calls(tenant=tenant, since=begin, until=until, after=after, limit=_PAGE)
                for first in range(0, len(page), _SLICE):
                    for call in page[first : first + _SLICE]:
                        trial.ask(call)
                    await asyncio.sleep(0)
                if len(page) < _PAGE:
                    reached = until
                    break
                after = page[-1]
                reached = after.started_at + 1
            return trial.result(begin, reached, cut=(begin, reached) != (since, until))


class _Trial:
    """One rule, its own states, and what it decided."""

    #: Decides at once (:class:`custodes.planes.ratelimit.ports.States`).
    synchronous = True

    def __init__(self, rule: Rule, access: AccessTable, client_of: Callable[[str], str], bucket: int) -> None:
        self._rule = rule
        self._access = access
        self._client_of = client_of
        self._bucket = bucket
        self._book = RuleBook([rule], self)
        self._holds = any(isinstance(cells.meter, Concurrency) for cells in self._book.gates[0].cells)
        #: Slots held: when the call ends, a number that tells equal ones apart, and what to give back.
        self._held: list[tuple[int, int, Sequence[Ask], int]] = []
        self._recorded = self._refused_already = self._let_through = 0
        self._points: dict[int, Point] = {}
        self._whom: dict[str, Hit] = {}
        self._where: dict[str, Hit] = {}

    def cells(self, name: str, meter: Meter, *, shadow: bool = False, together: str = "") -> OwnCells:
        """Return states that nobody else counts in."""
        return OwnCells(meter, shadow=shadow)

    def ask(self, call: RecordedCall) -> None:
        """Decide on one call; they come in order of time."""
        self._recorded += 1
        if call.limited_by not in ("", self._rule.name):
            self._refused_already += 1
            return
        now = call.started_at
        client = call.client_ip or UNKNOWN
        if ":" in client:
            client = self._client_of(client)
        if self._access.entries:
            entry = self._access.find(call, client, now)
            # One of a tenant lifts the rules of that tenant alone.
            where = (EVERY_TENANT, self._rule.tenant)
            if entry is not None and entry.effect is Effect.ALLOW and entry.tenant in where:
                self._let_through += 1
                return
        plan = (self._book.by_method.get(call.method) or {}).get(call.path) or self._book.look_up(
            call.method, call.path
        )
        asks, _ = gather(plan, call, client)
        if not asks:
            return
        self._give_back(now)
        refused = bool(decide(asks, now).refused)
        if self._holds and not refused:
            heapq.heappush(self._held, (call.ended_at, self._recorded, asks, now))
        self._note(call, asks[0], refused)

    def _give_back(self, now: int) -> None:
        while self._held and self._held[0][0] <= now:
            _, _, asks, taken_at = heapq.heappop(self._held)
            for cells, key, cost in asks:
                cells.release(key, taken_at, cost)

    def _note(self, call: RecordedCall, ask: Ask, refused: bool) -> None:
        at = call.started_at // self._bucket * self._bucket
        point = self._points.setdefault(at, Point(at))
        point.calls += 1
        point.refused += refused
        _, kind, identifier = self._book.gates[0].whom(ask[1], call.tenant)
        for hits, label in (
            (self._whom, f"{kind}:{identifier}"),
            (self._where, call.route or endpoint_of(call.path)),
        ):
            hit = hits.get(label)
            if hit is None:
                hit = hits[label] = Hit(label)
            hit.calls += 1
            if refused:
                hit.refused += 1
                hit.successes_refused += 0 < call.status < 400

    def result(self, since: int, until: int, *, cut: bool) -> WhatIf:
        """Sum up."""
        hit = [one for one in self._whom.values() if one.refused]
        return WhatIf(
            rule=self._rule,
            since=since,
            until=until,
            cut=cut,
            bucket=self._bucket,
            recorded=self._recorded,
            refused_already=self._refused_already,
            let_through=self._let_through,
            calls=sum(point.calls for point in self._points.values()),
            refused=sum(point.refused for point in self._points.values()),
            successes_refused=sum(one.successes_refused for one in hit),
            subjects=len(self._whom),
            subjects_refused=len(hit),
            trend=[self._points[at] for at in sorted(self._points)],
            identifiers=_most_refused(hit),
            endpoints=_most_refused(one for one in self._where.values() if one.refused),
        )


def _most_refused(hits: Iterable[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.refused, -hit.calls, hit.label))[:TOP]
