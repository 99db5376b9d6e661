"""The alerts service: rules are looked at on the leader, failures come from everywhere, messages wait in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from custodes.errors import CustodesError, NotFound, StorageUnavailable
from custodes.kernel.clock import DAY, SECOND, Clock
from custodes.kernel.health import SystemHealth, Threshold, judge
from custodes.kernel.ids import RandomBits
from custodes.kernel.signals import ActivitySignal, FailureSignal, Signal
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.alerts.dispatch import Dispatcher
from custodes.planes.alerts.evaluation import Evaluation, Line, Lines, message, trial_message
from custodes.planes.alerts.events import Batch, Event, EventBuffer, clean
from custodes.planes.alerts.incidents import Incidents
from custodes.planes.alerts.model import Labels, News, Rule, SinkStatus, SinkTrial
from custodes.planes.alerts.ports import AlertStore, Figures
from custodes.planes.alerts.rulebook import Rulebook
from custodes.planes.alerts.rules import MAX_LINES_PER_RULE, fingerprint
from custodes.planes.alerts.sinks import Sink
from custodes.runtime.completion import to_the_end
from custodes.runtime.log import get_logger
from custodes.runtime.scheduler import Scheduler
from custodes.runtime.transactions import Transaction, Work, nothing

#: Between two looks at the rules, seconds.
EVALUATE_SECONDS = 10.0

#: Between two writes of signalled failures, and between two runs of the dispatcher, seconds.
EVENTS_SECONDS = 5.0

#: How long incidents are kept once they are over, microseconds.
RETENTION = 90 * DAY

#: Figures that a metric without samples has; the others have none.
_ZERO_WHEN_SILENT = frozenset({"rate", "count_rate", "sum", "count"})

#: When alerting itself is degraded or unhealthy.
THRESHOLDS = (
    Threshold("oldest_waiting_seconds", 120, 1_800, unit=" s", says="The oldest notification has waited for {}"),
    Threshold("disabled_sinks", 1, 1_000, says="Sinks that were disabled: {}"),
    Threshold("failing_rules", 1, 1_000, says="Rules that cannot be evaluated: {}"),
)

_log = get_logger("custodes.alerts")


class Alerts:
    """Turns figures and failures into incidents, and incidents into messages (P4).

    Args:
        store: where rules, incidents and messages are kept.
        figures: where the figures of rules come from.
        clock: source of time.
        new_id: makes ids.
        random_bits: source of jitter for retries.
        sinks: who is told.
        emit: takes signals of this plane's own failures, and of incidents that begin to fire or are over.
        scheduler: runs evaluation and dispatch on the leader, the writing of events on every process.
        confirm: raises inside a transaction when this process does not lead (any more).
        tenant: tenant of incidents of rules that name none.
        thresholds: when this plane itself is degraded or unhealthy.
    """

    def __init__(
        self,
        store: AlertStore,
        figures: Figures,
        clock: Clock,
        new_id: Callable[[], str],
        random_bits: RandomBits,
        *,
        sinks: Sequence[Sink] = (),
        emit: Callable[[Signal], None] = lambda _: None,
        scheduler: Scheduler | None = None,
        confirm: Work = nothing,
        tenant: str = DEFAULT_TENANT,
        thresholds: Sequence[Threshold] = THRESHOLDS,
    ) -> None:
        self._store = store
        self._figures = figures
        self._clock = clock
        self._new_id = new_id
        self._confirm = confirm
        self._tenant = tenant
        self._thresholds = thresholds
        self._events = EventBuffer()
        self._writing = asyncio.Lock()
        #: What was handed to the store, until it is known that it was kept.
        self._unwritten: Batch | None = None
        self._outage: FailureSignal | None = None
        self._failing: dict[str, str] = {}
        self._emit = emit
        self._dispatcher = Dispatcher(store, clock, random_bits, sinks, emit, tenant)
        #: The rules and the verbs that change them.
        self.rules = Rulebook(store, clock, new_id, figures.check_aggregation)
        #: The incidents and the verbs that change them.
        self.incidents = Incidents(store, clock)
        #: Lines that were left out because a rule had too many, in this process.
        self.lines_left_out = 0
        if scheduler is not None:
            scheduler.every(EVALUATE_SECONDS, "alerts.evaluate", self.evaluate)
            scheduler.every(EVENTS_SECONDS, "alerts.dispatch", self.dispatch)
            scheduler.every(EVENTS_SECONDS, "alerts.events", self.write_events, leader_only=False)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Nothing to begin: the scheduler does."""

    async def stop(self) -> None:
        """Write the failures that were signalled, let go of the sinks; idempotent."""
        try:
            await self.write_events()
        except StorageUnavailable as error:
            _log.warning("last_events_not_written", error=str(error))
        await self._dispatcher.close()

    def on_failure(self, signal: FailureSignal) -> None:
        """Take a signalled failure; the listener of the bus. Changes of health are what the rule ``health`` looks at.

        Only that the store is down cannot wait for a rule that reads the store: it is told at once.
        """
        if not signal.name.startswith("health."):
            self._events.add(signal)
        elif signal.system == "storage" and signal.name == "health.unhealthy":
            self._outage = signal

    # ── Evaluation ───────────────────────────────────────────────────────────

    async def evaluate(self) -> None:
        """Look at every rule once, write what changed together with the messages about it. For the leader."""
        rules = [rule for rule in await self.rules.list() if rule.enabled]
        lines = {rule.id: await self._lines(rule) for rule in rules}
        disabled = await self._disabled()

        def work(tx: Transaction) -> Evaluation:
            self._confirm(tx)
            evaluation = self._evaluation(tx, disabled)
            evaluation.run({rule.id: rule for rule in rules}, lines)
            return evaluation

        self._show(await self._store.write(work))

    async def _lines(self, rule: Rule) -> Lines | None:
        """Ask for the figures of a rule; None when that failed: its incidents then stay as they are."""
        try:
            found = await self._figures.latest(
                rule.metric, rule.aggregation, rule.window, labels=rule.labels, by=rule.by, tenant=rule.tenant
            )
        except CustodesError as error:
            if isinstance(error, StorageUnavailable):
                raise
            self._failing[rule.id] = error.message
            return None
        self._failing.pop(rule.id, None)
        if not found and not rule.by and rule.aggregation in _ZERO_WHEN_SILENT:
            found = [((), 0.0)]
        self.lines_left_out += max(0, len(found) - MAX_LINES_PER_RULE)
        worst_first = sorted(found, key=lambda line: line[1], reverse=rule.comparator.upward)
        tenant = rule.tenant or self._tenant
        return {
            fingerprint(rule.id, tenant, labels): Line(labels, value, await self._meaning(rule, labels, value))
            for labels, value in worst_first
        }

    async def no_data(self, rule: Rule, *, ever: bool = False) -> str:
        """Say why a rule has no figure at present; empty when it has one, or is switched off.

        Args:
            rule: the rule.
            ever: only why it can never have had one: silence is then none.
        """
        if not rule.enabled:
            return ""
        try:
            found = await self._figures.latest(
                rule.metric, rule.aggregation, rule.window, labels=rule.labels, by=rule.by, tenant=rule.tenant
            )
            if found:
                return ""
            missing = await self._figures.lack(rule.metric, labels=rule.labels, tenant=rule.tenant)
        except CustodesError as error:
            if isinstance(error, StorageUnavailable):
                raise
            return error.message
        if missing or ever or (rule.aggregation in _ZERO_WHEN_SILENT and not rule.by):
            return missing
        return "Nothing was recorded within its window"

    async def _meaning(self, rule: Rule, labels: Labels, value: float) -> str:
        if "{meaning}" not in rule.message or not rule.breaks(value):
            return ""
        return clean(await self._figures.meaning(rule.metric, labels, value))

    def _evaluation(self, tx: Transaction, disabled: frozenset[str]) -> Evaluation:
        sinks = [name for name in self._dispatcher.names if name not in disabled]
        return Evaluation(self._store, tx, self._clock.now(), self._new_id, self._tenant, sinks)

    async def _disabled(self) -> frozenset[str]:
        found = await self._store.read(self._store.disabled_sinks)
        return frozenset(status.name for status in found)

    # ── Events ───────────────────────────────────────────────────────────────

    async def write_events(self) -> None:
        """Write signalled failures as incidents: one for each problem, counted.

        Raises:
            StorageUnavailable: nothing was written, or nobody knows; they are kept for the next time.
        """
        await to_the_end(self._write_events())

    async def _write_events(self) -> None:
        async with self._writing:  # who stops waits for a write whose own caller was cut off
            await self._write_what_came()

    async def _write_what_came(self) -> None:
        await self._tell_outage()
        if self._unwritten is not None:
            await self._count(self._unwritten)
        if events := self._events.take():
            self._unwritten = Batch(self._new_id(), events)
            await self._count(self._unwritten)

    async def _count(self, batch: Batch) -> None:
        """Count failures on their incidents: the same ones under the same name, until it is known that they were."""
        disabled = await self._disabled()

        def work(tx: Transaction) -> Evaluation:
            evaluation = self._evaluation(tx, disabled)
            evaluation.count(batch.events)
            return evaluation

        evaluation = await self._store.write(work, once=batch.id)
        self._unwritten = None
        self._show(evaluation)

    async def _tell_outage(self) -> None:
        outage, self._outage = self._outage, None
        if outage is not None:
            incident = Event(outage, outage.at, 1).opened(self._new_id(), self._clock.now())
            await self._dispatcher.announce(message(self._new_id(), "", incident, News.FIRING, self._clock.now()))

    def _show(self, evaluation: Evaluation) -> None:
        """Show who looks at the dashboard what has begun to fire, and what is over."""
        for incident, news in evaluation.news:
            self._emit(
                ActivitySignal(
                    at=self._clock.now(),
                    tenant=incident.tenant,
                    trace_id=incident.trace_id,
                    plane="alerts",
                    kind=f"alert.{news}",
                    title=incident.summary or incident.name,
                    outcome="success" if news is News.RESOLVED else "failure",
                    reference=f"incident:{incident.id}",
                )
            )

    # ── Messages ─────────────────────────────────────────────────────────────

    async def dispatch(self) -> int:
        """Send what waits; returns how many messages were taken. For the leader."""
        return await self._dispatcher.dispatch()

    async def list_sinks(self) -> list[SinkStatus]:
        """Return all sinks, with the reason where one was switched off."""
        disabled = {status.name: status for status in await self._store.read(self._store.disabled_sinks)}
        return [disabled.get(name, SinkStatus(name=name)) for name in self._dispatcher.names]

    async def enable_sink(self, name: str, *, also: Work = nothing) -> None:
        """Switch a sink on again.

        Raises:
            NotFound: there is no such sink.
        """
        self._check_sink(name)

        def work(tx: Transaction) -> None:
            self._store.put_sink(tx, SinkStatus(name=name, disabled_at=self._clock.now()))
            also(tx)

        await self._store.write(work)

    async def try_sinks(self, name: str | None = None, *, by: str) -> list[SinkTrial]:
        """Send a test message to each sink, once, the way alerts go; a failure switches no sink off.

        Args:
            name: only to this one, also when it was switched off.
            by: who tries, for those who read the message.

        Raises:
            NotFound: there is no such sink.
        """
        if name is not None:
            self._check_sink(name)
        notice = trial_message(self._new_id(), self._tenant, by, self._clock.now())
        names = self._dispatcher.names if name is None else [name]
        return list(await asyncio.gather(*(self._dispatcher.try_out(one, notice) for one in names)))

    def _check_sink(self, name: str) -> None:
        if name not in self._dispatcher.names:
            msg = "There is no such alert sink"
            raise NotFound(msg, remedy="Sinks are the URLs in CUSTODES_ALERT_URLS, and log")

    # ── Upkeep ───────────────────────────────────────────────────────────────

    async def purge(self, before: int | None = None, limit: int = 500) -> int:
        """Delete incidents that were over before a moment (default: 90 days ago); returns how many."""
        moment = self._clock.now() - RETENTION if before is None else before
        return await self._store.write(lambda tx: self._store.purge(tx, moment, limit))

    async def count_purgeable(self, before: int) -> int:
        """Count what :meth:`purge` would delete in the end."""
        return await self._store.read(lambda tx: self._store.count_purgeable(tx, before))

    async def get_health_status(self) -> SystemHealth:
        """Tell whether messages reach their sinks and rules can be evaluated."""
        waiting, oldest = await self._store.read(self._store.count_waiting)
        figures = {
            "waiting": float(waiting),
            "oldest_waiting_seconds": 0.0 if oldest is None else (self._clock.now() - oldest) / SECOND,
            "disabled_sinks": float(len(await self._disabled() & set(self._dispatcher.names))),
            "failing_rules": float(len(self._failing)),
            "failed": float(self._dispatcher.failed),
            "shed": float(self._events.shed),
        }
        return judge("alerts", figures, self._thresholds)
