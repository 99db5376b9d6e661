"""What one actor usually does, and the lines of a compliance report, on every engine."""

from collections.abc import Callable
from dataclasses import replace

from tests.contract.audit.conftest import START

from custodes.kernel.clock import DAY, HOUR, SECOND
from custodes.planes.audit.behaviour import Tally
from custodes.planes.audit.model import AuditEntry, Context, Kind, Outcome, Reference, Review, ReviewState
from custodes.storage.sql.audit import SqlAuditStore
from custodes.storage.sql.database import Database

Make = Callable[..., AuditEntry]


async def test_the_behaviour_of_an_actor_is_that_of_its_own_entries_in_the_range(
    database: Database, store: SqlAuditStore, make: Make
):
    ann = Reference("user", "ann", "Ann")
    for seconds, fields in (
        (-DAY // SECOND, {"context": Context("192.0.2.9", "old")}),
        (1, {"context": Context("192.0.2.1", "Firefox"), "risk_score": 10}),
        (3_600, {"context": Context("192.0.2.1", "Firefox"), "outcome": Outcome.DENIED, "risk_score": 30}),
        (3_601, {"context": Context("192.0.2.2"), "impersonator": Reference("user", "bob"), "flagged": True,
                 "review": Review(ReviewState.OPEN), "action": "data.exported", "category": "data"}),
    ):  # fmt: skip
        await store.append(make(seconds, **({"actor": ann} | fields)))
    await store.append(make(2, actor=Reference("user", "bob")))
    await store.append(make(2, actor=ann, tenant="other"))

    found = await database.read(lambda tx: store.behaviour(tx, "acme", "user:ann", START, START + DAY, shift=2 * HOUR))

    assert (found.actor, found.name) == ("user:ann", "Ann")
    assert (found.first_seen_at, found.last_seen_at) == (START - DAY, START + 3_601 * SECOND)
    assert (found.events, found.failures, found.flagged, found.impersonated) == (3, 1, 1, 1)
    assert (found.mean_risk, found.max_risk) == (13.33, 30)
    hour = (START % DAY + 2 * HOUR) // HOUR % 24
    assert {place: count for place, count in enumerate(found.hours) if count} == {hour: 1, (hour + 1) % 24: 2}
    assert [(one.value, one.events, one.failures) for one in found.addresses] == [
        ("192.0.2.1", 2, 1), ("192.0.2.2", 1, 0)
    ]  # fmt: skip
    assert [one.value for one in found.devices] == ["Firefox"]
    assert [(one.action, one.events) for one in found.actions] == [("member.removed", 2), ("data.exported", 1)]


async def test_a_report_counts_admin_actions_sign_ins_and_verdicts_of_its_period(
    database: Database, store: SqlAuditStore, make: Make
):
    login = {"action": "auth.login", "category": "authentication"}
    here, there = Context("192.0.2.1"), Context("192.0.2.2")
    entries = [
        make(-5, kind=Kind.ADMIN),
        make(1, kind=Kind.ADMIN, action="role.granted", context=here),
        make(2, kind=Kind.ADMIN, action="role.granted", context=there),
        make(3, context=here, **login),
        make(4, context=here, outcome=Outcome.FAILURE, **login),
        *(make(10 + place, flagged=True, review=Review(ReviewState.OPEN)) for place in range(4)),
    ]
    for entry in entries:
        await store.append(entry)
    for entry, took in zip(entries[-4:-1], (1, 3, 9), strict=True):
        verdict = Review(ReviewState.BENIGN, by="user:9", at=entry.recorded_at + took * HOUR)
        assert await database.write(
            lambda tx, entry=entry, verdict=verdict: store.set_review(tx, entry.id, verdict, before=ReviewState.OPEN)
        )

    found = await database.read(lambda tx: store.compliance(tx, "acme", START, START + DAY))

    granted = Tally("user:1", "role.granted", "success", 2, 2, START + 2 * SECOND)
    assert found.admin_actions == (granted,)
    assert found.privileged == (granted,)
    assert found.sign_ins == (
        Tally("user:1", "auth.login", "failure", 1, 1, START + 4 * SECOND),
        Tally("user:1", "auth.login", "success", 1, 1, START + 3 * SECOND),
    )
    assert found.reviews == {"benign": 3, "open": 1}
    assert found.median_to_verdict == 3 * HOUR
    assert found.oldest_waiting_at == entries[-1].recorded_at
    assert (found.entries, found.first_sequence, found.last_sequence) == (8, 2, 9)
    nobody = await database.read(lambda tx: store.compliance(tx, "nobody", START, START + DAY))
    assert nobody == replace(
        found, admin_actions=(), privileged=(), sign_ins=(), reviews={}, median_to_verdict=None,
        oldest_waiting_at=0, entries=0, first_sequence=0, last_sequence=0,
    )  # fmt: skip
