"""Health is gathered from all systems: nothing hides a bad one, nothing hangs the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from custodes.errors import ConfigurationError, StorageUnavailable
from custodes.kernel.clock import SECOND
from custodes.kernel.health import Health, SystemHealth, Threshold, judge, name_of, stands
from custodes.kernel.signals import ActivitySignal, FailureSignal, Signal
from custodes.planes.metrics import health
from custodes.planes.metrics.health import REASONS_FOR, HealthMonitor, parse_thresholds
from custodes.planes.metrics.storage_health import StorageHealth
from custodes.storage.sql.database import Database
from custodes.storage.sql.leases import SqlHeartbeat
from custodes.testing.clock import FakeClock

ERROR_RATE = Threshold("error_rate", 0.05, 0.2)


class Plane:
    """A system whose figures the test sets."""

    def __init__(self, system: str) -> None:
        self.system = system
        self.figures: dict[str, float] = {"error_rate": 0.0}
        self.asked = 0

    async def __call__(self) -> SystemHealth:
        self.asked += 1
        return judge(self.system, self.figures, [ERROR_RATE])


@pytest.fixture
def signals() -> list[Signal]:
    return []


@pytest.fixture
def monitor(clock: FakeClock, signals: list[Signal]) -> HealthMonitor:
    return HealthMonitor(clock, signals.append, limit_seconds=0.02)


@pytest.fixture
def api(monitor: HealthMonitor) -> Plane:
    plane = Plane("api")
    monitor.register("api", plane)
    return plane


async def test_the_worst_system_decides(monitor: HealthMonitor, api: Plane):
    """Given a healthy and a degraded system, then overall is degraded and the reason names figure and bound."""
    webhooks = Plane("webhooks")
    webhooks.figures["error_rate"] = 0.1
    monitor.register("webhooks", webhooks)

    report = await monitor.check()

    assert report.overall is Health.DEGRADED
    assert [(one.system, one.state) for one in report.systems] == [
        ("api", Health.HEALTHY),
        ("webhooks", Health.DEGRADED),
    ]
    assert report.systems[1].reasons == ("error_rate: 0.1 (degraded from 0.05)",)


async def test_an_answer_is_good_for_a_second(monitor: HealthMonitor, api: Plane, clock: FakeClock):
    await asyncio.gather(*(monitor.check() for _ in range(10)))
    assert api.asked == 1

    clock.advance(SECOND)
    await monitor.check()
    assert api.asked == 2


async def test_who_has_more_patience_gets_the_answer(clock: FakeClock):
    # Given a system that nobody waits for, who does not say so
    monitor = HealthMonitor(clock, lambda signal: None, limit_seconds=0)
    gate = asyncio.Event()

    async def late() -> SystemHealth:
        await gate.wait()
        return SystemHealth("audit", Health.HEALTHY)

    monitor.register("audit", late)
    assert (await monitor.check()).overall is Health.UNHEALTHY
    clock.advance(SECOND)

    # When somebody says so
    asked = asyncio.create_task(monitor.check(limit_seconds=30))
    await asyncio.sleep(0)
    gate.set()

    assert (await asked).overall is Health.HEALTHY


async def test_a_system_that_hangs_is_unhealthy_and_not_asked_twice(monitor: HealthMonitor, clock: FakeClock):
    asked = 0
    gate = asyncio.Event()

    async def hung() -> SystemHealth:
        nonlocal asked
        asked += 1
        await gate.wait()
        return SystemHealth("audit", Health.HEALTHY)

    monitor.register("audit", hung)
    for _ in range(3):
        report = await monitor.check()
        clock.advance(SECOND)
        assert report.systems[0].reasons == ("It did not answer within 0.02 s",)
    assert asked == 1

    gate.set()
    assert (await monitor.check()).overall is Health.HEALTHY


async def test_a_system_that_raises_is_unhealthy(monitor: HealthMonitor, api: Plane):
    async def broken() -> SystemHealth:
        msg = "no such table"
        raise RuntimeError(msg)

    monitor.register("audit", broken)
    report = await monitor.check()

    assert report.overall is Health.UNHEALTHY
    assert report.systems[1].reasons == ("It could not say: RuntimeError: no such table",)


async def test_changes_for_the_worse_are_failures_and_a_recovery_is_shown(
    monitor: HealthMonitor, api: Plane, clock: FakeClock, signals: list[Signal]
):
    for rate in (0.0, 0.06, 0.07, 0.5, 0.0, 0.3):
        api.figures["error_rate"] = rate
        clock.advance(SECOND)
        await monitor.check()

    assert [(one.system, one.name) for one in signals if isinstance(one, FailureSignal)] == [
        ("api", "health.degraded"),
        ("api", "health.unhealthy"),
        ("api", "health.unhealthy"),
    ]
    assert [one.title for one in signals if isinstance(one, ActivitySignal)] == [
        "The API is healthy again, no longer unhealthy"
    ]


async def test_a_figure_that_moves_around_its_limit_is_told_once(
    monitor: HealthMonitor, api: Plane, clock: FakeClock, signals: list[Signal]
):
    # Given an error rate that is at its limit of 5 %, now above it, now below
    told = list[str]()
    for rate in (0.051, 0.049, 0.052, 0.045, 0.05, 0.039, 0.045):
        api.figures["error_rate"] = rate
        clock.advance(SECOND)
        told.append((await monitor.check()).overall)

    # Then the system is degraded until the rate is a fifth below, and that is told once, as its end is
    assert told == ["degraded"] * 5 + ["healthy"] * 2
    assert [type(one) for one in signals] == [FailureSignal, ActivitySignal]


async def test_thresholds_can_be_set_while_it_runs(monitor: HealthMonitor, api: Plane):
    """Given an error rate that the plane finds degraded, when the bound is raised, then it is healthy at once."""
    api.figures["error_rate"] = 0.1
    assert (await monitor.check()).overall is Health.DEGRADED

    monitor.set_thresholds("api", [Threshold("error_rate", 0.15, 0.5)])
    assert (await monitor.check()).systems[0] == SystemHealth("api", Health.HEALTHY, (), {"error_rate": 0.1})

    monitor.set_thresholds("api", [Threshold("error_rate", 0.01, 0.05)])
    assert (await monitor.check()).overall is Health.UNHEALTHY

    monitor.set_thresholds("api", [])
    assert (await monitor.check()).overall is Health.DEGRADED


async def test_other_reasons_survive_thresholds_of_ones_own(monitor: HealthMonitor):
    async def two_reasons() -> SystemHealth:
        judged = judge("api", {"error_rate": 0.1}, [ERROR_RATE])
        return replace(judged, state=Health.UNHEALTHY, reasons=("The worker is dead", *judged.reasons))

    monitor.register("api", two_reasons)
    monitor.set_thresholds("api", [Threshold("error_rate", 0.5, 0.9)])

    [found] = (await monitor.check()).systems
    assert (found.state, found.reasons) == (Health.UNHEALTHY, ("The worker is dead",))


async def test_a_figure_that_is_judged_more_mildly_leaves_nothing_of_its_old_state(monitor: HealthMonitor):
    async def two_reasons() -> SystemHealth:
        return judge("api", {"error_rate": 0.6}, [ERROR_RATE], {"The disk is nearly full": Health.DEGRADED})

    monitor.register("api", two_reasons)
    assert (await monitor.check()).overall is Health.UNHEALTHY
    monitor.set_thresholds("api", [Threshold("error_rate", 0.7, 0.9)])

    [found] = (await monitor.check()).systems
    assert (found.state, found.reasons) == (Health.DEGRADED, ("The disk is nearly full",))


async def test_thresholds_of_ones_own_keep_the_words_and_the_unit_of_the_system(monitor: HealthMonitor):
    async def slow() -> SystemHealth:
        own = Threshold("p95", 1_000, 5_000, unit=" ms", says="The slowest requests take {}")
        return judge("api", {"p95": 800}, [own])

    monitor.register("api", slow)
    monitor.set_thresholds("api", [Threshold("p95", 500, 2_500)])

    [found] = (await monitor.check()).systems
    assert found.reasons == ("The slowest requests take 800 ms (degraded from 500 ms)",)


def test_thresholds_are_read_from_settings():
    found = parse_thresholds(["api.error_rate=0.02:0.1", "webhooks.success_rate=0.95:0.8"])

    assert found == {
        "api": [Threshold("error_rate", 0.02, 0.1)],
        "webhooks": [Threshold("success_rate", 0.95, 0.8, below=True)],
    }


@pytest.mark.parametrize("entry", ["", "api", "api=1:2", "api.error_rate=1", "api.error_rate=a:b", ".x=1:2"])
def test_a_wrong_threshold_is_refused_at_the_start(entry: str):
    with pytest.raises(ConfigurationError, match="not a health threshold"):
        parse_thresholds([entry])


async def test_thresholds_of_an_unknown_system_are_refused(monitor: HealthMonitor, api: Plane):
    with pytest.raises(ConfigurationError, match="api"):
        monitor.set_thresholds("nonsense", [])


async def test_a_threshold_of_the_settings_must_name_a_system_that_there_is(clock: FakeClock):
    monitor = HealthMonitor(clock, lambda _: None, thresholds={"webhok": [Threshold("failure_rate", 0, 0)]})
    monitor.register("webhooks", Plane("webhooks"))

    with pytest.raises(ConfigurationError, match=r"'webhok'.*did you mean webhooks"):
        monitor.check_systems()


async def test_a_threshold_that_holds_no_figure_is_named(clock: FakeClock):
    wrong, right = Threshold("eror_rate", 0.1, 0.2), Threshold("error_rate", 0.1, 0.2)
    monitor = HealthMonitor(clock, lambda _: None, thresholds={"api": [wrong, right]})
    monitor.register("api", Plane("api"))

    monitor.check_systems()
    await monitor.check()

    assert monitor.unknown_figures() == ["api.eror_rate (did you mean error_rate?)"]


class TestStorage:
    async def test_a_store_that_works_is_healthy(self, database: Database, clock: FakeClock):
        heartbeat = SqlHeartbeat(database)
        health = StorageHealth(heartbeat, clock, lambda: {"waiting_writes": 3.0})

        for _ in range(2):
            found = await health.get_health_status()
            clock.advance(SECOND)

        assert found.state is Health.HEALTHY
        assert found.figures == {"waiting_writes": 3.0, "write_ms": 0.0, "read_ms": 0.0}
        assert await heartbeat.read() == clock.now() - SECOND

    async def test_a_slow_write_degrades_and_a_refused_one_is_unhealthy(self, clock: FakeClock):
        class Disk:
            def __init__(self, act: Callable[[], Awaitable[None] | None]) -> None:
                self.act = act

            async def write(self, at: int) -> None:
                self.act()

            async def read(self) -> int:
                return 0

        def full() -> None:
            msg = "SQLite could not do it: disk full"
            raise StorageUnavailable(msg)

        slow = await StorageHealth(Disk(lambda: clock.advance(SECOND)), clock).get_health_status()
        refused = await StorageHealth(Disk(full), clock).get_health_status()

        assert (slow.state, slow.figures["write_ms"]) == (Health.DEGRADED, 1_000.0)
        assert (refused.state, refused.reasons) == (Health.UNHEALTHY, ("SQLite could not do it: disk full",))


class OfTenants(Plane):
    """A system that is asked about one tenant at a time, and answers when the test says so."""

    def __init__(self, system: str) -> None:
        super().__init__(system)
        self.tenants: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def of_tenant(self, tenant: str) -> SystemHealth:
        self.tenants.append(tenant)
        await self.answers.wait()
        return judge(self.system, self.figures, [ERROR_RATE])


@pytest.fixture
def calls(monitor: HealthMonitor) -> OfTenants:
    plane = OfTenants("calls")
    monitor.register("calls", plane, plane.of_tenant)
    return plane


async def test_an_answer_about_a_tenant_is_kept_for_a_second(
    monitor: HealthMonitor, calls: OfTenants, clock: FakeClock
):
    """Given pages of two tenants that are loaded many times, then each system is asked once a tenant and second."""
    for _ in range(3):
        for tenant in ("acme", "globex"):
            await monitor.check_tenant(tenant)
    assert calls.tenants == ["acme", "globex"]

    clock.advance(SECOND)
    calls.figures["error_rate"] = 0.1
    assert (await monitor.check_tenant("acme")).overall is Health.DEGRADED
    assert calls.tenants == ["acme", "globex", "acme"]


async def test_pages_that_are_loaded_at_once_wait_for_one_answer(clock: FakeClock):
    monitor, calls = HealthMonitor(clock, lambda _: None), OfTenants("calls")
    monitor.register("calls", calls, calls.of_tenant)
    calls.answers.clear()
    waiting = [asyncio.create_task(monitor.check_tenant("acme")) for _ in range(5)]
    while not calls.tenants:
        await asyncio.sleep(0)

    # When one goes away, and another comes long after the first, and then it is answered
    waiting.pop().cancel()
    clock.advance(10 * SECOND)
    waiting.append(asyncio.create_task(monitor.check_tenant("acme")))
    await asyncio.sleep(0)
    calls.answers.set()

    assert {report.overall for report in await asyncio.gather(*waiting)} == {Health.HEALTHY}
    assert calls.tenants == ["acme"]


async def test_answers_are_kept_of_so_many_tenants_and_no_more(
    monitor: HealthMonitor, calls: OfTenants, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(health, "MAX_TENANTS", 3)
    for tenant in ("a", "b", "c", "d", "d", "b", "a"):
        await monitor.check_tenant(tenant)

    assert calls.tenants == ["a", "b", "c", "d", "a"]


async def test_what_is_said_elsewhere_counts_between_the_limits_only(
    monitor: HealthMonitor, api: Plane, clock: FakeClock
):
    """Given a figure that another process has seen beyond its limit, then it is not well here until it is clearly
    better, as it is there; one that is well is well whatever was said."""
    api.figures["error_rate"] = 0.045  # from 0.05 on it is degraded, until below 0.04
    assert (await monitor.check()).overall is Health.HEALTHY

    for value, state in ((0.045, Health.DEGRADED), (0.039, Health.HEALTHY), (0.045, Health.HEALTHY)):
        api.figures["error_rate"] = value
        if state is Health.DEGRADED:
            monitor.remember({("api", "error_rate"): Health.DEGRADED, ("nobody", "knows"): Health.UNHEALTHY})
        clock.advance(SECOND)
        assert (await monitor.check()).overall is state
    assert monitor.unwell() == {}


async def test_what_is_worse_here_stays_whatever_is_said_elsewhere(
    monitor: HealthMonitor, api: Plane, clock: FakeClock
):
    api.figures["error_rate"] = 0.2
    await monitor.check()
    monitor.remember({("api", "error_rate"): Health.DEGRADED})
    clock.advance(SECOND)
    api.figures["error_rate"] = 0.19

    assert (await monitor.check()).overall is Health.UNHEALTHY
    assert monitor.unwell() == {("api", "error_rate"): Health.UNHEALTHY}


@pytest.mark.parametrize(
    ("system", "name", "said"),
    [
        ("identity", "Sign-in", "Sign-in is degraded"),
        ("retention", "Clean-up", "Clean-up is degraded"),
        ("webhooks", "Incoming webhooks", "Incoming webhooks are degraded"),
        ("outgoing_webhooks", "Outgoing webhooks", "Outgoing webhooks are degraded"),
        ("webhook_completeness", "Webhook completeness", "Webhook completeness is degraded"),
        ("audit", "Audit trail", "The audit trail is degraded"),
        ("api", "API", "The API is degraded"),
    ],
)
def test_a_system_is_called_the_same_in_a_list_and_in_a_sentence(system: str, name: str, said: str) -> None:
    assert name_of(system) == name
    assert stands(system, Health.DEGRADED) == said


async def test_a_system_that_is_well_again_is_told_with_the_reasons_of_before(
    monitor: HealthMonitor, api: Plane, clock: FakeClock
):
    """Given an API that is well again when a rule tells that it was degraded, then it tells why, for a while."""
    assert await monitor.tell("api", Health.DEGRADED) == "The API is degraded."
    clock.advance(SECOND)
    api.figures["error_rate"] = 0.07
    await monitor.check()
    clock.advance(SECOND)
    api.figures["error_rate"] = 0.0

    assert (await monitor.tell("api", Health.DEGRADED)).startswith("The API is degraded: error_rate: 0.07")
    assert await monitor.tell("api", Health.HEALTHY) == "The API is healthy."
    clock.advance(REASONS_FOR)
    assert await monitor.tell("api", Health.DEGRADED) == "The API is degraded."
