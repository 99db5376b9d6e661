"""The watch: what security people want to know of incoming webhooks, told in bounded numbers.

Every verdict reaches the audit trail. The first ones of each source (and reason) in a window have an entry of their
own; what comes beyond is summed up in one entry at the window's end, so that a flood of deliveries is never a flood of
audit rows, and no verdict goes uncounted. The verdict of each accepted event also stands in its own row of
``webhook_events``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from math import inf
from typing import Any

from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.kernel.signals import SecuritySignal
from custodes.planes.inbound.model import Arrival
from custodes.planes.inbound.sources.base import Source
from custodes.runtime.bus import Bus

#: Window in which verdicts are told one by one, up to the budgets below.
VERDICT_WINDOW = 10 * SECOND

#: Accepted deliveries of one source that are told one by one in a window.
ACCEPTED_BUDGET = 50

#: Repeats of events of one source that are told one by one in a window: fewer, and apart from what is accepted, so that
#: one who sends an event over and over takes no entry from the events that are new.
REPEATED_BUDGET = 20

#: Refused deliveries of one source and reason that are told one by one in a window.
REFUSED_BUDGET = 20

#: Window in which suspicious patterns are looked for, and told once each.
PATTERN_WINDOW = MINUTE

#: Refused signatures from one address to one source, in a pattern window, that are a burst.
BURST = 20

#: Repeats of one stored event, in a pattern window, that are a replay attack rather than an impatient sender.
REPEATS = 5

#: Patterns that are followed at the same time; further ones are shed and counted.
MAX_PATTERNS = 10_000

#: Reasons of a verifier that mean "signed once, but long ago".
_STALE = frozenset({"timestamp-too-old"})

#: What is counted of signatures that held: of new events and handshakes, and of repeats.
_VERIFIED, _REPEATED = "verified", "repeated"

#: How many of these are told one by one.
_HELD = {_VERIFIED: ACCEPTED_BUDGET, _REPEATED: REPEATED_BUDGET}

#: First words of event types that speak of fraud, and the action that each becomes; the first that fits counts.
_FRAUD_ACTIONS = (("early_fraud_warning", "fraud.early_warning"), ("dispute", "fraud.dispute"))


@dataclass(slots=True)
class _Window:
    """Something that is counted for a while."""

    #: End, microseconds since the epoch.
    until: int
    #: How often so far.
    count: int = 0


class Windows:
    """Counts by key in windows of fixed length; bounded.

    Args:
        length: of a window, microseconds.
        budget: how many of a key are told one by one; what goes beyond is kept until :meth:`ended` takes it.
        most: keys at the same time.
    """

    def __init__(
        self, length: int, budget: Callable[[Any], float] = lambda _: inf, *, most: int = MAX_PATTERNS
    ) -> None:
        self._length = length
        self._budget = budget
        self._most = most
        self._windows: dict[Hashable, _Window] = {}
        self._over: dict[Hashable, float] = {}
        self._swept_at = 0
        #: Keys that found no room.
        self.shed = 0

    def count(self, key: Hashable, now: int) -> int:
        """Count one more; returns how many there are in the key's window, 0 when there was no room."""
        window = self._windows.get(key)
        if window is None or now >= window.until:
            if window is not None:
                self._close(key, window)
            elif not self._room(now):
                self.shed += 1
                return 0
            window = self._windows[key] = _Window(now + self._length)
        window.count += 1
        return window.count

    def ended(self, now: int) -> list[tuple[Any, float]]:
        """Take out what went beyond the budget in windows that are over: (key, how many beyond)."""
        for key in [key for key, window in self._windows.items() if now >= window.until]:
            self._close(key, self._windows.pop(key))
        over, self._over = self._over, {}
        return list(over.items())

    def _close(self, key: Any, window: _Window) -> None:
        beyond = window.count - self._budget(key)
        if beyond > 0:
            self._over[key] = self._over.get(key, 0) + beyond

    def _room(self, now: int) -> bool:
        # A full table is looked through once a second at most, however many strangers knock.
        if len(self._windows) >= self._most and now >= self._swept_at + SECOND:
            self._swept_at = now
            self.ended(now)
        return len(self._windows) < self._most


class Watch:
    """Tells the rest of the house what happens at the door.

    Args:
        bus: where signals go.
        clock: source of time.
        client_of: names the client behind an address (IPv6 by its prefix): one subscriber has a whole prefix, and could
            use a new address for each delivery.
    """

    def __init__(self, bus: Bus, clock: Clock, client_of: Callable[[str], str] = str) -> None:
        self._bus = bus
        self._clock = clock
        self._client_of = client_of
        self._verdicts = Windows(VERDICT_WINDOW, _budget)
        self._patterns = Windows(PATTERN_WINDOW)
        self._kinds: dict[tuple[str, str], tuple[bool, bool]] = {}

    @property
    def shed(self) -> int:
        """Verdicts and patterns that were not followed for lack of room."""
        return self._verdicts.shed + self._patterns.shed

    # ── What happens ─────────────────────────────────────────────────────────

    def accepted(self, source: Source, arrival: Arrival) -> None:
        """A signature held and the event was stored."""
        now = arrival.received_at
        if self._one_by_one((arrival.tenant, arrival.source, _VERIFIED), now):
            self._tell(arrival, "webhook.signature_verified", "success", f"{arrival.source} signed it")
        known, fraud = self._kind(source, arrival.event_type)
        if fraud:
            reason = f"{arrival.source} sent {arrival.event_type}"
            self._tell(arrival, fraud_action(arrival.event_type), "success", reason)
        if not known and self._patterns.count(("unknown", arrival.source, arrival.event_type), now) == 1:
            reason = f"{arrival.source} sent an event of a type it does not document"
            self._tell(arrival, "webhook.suspicious", "failure", reason, pattern="unknown_type")

    def repeated(self, arrival: Arrival, stored_as: str) -> None:
        """A signature held, and the event had been stored before."""
        stored = arrival._replace(id=stored_as)  # what has come now is kept under no id of its own
        if self._one_by_one((arrival.tenant, arrival.source, _REPEATED), arrival.received_at):
            reason = f"{arrival.source} signed it, and had sent it before"
            self._tell(stored, "webhook.signature_verified", "success", reason, repeated=True)
        key = ("repeat", arrival.tenant, arrival.source, stored_as)
        count = self._patterns.count(key, arrival.received_at)
        if count == REPEATS:
            reason = f"The same event came {count} more times within a minute"
            self._tell(stored, "webhook.suspicious", "failure", reason, pattern="replay", event=stored_as)

    def greeted(self, tenant: str, source: str, *, ip: str, trace_id: str, now: int) -> None:
        """A signature held, and what it signed was a handshake, of which nothing is stored."""
        if self._one_by_one((tenant, source, _VERIFIED), now):
            text = f"{source} signed a handshake"
            self._emit("webhook.signature_verified", "success", tenant, source, now, text, ip, trace_id, handshake=True)

    def refused(self, tenant: str, source: str, reason: str, *, ip: str, trace_id: str, now: int) -> None:
        """A delivery was refused."""
        if self._one_by_one((tenant, source, reason), now):
            text = f"A delivery to {source} was refused: {reason}"
            self._emit("webhook.signature_refused", "failure", tenant, source, now, text, ip, trace_id, reason=reason)
        pattern = "stale_replay" if reason in _STALE else "bad_signatures"
        count = self._patterns.count((pattern, tenant, source, self._client_of(ip)), now)
        if count == BURST:
            text = f"{count} refused deliveries to {source} from one address within a minute"
            self._emit("webhook.suspicious", "failure", tenant, source, now, text, ip, trace_id, pattern=pattern)

    def sum_up(self) -> None:
        """Tell of the verdicts that went beyond the budgets of windows that are over."""
        now = self._clock.now()
        self._patterns.ended(now)
        for (tenant, source, verdict), beyond in self._verdicts.ended(now):
            held = verdict in _HELD
            action = "webhook.signature_verified" if held else "webhook.signature_refused"
            text = f"{beyond:.0f} more deliveries to {source} within {VERDICT_WINDOW // SECOND} s: {verdict}"
            outcome = "success" if held else "failure"
            self._emit(action, outcome, tenant, source, now, text, "", "", count=int(beyond), reason=verdict)

    # ── How it is told ───────────────────────────────────────────────────────

    def _one_by_one(self, key: tuple[str, str, str], now: int) -> bool:
        return 0 < self._verdicts.count(key, now) <= _budget(key)

    def _kind(self, source: Source, event_type: str) -> tuple[bool, bool]:
        """Whether the sender documents this type, and whether it speaks of fraud; remembered."""
        key = (source.name, event_type)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MAX_PATTERNS:
                self._kinds.clear()
            kind = self._kinds[key] = (source.is_known(event_type), source.is_fraud(event_type))
        return kind

    def _tell(self, arrival: Arrival, action: str, outcome: str, reason: str, **context: object) -> None:
        self._bus.emit(
            SecuritySignal(
                at=arrival.received_at,
                tenant=arrival.tenant,
                trace_id=arrival.trace_id,
                action=action,
                outcome=outcome,
                actor=f"webhook:{arrival.source}",
                target=f"webhook_event:{arrival.id}",
                reason=reason,
                ip=arrival.client_ip,
                context={"event_id": arrival.event_id, "event_type": arrival.event_type, **context},
            )
        )

    def _emit(
        self,
        action: str,
        outcome: str,
        tenant: str,
        source: str,
        at: int,
        text: str,
        ip: str,
        trace_id: str,
        **context: object,
    ) -> None:
        self._bus.emit(
            SecuritySignal(
                at=at,
                tenant=tenant,
                trace_id=trace_id,
                action=action,
                outcome=outcome,
                actor=f"ip:{ip}" if ip else "",
                target=f"webhook_source:{source}",
                reason=text,
                ip=ip,
                context=context,
            )
        )


def _budget(key: tuple[str, str, str]) -> float:
    return _HELD.get(key[2], REFUSED_BUDGET)


def fraud_action(event_type: str) -> str:
    """Name the security event that a fraud type becomes."""
    return next((action for word, action in _FRAUD_ACTIONS if word in event_type), "fraud.review")
