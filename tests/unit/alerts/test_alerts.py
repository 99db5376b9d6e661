"""From a figure to a message: the alerts service on the real metrics plane and the real store."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from custodes.errors import Conflict, InvalidInput, NotFound, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health, SystemHealth
from custodes.kernel.ids import RandomBits, uuid7
from custodes.kernel.signals import FailureSignal, Signal
from custodes.planes.alerts.evaluator import Alerts
from custodes.planes.alerts.events import QUIET, EventBuffer
from custodes.planes.alerts.model import Comparator, Delivery, News, Notification, Origin, Rule, Severity, State
from custodes.planes.alerts.rules import BUILT_IN, checked, from_dict, to_dict
from custodes.planes.alerts.sinks import SinkFailed
from custodes.planes.metrics.health import HealthMonitor
from custodes.planes.metrics.recorder import SystemMetrics
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.alerts import SqlAlertStore
from custodes.storage.sql.database import Database
from custodes.storage.sql.metrics import SqlMetricStore
from custodes.testing.clock import FakeClock


class Pager:
    """A sink that remembers what it got and fails on demand."""

    def __init__(self, name: str = "pager") -> None:
        self.name = name
        self.got: list[Notification] = []
        self.failure: Exception | None = None
        #: Id of the only message that it does not take.
        self.refused = ""

    async def send(self, notification: Notification) -> None:
        if self.failure is not None:
            raise self.failure
        if notification.id == self.refused:
            msg = "It answered 400"
            raise SinkFailed(msg)
        self.got.append(notification)

    async def close(self) -> None:
        pass

    @property
    def news(self) -> list[str]:
        return [str(one.news) for one in self.got]


DEPTH = Rule(
    id="queue-deep",
    name="The queue is deep",
    metric="queue.depth",
    aggregation="last",
    comparator=Comparator.AT_LEAST,
    threshold=100,
    clear=80,
    critical=500,
    window=30 * SECOND,
    hold=20 * SECOND,
    clear_hold=20 * SECOND,
    message="{name}: {value} of {threshold} ({labels})",
    remind=HOUR,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=1_790_000_400 * SECOND)


@pytest.fixture
def health(clock: FakeClock) -> HealthMonitor:
    return HealthMonitor(clock, lambda _: None)


@pytest.fixture
def metrics(database: Database, clock: FakeClock, health: HealthMonitor) -> SystemMetrics:
    ids = itertools.count()
    return SystemMetrics(SqlMetricStore(database), clock, lambda: f"batch-{next(ids)}", health=health)


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def signals() -> list[Signal]:
    return []


@pytest.fixture
def make(
    database: Database,
    metrics: SystemMetrics,
    clock: FakeClock,
    random_bits: RandomBits,
    pager: Pager,
    signals: list[Signal],
):
    def make(**kwargs: Any) -> Alerts:
        def new_id() -> str:
            return uuid7(clock.now(), random_bits)

        kwargs.setdefault("sinks", [pager])
        return Alerts(SqlAlertStore(database), metrics, clock, new_id, random_bits, emit=signals.append, **kwargs)

    return make


@pytest.fixture
def alerts(make: Any) -> Alerts:
    made: Alerts = make()
    made.rules.add(DEPTH)
    return made


class Desk:
    """Turns the wheel: a figure, ten seconds, an evaluation, a dispatch."""

    def __init__(self, alerts: Alerts, metrics: SystemMetrics, clock: FakeClock) -> None:
        self.alerts, self.metrics, self.clock = alerts, metrics, clock

    async def turn(self, value: float | None, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(10 * SECOND)
            if value is not None:
                self.metrics.gauge("queue.depth", value)
            await self.alerts.evaluate()
            await self.alerts.dispatch()

    async def incidents(self) -> list[Any]:
        return list((await self.alerts.incidents.list()).items)


@pytest.fixture
def desk(alerts: Alerts, metrics: SystemMetrics, clock: FakeClock) -> Desk:
    return Desk(alerts, metrics, clock)


class TestLife:
    async def test_from_pending_to_firing_to_resolved(self, desk: Desk, pager: Pager):
        """Given a deep queue, when it stays so for the hold, then one message; when it is over, one more."""
        await desk.turn(150)
        assert [one.state for one in await desk.incidents()] == [State.PENDING]
        assert pager.news == []

        await desk.turn(150, times=2)
        [firing] = await desk.incidents()
        assert (firing.state, pager.news) == (State.FIRING, ["firing"])
        assert pager.got[0].payload["summary"] == "The queue is deep: 150 of 100 (all)"

        await desk.turn(10, times=3)
        [over] = await desk.incidents()
        assert (over.state, over.id, pager.news) == (State.RESOLVED, firing.id, ["firing", "resolved"])

    async def test_a_clock_that_ran_ahead_holds_up_no_step(self, desk: Desk, pager: Pager, clock: FakeClock):
        """Given a clock that is put right by a day at each step, then each comes after its wait, not after that day."""
        await desk.turn(150)
        clock.jump(-DAY)
        await desk.turn(150, times=3)
        assert pager.news == ["firing"]

        clock.jump(-DAY)
        await desk.turn(150)
        clock.advance(HOUR)
        await desk.turn(150)
        assert pager.news == ["firing", "reminder"]

        await desk.turn(10)
        clock.jump(-DAY)
        await desk.turn(10, times=3)
        assert pager.news == ["firing", "reminder", "resolved"]

    async def test_a_short_peak_tells_nobody_and_leaves_nothing(self, desk: Desk, pager: Pager):
        await desk.turn(150)
        await desk.turn(10)

        assert (await desk.incidents(), pager.news) == ([], [])

    async def test_going_up_and_down_in_the_band_is_one_incident(self, desk: Desk, pager: Pager):
        await desk.turn(150, times=3)
        for value in (99, 101, 85, 120, 81) * 3:
            await desk.turn(value)

        assert len(await desk.incidents()) == 1
        assert pager.news == ["firing"]

    async def test_a_share_of_errors_is_told_as_percent(self, make: Any, metrics: SystemMetrics, clock: FakeClock):
        """Given the rule that comes with us, when 12 % of the calls fail for minutes, then the message says 12 %."""
        alerts: Alerts = make()
        for _ in range(15):
            clock.advance(10 * SECOND)
            metrics.gauge("custodes.health.figure", 0.12, labels={"system": "api", "figure": "error_rate"})
            await alerts.evaluate()

        [incident] = (await alerts.incidents.list()).items
        assert (incident.state, incident.summary) == (State.FIRING, "12 % of the API calls end in a server error")

    async def test_a_system_that_is_not_well_is_told_in_a_sentence_with_its_reasons(
        self, make: Any, metrics: SystemMetrics, clock: FakeClock, health: HealthMonitor, pager: Pager
    ):
        """Given a system that goes from bad to worse; then each message says which, how bad, and why."""
        alerts: Alerts = make()
        states = [Health.DEGRADED] * 8 + [Health.UNHEALTHY] * 2

        async def check() -> SystemHealth:
            return SystemHealth("outgoing_webhooks", states.pop(0), ("Deliveries given up\nin the last hour: 3",))

        health.register("outgoing_webhooks", check)
        while states:
            clock.advance(10 * SECOND)
            await metrics.record_health()
            await alerts.evaluate()
            await alerts.dispatch()

        assert [one.payload["summary"] for one in pager.got] == [
            "Outgoing webhooks are degraded: Deliveries given up in the last hour: 3",
            "Outgoing webhooks are unhealthy: Deliveries given up in the last hour: 3",
        ]

    async def test_another_process_that_is_not_well_is_told_without_reasons(
        self, make: Any, metrics: SystemMetrics, clock: FakeClock, pager: Pager
    ):
        alerts: Alerts = make()
        for _ in range(8):
            clock.advance(10 * SECOND)
            metrics.gauge("custodes.health", 2, labels={"system": "api"})
            await alerts.evaluate()
            await alerts.dispatch()

        assert [one.payload["summary"] for one in pager.got] == ["The API is unhealthy."]

    async def test_a_message_takes_labels_by_name_and_fills_in_nothing_twice(
        self, make: Any, metrics: SystemMetrics, clock: FakeClock, pager: Pager
    ):
        """Given a label whose text looks like a place; then it stands as it is, and large figures can be read."""
        alerts: Alerts = make()
        alerts.rules.add(
            replace(DEPTH, by=("queue",), hold=0, message="{queue} holds {value} of {threshold}, {labels}")
        )
        metrics.gauge("queue.depth", 1_234_567, labels={"queue": "{value}"})
        await alerts.evaluate()
        await alerts.dispatch()

        assert [one.payload["summary"] for one in pager.got] == ["{value} holds 1,234,567 of 100, queue {value}"]

    async def test_it_becomes_critical_once(self, desk: Desk, pager: Pager):
        await desk.turn(150, times=3)
        await desk.turn(600, times=3)

        [incident] = await desk.incidents()
        assert (incident.severity, pager.news) == (Severity.CRITICAL, ["firing", "escalated"])

    async def test_reminders_come_until_somebody_acknowledges(self, desk: Desk, pager: Pager, clock: FakeClock):
        await desk.turn(150, times=3)
        clock.advance(HOUR)
        await desk.turn(150)
        assert pager.news == ["firing", "reminder"]

        [incident] = await desk.incidents()
        seen = await desk.alerts.incidents.acknowledge(incident.id, "user:ada")
        clock.advance(2 * HOUR)
        await desk.turn(150)
        assert (seen.acknowledged_by, pager.news) == ("user:ada", ["firing", "reminder"])

    async def test_each_value_of_a_label_is_a_problem_of_its_own(
        self, alerts: Alerts, metrics: SystemMetrics, clock: FakeClock, pager: Pager
    ):
        alerts.rules.add(replace(DEPTH, by=("queue",), hold=0))
        for queue, depth in (("mail", 300), ("jobs", 5), ("push", 200)):
            metrics.gauge("queue.depth", depth, labels={"queue": queue})
        await alerts.evaluate()
        await alerts.evaluate()
        await alerts.dispatch()

        assert sorted(str(one.payload["labels"]) for one in pager.got) == ["{'queue': 'mail'}", "{'queue': 'push'}"]

    async def test_a_problem_that_others_are_worse_than_goes_on(
        self, alerts: Alerts, metrics: SystemMetrics, clock: FakeClock, pager: Pager, monkeypatch: pytest.MonkeyPatch
    ):
        """Given more lines than a rule may open problems for, then those that are open are looked at all the same."""
        monkeypatch.setattr("custodes.planes.alerts.evaluation.MAX_LINES_PER_RULE", 1)
        alerts.rules.add(replace(DEPTH, by=("queue",), hold=0, clear_hold=0))
        desk = Desk(alerts, metrics, clock)
        metrics.gauge("queue.depth", 200, labels={"queue": "mail"})
        await desk.turn(None)

        metrics.gauge("queue.depth", 200, labels={"queue": "mail"})
        metrics.gauge("queue.depth", 300, labels={"queue": "jobs"})
        await desk.turn(None)

        assert pager.news == ["firing", "firing"]

    async def test_a_counter_that_falls_silent_has_the_rate_zero(self, make: Any, clock: FakeClock, pager: Pager):
        """Given a rule on orders that stop, when no order was ever made, then it fires all the same."""
        alerts: Alerts = make()
        alerts.rules.add(
            replace(
                DEPTH,
                id="orders-stopped",
                metric="orders.created",
                aggregation="rate",
                comparator=Comparator.AT_MOST,
                threshold=0,
                clear=None,
                critical=None,
                hold=0,
            )
        )
        await alerts.evaluate()
        await alerts.dispatch()

        assert pager.news == ["firing"]

    async def test_a_new_leader_goes_on_where_the_old_one_died(
        self, desk: Desk, make: Any, metrics: SystemMetrics, clock: FakeClock, pager: Pager
    ):
        await desk.turn(150, times=3)
        successor: Alerts = make()
        successor.rules.add(DEPTH)

        await Desk(successor, metrics, clock).turn(150, times=3)
        await Desk(successor, metrics, clock).turn(10, times=3)

        assert pager.news == ["firing", "resolved"]

    async def test_a_process_that_leads_no_more_writes_nothing(self, make: Any, metrics: SystemMetrics):
        def confirm(_tx: Transaction) -> None:
            msg = "This process does not hold the lease"
            raise Conflict(msg)

        alerts: Alerts = make(confirm=confirm)
        alerts.rules.add(replace(DEPTH, hold=0))
        metrics.gauge("queue.depth", 900)

        with pytest.raises(Conflict):
            await alerts.evaluate()
        assert (await alerts.incidents.list()).items == []

    async def test_incidents_of_a_rule_that_is_switched_off_end(self, desk: Desk, alerts: Alerts, pager: Pager):
        await desk.turn(150, times=3)
        alerts.rules.add(replace(DEPTH, enabled=False))
        await desk.turn(150)

        assert pager.news == ["firing", "resolved"]

    async def test_a_rule_that_cannot_be_evaluated_hurts_no_other(self, desk: Desk, alerts: Alerts, pager: Pager):
        alerts.rules.add(replace(DEPTH, id="senseless", aggregation="p95"))
        await desk.turn(150, times=3)

        assert pager.news == ["firing"]
        health = await alerts.get_health_status()
        assert (health.state, health.figures["failing_rules"]) == (Health.DEGRADED, 1)


class TestSilence:
    async def test_a_silenced_problem_tells_nobody_also_when_it_comes_back(
        self, desk: Desk, pager: Pager, clock: FakeClock
    ):
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        await desk.alerts.incidents.silence(incident.id, clock.now() + HOUR)

        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        assert pager.news == ["firing"]
        assert len(await desk.incidents()) == 2

        await desk.turn(10, times=3)
        clock.advance(HOUR)
        await desk.turn(150, times=3)
        assert pager.news == ["firing", "firing"]

    async def test_a_silence_that_was_ended_is_none_when_the_problem_comes_back(
        self, desk: Desk, pager: Pager, clock: FakeClock
    ):
        """Given a problem that came back within its silence; when that is ended, then the next is told of."""
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        until = clock.now() + HOUR
        await desk.alerts.incidents.silence(incident.id, until)
        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        again = next(one for one in await desk.incidents() if one.open)

        ended = await desk.alerts.incidents.end_silence(again.id)

        assert ended.silenced_until == clock.now()
        before = next(one for one in await desk.incidents() if not one.open)
        assert before.silenced_until == until, "what is over stays as it was"
        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        assert pager.news == ["firing", "firing"]

    async def test_a_silence_that_was_ended_of_what_turned_out_to_be_nothing_is_none_either(
        self, desk: Desk, pager: Pager
    ):
        """Given a silenced problem that seems to come back; when that is ended and it was nothing, then it is ended."""
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        await desk.alerts.incidents.silence(incident.id, desk.clock.now() + HOUR)
        await desk.turn(10, times=3)
        await desk.turn(150)
        again = next(one for one in await desk.incidents() if one.open)
        assert again.state is State.PENDING

        await desk.alerts.incidents.end_silence(again.id)
        await desk.turn(10, times=3)
        assert [one.id for one in await desk.incidents()] == [incident.id], "it was nothing"

        await desk.turn(150, times=3)
        assert pager.news == ["firing", "firing"]

    @pytest.mark.parametrize("ended_by_hand", [False, True])
    async def test_what_began_within_a_silence_and_outlasts_it_is_told_of_when_that_ends(
        self, desk: Desk, alerts: Alerts, pager: Pager, clock: FakeClock, ended_by_hand: bool
    ):
        """Given a problem that came back within its silence, when that ends, then it is told of, once, and its end."""
        alerts.rules.add(replace(DEPTH, remind=0))
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        await alerts.incidents.silence(incident.id, clock.now() + HOUR)
        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        assert pager.news == ["firing"], "the silence holds"

        if ended_by_hand:
            await alerts.incidents.end_silence(next(one.id for one in await desk.incidents() if one.open))
        else:
            clock.advance(HOUR)
        await desk.turn(150, times=3)

        assert pager.news == ["firing", "firing"]
        await desk.turn(10, times=3)
        assert pager.news == ["firing", "firing", "resolved"]

    async def test_what_somebody_has_seen_within_a_silence_is_not_told_of_when_that_ends(
        self, desk: Desk, alerts: Alerts, pager: Pager, clock: FakeClock
    ):
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        await alerts.incidents.silence(incident.id, clock.now() + HOUR)
        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        await alerts.incidents.acknowledge(next(one.id for one in await desk.incidents() if one.open), "user:ada")

        clock.advance(HOUR)
        await desk.turn(150, times=3)

        assert pager.news == ["firing"]

    async def test_what_became_critical_within_a_silence_is_told_of_when_that_ends(
        self, desk: Desk, alerts: Alerts, pager: Pager, clock: FakeClock
    ):
        alerts.rules.add(replace(DEPTH, remind=0))
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        await alerts.incidents.silence(incident.id, clock.now() + HOUR)
        await desk.turn(600, times=3)
        assert pager.news == ["firing"]

        clock.advance(HOUR)
        await desk.turn(600, times=3)

        assert pager.news == ["firing", "reminder"]
        assert pager.got[-1].payload["severity"] == "critical"

    async def test_a_failure_that_came_within_a_silence_and_goes_on_is_told_of_when_that_ends(
        self, desk: Desk, alerts: Alerts, pager: Pager, clock: FakeClock
    ):
        def fail() -> None:
            alerts.on_failure(
                FailureSignal(at=clock.now(), tenant="acme", system="webhooks", name="dead", summary="gave up")
            )

        fail()
        await alerts.write_events()
        [incident] = (await alerts.incidents.list(tenant="acme")).items
        await alerts.incidents.silence(incident.id, clock.now() + HOUR)
        await alerts.dispatch()
        clock.advance(QUIET)
        await alerts.evaluate()
        fail()
        await alerts.write_events()
        clock.advance(HOUR - QUIET)
        fail()
        await alerts.write_events()

        await alerts.evaluate()
        await alerts.evaluate()
        await alerts.dispatch()

        assert pager.news == ["firing", "firing"]

    @pytest.mark.parametrize("ends_in", [0, -1, 31 * DAY])
    async def test_a_silence_is_bounded(self, desk: Desk, clock: FakeClock, ends_in: int):
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()

        with pytest.raises(InvalidInput):
            await desk.alerts.incidents.silence(incident.id, clock.now() + ends_in)

    async def test_what_is_over_or_of_another_tenant_cannot_be_changed(self, desk: Desk):
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        with pytest.raises(NotFound):
            await desk.alerts.incidents.acknowledge(incident.id, "user:eve", tenant="globex")
        await desk.turn(10, times=3)

        with pytest.raises(Conflict):
            await desk.alerts.incidents.acknowledge(incident.id, "user:ada")

    async def test_an_action_and_what_goes_with_it_are_one(self, desk: Desk):
        """Given an audit entry that cannot be written, when acknowledging, then nothing is acknowledged."""
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()

        def also(_tx: Transaction) -> None:
            msg = "the audit entry failed"
            raise RuntimeError(msg)

        with pytest.raises(RuntimeError):
            await desk.alerts.incidents.acknowledge(incident.id, "user:ada", also=also)
        assert (await desk.alerts.incidents.get(incident.id)).acknowledged_by == ""


class TestEvents:
    def signal(self, clock: FakeClock, name: str = "webhook.dead_lettered", **kwargs: Any) -> FailureSignal:
        given = {"summary": "Event evt_1 was given up", "title": "A webhook was given up", **kwargs}
        return FailureSignal(at=clock.now(), tenant="acme", system="webhooks", name=name, **given)

    async def test_a_storm_of_one_failure_is_one_incident(self, alerts: Alerts, clock: FakeClock, pager: Pager):
        for round_ in range(3):
            for _ in range(100):
                alerts.on_failure(self.signal(clock, summary=f"round {round_}"))
            await alerts.write_events()
        await alerts.dispatch()

        [incident] = (await alerts.incidents.list(tenant="acme")).items
        assert (incident.occurrences, incident.summary, pager.news) == (300, "round 2", ["firing"])
        assert (incident.name, incident.rule_id) == ("A webhook was given up", "signal:webhook.dead_lettered")

    async def test_failures_about_different_things_are_different_incidents(
        self, alerts: Alerts, clock: FakeClock, pager: Pager
    ):
        """Given every refund fails, when another error comes that hits few, then it does not take its place."""
        for digest, summary in (("refund", "KeyError"), ("order", "ConnectionError"), ("refund", "KeyError")):
            alerts.on_failure(self.signal(clock, "api.new_error", summary=summary, about=(("digest", digest),)))
            await alerts.write_events()
        await alerts.dispatch()

        told = {
            (one.summary, one.occurrences, dict(one.labels)["digest"]) for one in (await alerts.incidents.list()).items
        }
        assert told == {("KeyError", 2, "refund"), ("ConnectionError", 1, "order")}
        assert pager.news == ["firing", "firing"]

    async def test_what_goes_on_keeps_its_alert_open_and_opens_none(
        self, alerts: Alerts, clock: FakeClock, pager: Pager
    ):
        # Given a new error, which goes on for half an hour
        refund = (("digest", "refund"),)
        alerts.on_failure(self.signal(clock, "api.new_error", about=refund))
        for _ in range(6):
            await alerts.write_events()
            await alerts.evaluate()
            clock.advance(5 * MINUTE)
            alerts.on_failure(self.signal(clock, "api.new_error", about=refund, opens=False))
            alerts.on_failure(self.signal(clock, "api.new_error", about=(("digest", "old"),), opens=False))
        await alerts.dispatch()

        # Then its alert is still open, and there is none of what was told of before
        [incident] = (await alerts.incidents.list()).items
        assert (incident.state, dict(incident.labels)["digest"], pager.news) == (State.FIRING, "refund", ["firing"])

        # When it ends, its alert does, too
        await alerts.write_events()
        clock.advance(15 * MINUTE)
        await alerts.evaluate()
        await alerts.dispatch()
        assert pager.news == ["firing", "resolved"]

    async def test_what_is_new_is_told_as_new_also_where_it_went_on_before_it_was_written(
        self, alerts: Alerts, clock: FakeClock
    ):
        alerts.on_failure(self.signal(clock, summary="It is new"))
        clock.advance(SECOND)
        alerts.on_failure(self.signal(clock, summary="It goes on", opens=False))
        await alerts.write_events()

        [incident] = (await alerts.incidents.list()).items
        assert (incident.summary, incident.last_seen_at) == ("It is new", clock.now())

    async def test_a_failure_of_everything_is_not_an_alert_of_each(
        self, alerts: Alerts, clock: FakeClock, pager: Pager
    ):
        """Given no endpoint of many can be reached, Then the first twenty are told apart, and all others are one."""
        for number in range(60):
            alerts.on_failure(self.signal(clock, "endpoint.failing", about=(("endpoint", str(number)),)))
        await alerts.write_events()
        for number in range(60, 70):
            alerts.on_failure(self.signal(clock, "endpoint.failing", about=(("endpoint", str(number)),)))
        await alerts.write_events()
        await alerts.dispatch()

        found = (await alerts.incidents.list(limit=100)).items
        assert len(found) == len(pager.got) == 21
        assert [one.occurrences for one in found if "endpoint" not in dict(one.labels)] == [50]

    async def test_hostile_texts_are_cut_and_cleaned(self, alerts: Alerts, clock: FakeClock):
        alerts.on_failure(self.signal(clock, summary="a\r\nb\x00" + "x" * 5_000))
        await alerts.write_events()

        [incident] = (await alerts.incidents.list()).items
        assert incident.summary.startswith("a  b x")
        assert len(incident.summary) == 1_000

    async def test_it_is_over_after_a_quiet_time_also_by_a_clock_that_was_put_back(
        self, alerts: Alerts, clock: FakeClock, pager: Pager
    ):
        alerts.on_failure(self.signal(clock))
        await alerts.write_events()
        clock.jump(-DAY)
        await alerts.evaluate()
        clock.advance(QUIET)
        await alerts.evaluate()
        await alerts.dispatch()

        assert pager.news[-1:] == ["resolved"]

    async def test_it_is_over_after_a_quiet_time(self, alerts: Alerts, clock: FakeClock, pager: Pager):
        alerts.on_failure(self.signal(clock))
        await alerts.write_events()
        clock.advance(QUIET - SECOND)
        await alerts.evaluate()
        assert (await alerts.incidents.list()).items[0].state is State.FIRING

        clock.advance(SECOND)
        await alerts.evaluate()
        await alerts.dispatch()
        assert pager.news == ["firing", "resolved"]

    async def test_the_store_may_be_down_meanwhile(
        self, alerts: Alerts, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        alerts.on_failure(self.signal(clock))

        async def refuse(*_: Any, **__: Any) -> None:
            msg = "The disk is full"
            raise StorageUnavailable(msg)

        with monkeypatch.context() as broken:
            broken.setattr(database, "write", refuse)
            with pytest.raises(StorageUnavailable):
                await alerts.write_events()
        alerts.on_failure(self.signal(clock))
        await alerts.write_events()

        [incident] = (await alerts.incidents.list()).items
        assert incident.occurrences == 2

    async def test_what_is_cut_off_while_it_commits_is_counted_once(
        self, alerts: Alerts, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        alerts.on_failure(self.signal(clock))
        committed, goes_on, write = asyncio.Event(), asyncio.Event(), database.write

        async def slow(*given: Any, **options: Any) -> Any:
            result = await write(*given, **options)
            committed.set()
            await goes_on.wait()
            return result

        monkeypatch.setattr(database, "write", slow)
        writing = asyncio.create_task(alerts.write_events())
        await committed.wait()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        goes_on.set()
        await alerts.write_events()

        [incident] = (await alerts.incidents.list()).items
        assert incident.occurrences == 1

    async def test_different_failures_are_bounded_and_shed_ones_counted(self, clock: FakeClock):
        buffer = EventBuffer(max_events=5)
        for number in range(8):
            buffer.add(self.signal(clock, name=f"failure-{number}"))

        assert (len(buffer.take()), buffer.shed) == (5, 3)

    async def test_a_store_that_is_down_is_told_without_the_store(
        self, alerts: Alerts, database: Database, clock: FakeClock, pager: Pager
    ):
        await database.close()
        alerts.on_failure(
            FailureSignal(
                at=clock.now(), tenant="default", system="storage", name="health.unhealthy", summary="disk full"
            )
        )
        await alerts.write_events()

        assert [one.payload["summary"] for one in pager.got] == ["disk full"]

    async def test_other_changes_of_health_are_left_to_the_rule(self, alerts: Alerts, clock: FakeClock, pager: Pager):
        alerts.on_failure(self.signal(clock, name="health.unhealthy"))
        await alerts.write_events()

        assert (await alerts.incidents.list()).items == []


class TestMessages:
    async def test_a_crash_between_firing_and_sending_loses_nothing(
        self, alerts: Alerts, metrics: SystemMetrics, clock: FakeClock, make: Any, pager: Pager
    ):
        alerts.rules.add(replace(DEPTH, hold=0))
        metrics.gauge("queue.depth", 150)
        await alerts.evaluate()  # and then the process dies

        successor: Alerts = make()
        assert await successor.dispatch() == 1
        assert await successor.dispatch() == 0
        assert pager.news == ["firing"]

    async def test_a_failed_message_is_tried_again_with_the_same_id(self, desk: Desk, pager: Pager, clock: FakeClock):
        pager.failure = SinkFailed("It answered 500")
        await desk.turn(150, times=3)
        [incident] = await desk.incidents()
        [waiting] = await desk.alerts.incidents.notifications(incident.id)
        assert (waiting.state, waiting.attempts, waiting.error) == (Delivery.WAITING, 1, "It answered 500")
        assert waiting.due_at > clock.now()

        pager.failure = None
        clock.advance(MINUTE)
        await desk.alerts.dispatch()
        assert [one.id for one in pager.got] == [waiting.id]

    async def test_after_ten_attempts_a_message_is_given_up(self, desk: Desk, pager: Pager, clock: FakeClock):
        pager.failure = RuntimeError("a sink may raise anything")
        await desk.turn(150, times=3)
        for _ in range(12):
            clock.advance(HOUR)
            await desk.alerts.dispatch()

        [incident] = await desk.incidents()
        [given_up] = await desk.alerts.incidents.notifications(incident.id)
        assert (given_up.state, given_up.attempts, given_up.error) == (Delivery.FAILED, 10, "It raised RuntimeError")

    async def test_a_sink_that_is_gone_is_switched_off_and_the_others_hear_of_it(
        self, make: Any, metrics: SystemMetrics, clock: FakeClock, signals: list[Signal]
    ):
        gone, pager = Pager("gone"), Pager("pager")
        gone.failure = SinkFailed("It answered 410", permanent=True)
        alerts: Alerts = make(sinks=[gone, pager])
        alerts.rules.add(replace(DEPTH, hold=0, clear_hold=0))
        metrics.gauge("queue.depth", 150)
        await alerts.evaluate()
        await alerts.dispatch()

        assert [(one.name, one.disabled_reason) for one in await alerts.list_sinks()] == [
            ("gone", "It answered 410"),
            ("pager", ""),
        ]
        [switched_off] = [one for one in signals if isinstance(one, FailureSignal)]
        assert switched_off.name == "alert.sink_disabled"
        alerts.on_failure(switched_off)
        await alerts.write_events()
        await alerts.dispatch()
        assert pager.news == ["firing", "firing"]
        assert (await alerts.get_health_status()).state is Health.DEGRADED

        gone.failure = None
        await alerts.enable_sink("gone")
        metrics.gauge("queue.depth", 1)
        clock.advance(SECOND)
        await alerts.evaluate()
        await alerts.dispatch()
        assert gone.news == ["resolved"]

    async def test_sinks_do_not_wait_for_each_other(self, make: Any, metrics: SystemMetrics):
        broken, fine = Pager("broken"), Pager("fine")
        broken.failure = SinkFailed("It could not be reached")
        alerts: Alerts = make(sinks=[broken, fine])
        alerts.rules.add(replace(DEPTH, hold=0))
        metrics.gauge("queue.depth", 150)
        await alerts.evaluate()

        assert await alerts.dispatch() == 1
        assert fine.news == ["firing"]

    async def test_what_waits_for_a_broken_sink_is_not_in_the_way_of_the_others(
        self, make: Any, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        """Given more messages for a broken sink than one run takes, then the others get theirs."""
        monkeypatch.setattr("custodes.planes.alerts.dispatch.BATCH", 3)
        broken, fine = Pager("broken"), Pager("fine")
        broken.failure = SinkFailed("It could not be reached")
        alerts: Alerts = make(sinks=[broken, fine])
        store = SqlAlertStore(database)

        def fill(tx: Transaction) -> None:
            for number in range(9):
                store.add_notification(
                    tx,
                    Notification(
                        id=f"n{number}",
                        tenant="default",
                        incident_id="i",
                        sink="fine" if number == 8 else "broken",
                        news=News.FIRING,
                        payload={},
                        created_at=number,
                        due_at=number,
                    ),
                )

        await database.write(fill)

        assert await alerts.dispatch() == 1
        assert [one.id for one in fine.got] == ["n8"]
        told = await database.read(lambda tx: store.list_notifications(tx, "i", 20))
        assert [one.attempts for one in told] == [1, 0, 0, 0, 0, 0, 0, 0, 1]
        assert {one.due_at for one in told[1:8]} == {told[0].due_at - 1}, "those that were not tried come first"
        assert told[0].due_at > clock.now()

    async def test_a_sink_that_takes_its_time_makes_those_of_the_others_not_late(
        self, make: Any, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ):
        """Given a hundred messages for a sink that takes four seconds each, then the others get theirs in between."""
        monkeypatch.setattr("custodes.planes.alerts.dispatch.BATCH", 10)

        class Slow(Pager):
            async def send(self, notification: Notification) -> None:
                clock.advance(4 * SECOND)
                await super().send(notification)

        slow, fine = Slow("slow"), Pager("fine")
        alerts: Alerts = make(sinks=[slow, fine])
        store = SqlAlertStore(database)

        def fill(tx: Transaction) -> None:
            for number in range(101):
                one = Notification(
                    id=f"n{number:03}", tenant="default", incident_id="i", sink="fine" if number == 100 else "slow",
                    news=News.FIRING, payload={}, created_at=number, due_at=number,
                )  # fmt: skip
                store.add_notification(tx, one)

        await database.write(fill)
        await alerts.dispatch()

        assert [one.id for one in fine.got] == ["n100"]
        assert [one.id for one in slow.got] == ["n000", "n001", "n002"]
        while len(slow.got) < 100:
            clock.advance(5 * SECOND)
            await alerts.dispatch()
        assert [one.id for one in slow.got] == [f"n{number:03}" for number in range(100)], "each once, in order"

    async def test_a_message_that_a_sink_refuses_holds_up_no_other(
        self, make: Any, database: Database, clock: FakeClock
    ):
        """Given one message of five that a sink does not take, then the others are sent when it is tried again."""
        picky = Pager("picky")
        picky.refused = "n0"
        alerts: Alerts = make(sinks=[picky])
        store = SqlAlertStore(database)

        def fill(tx: Transaction) -> None:
            for number in range(5):
                one = Notification(
                    id=f"n{number}", tenant="default", incident_id="i", sink="picky", news=News.FIRING,
                    payload={}, created_at=0, due_at=0,
                )  # fmt: skip
                store.add_notification(tx, one)

        await database.write(fill)
        await alerts.dispatch()
        assert picky.got == []
        clock.advance(MINUTE)

        assert await alerts.dispatch() == 4
        assert {one.id for one in picky.got} == {"n1", "n2", "n3", "n4"}

    async def test_messages_for_a_sink_that_was_removed_are_given_up(self, desk: Desk, make: Any, pager: Pager):
        pager.failure = SinkFailed("down")
        await desk.turn(150, times=3)
        desk.clock.advance(HOUR)

        await make(sinks=[]).dispatch()
        [incident] = await desk.incidents()
        [message] = await desk.alerts.incidents.notifications(incident.id)
        assert message.state is Delivery.FAILED


class TestRules:
    @pytest.mark.parametrize("aggregation", ["avrage", "p100", "p0x"])
    async def test_a_rule_with_an_aggregation_that_there_is_not_is_refused(self, alerts: Alerts, aggregation: str):
        wrong = replace(DEPTH, aggregation=aggregation)
        with pytest.raises(InvalidInput, match="is not an aggregation"):
            await alerts.rules.create(wrong)
        with pytest.raises(InvalidInput, match="is not an aggregation"):
            await alerts.rules.replace(DEPTH.id, wrong)
        with pytest.raises(InvalidInput, match="is not an aggregation"):
            alerts.rules.add(wrong)

    async def test_a_rule_says_why_it_has_no_data(
        self, alerts: Alerts, metrics: SystemMetrics, clock: FakeClock, desk: Desk
    ):
        """Given rules on what was never recorded, cannot be asked, has stopped, and is there, then each says so."""
        assert await alerts.no_data(DEPTH) == "Nothing is recorded as queue.depth yet"
        await desk.turn(5)

        assert await alerts.no_data(DEPTH) == ""
        other = replace(DEPTH, labels={"queue": "mail"})
        assert await alerts.no_data(other) == "No series of queue.depth has these labels yet"
        assert "makes no sense: it is a gauge" in await alerts.no_data(replace(DEPTH, aggregation="p95"))
        typo = replace(DEPTH, metric="qeue.depth", aggregation="rate")
        assert await alerts.no_data(typo) == "Nothing is recorded as qeue.depth yet"
        assert await alerts.no_data(replace(typo, enabled=False)) == ""

        metrics.count("orders")
        await metrics.flush()
        clock.advance(HOUR)
        assert await alerts.no_data(DEPTH) == "Nothing was recorded within its window"
        assert await alerts.no_data(DEPTH, ever=True) == ""
        orders = replace(DEPTH, metric="orders", aggregation="rate")
        assert await alerts.no_data(orders) == "", "the rate of a silent counter is 0"
        assert await alerts.no_data(replace(orders, by=("plan",))) == "Nothing was recorded within its window"

    async def test_stored_rules_are_evaluated_changed_and_deleted(
        self, make: Any, metrics: SystemMetrics, pager: Pager
    ):
        alerts: Alerts = make()
        made = await alerts.rules.create(replace(DEPTH, id="ignored", hold=0))
        metrics.gauge("queue.depth", 150)
        await alerts.evaluate()
        await alerts.rules.replace(made.id, replace(made, threshold=1_000, clear=None, critical=None, clear_hold=0))
        await alerts.evaluate()
        await alerts.rules.delete(made.id)
        await alerts.dispatch()

        assert made.origin is Origin.STORED
        assert pager.news == ["firing", "resolved"]
        with pytest.raises(NotFound):
            await alerts.rules.get(made.id)

    async def test_a_built_in_rule_can_be_overridden_and_comes_back(self, alerts: Alerts):
        health = await alerts.rules.get("health")
        await alerts.rules.replace("health", replace(health, enabled=False))
        assert not (await alerts.rules.get("health")).enabled

        await alerts.rules.delete("health")
        assert (await alerts.rules.get("health")).origin is Origin.BUILT_IN
        with pytest.raises(Conflict):
            await alerts.rules.delete("health")

    async def test_rules_of_other_tenants_do_not_exist(self, alerts: Alerts):
        made = await alerts.rules.create(replace(DEPTH, tenant="acme"))

        assert [one.id for one in await alerts.rules.list("acme")] == [made.id]
        for action in (alerts.rules.get, alerts.rules.delete):
            with pytest.raises(NotFound):
                await action(made.id, tenant="globex")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"name": "x" * 301},
            {"name": "a\x00b"},
            {"message": "a\r\nb"},
            {"metric": "a b"},
            {"metric": ""},
            {"threshold": float("nan")},
            {"clear": 101},
            {"critical": 99},
            {"window": SECOND},
            {"hold": -1},
            {"remind": 8 * DAY},
            {"tenant": "no tenant!"},
            {"by": tuple("abcdef")},
            {"by": ("\ud800",)},
            {"labels": {"system": "\ud800"}},
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, wrong: dict[str, Any]):
        with pytest.raises(InvalidInput, match="The rule's"):
            checked(replace(DEPTH, **wrong))

    def test_rules_that_come_with_custodes_make_sense(self):
        for rule in BUILT_IN:
            checked(rule)

    def test_a_rule_survives_being_written_down(self):
        rule = replace(DEPTH, labels={"a": "b"}, by=("c",), tenant="acme", updated_at=5, origin=Origin.STORED)

        assert from_dict(rule.id, "acme", to_dict(rule), 5) == rule


class TestUpkeep:
    async def test_old_incidents_go_with_their_messages_open_ones_stay(self, desk: Desk, clock: FakeClock):
        await desk.turn(150, times=3)
        await desk.turn(10, times=3)
        await desk.turn(150, times=3)
        clock.advance(91 * DAY)

        assert await desk.alerts.purge() == 1
        assert [one.state for one in await desk.incidents()] == [State.FIRING]

    async def test_incidents_are_paged_newest_first(self, alerts: Alerts, clock: FakeClock):
        for number in range(5):
            clock.advance(SECOND)
            alerts.on_failure(
                FailureSignal(at=clock.now(), tenant="t", system="s", name=f"failure-{number}", summary="")
            )
        await alerts.write_events()

        first = await alerts.incidents.list(limit=3)
        second = await alerts.incidents.list(limit=3, cursor=first.next_cursor)

        names = [one.name for one in [*first.items, *second.items]]
        assert names == [f"failure-{number}" for number in (4, 3, 2, 1, 0)]
        assert second.next_cursor is None
