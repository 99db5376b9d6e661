"""The audit logger: what happened goes into the trail, redacted, scored, and once.

Three ways in, for three promises::

    await audit.log_audit_event("member.removed", actor=user, target=member)     # durable when it returns
    await audit.log_audit_event(…, connection=session)                           # commits or rolls back with the caller
    await limiter.unblock_identifier(…, also=audit.admin_entry("rate_limit.unblocked", actor=admin))   # one unit

Redaction, limits and references: :mod:`custodes.planes.audit.drafting`. Scores: :mod:`custodes.planes.audit.risk`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import fields as fields_of
from operator import attrgetter
from typing import TypeVar, Unpack

from custodes.errors import InvalidInput, StorageUnavailable
from custodes.kernel.clock import HOUR, MILLISECOND, MINUTE, SECOND, Clock
from custodes.kernel.health import SystemHealth, Threshold, judge
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.signals import ActivitySignal, FailureSignal, SecuritySignal, Signal
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.audit.activity import Activity, ActorPast, AddressPast, Past, Trace
from custodes.planes.audit.catalogue import action_named
from custodes.planes.audit.drafting import Draft, EventFields, Referable, draft
from custodes.planes.audit.intake import Intake
from custodes.planes.audit.model import AuditEntry, Kind, Outcome, Reference, Review, ReviewState
from custodes.planes.audit.ports import AuditStore
from custodes.planes.audit.reader import AuditReader
from custodes.planes.audit.risk import DEFAULT_FLAG_THRESHOLD, Facts, assess, flag_key
from custodes.runtime.batches import Batches
from custodes.runtime.bus import Bus
from custodes.runtime.log import get_logger
from custodes.runtime.transactions import Store, Transaction, Work

T = TypeVar("T")

#: System name in signals and health.
SYSTEM = "audit"

#: When the trail is degraded or unhealthy. A lost signal or a refused write is never healthy (PCI DSS 10.7: failures of
#: logging are detected); reviews may wait a day before they show, a week before they are a failure.
THRESHOLDS = (
    Threshold("signals_shed", degraded=1, unhealthy=1_000, says="Events that could not be logged: {}"),
    Threshold("signals_waiting", degraded=1_000, unhealthy=4_000, says="Events that wait to be logged: {}"),
    Threshold("write_failures", degraded=1, unhealthy=10, says="Failed writes of the trail: {}"),
    Threshold("write_lag", degraded=500, unhealthy=5_000, unit=" ms", says="Entries are written {} late"),
    Threshold("unreviewed", degraded=50, unhealthy=500, says="Flagged entries that wait for review: {}"),
    Threshold(
        "oldest_unreviewed",
        degraded=24,
        unhealthy=168,
        unit=" h",
        says="The oldest flagged entry has waited for review for {}",
    ),
)

#: How long what is known of an actor and an address is good enough for what is counted, microseconds: other
#: processes may have seen more. The store is asked for what is newer, at most once in this time for each of them.
KNOWN_FOR = SECOND

#: Entries that were recorded so long before the last look may have been committed after it, or by a clock that is slow,
#: microseconds.
OVERLAP = MINUTE

#: Fields that go from the draft into the entry as they are.
_DRAFTED = tuple(field.name for field in fields_of(Draft))
_drafted = attrgetter(*_DRAFTED)

#: What failures are called where people read them.
_TITLES = {"audit.write_failed": "The audit trail has a gap", "audit.high_risk": "An action of high risk"}

_log = get_logger("custodes.audit")


class AuditLogger(AuditReader):
    """Writes the audit trail; how it is read and reviewed is in :class:`~custodes.planes.audit.reader.AuditReader`.

    Args:
        store: the engine.
        entries: where the trail is kept.
        clock: source of time.
        random_bits: source of randomness for ids.
        bus: where high risk and failed writes are told, and security signals come from.
        enabled: False: only admin actions and refusals are written (``AUDIT_LOGGING_ENABLED``).
        flag_threshold: score from which an entry is flagged for review.
        default_tenant: whose trail it is when the caller does not say.
        thresholds: when the trail is degraded or unhealthy.
    """

    def __init__(
        self,
        store: Store,
        entries: AuditStore,
        clock: Clock,
        random_bits: RandomBits,
        bus: Bus,
        *,
        enabled: bool = True,
        flag_threshold: int = DEFAULT_FLAG_THRESHOLD,
        default_tenant: str = DEFAULT_TENANT,
        thresholds: Sequence[Threshold] = THRESHOLDS,
    ) -> None:
        super().__init__(store, entries, clock)
        self._random_bits = random_bits
        self._bus = bus
        self._enabled = enabled
        self._flag_threshold = flag_threshold
        self._default_tenant = default_tenant
        self._thresholds = thresholds
        self._activity = Activity()
        self._pasts: Batches[tuple[str, str, str, int], Past] = Batches(self._read_pasts)
        self._intake = Intake(self._prepare, self._write)
        self._loop: asyncio.AbstractEventLoop | None = None
        #: Writes that the store refused since the start.
        self.write_failures = 0
        #: How long the last write took, microseconds.
        self.last_write_us = 0
        bus.subscribe(SecuritySignal, self._hear)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Begin to write security signals; idempotent."""
        self._loop = asyncio.get_running_loop()
        await self._intake.start()

    async def stop(self) -> None:
        """Write what waits; idempotent."""
        await self._intake.stop()

    # ── Writing ──────────────────────────────────────────────────────────────

    async def log_audit_event(
        self, action: str, *, actor: Referable, connection: object = None, **fields: Unpack[EventFields]
    ) -> AuditEntry:
        """Record that something happened.

        Args:
            action: ``noun.verb`` in lower case, from the catalogue or of your own.
            actor: who did it: ``"user:42"``, a :class:`~custodes.planes.audit.model.Reference`, a mapping with
                ``type``, ``id`` and ``name``, or an object of yours with an ``id``.
            connection: a SQLAlchemy connection or session on the same database: the entry commits or rolls back with
                it. Without one the entry is durable when this returns.
            **fields: ``target``, ``targets``, ``outcome``, ``changes``, ``context``, ``ip``, ``reason``, ``tenant`` and
                the others of :class:`~custodes.planes.audit.drafting.EventFields`.

        Returns:
            The entry as it is in the trail (of a repetition: the first one). With audit logging switched off: the entry
            as it would have been.

        Raises:
            InvalidInput: the action, an actor or target, the outcome, tenant or time is not acceptable.
            StorageUnavailable: it was not recorded.
        """
        return await self._record(self._draft(Kind.EVENT, action, actor, fields), connection)

    async def log_admin_action(
        self, action: str, *, actor: Referable, connection: object = None, **fields: Unpack[EventFields]
    ) -> AuditEntry:
        """Record what an administrator did, or was refused; written even when audit logging is switched off.

        Arguments as for :meth:`log_audit_event`. To commit together with the action itself, use :meth:`admin_entry`.
        """
        return await self._record(self._draft(Kind.ADMIN, action, actor, fields), connection)

    async def log_security_event(
        self, action: str, *, actor: Referable, connection: object = None, **fields: Unpack[EventFields]
    ) -> AuditEntry:
        """Record something for security people; ``failure`` unless another outcome is given.

        Arguments as for :meth:`log_audit_event`.
        """
        fields.setdefault("outcome", Outcome.FAILURE)
        return await self._record(self._draft(Kind.SECURITY, action, actor, fields), connection)

    def admin_entry(self, action: str, *, actor: Referable, **fields: Unpack[EventFields]) -> Work:
        """Prepare the entry of an admin action, to pass as ``also`` to the verb: both commit, or neither.

        Arguments as for :meth:`log_audit_event`. They are read here; the score is made in the transaction.

        Raises:
            InvalidInput: as there.
        """
        drafted = self._draft(Kind.ADMIN, action, actor, fields)

        def add(tx: Transaction) -> None:
            self._put(tx, drafted)

        return add

    async def commit(self, entry: Work) -> None:
        """Write a prepared entry by itself: of an action that changes nothing here, such as an export.

        Raises:
            StorageUnavailable: it was not recorded; the action must not be taken.
        """
        await self._timed(self._store.write(entry))

    # ── How an entry is made ─────────────────────────────────────────────────

    def _draft(self, kind: Kind, action: str, actor: Referable, fields: EventFields) -> Draft:
        return draft(action, actor, fields, now=self._clock.now(), default_tenant=self._default_tenant, kind=kind)

    def _wanted(self, drafted: Draft) -> bool:
        return self._enabled or drafted.kind is Kind.ADMIN or drafted.outcome is Outcome.DENIED

    async def _record(self, drafted: Draft, connection: object) -> AuditEntry:
        if not self._wanted(drafted):
            return self._entry(drafted, Past())
        if connection is not None:
            entry, is_new = await self._store.join(connection, lambda tx: self._put(tx, drafted))
            if is_new:
                self._activity.note(entry.tenant, _trace(drafted, entry.recorded_at))
            return entry
        entry = await self._scored(drafted)
        stored = ""
        try:
            stored = await self._timed(self._entries.append(entry))
        finally:
            if stored != entry.id:  # a repetition, or not recorded: patterns are of what the trail holds
                self._activity.forget(entry.tenant, str(entry.actor), entry.context.ip)
        if stored == entry.id:
            self._announce(entry)
        # Whether a flagged one has a review of its own, or belongs to that of another, the store has decided.
        as_given = stored == entry.id and not entry.flagged
        return entry if as_given else await self.get_entry(stored, tenant=entry.tenant)

    def _put(self, tx: Transaction, drafted: Draft) -> tuple[AuditEntry, bool]:
        """Score and add an entry within a transaction: as it is in the trail, and whether it is new there."""
        past = self._entries.past(tx, drafted.tenant, str(drafted.actor), drafted.context.ip)
        entry = self._entry(drafted, past)
        (stored,) = self._entries.add(tx, [entry])
        if stored == entry.id:
            self._announce(entry)
        is_new = stored == entry.id
        as_given = is_new and not entry.flagged
        return (entry if as_given else self._entries.find(tx, entry.tenant, stored) or entry), is_new

    async def _scored(self, drafted: Draft) -> AuditEntry:
        """Score an entry from memory, and count it at once: of many attempts in flight each must see the others."""
        entry = self._entry(drafted, await self._past(drafted))
        self._activity.note(entry.tenant, _trace(drafted, entry.recorded_at))
        return entry

    async def _past(self, drafted: Draft) -> Past:
        """Recall what an actor and an address did, as other processes have seen it where it matters.

        A sign-in or a failure asks for both, what takes data away or out for the actor.
        """
        tenant, actor, ip = drafted.tenant, str(drafted.actor), drafted.context.ip
        mine, here = self._activity.of_actor(tenant, actor), self._activity.of_address(tenant, ip)
        now = self._clock.now()
        action = action_named(drafted.action)
        is_attempt = drafted.outcome != Outcome.SUCCESS or action.sign_in
        # Of many behind one address, each asks about himself only.
        asks = (
            mine is None or ((is_attempt or action.bulk) and not _is_known(mine, now)),
            bool(ip) and (here is None or (is_attempt and not _is_known(here, now))),
        )
        if mine is not None and here is not None and not any(asks):
            return Past(mine, here)
        known = [one.asked_at if one else 0 for one, asked in zip((mine, here), asks, strict=True) if asked]
        known = [at if at <= now else 0 for at in known]  # what was asked by a clock that ran ahead, was not
        since = max(0, min(known) - OVERLAP)
        whom, where = actor if asks[0] else "", ip if asks[1] else ""
        try:
            told = await self._pasts.do((tenant, whom, where, since))
        except StorageUnavailable:
            return Past(mine or ActorPast(), here or AddressPast())  # a score of what is known is better than no entry
        if mine is None or asks[0]:
            mine = self._activity.learn_actor(tenant, actor, told.actor, now)
        if here is None or asks[1]:
            here = self._activity.learn_address(tenant, ip, told.address, now)
        return Past(mine, here)

    async def _read_pasts(self, asked: Sequence[tuple[str, str, str, int]]) -> list[Past]:
        """Ask the store about many at once, as when an attack tries one account after the other."""
        return await self._store.read(lambda tx: [self._entries.past(tx, *one) for one in asked])

    def _entry(self, drafted: Draft, past: Past) -> AuditEntry:
        now = self._clock.now()
        action = action_named(drafted.action)
        facts = Facts(
            action, drafted.outcome, drafted.actor, drafted.impersonator, drafted.targets, drafted.context.ip,
            past.observe(_trace(drafted, now)),
        )  # fmt: skip
        score, reasons = assess(facts)
        flagged = score >= self._flag_threshold
        return AuditEntry(
            id=uuid7(now, self._random_bits), recorded_at=now, category=action.category, risk_score=score,
            risk_reasons=reasons, flagged=flagged, review=Review(ReviewState.OPEN) if flagged else None,
            flag_key=flag_key(facts, reasons) if flagged else "",
            **dict(zip(_DRAFTED, _drafted(drafted), strict=True)),
        )  # fmt: skip

    # ── Security signals ─────────────────────────────────────────────────────

    def _hear(self, signal: SecuritySignal) -> None:
        if self._enabled or signal.outcome == Outcome.DENIED:
            self._intake.offer(signal)

    async def _prepare(self, signals: Sequence[SecuritySignal]) -> list[AuditEntry]:
        entries: list[AuditEntry] = []
        for signal in signals:
            try:
                drafted = self._draft(Kind.SECURITY, signal.action, *_said_by(signal, self._clock.now()))
            except InvalidInput as error:
                _log.warning("signal_not_recorded", action=signal.action, error=str(error))
                continue
            entries.append(await self._scored(drafted))
        return entries

    async def _write(self, entries: Sequence[AuditEntry]) -> None:
        await self._timed(self._store.write(lambda tx: self._entries.add(tx, entries)))
        for entry in entries:
            self._announce(entry)

    # ── Health ───────────────────────────────────────────────────────────────

    async def get_health_status(self) -> SystemHealth:
        """Tell how the trail is doing: signals shed and waiting, failed and slow writes, reviews that wait."""
        count, oldest = await self._store.read(self._entries.unreviewed)
        figures = {
            **self._recording(),
            "unreviewed": float(count),
            "oldest_unreviewed": (self._clock.now() - oldest) / HOUR if oldest else 0.0,
        }
        return judge(SYSTEM, figures, self._thresholds)

    def get_recording_health(self) -> SystemHealth:
        """Tell whether what happens reaches the trail, however many reviews wait."""
        return judge(SYSTEM, self._recording(), self._thresholds)

    def _recording(self) -> dict[str, float]:
        return {
            "signals_shed": float(self._intake.shed),
            "signals_waiting": float(self._intake.waiting),
            "write_failures": float(self.write_failures),
            "write_lag": self.last_write_us / MILLISECOND,
        }

    # ── What others are told ─────────────────────────────────────────────────

    async def _timed(self, write: Awaitable[T]) -> T:
        began = self._clock.monotonic()
        try:
            result = await write
        except StorageUnavailable as error:
            self.write_failures += 1
            self._emit("audit.write_failed", f"An audit entry was not recorded: {error.message}", self._clock.now())
            raise
        self.last_write_us = self._clock.monotonic() - began
        return result

    def _announce(self, entry: AuditEntry) -> None:
        """Tell the alerts of a high risk, and whoever looks on of the entry.

        An entry that is rolled back with its transaction has been told all the same: what is told may never rest on it.
        """
        if self._bus.heard(ActivitySignal):
            what = " ".join(str(target) for target in entry.targets[:2])
            self._tell(
                ActivitySignal(
                    at=entry.recorded_at,
                    tenant=entry.tenant,
                    trace_id=entry.context.trace_id,
                    plane="audit",
                    kind=entry.action,
                    title=f"{entry.actor} {what}".rstrip(),
                    outcome="attention" if entry.flagged else entry.outcome.value,
                    reference=f"audit_log:{entry.id}",
                )
            )
        if entry.flagged:
            summary = f"{entry.action} of {entry.actor} has a risk score of {entry.risk_score}"
            if entry.targets:
                summary += f": {entry.targets[0]}"
            rules = [reason.rule for reason in entry.risk_reasons]
            self._emit("audit.high_risk", summary, entry.recorded_at, entry, rules=rules, risk_score=entry.risk_score)

    def _emit(self, name: str, summary: str, at: int, entry: AuditEntry | None = None, **context: object) -> None:
        self._tell(
            FailureSignal(
                at=at,
                tenant=entry.tenant if entry else self._default_tenant,
                trace_id=entry.context.trace_id if entry else "",
                system=SYSTEM,
                name=name,
                # Not whose it is: an attack on a thousand accounts is one thing to be told of.
                about=(("action", entry.action),) if entry else (),
                title=_TITLES[name],
                summary=summary,
                context={**context, "entry": entry.id} if entry else context,
            )
        )

    def _tell(self, signal: Signal) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # in the writer's thread
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._bus.emit, signal)
                return
        self._bus.emit(signal)


def _is_known(past: ActorPast | AddressPast, now: int) -> bool:
    """Tell whether the store was asked so lately that it has hardly more to tell."""
    return now - KNOWN_FOR < past.asked_at <= now


def _trace(drafted: Draft, now: int) -> Trace:
    context = drafted.context
    return Trace(now, str(drafted.actor), drafted.action, drafted.outcome, context.ip, context.user_agent)


def _said_by(signal: SecuritySignal, now: int) -> tuple[Referable, EventFields]:
    actor = signal.actor
    fields: EventFields = {
        "target": signal.target or None,
        "outcome": signal.outcome,
        "context": signal.context,
        "reason": signal.reason,
        "trace_id": signal.trace_id,
        "tenant": signal.tenant,
        "ip": signal.ip,
        "time": min(signal.at, now),  # it has happened, whatever the clock said then
    }
    # An actor without a type in a signal is a system such as "stripe", not a user.
    return actor if ":" in actor or not actor else Reference("service", actor), fields
