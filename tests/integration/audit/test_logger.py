"""What the audit logger promises, on a real store."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from custodes.errors import ConfigurationError, Conflict, InvalidInput, NotFound, StorageUnavailable
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.health import Health
from custodes.kernel.signals import FailureSignal, SecuritySignal
from custodes.planes.audit.logger import AuditLogger
from custodes.planes.audit.model import AuditEntry, Kind, Outcome, ReviewState
from custodes.planes.audit.ports import AuditQuery
from custodes.planes.audit.reviews import Verdict
from custodes.planes.audit.risk import MASS_ACTIONS
from custodes.runtime.bus import Bus
from custodes.storage.sql.database import Database
from custodes.storage.sql.postgresql import PostgresDatabase
from custodes.testing.clock import FakeClock


async def recorded(audit: AuditLogger, **filters: object) -> list[str]:
    page = await audit.list_entries(AuditQuery(**filters))  # type: ignore[arg-type]
    return [entry.action for entry in page.items]


# ── Writing ──────────────────────────────────────────────────────────────────


async def test_an_event_is_in_the_trail_when_the_call_returns(audit: AuditLogger):
    entry = await audit.log_audit_event("member.removed", actor="user:42", target="user:7", ip="203.0.113.9")

    assert await audit.get_entry(entry.id) == await audit.get_entry(entry.id, tenant="default")
    with pytest.raises(NotFound):
        await audit.get_entry(entry.id, tenant="other")


async def test_a_repeated_event_returns_the_first_entry(audit: AuditLogger, clock: FakeClock):
    first = await audit.log_audit_event("order.placed", actor="user:1", idempotency_key="order-7", reason="first")
    clock.advance(SECOND)

    again = await audit.log_audit_event("order.placed", actor="user:1", idempotency_key="order-7", reason="second")

    assert again.id == first.id
    assert again.reason == "first"
    assert await recorded(audit) == ["order.placed"]


async def test_a_repetition_is_no_second_failure(audit: AuditLogger, clock: FakeClock):
    """Given a failure that a client sends six times, as after no answer, When another follows, Then these are two."""

    async def fail(key: str) -> AuditEntry:
        clock.advance(SECOND)
        return await audit.log_security_event("auth.failed", actor="user:1", ip="203.0.113.9", idempotency_key=key)

    for _ in range(6):
        await fail("first")
    second = await fail("second")

    assert not second.flagged
    assert {reason.rule for reason in second.risk_reasons} == {"action", "unsuccessful"}
    for number in range(3):
        last = await fail(f"more-{number}")
    assert "5 failures of user:1 within 10 minutes" in [reason.sentence for reason in last.risk_reasons]


async def test_what_was_not_recorded_is_no_habit(audit: AuditLogger):
    """Given a sign-in from elsewhere that the store did not take, When it is sent again, Then the address is new."""
    await audit.log_audit_event("auth.succeeded", actor="user:1", ip="203.0.113.9")

    async def refuse(_entry: AuditEntry) -> str:
        raise StorageUnavailable("full")

    outage = pytest.MonkeyPatch()
    outage.setattr(audit._entries, "append", refuse)
    with pytest.raises(StorageUnavailable):
        await audit.log_audit_event("auth.succeeded", actor="user:1", ip="198.51.100.7")
    outage.undo()

    again = await audit.log_audit_event("auth.succeeded", actor="user:1", ip="198.51.100.7")

    assert "new_address" in {reason.rule for reason in again.risk_reasons}


async def test_admin_and_security_events_are_told_apart(audit: AuditLogger):
    await audit.log_audit_event("a.b", actor="user:1")
    await audit.log_admin_action("c.d", actor="user:1")
    security = await audit.log_security_event("e.f", actor="ip:1.1.1.1")

    assert await recorded(audit, kind=Kind.ADMIN) == ["c.d"]
    assert await recorded(audit, kind=Kind.SECURITY) == ["e.f"]
    assert security.outcome is Outcome.FAILURE


async def test_an_admin_action_and_its_entry_commit_together_or_not_at_all(audit: AuditLogger, database: Database):
    entry = audit.admin_entry("rate_limit.unblocked", actor="user:1", target="block:9")

    def fails(tx):
        entry(tx)
        raise Conflict("already")

    with pytest.raises(Conflict):
        await database.write(fails)
    assert await recorded(audit) == []

    await database.write(entry)
    assert await recorded(audit, kind=Kind.ADMIN) == ["rate_limit.unblocked"]


def test_a_wrong_admin_entry_is_refused_before_the_action(audit: AuditLogger):
    with pytest.raises(InvalidInput):
        audit.admin_entry("Not A Name", actor="user:1")


async def test_switched_off_only_admin_actions_and_refusals_are_written(logger_of, bus: Bus, database: Database):
    audit = logger_of(enabled=False)
    await audit.start()

    shown = await audit.log_audit_event("a.event", actor="user:1")
    await audit.log_audit_event("a.refusal", actor="user:1", outcome="denied")
    await audit.log_security_event("a.security", actor="user:1")
    await audit.log_admin_action("an.action", actor="user:1")
    await database.write(audit.admin_entry("an.entry", actor="user:1"))
    bus.emit(SecuritySignal(at=0, tenant="default", action="a.signal"))
    bus.emit(SecuritySignal(at=0, tenant="default", action="a.denied_signal", outcome="denied"))
    await audit.stop()

    assert shown.action == "a.event"
    assert set(await recorded(audit)) == {"a.refusal", "an.action", "an.entry", "a.denied_signal"}


async def test_a_store_that_is_down_is_told_to_the_caller_and_to_the_alerts(
    audit: AuditLogger, database: Database, alarms: list[FailureSignal]
):
    await audit.log_audit_event("a.b", actor="user:1")
    await database.close()

    with pytest.raises(StorageUnavailable):
        await audit.log_audit_event("a.b", actor="user:1")

    assert [alarm.name for alarm in alarms] == ["audit.write_failed"]
    assert audit.write_failures == 1


# ── In the caller's transaction ──────────────────────────────────────────────


@pytest.fixture
def url(tmp_path: Path, database: Database) -> str:
    """The database of the trail, as a host app names it."""
    if isinstance(database, PostgresDatabase):
        return database.url.render_as_string(hide_password=False)
    return f"sqlite:///{tmp_path}/custodes.db"


async def _finish(handle, *, commit: bool) -> None:
    done = handle.commit() if commit else handle.rollback()
    if asyncio.iscoroutine(done):
        await done


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "rollback"])
@pytest.mark.parametrize("kind", ["Connection", "Session"])
async def test_an_entry_commits_with_the_caller_s_sync_transaction(
    audit: AuditLogger, url: str, kind: str, commit: bool
):
    engine = create_engine(url)
    with engine.connect() if kind == "Connection" else Session(engine) as handle:
        handle.execute(text("CREATE TABLE IF NOT EXISTS host (id INTEGER)"))
        handle.commit()
        handle.execute(text("INSERT INTO host VALUES (1)"))
        entry = await audit.log_audit_event("member.removed", actor="user:1", target="user:2", connection=handle)
        await _finish(handle, commit=commit)
        rows = handle.execute(text("SELECT count(*) FROM host")).scalar()
    engine.dispose()

    assert entry.actor.id == "1"
    assert await recorded(audit) == (["member.removed"] if commit else [])
    assert await recorded(audit, target="user:2") == (["member.removed"] if commit else [])
    assert rows == (1 if commit else 0)


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "rollback"])
@pytest.mark.parametrize("kind", ["AsyncConnection", "AsyncSession"])
async def test_an_entry_commits_with_the_caller_s_async_transaction(
    audit: AuditLogger, url: str, kind: str, commit: bool
):
    engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:"))
    async with engine.connect() if kind == "AsyncConnection" else AsyncSession(engine) as handle:
        await handle.execute(text("CREATE TABLE IF NOT EXISTS host (id INTEGER)"))
        await handle.commit()
        await handle.execute(text("INSERT INTO host VALUES (1)"))
        await audit.log_audit_event("member.removed", actor="user:1", target="user:2", connection=handle)
        await _finish(handle, commit=commit)
    await engine.dispose()

    assert await recorded(audit) == (["member.removed"] if commit else [])


async def test_any_other_handle_is_refused(audit: AuditLogger):
    with pytest.raises(ConfigurationError, match="transaction of a str"):
        await audit.log_audit_event("a.b", actor="user:1", connection="postgresql://")


# ── Risk ─────────────────────────────────────────────────────────────────────


def rules(entry) -> set[str]:
    return {reason.rule for reason in entry.risk_reasons}


async def test_repeated_failures_raise_the_score_until_it_is_flagged_and_told(
    audit: AuditLogger, clock: FakeClock, alarms: list[FailureSignal]
):
    entries = []
    for _ in range(6):
        clock.advance(SECOND)
        entries.append(await audit.log_audit_event("auth.login", actor="user:1", outcome="failure", ip="1.1.1.1"))

    assert rules(entries[3]) == {"action", "unsuccessful"}
    assert rules(entries[4]) == {"action", "unsuccessful", "actor_failures", "ip_failures"}
    assert [entry.flagged for entry in entries] == [False] * 4 + [True] * 2
    assert entries[4].review is not None
    assert entries[4].review.state is ReviewState.OPEN
    assert [alarm.name for alarm in alarms] == ["audit.high_risk"] * 2
    assert alarms[0].context["entry"] == entries[4].id

    # and a sign-in that works after that is worse
    clock.advance(SECOND)
    broken_in = await audit.log_audit_event("auth.login", actor="user:1", ip="1.1.1.1")
    assert "success_after_failures" in rules(broken_in)
    assert broken_in.flagged

    # and whoever signs in again and again then is one thing to review
    clock.advance(SECOND)
    again = await audit.log_audit_event("auth.login", actor="user:1", ip="1.1.1.1")
    assert "success_after_failures" in rules(again)
    assert (again.flag_id, again.review) == (broken_in.id, None)


async def test_failed_sign_ins_of_either_name_are_in_the_report(audit: AuditLogger, clock: FakeClock):
    await audit.log_security_event("login.failed", actor="user:1")
    await audit.log_audit_event("auth.login", actor="user:2", outcome="failure")

    report = await audit.get_compliance(clock.now() - HOUR, clock.now() + 1)

    told = {(tally.action, tally.actor, tally.outcome) for tally in report.sign_ins}
    assert told == {("login.failed", "user:1", "failure"), ("auth.login", "user:2", "failure")}


async def test_reviews_that_wait_say_nothing_of_whether_the_trail_is_whole(audit: AuditLogger):
    """Given more reviews than the health of the trail allows; then what happens has reached the trail all the same."""
    for number in range(50):
        await audit.log_audit_event("auth.impossible_travel", actor=f"user:{number}")

    assert (await audit.get_health_status()).state is not Health.HEALTHY
    assert audit.get_recording_health().state is Health.HEALTHY


async def test_a_spray_over_accounts_is_seen_from_its_address(audit: AuditLogger):
    entries = [
        await audit.log_audit_event("auth.login", actor=f"user:{place}", outcome="failure", ip="1.1.1.1")
        for place in range(5)
    ]

    assert "spray" not in rules(entries[3])
    assert "spray" in rules(entries[4])


async def test_attempts_in_flight_at_once_see_each_other(audit: AuditLogger):
    entries = await asyncio.gather(
        *(audit.log_audit_event("auth.login", actor="user:1", outcome="failure") for _ in range(10))
    )

    assert any("actor_failures" in rules(entry) for entry in entries)


async def test_who_is_new_at_the_same_time_is_asked_about_at_once(
    audit: AuditLogger, database: Database, monkeypatch: pytest.MonkeyPatch
):
    """Given 30 accounts that nobody has seen here, when one address tries them all at once, then the store is asked
    about them once, and the pattern is seen all the same.
    """
    reads: list[object] = []
    read = database.read
    monkeypatch.setattr(database, "read", lambda work: reads.append(work) or read(work))

    entries = await asyncio.gather(
        *(
            audit.log_audit_event("auth.login", actor=f"user:{place}", outcome="failure", ip="1.1.1.1", reason="guess")
            for place in range(30)
        )
    )

    assert "spray" in rules(entries[-1])
    assert len(reads) == 1 + sum(entry.flagged for entry in entries)  # what is flagged is read back


async def test_patterns_survive_a_restart_and_reach_other_processes(logger_of, audit: AuditLogger, clock: FakeClock):
    # Given what one process has seen
    for _ in range(5):
        await audit.log_audit_event("auth.login", actor="user:1", outcome="failure", ip="1.1.1.1")
    clock.advance(MINUTE)

    # When another one sees the same actor for the first time
    entry = await logger_of().log_audit_event("auth.login", actor="user:1", ip="2.2.2.2")

    assert {"success_after_failures", "new_address"} <= rules(entry)


async def test_patterns_hold_inside_a_transaction_too(audit: AuditLogger, database: Database):
    await audit.log_audit_event("auth.login", actor="user:1", ip="1.1.1.1")

    await database.write(audit.admin_entry("role.granted", actor="user:1", target="user:2", ip="6.6.6.6"))

    (entry,) = (await audit.list_entries(AuditQuery(action="role.granted"))).items
    assert {"privileged", "new_address"} <= rules(entry)


async def test_the_threshold_is_a_setting(logger_of):
    assert (await logger_of(flag_threshold=10).log_audit_event("user.created", actor="user:1")).flagged
    assert not (await logger_of(flag_threshold=11).log_audit_event("user.created", actor="user:1")).flagged


# ── Signals ──────────────────────────────────────────────────────────────────


async def test_security_signals_become_entries(audit: AuditLogger, bus: Bus, clock: FakeClock):
    await audit.start()
    at = clock.now()
    bus.emit(
        SecuritySignal(
            at=at, tenant="acme", trace_id="4bf9", action="webhook.signature_refused", actor="stripe",
            target="webhook_event:1", reason="wrong secret", ip="203.0.113.9", context={"source": "stripe"},
        )
    )  # fmt: skip
    bus.emit(SecuritySignal(at=at, tenant="acme", action="Not A Name"))
    await audit.stop()

    (entry,) = (await audit.list_entries(AuditQuery(tenant="acme"))).items
    assert entry.kind is Kind.SECURITY
    assert (str(entry.actor), entry.time, entry.reason) == ("service:stripe", at, "wrong secret")
    assert (entry.context.ip, entry.context.trace_id) == ("203.0.113.9", "4bf9")
    assert entry.context.extra == {"source": "stripe"}
    # and what could not be recorded is not hidden
    health = await audit.get_health_status()
    assert health.figures["signals_shed"] == 1
    assert health.state is Health.DEGRADED


# ── Review ───────────────────────────────────────────────────────────────────


async def test_a_review_and_its_own_entry_are_one(audit: AuditLogger):
    flagged = await audit.log_audit_event("fraud.early_warning", actor="service:stripe")
    also = audit.admin_entry("audit.reviewed", actor="user:1", target=f"audit_log:{flagged.id}")

    reviewed = await audit.review(flagged.id, Verdict(ReviewState.BENIGN, "user:1", note="known"), also=also)

    assert (await audit.get_entry(flagged.id)).review == reviewed.review
    with pytest.raises(Conflict):
        await audit.review(flagged.id, Verdict(ReviewState.ACKNOWLEDGED, "user:1"), also=also)
    assert await recorded(audit, kind=Kind.ADMIN) == ["audit.reviewed"]


async def test_an_ordinary_entry_can_be_put_up_for_review_by_hand(audit: AuditLogger):
    entry = await audit.log_audit_event("data.read", actor="user:1")

    await audit.review(entry.id, Verdict(ReviewState.OPEN, "user:2", assignee="ann"))

    assert await recorded(audit, flagged=True, assignee="ann") == ["data.read"]


# ── Retention, export, health ────────────────────────────────────────────────


async def test_only_what_was_reviewed_or_never_flagged_is_purged(audit: AuditLogger, clock: FakeClock):
    reviewed = await audit.log_audit_event("fraud.early_warning", actor="service:stripe")
    await audit.log_audit_event("fraud.early_warning", actor="service:stripe", reason="unreviewed")
    await audit.log_audit_event("data.read", actor="user:1")
    await audit.review(reviewed.id, Verdict(ReviewState.TRUE_POSITIVE, "user:1"))
    clock.advance(91 * DAY)
    before = clock.now() - 90 * DAY

    assert await audit.count_purgeable(before) == 2
    assert await audit.purge(before, 1_000) == 2

    (left,) = (await audit.list_entries(AuditQuery())).items
    assert left.reason == "unreviewed"


async def test_an_attack_that_is_spread_over_processes_is_seen_as_one(logger_of, clock: FakeClock):
    """Given processes that have all met a user, his failures count together, and so does the success after them."""

    async def attacked(processes: int, user: str, ip: str) -> list[tuple[int, set[str]]]:
        workers = [logger_of() for _ in range(processes)]
        for worker in workers:
            await worker.log_audit_event("auth.login", actor=user, ip=ip)
        outcomes = [*["failure"] * 8, "success"]
        entries: list[AuditEntry] = []
        for number, outcome in enumerate(outcomes):
            clock.advance(2 * SECOND)
            worker = workers[number % processes]
            entries.append(await worker.log_audit_event("auth.login", actor=user, ip=ip, outcome=outcome))
        return [(entry.risk_score, {reason.rule for reason in entry.risk_reasons}) for entry in entries]

    alone, together = await attacked(1, "user:1", "203.0.113.1"), await attacked(4, "user:2", "203.0.113.2")

    assert together == alone
    assert alone[-1][0] >= 60
    assert "success_after_failures" in alone[-1][1]


async def test_mass_actions_that_are_spread_over_processes_are_one(logger_of, clock: FakeClock):
    """Given two processes that know an actor, When it takes data out through each in turn, Then all of it counts."""
    workers: list[AuditLogger] = [logger_of(), logger_of()]
    for worker in workers:
        await worker.log_audit_event("auth.login", actor="user:1", ip="203.0.113.7")

    entries: list[AuditEntry] = []
    for number in range(MASS_ACTIONS):
        clock.advance(2 * SECOND)
        exported = await workers[number % 2].log_audit_event("data.exported", actor="user:1", ip="203.0.113.7")
        entries.append(exported)

    told = [any(reason.rule == "mass_action" for reason in entry.risk_reasons) for entry in entries]
    assert told == [*[False] * (MASS_ACTIONS - 1), True]


async def test_the_time_of_a_flagged_entry_begins_with_its_verdict(audit: AuditLogger, clock: FakeClock):
    """Given a flag that nobody looked at for 91 days, when it is judged, then the evidence stays for 90 more."""
    attack = {"actor": "user:9", "outcome": "failure", "ip": "203.0.113.9"}
    entries = [await audit.log_audit_event("auth.login", **attack) for _ in range(8)]
    flagged = [entry for entry in entries if entry.flagged]
    clock.advance(91 * DAY)
    await audit.review(flagged[0].id, Verdict(ReviewState.TRUE_POSITIVE, "user:1"))

    clock.advance(HOUR)
    assert await audit.purge(clock.now() - 90 * DAY, 1_000) == len(entries) - len(flagged)
    kept = {entry.id for entry in (await audit.list_entries(AuditQuery(actor="user:9"))).items}
    assert kept == {entry.id for entry in flagged}
    assert len(kept) > 1, "what the flag tells together stays together"
    clock.advance(90 * DAY)
    assert await audit.purge(clock.now() - 90 * DAY, 1_000) == len(flagged)


async def test_an_export_yields_everything_a_query_finds(audit: AuditLogger, clock: FakeClock):
    for place in range(7):
        clock.advance(SECOND)
        await audit.log_audit_event("data.read", actor=f"user:{place % 2}")

    found = [entry async for entry in audit.export_entries(AuditQuery(actor="user:0", limit=1))]

    assert len(found) == 4


async def test_health_tells_of_reviews_that_wait(audit: AuditLogger, clock: FakeClock):
    assert (await audit.get_health_status()).state is Health.HEALTHY
    await audit.log_audit_event("fraud.early_warning", actor="service:stripe")
    clock.advance(25 * HOUR)

    health = await audit.get_health_status()

    assert health.state is Health.DEGRADED
    assert health.figures["oldest_unreviewed"] == 25
    assert health.reasons == ("The oldest flagged entry has waited for review for 25 h (degraded from 24 h)",)


# ── Analytics ────────────────────────────────────────────────────────────────


async def test_analytics_agree_with_a_count_by_hand(audit: AuditLogger, clock: FakeClock):
    since = clock.now()
    plan = [
        ("auth.login", "user:1", "failure", "1.1.1.1"),
        ("auth.login", "user:2", "failure", "1.1.1.1"),
        ("auth.login", "user:1", "success", "1.1.1.1"),
        ("data.read", "user:1", "success", "2.2.2.2"),
        ("fraud.early_warning", "service:stripe", "success", ""),
    ]
    for action, actor, outcome, ip in plan:
        clock.advance(MINUTE)
        await audit.log_audit_event(action, actor=actor, outcome=outcome, ip=ip, tenant="acme")
    await audit.log_admin_action("role.granted", actor="user:1", tenant="other")
    until = clock.now() + 1

    told = await audit.get_audit_analytics(since, until, tenant="acme")

    assert (told.total, told.failures, told.flagged) == (5, 2, 1)
    assert told.by_outcome == {"success": 3, "failure": 2}
    assert told.by_category == {"authentication": 3, "data": 1, "fraud": 1}
    assert told.by_review_state == {"open": 1}
    assert told.by_rule == {"action": 1}
    often, first = told.actions[0], told.actors[0]
    assert (often.action, often.events, often.failures) == ("auth.login", 3, 2)
    assert (first.actor, first.events, first.failures, first.addresses, first.new_addresses) == ("user:1", 3, 1, 2, 1)
    assert [(one.ip, one.failures, one.actors) for one in told.failing_addresses] == [("1.1.1.1", 2, 2)]
    assert sum(point.events for point in told.risk_trend) == 5
    assert max(point.max_risk for point in told.risk_trend) == 70
    assert told.width == MINUTE
    # and over all tenants, the admin action of the other one too
    everywhere = await audit.get_audit_analytics(since, until)
    assert everywhere.total == 6
    assert everywhere.by_kind == {"event": 5, "admin": 1}
    # and outside of the range nothing
    assert (await audit.get_audit_analytics(until, until + 1)).total == 0


async def test_a_trend_never_has_more_points_than_fit_a_screen(audit: AuditLogger):
    from custodes.planes.audit.analytics import MAX_POINTS, width_of

    for range_ in (SECOND, HOUR, DAY, 30 * DAY, 365 * DAY, 9_000 * DAY):
        assert range_ // width_of(0, range_) <= MAX_POINTS

    for since, until, top in ((5, 5, 10), (6, 5, 10), (0, 1, 0), (0, 1, 101)):
        with pytest.raises(InvalidInput):
            await audit.get_audit_analytics(since, until, top=top)
