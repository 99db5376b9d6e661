"""Health of every system, gathered in one place (P3): asked side by side, within a time limit, with the reasons."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from custodes.errors import ConfigurationError
from custodes.kernel.clock import MINUTE, SECOND, Clock
from custodes.kernel.health import Health, SystemHealth, Threshold, judge, stands, worst
from custodes.kernel.signals import ActivitySignal, FailureSignal, Signal
from custodes.kernel.spelling import nearest
from custodes.kernel.tenant import DEFAULT_TENANT

#: How long an answer is good, microseconds: a dashboard and a load balancer that both ask cost one look a second.
CACHE_FOR = SECOND

#: Tenants whose answers are kept at the same time, at most, a few kB each; beyond, those asked for first are forgotten.
MAX_TENANTS = 1_000

#: Longest that a system may take to say how it is, seconds.
LIMIT_SECONDS = 2.0

#: First part of the names of the signals that a change for the worse emits.
SIGNAL_PREFIX = "health."

#: Longest sentence about a system, characters.
MAX_TOLD = 500

#: How long the reasons of a system that is well again are remembered, microseconds: a rule that looks at the last
#: minutes says why it fires. What is older is the reason of something else.
REASONS_FOR = 10 * MINUTE

#: Health as a number, for time series and rules.
AS_NUMBER = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.UNHEALTHY: 2}

#: Asks one system.
Check = Callable[[], Awaitable[SystemHealth]]

#: Asks one system about one tenant.
CheckOfTenant = Callable[[str], Awaitable[SystemHealth]]


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How everything is, at one moment."""

    #: When it was asked, microseconds since the epoch.
    at: int
    #: The worst of all systems.
    overall: Health
    #: Each system, in the order of registration.
    systems: tuple[SystemHealth, ...]
    #: Systems that were judged by what one tenant does alone; the others are those of the whole install.
    own: frozenset[str] = frozenset()


@dataclass(slots=True)
class _System:
    check: Check
    of_tenant: CheckOfTenant | None = None
    thresholds: tuple[Threshold, ...] = ()
    state: Health = Health.HEALTHY
    #: How each figure was judged last, of those that were not well.
    unwell: Mapping[str, Health] = field(default_factory=dict[str, Health])
    #: Names of the figures that it tells or judges.
    figures: frozenset[str] = frozenset()
    #: What it said when it was not well last, and when that was, on the monotonic clock, microseconds.
    said: SystemHealth | None = None
    said_at: int = 0
    running: asyncio.Task[SystemHealth] | None = field(default=None)


class _AskedOfTenant(NamedTuple):
    """A question about one tenant."""

    #: When it was asked, on the monotonic clock, microseconds.
    at: int
    report: asyncio.Task[HealthReport]


class HealthMonitor:
    """Asks all systems how they are.

    A system that does not answer in time, or raises, is unhealthy with that reason; it never keeps the others from
    answering, and is not asked again before its last check has ended.

    Args:
        clock: source of time.
        emit: takes a :class:`~custodes.kernel.signals.FailureSignal` for each change for the worse, an
            :class:`~custodes.kernel.signals.ActivitySignal` for each for the better.
        thresholds: system → thresholds that stand above the system's own (see :meth:`set_thresholds`).
        limit_seconds: longest that a system may take.
    """

    def __init__(
        self,
        clock: Clock,
        emit: Callable[[Signal], None],
        *,
        thresholds: Mapping[str, Sequence[Threshold]] | None = None,
        limit_seconds: float = LIMIT_SECONDS,
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._clock = clock
        self._emit = emit
        self._limit_seconds = limit_seconds
        self._tenant = tenant
        self._overrides = {system: tuple(some) for system, some in (thresholds or {}).items()}
        self._systems: dict[str, _System] = {}
        self._lock = asyncio.Lock()
        self._report: HealthReport | None = None
        self._asked_at = 0
        self._of_tenants: dict[str, _AskedOfTenant] = {}

    def register(self, system: str, check: Check, of_tenant: CheckOfTenant | None = None) -> None:
        """Add a system; one of the same name is replaced.

        Args:
            system: its name.
            check: asks it about the whole install.
            of_tenant: asks it about one tenant; None for a system that all of them share.
        """
        self._systems[system] = _System(check, of_tenant, self._overrides.get(system, ()))

    def set_thresholds(self, system: str, thresholds: Sequence[Threshold]) -> None:
        """Judge figures of a system by these thresholds instead of its own, from now on; empty: by its own again.

        Raises:
            ConfigurationError: there is no such system.
        """
        self._know(system)
        self._systems[system].thresholds = tuple(thresholds)
        self._systems[system].unwell = {}
        self._report = None
        self._of_tenants.clear()

    def check_systems(self) -> None:
        """Refuse thresholds that were given for a system which nobody has registered until now.

        Raises:
            ConfigurationError: there is no such system.
        """
        for system in self._overrides:
            self._know(system)

    def _know(self, system: str) -> None:
        if system not in self._systems:
            msg = f"There is no system {system[:80]!r} to have health thresholds{nearest(system, self._systems)}"
            raise ConfigurationError(msg, remedy=f"Systems are: {', '.join(self._systems) or 'none'}")

    def unknown_figures(self) -> list[str]:
        """List the thresholds above the systems' own that hold nothing, as ``system.figure``: no figure has the name.

        Only of systems that have answered; what may have been meant is said with it.
        """
        return [
            f"{name}.{threshold.figure}{nearest(threshold.figure, system.figures)}"
            for name, system in self._systems.items()
            for threshold in system.thresholds
            if system.figures and threshold.figure not in system.figures
        ]

    def thresholds(self) -> dict[str, tuple[Threshold, ...]]:
        """Return the thresholds that stand above the systems' own."""
        return {name: system.thresholds for name, system in self._systems.items() if system.thresholds}

    def as_told(self, found: SystemHealth, *, whole: bool) -> SystemHealth:
        """Judge what a system said by the thresholds of this install, as :meth:`check` does.

        Args:
            found: what the system said of itself.
            whole: whether it spoke of all tenants; what was not well then is until it is clearly better, here, too.
        """
        system = self._systems.get(found.system)
        return found if system is None else rejudge(found, system.thresholds, system.unwell if whole else {})

    async def tell(self, system: str, state: Health) -> str:
        """Say in a sentence that a system is in a state, or was of late; with the reasons that were seen here."""
        await self.check()
        known = self._systems.get(system)
        if known is None or known.said is None or state is Health.HEALTHY:
            return f"{stands(system, state)}."
        if self._clock.monotonic() - known.said_at > REASONS_FOR:
            return f"{stands(system, state)}."
        return told(replace(known.said, state=state))

    async def check(self, limit_seconds: float | None = None) -> HealthReport:
        """Ask all systems; an answer is kept for a second.

        Args:
            limit_seconds: longest that a system may take, where somebody has more patience than a load balancer.
        """
        async with self._lock:
            report = self._report
            if report is None or self._clock.monotonic() - self._asked_at >= CACHE_FOR:
                self._asked_at = self._clock.monotonic()
                report = self._report = await self._ask_all(limit_seconds or self._limit_seconds)
            return report

    def unwell(self) -> dict[tuple[str, str], Health]:
        """Return how figures of all tenants were judged that are not well, by system and figure."""
        return {
            (name, figure): state for name, system in self._systems.items() for figure, state in system.unwell.items()
        }

    def remember(self, unwell: Mapping[tuple[str, str], Health]) -> None:
        """Take over what :meth:`unwell` said elsewhere, or before: it is so here, too, until it is clearly better."""
        for (name, figure), state in unwell.items():
            system = self._systems.get(name)
            if system is not None:
                here = system.unwell.get(figure, Health.HEALTHY)
                system.unwell = {**system.unwell, figure: worst((here, state))}

    async def check_tenant(self, tenant: str) -> HealthReport:
        """Tell how everything is for one tenant; an answer is kept for a second, as that of :meth:`check`.

        What a tenant does is judged by itself: it neither learns that another is not well nor sees green where only its
        own is not. What all share is told as it is, without reasons and figures, which count all tenants.
        """
        now, asked = self._clock.monotonic(), self._of_tenants.get(tenant)
        if asked is None or (asked.report.done() and now - asked.at >= CACHE_FOR):
            self._of_tenants.pop(tenant, None)  # what is asked last stands last
            asked = self._of_tenants[tenant] = _AskedOfTenant(now, asyncio.create_task(self._ask_of_tenant(tenant)))
            if len(self._of_tenants) > MAX_TENANTS:
                del self._of_tenants[next(iter(self._of_tenants))]
        # Shielded: when one who waits goes away, the others do not.
        return await asyncio.shield(asked.report)

    async def _ask_of_tenant(self, tenant: str) -> HealthReport:
        whole = await self.check()
        asked = {name: system.of_tenant for name, system in self._systems.items() if system.of_tenant is not None}
        answers = await asyncio.gather(*(self._answer(name, of_tenant(tenant)) for name, of_tenant in asked.items()))
        own = dict(zip(asked, answers, strict=True))
        systems = tuple(own.get(one.system) or replace(one, reasons=(), figures={}) for one in whole.systems)
        return HealthReport(whole.at, worst(one.state for one in systems), systems, frozenset(own))

    async def _answer(self, name: str, answer: Awaitable[SystemHealth]) -> SystemHealth:
        try:
            found = await asyncio.wait_for(answer, self._limit_seconds)
        except TimeoutError:
            return _unhealthy(name, f"It did not answer within {self._limit_seconds:g} s")
        except Exception:  # noqa: BLE001 - what is said of it names no other tenant
            return _unhealthy(name, "It could not say")
        return self.as_told(replace(found, system=name), whole=False)

    async def _ask_all(self, limit_seconds: float) -> HealthReport:
        systems = list(self._systems.items())
        found = await asyncio.gather(*(self._ask(name, system, limit_seconds) for name, system in systems))
        for health, (_, system) in zip(found, systems, strict=True):
            self._note(health, system)
        return HealthReport(self._clock.now(), worst(health.state for health in found), tuple(found))

    async def _ask(self, name: str, system: _System, limit_seconds: float) -> SystemHealth:
        if system.running is None:
            system.running = asyncio.ensure_future(_awaited(system.check))
        done, _ = await asyncio.wait([system.running], timeout=limit_seconds)
        if not done:
            return _unhealthy(name, f"It did not answer within {limit_seconds:g} s")
        task, system.running = system.running, None
        try:
            found = task.result()
        except Exception as error:  # noqa: BLE001 - the reason is the answer
            return _unhealthy(name, f"It could not say: {type(error).__name__}: {error}"[:300])
        system.figures = frozenset(found.figures) | {threshold.figure for threshold in found.thresholds}
        judged = rejudge(replace(found, system=name), system.thresholds, system.unwell)
        system.unwell = {
            one.figure: state
            for one in judged.thresholds
            if (value := judged.figures.get(one.figure)) is not None
            and (state := one.judge(value, system.unwell.get(one.figure, Health.HEALTHY))) is not Health.HEALTHY
        }
        return judged

    def _note(self, health: SystemHealth, system: _System) -> None:
        if health.state is not Health.HEALTHY:
            system.said, system.said_at = health, self._clock.monotonic()
        before, system.state = system.state, health.state
        if before is health.state:
            return
        if worst((before, health.state)) is before:
            self._emit(
                ActivitySignal(
                    at=self._clock.now(),
                    tenant=self._tenant,
                    plane="health",
                    kind=f"{SIGNAL_PREFIX}{health.state}",
                    title=f"{stands(health.system, health.state)} again, no longer {before}",
                    reference=f"system:{health.system}",
                )
            )
            return
        self._emit(
            FailureSignal(
                at=self._clock.now(),
                tenant=self._tenant,
                system=health.system,
                name=f"{SIGNAL_PREFIX}{health.state}",
                summary=told(health),
                title=stands(health.system, health.state),
                context={"before": str(before), "state": str(health.state)},
            )
        )


def told(health: SystemHealth) -> str:
    """Say how a system is and why, in one sentence."""
    why = "; ".join(health.reasons)
    said = stands(health.system, health.state)
    return (f"{said}: {why}" if why else f"{said}.")[:MAX_TOLD]


def rejudge(
    found: SystemHealth, thresholds: Sequence[Threshold], before: Mapping[str, Health] = MappingProxyType({})
) -> SystemHealth:
    """Judge anew, with these thresholds in the place of the system's own for the same figures.

    What else is wrong stays, as bad as it was; a reason of which that was not told is as bad as the whole was.

    Args:
        found: what a system said of itself.
        thresholds: those in the place of its own.
        before: how its figures were judged last: what was not well is until it is clearly better.
    """
    if not thresholds and not before:
        return found
    own = {threshold.figure: threshold for threshold in found.thresholds}
    said = judge(found.system, found.figures, found.thresholds).reasons
    faults = {each: found.faults.get(each, found.state) for each in found.reasons if each not in said}
    merged = own | {one.figure: _worded(one, own.get(one.figure)) for one in thresholds}
    return judge(found.system, found.figures, merged.values(), faults, before=before)


def _worded(threshold: Threshold, own: Threshold | None) -> Threshold:
    """Give a threshold the words and the unit of the system's own."""
    if own is None:
        return threshold
    return replace(threshold, unit=threshold.unit or own.unit, says=threshold.says or own.says)


def parse_thresholds(entries: Sequence[str]) -> dict[str, list[Threshold]]:
    """Read thresholds written as ``system.figure=degraded:unhealthy``: ``api.error_rate=0.02:0.1``.

    When the first number is the greater one, low values are bad: ``identity.owners=1:0``.

    Raises:
        ConfigurationError: an entry is not of that form.
    """
    found: dict[str, list[Threshold]] = {}
    for entry in entries:
        name, _, bounds = entry.partition("=")
        system, _, figure = name.strip().partition(".")
        degraded, _, unhealthy = bounds.partition(":")
        try:
            low, high = float(degraded), float(unhealthy)
        except ValueError:
            system = ""
            low = high = 0.0
        if not system or not figure:
            msg = f"{entry[:80]!r} is not a health threshold"
            raise ConfigurationError(msg, remedy="Write system.figure=degraded:unhealthy, as api.error_rate=0.02:0.1")
        found.setdefault(system, []).append(Threshold(figure, low, high, below=low > high))
    return found


async def _awaited(check: Check) -> SystemHealth:
    return await check()


def _unhealthy(system: str, reason: str) -> SystemHealth:
    return SystemHealth(system, Health.UNHEALTHY, (reason,))
