"""What an actor and an address did lately: the patterns that the risk rules look at.

A past is built from the newest entries of one actor, or of one address, which the store finds by index. On the hot path
it stays in a bounded memory, so that a busy actor costs no query.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from custodes.kernel.clock import HOUR, MINUTE
from custodes.planes.audit.catalogue import action_named
from custodes.planes.audit.model import Outcome

T = TypeVar("T")
C = TypeVar("C", int, tuple[int, str])

#: Newest entries of an actor, and of an address, that its past is built from: bounds the query and the memory.
MAX_TRACES = 200

#: Addresses, and user agents, that are remembered of one actor.
MAX_SEEN = 50

#: Actors, and addresses, whose past is kept in memory; the one that was quiet longest makes room.
MAX_PASTS = 10_000

#: How the key of an actor begins that nobody knows.
_NOBODY = "anonymous:"

#: So far ahead another host's clock may be, microseconds; what stands later was written by one that has been put right.
MAX_AHEAD = 5 * MINUTE

#: Window of repeated failures, microseconds.
FAILURE_WINDOW = 10 * MINUTE

#: How long after an attack a success is suspicious, microseconds; Elastic's rules say 180 minutes.
ATTACK_WINDOW = 3 * HOUR

#: Window in which several accounts failing from one address are one attack, microseconds; Elastic's rules say 1 hour.
SPRAY_WINDOW = HOUR

#: Window of mass actions, microseconds.
BULK_WINDOW = 5 * MINUTE


class Trace(NamedTuple):
    """What the patterns need to know of one entry."""

    #: When it was recorded, microseconds.
    at: int
    #: Who, as ``type:id``.
    actor: str
    #: What.
    action: str
    #: How it ended.
    outcome: str
    #: Client address; empty when unknown.
    ip: str
    #: User agent; empty when unknown.
    user_agent: str

    @property
    def failed(self) -> bool:
        """Whether it was not done."""
        return self.outcome != Outcome.SUCCESS

    @property
    def bulk(self) -> bool:
        """Whether it took data away or out."""
        return not self.failed and action_named(self.action).bulk


@dataclass(slots=True)  # not frozen: it is made for each event, and that would take three times as long
class Observed:
    """What the past says about one new event; counts include the event itself."""

    #: Failures of the actor within :data:`FAILURE_WINDOW`, when this is one.
    actor_failures: int = 0
    #: Failures of the actor within :data:`ATTACK_WINDOW`, when this is a success.
    failures_before: int = 0
    #: Failures from the address within :data:`FAILURE_WINDOW`, when this is one.
    ip_failures: int = 0
    #: Actors that failed from the address within :data:`SPRAY_WINDOW`, when this failed.
    ip_accounts: int = 0
    #: Bulk actions of the actor within :data:`BULK_WINDOW`, when this is one.
    bulk_actions: int = 0
    #: The address is not among those of the actor's past, which is not empty.
    new_address: bool = False
    #: The same of the user agent.
    new_device: bool = False


@dataclass(slots=True)
class ActorPast:
    """What one actor did; grows by :meth:`note`, within bounds."""

    #: Addresses it came from, oldest first.
    addresses: dict[str, None] = field(default_factory=dict[str, None])
    #: User agents it came with, oldest first.
    devices: dict[str, None] = field(default_factory=dict[str, None])
    #: Moments of its failures.
    failures: deque[int] = field(default_factory=lambda: deque[int](maxlen=MAX_TRACES))
    #: Moments of its bulk actions.
    bulk: deque[int] = field(default_factory=lambda: deque[int](maxlen=MAX_TRACES))
    #: When the store was last asked about it, microseconds.
    asked_at: int = 0

    def add(self, news: ActorPast) -> None:
        """Take over what the store tells of entries, of which some are known."""
        for address in news.addresses:
            _see(self.addresses, address)
        for device in news.devices:
            _see(self.devices, device)
        self.failures, self.bulk = _union(self.failures, news.failures), _union(self.bulk, news.bulk)

    def note(self, trace: Trace) -> None:
        """Add an entry."""
        _see(self.addresses, trace.ip)
        _see(self.devices, trace.user_agent)
        if trace.failed:
            self.failures.append(trace.at)
        elif trace.bulk:
            self.bulk.append(trace.at)


@dataclass(slots=True)
class AddressPast:
    """What failed from one address; grows by :meth:`note`, within bounds."""

    #: (moment, actor) of each failure.
    failures: deque[tuple[int, str]] = field(default_factory=lambda: deque[tuple[int, str]](maxlen=MAX_TRACES))
    #: When the store was last asked about it, microseconds.
    asked_at: int = 0

    def add(self, news: AddressPast) -> None:
        """Take over what the store tells of entries, of which some are known."""
        self.failures = _union(self.failures, news.failures)

    def note(self, trace: Trace) -> None:
        """Add an entry."""
        if trace.failed:
            self.failures.append((trace.at, trace.actor))


@dataclass(frozen=True, slots=True)
class Past:
    """The pasts that one event is looked at against."""

    #: Of its actor.
    actor: ActorPast = field(default_factory=ActorPast)
    #: Of its address.
    address: AddressPast = field(default_factory=AddressPast)

    @classmethod
    def of(cls, actor: Iterable[Trace], address: Iterable[Trace]) -> Past:
        """Build it from entries of the actor and entries from the address, oldest first."""
        past = cls()
        for trace in actor:
            past.actor.note(trace)
        for trace in address:
            past.address.note(trace)
        return past

    def observe(self, event: Trace) -> Observed:
        """Look at an event, which is not in the past yet.

        Nobody in particular has no habits: an ``anonymous`` actor is judged by its address alone.
        """
        actor = ActorPast() if event.actor.startswith(_NOBODY) else self.actor
        new_address = bool(event.ip and actor.addresses) and event.ip not in actor.addresses
        new_device = bool(event.user_agent and actor.devices) and event.user_agent not in actor.devices
        if not event.failed:
            return Observed(
                failures_before=_within(actor.failures, event.at, ATTACK_WINDOW),
                bulk_actions=1 + _within(actor.bulk, event.at, BULK_WINDOW) if event.bulk else 0,
                new_address=new_address,
                new_device=new_device,
            )
        sprayed = [(at, who) for at, who in self.address.failures if _is_within(at, event.at, SPRAY_WINDOW)]
        return Observed(
            actor_failures=1 + _within(actor.failures, event.at, FAILURE_WINDOW),
            ip_failures=sum(_is_within(at, event.at, FAILURE_WINDOW) for at, _ in sprayed) + bool(event.ip),
            ip_accounts=len({who for _, who in sprayed} | {event.actor}) if event.ip else 0,
            new_address=new_address,
            new_device=new_device,
        )


def _union(known: deque[C], told: deque[C]) -> deque[C]:
    """Each as often as the one or the other has it: what is under way is in the one, what others did in the other."""
    return deque(sorted((Counter(known) | Counter(told)).elements()), maxlen=MAX_TRACES) if told else known


def _within(moments: deque[int], now: int, window: int) -> int:
    return sum(_is_within(at, now, window) for at in moments) if moments else 0


def _is_within(at: int, now: int, window: int) -> bool:
    """Tell whether something has just happened; what a clock that ran ahead has written says nothing."""
    return -MAX_AHEAD <= now - at <= window


def _see(seen: dict[str, None], value: str) -> None:
    if not value:
        return
    seen.pop(value, None)
    seen[value] = None
    if len(seen) > MAX_SEEN:
        del seen[next(iter(seen))]


class Activity:
    """Pasts in memory, least recently used out first; used by one event loop only."""

    def __init__(self, max_pasts: int = MAX_PASTS) -> None:
        self._max = max_pasts
        self._actors: OrderedDict[tuple[str, str], ActorPast] = OrderedDict()
        self._addresses: OrderedDict[tuple[str, str], AddressPast] = OrderedDict()

    def of_actor(self, tenant: str, actor: str) -> ActorPast | None:
        """Return the past of an actor; None when it is not in memory."""
        return _touch(self._actors, (tenant, actor))

    def of_address(self, tenant: str, ip: str) -> AddressPast | None:
        """Return the past of an address; None when it is not in memory."""
        return _touch(self._addresses, (tenant, ip)) if ip else AddressPast()

    def learn_actor(self, tenant: str, actor: str, told: ActorPast, asked_at: int) -> ActorPast:
        """Add what the store told to what is known; returns what is known now."""
        mine = self._actors.setdefault((tenant, actor), told)
        if mine is not told:
            mine.add(told)
        mine.asked_at = asked_at
        while len(self._actors) > self._max:
            self._actors.popitem(last=False)
        return mine

    def learn_address(self, tenant: str, ip: str, told: AddressPast, asked_at: int) -> AddressPast:
        """Add what the store told to what is known; returns what is known now."""
        here = self._addresses.setdefault((tenant, ip), told)
        if here is not told:
            here.add(told)
        here.asked_at = asked_at
        while len(self._addresses) > self._max:
            self._addresses.popitem(last=False)
        return here

    def note(self, tenant: str, event: Trace) -> None:
        """Add an event to the pasts in memory; those that are not will find it in the store."""
        mine = self._actors.get((tenant, event.actor))
        if mine is not None:
            mine.note(event)
        here = self._addresses.get((tenant, event.ip)) if event.ip else None
        if here is not None:
            here.note(event)

    def forget(self, tenant: str, actor: str, ip: str) -> None:
        """Have the store be asked anew: the pasts in memory count an event that it does not have."""
        self._actors.pop((tenant, actor), None)
        self._addresses.pop((tenant, ip), None)

    def __len__(self) -> int:
        return len(self._actors) + len(self._addresses)


def _touch(kept: OrderedDict[tuple[str, str], T], key: tuple[str, str]) -> T | None:
    value = kept.get(key)
    if value is not None:
        kept.move_to_end(key)
    return value
