"""The rate limiter: what the rest of Custodes and its host see of this plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custodes.errors import InvalidInput, StorageUnavailable
from custodes.kernel.clock import HOUR, Clock
from custodes.kernel.health import SystemHealth, Threshold, judge
from custodes.kernel.paging import DEFAULT_LIMIT, Page
from custodes.kernel.spelling import one_of
from custodes.kernel.tenant import EVERY_TENANT, check_tenant
from custodes.kernel.window import MAX_SUBJECTS, NEVER, OwnCells
from custodes.planes.ratelimit.administration import Administration
from custodes.planes.ratelimit.alarm import Alarm
from custodes.planes.ratelimit.analytics import RateLimitAnalytics, analyse, near_limits, whole_minutes
from custodes.planes.ratelimit.answers import Decision
from custodes.planes.ratelimit.bans import Escalation, ban_reason
from custodes.planes.ratelimit.floods import Floods
from custodes.planes.ratelimit.gatekeeping import Gatekeeping
from custodes.planes.ratelimit.in_force import InForce
from custodes.planes.ratelimit.judge import Judge
from custodes.planes.ratelimit.language import meter_of, parse_limits
from custodes.planes.ratelimit.lately import Lately
from custodes.planes.ratelimit.model import (
    Algorithm,
    Call,
    Check,
    Cost,
    Effect,
    Engine,
    FailureMode,
    Kind,
    Options,
    Rule,
    Source,
    Usage,
)
from custodes.planes.ratelimit.model import Window as CountedWindow
from custodes.planes.ratelimit.pending import Pending
from custodes.planes.ratelimit.ports import RateLimitStore, Recordings, Windows
from custodes.planes.ratelimit.probe import Probe, reason_of
from custodes.planes.ratelimit.quota import Quota
from custodes.planes.ratelimit.rules import By, make_rule
from custodes.planes.ratelimit.thresholds import THRESHOLDS
from custodes.planes.ratelimit.tracking import Tracker
from custodes.planes.ratelimit.what_if import Replay, WhatIf
from custodes.runtime.bus import Bus
from custodes.runtime.fanout import Fanout, LocalFanout
from custodes.runtime.periodic import Periodic

#: How often a worker looks whether others have changed rules or blocks, seconds: one row is read.
REFRESH_SECONDS = 1.0

#: Topic on which instances tell each other that rules or blocks have changed; the others look at once, not only then.
CHANGES = "rate_limits.changed"

#: How often counts are written, seconds.
FLUSH_SECONDS = 10.0


class RateLimiter(Gatekeeping):
    """Decides on requests, and is told whom to block and what to allow (spec S3).

    Args:
        windows: engine that keeps the states of limits: in memory, or shared by the workers of a host.
        store: rules, blocks and counts, shared by all workers.
        clock: source of time.
        new_id: makes ids.
        bus: where security signals go.
        client_of: names the client behind an address (IPv6 by its prefix).
        immune: tells which identifiers are never shut out, by kind and identifier.
        options: how it behaves.
        enabled: False to admit everything.
        thresholds: when it is degraded or unhealthy.
        fanout: tells other instances of changes; None when there are none.
        recordings: calls that were recorded, to replay against a rule; None when there are none.
        engine: name of the engine, for people.
    """

    def __init__(
        self,
        windows: Windows,
        store: RateLimitStore,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        bus: Bus,
        client_of: Callable[[str], str],
        immune: Callable[[str, str], bool],
        options: Options | None = None,
        enabled: bool = True,
        thresholds: Sequence[Threshold] = THRESHOLDS,
        fanout: Fanout | None = None,
        recordings: Recordings | None = None,
        engine: str = "memory",
    ) -> None:
        options = options or Options()
        self._fanout = fanout or LocalFanout()
        escalation = Escalation(options.bans, immune) if options.bans else None
        in_force = InForce(windows, store, clock, changed=lambda: self._fanout.publish(CHANGES, b""))
        super().__init__(
            store,
            in_force,
            Administration(store, in_force, clock, new_id, immune, escalation),
            escalation,
            clock,
        )
        self._windows = windows
        self._engine = engine
        self._replay = None if recordings is None else Replay(recordings, clock, client_of)
        self._options = options
        self._enabled = enabled
        self._thresholds = thresholds
        self._tracker = Tracker(store, clock.now, new_id, options.default_tenant, Floods(options.flood, bus.emit))
        self._alarm = Alarm(bus)
        self._lately = Lately(clock.monotonic())
        self._judge = Judge(
            self._in_force,
            windows,
            clock,
            client_of,
            tracker=self._tracker,
            alarm=self._alarm,
            escalation=self._escalation,
            ban=self._ban,
            options=options,
        )
        #: Decides on a request; see :meth:`custodes.planes.ratelimit.judge.Judge.check`. Bound once: it is called for
        #: every request.
        self.check: Callable[[Call], Decision | Pending] = self._judge.decide
        self._refresher = Periodic("ratelimit-refresh", REFRESH_SECONDS, self._take_over)
        # By itself: a botnet's bans take longer to write than a block of another worker may take to hold here.
        self._saver = Periodic("ratelimit-bans", REFRESH_SECONDS, self._save_bans)
        self._flusher = Periodic("ratelimit-flush", FLUSH_SECONDS, self.flush)
        self._refresh_failures = 0
        #: Ends the subscription to the changes of others.
        self._deaf: Callable[[], None] = lambda: None

    # ── Life ─────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Take over what is shared, begin to count and to watch for changes; idempotent."""
        await self._windows.start()
        await self.refresh()
        await self._refresher.start()
        self._deaf()
        self._deaf = self._fanout.subscribe(CHANGES, lambda _message: self._refresher.wake())
        await self._saver.start()
        await self._flusher.start()

    async def stop(self) -> None:
        """Write what was counted, then end; idempotent."""
        self._deaf()
        await self._refresher.stop()
        await self._saver.stop()
        await self._flusher.stop()
        await self.flush()
        await self._save_bans()
        await self._windows.stop()

    def look(self) -> None:
        """Look for what other workers have changed now, and not at the next turn."""
        self._refresher.wake()

    async def refresh(self) -> None:
        """Write new bans, take over what other workers have changed."""
        await self._save_bans()
        await self._take_over()

    async def _take_over(self) -> None:
        try:
            if await self._in_force.refresh():
                await self._recall_bans()
        except StorageUnavailable:
            self._refresh_failures += 1
            raise
        self._refresh_failures = 0

    async def flush(self) -> None:
        """Write what was counted since the last time."""
        gates = self._in_force.book.gates
        self._judge.fallback.keep_only(name for gate in gates for name in gate.names)
        await self._tracker.flush(gates)

    async def purge_expired(self, now: int, limit: int) -> int:
        """Delete up to so many counted windows and ended blocks; returns how many (spec P2).

        Args:
            now: windows that ended before this moment are expired.
            limit: rows at most.
        """
        return await self._store.purge(now, limit)

    async def count_expired(self, now: int) -> int:
        """Count what :meth:`purge_expired` would delete in the end."""
        return await self._store.count_purgeable(now)

    # ── Rules ────────────────────────────────────────────────────────────────

    def limit(
        self,
        limits: str,
        *,
        by: By = "ip",
        route: str = "*",
        methods: Sequence[str] | str = (),
        name: str = "",
        exempt: Sequence[str] = (),
        cost: Cost = 1,
        shadow: bool = False,
        enabled: bool = True,
        on_failure: FailureMode | str | None = None,
        lease: int = 1,
    ) -> Rule:
        """Add a rule; see :func:`custodes.planes.ratelimit.rules.make_rule`.

        Raises:
            InvalidInput: a value is not acceptable.
            ConfigurationError: another rule has the same name.
        """
        rule = make_rule(
            limits,
            by=by,
            route=route,
            methods=methods,
            name=name,
            exempt=exempt,
            cost=cost,
            shadow=shadow,
            enabled=enabled,
            on_failure=on_failure,
            lease=lease,
        )
        self._in_force.write(rule)
        return rule

    def over_admission(self, rule: Rule) -> int:
        """Tell how many units may pass beyond each limit of a rule in any window, with the instances that live now.

        See ``storage/redis/leases.py`` for why it is not more. 0 where no leases are taken.
        """
        return self._windows.instances * (rule.lease - 1) if self._windows.lends else 0

    # ── Asking ───────────────────────────────────────────────────────────────

    async def check_rate_limit(
        self,
        identifier: str,
        kind: Kind | str = Kind.IP,
        endpoint: str = "/",
        *,
        method: str = "GET",
        tenant: str | None = None,
        trace_id: str = "",
    ) -> Check:
        """Hold one identifier against the rules of an endpoint, and charge it when they admit (spec S3).

        Of what may be held at one moment (``2 concurrent``) it takes nothing: it says whether there is room now.

        Args:
            identifier: address, user, key id or tenant.
            kind: what the identifier is.
            endpoint: path, such as ``/login``.
            method: method.
            tenant: whose user or key it is.
            trace_id: trace that it belongs to.

        Raises:
            InvalidInput: there is no such kind, the identifier is not one of it, or the tenant is no tenant id.
        """
        known = one_of(Kind, kind, "kind of identifier")
        if not self._enabled:
            return Check(allowed=True)
        whose = tenant or self._options.default_tenant
        check_tenant(whose)
        probe = Probe(identifier, known, endpoint, method, whose, trace_id)
        answer = self._judge.check(probe, unknown="")
        decision = await answer if isinstance(answer, Pending) else answer
        if decision.release is not None:  # nobody would give the slots back
            decision.release()
        wait = None if decision.retry_after == NEVER else decision.retry_after
        return Check(
            allowed=decision.allowed, reason=reason_of(decision), rule=decision.rule, retry_after=wait,
            remaining=decision.remaining, would_refuse=tuple(decision.would_refuse),
        )  # fmt: skip

    async def get_rate_limit_analytics(
        self, *, since: int | None = None, until: int | None = None, tenant: str | None = None
    ) -> RateLimitAnalytics:
        """Sum up what the limits did (spec Y4): totals, trend, most refused rules, endpoints and identifiers.

        Args:
            since: begin, microseconds; a day before the end when None.
            until: end, microseconds; now when None.
            tenant: only this tenant's; all when None.
        """
        begin, end = whole_minutes(since, until, self._clock.now())
        return await analyse(self._store, tenant=tenant, since=begin, until=end)

    def draft(self, given: Mapping[str, Any], *, tenant: str | None = None) -> Rule:
        """Check a rule and make it, without keeping it.

        Args:
            given: what :func:`custodes.planes.ratelimit.rules.make_rule` takes.
            tenant: only requests of this tenant; all when None.

        Raises:
            InvalidInput: a value is not acceptable; tells how to write it.
        """
        return make_rule(**given, tenant=tenant or EVERY_TENANT, source=Source.API)

    async def what_if(self, rule: Rule, *, since: int, until: int, tenant: str | None = None) -> WhatIf:
        """Replay recorded calls against a rule: whom would it have hit? See :class:`Replay`.

        Args:
            rule: the rule, such as :meth:`draft` makes.
            since: begin, microseconds.
            until: end, microseconds; not included.
            tenant: only this tenant's calls; all when None.

        Raises:
            InvalidInput: the stretch is empty, or no calls are recorded.
        """
        if self._replay is None:
            msg = "No calls are recorded here"
            raise InvalidInput(msg, remedy="Use an install that records API calls")
        return await self._replay.run(rule, self._in_force.access, since=since, until=until, tenant=tenant)

    async def near_limits(self, *, tenant: str | None = None, rule: str | None = None) -> list[Usage]:
        """List who has used 80 % of a limit or more, of one rule or of all, the fullest first.

        Of those that this worker has decided on lately; what they have left is what all instances have counted, where
        these share limits through Redis.
        """
        now = self._judge.steady_now()
        gates = [gate for gate in self._in_force.book.gates if rule in (None, gate.rule.name)]
        return await near_limits(gates, self._windows, now, tenant, self._options.default_tenant)

    async def list_windows(
        self,
        *,
        tenant: str | None = None,
        since: int = 0,
        until: int | None = None,
        rule: str | None = None,
        identifier: str | None = None,
        refused_only: bool = False,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[CountedWindow]:
        """List counted windows of identifiers, newest first (spec T3)."""
        return await self._store.window_page(
            tenant=tenant,
            since=since,
            until=self._clock.now() + HOUR if until is None else until,
            rule=rule,
            identifier=identifier,
            refused_only=refused_only,
            limit=limit,
            cursor=cursor,
        )

    def quota(self, limit: str, *, max_subjects: int = MAX_SUBJECTS) -> Quota:
        """Make a limit outside of requests, that counts in this worker: ``quota("100/hour").hit(customer_id)``.

        Args:
            limit: one limit in the rule language.
            max_subjects: subjects whose states are kept apart; see :class:`~custodes.kernel.window.OwnCells`.

        Raises:
            InvalidInput: not one limit; a concurrency limit, which a quota could not give back.
        """
        limits = parse_limits(limit)
        if len(limits) != 1 or limits[0].algorithm is Algorithm.CONCURRENCY:
            msg = f"{limit!r} is no single rate"
            raise InvalidInput(msg, remedy="Make one quota for each rate: 100/hour")
        # Only the calendar needs to know the date; to all others one beginning of time is as good as another.
        now = self._judge.steady_now if limits[0].algorithm is Algorithm.CALENDAR else self._clock.monotonic
        return Quota(OwnCells(meter_of(limits[0]), max_subjects=max_subjects), now)

    # ── Bans ─────────────────────────────────────────────────────────────────

    def _ban(self, tenant: str, kind: Kind, identifier: str, level: int, duration: int) -> None:
        entry = self._administration.entry(
            Effect.BLOCK,
            identifier,
            kind,
            reason=ban_reason(level),
            actor="custodes",
            duration=duration,
            tenant=None if tenant == EVERY_TENANT else tenant,
            level=level,
        )
        self._in_force.put(entry, saved=False)

    async def _save_bans(self) -> None:
        unsaved = self._in_force.unsaved
        if unsaved:
            await self._administration.save_bans(unsaved)

    # ── Health ───────────────────────────────────────────────────────────────

    def engine(self) -> Engine:
        """Tell which engine counts, and how it does."""
        return Engine(
            name=self._engine,
            enabled=self._enabled,
            available=self._windows.available,
            instances=self._windows.instances,
            failures=self._windows.failures,
            failure_mode=self._options.failure_mode,
            block_status=self._options.block_status,
            bans=self._options.bans is not None,
        )

    async def get_health_status(self) -> SystemHealth:
        """Judge the limiter itself (spec P3)."""
        rules = self._in_force.rules
        lately = self._lately.grown(
            self._clock.monotonic(),
            {
                "undecided": self._judge.undecided,
                "counts_lost": self._tracker.lost,
                "overflowed": self._windows.overflowed,
            },
        )
        figures = {
            **{f"{name}_lately": grown for name, grown in lately.items()},
            "limited": float(self._judge.limited),
            "blocked": float(self._judge.blocked),
            "undecided": float(self._judge.undecided),
            "let_through_undecided": float(self._judge.fallback.opened),
            "refused_undecided": float(self._judge.fallback.closed),
            "decided_degraded": float(self._judge.fallback.degraded),
            "store_lost": 0.0 if self._windows.available else 1.0,
            "instances": float(self._windows.instances),
            "overflowed": float(self._windows.overflowed),
            "counts_shed": float(self._tracker.shed),
            "counts_lost": float(self._tracker.lost),
            "signals_suppressed": float(self._alarm.suppressed),
            "refresh_failures_in_a_row": float(self._refresh_failures),
            "rules": float(len(rules)),
            "rules_overruled": float(sum(rule.overruled for rule in rules)),
        }
        trouble = self._windows.trouble
        lost = f"The counting store is lost, and limits count by themselves: {trouble}"
        return judge("rate_limits", figures, self._thresholds, says={"store_lost": lost} if trouble else {})
