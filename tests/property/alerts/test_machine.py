"""The life of an incident holds its promises for any sequence of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.clock import HOUR, SECOND
from custodes.planes.alerts.machine import Step, look
from custodes.planes.alerts.model import Comparator, Incident, News, Rule, Severity, State

TURN = 10 * SECOND

rules = st.builds(
    lambda up, hold, clear_hold, band, remind: Rule(
        id="r",
        name="r",
        metric="m",
        aggregation="max",
        comparator=Comparator.AT_LEAST if up else Comparator.AT_MOST,
        threshold=50,
        clear=50 - band if up else 50 + band,
        critical=80 if up else 20,
        hold=hold * TURN,
        clear_hold=clear_hold * TURN,
        remind=remind * TURN,
    ),
    st.booleans(),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(0, 20),
    st.integers(0, 30),
)
values = st.lists(st.one_of(st.none(), st.integers(0, 100).map(float)), min_size=1, max_size=80)


def pending(now: int = 0) -> Incident:
    return Incident(
        id="i",
        tenant="t",
        fingerprint="f",
        rule_id="r",
        name="r",
        labels=(),
        severity=Severity.WARNING,
        state=State.PENDING,
        summary="",
        value=None,
        started_at=now,
        last_seen_at=now,
    )


def live(rule: Rule, values: Sequence[float | None]) -> list[tuple[int, float | None, Incident | None, Step]]:
    """Play the evaluator: one look every ten seconds; a new incident begins when a value breaks."""
    story: list[tuple[int, float | None, Incident | None, Step]] = []
    incident: Incident | None = None
    for turn, value in enumerate(values):
        now = turn * TURN
        before = incident
        if incident is None and (value is None or not rule.breaks(value)):
            continue
        step = look(rule, incident or pending(now), value, now)
        incident = step.incident if step.incident is not None and step.incident.open else None
        if incident is not None and step.news is not None:
            incident = replace(incident, notified_at=now)
        story.append((now, value, before, step))
    return story


@given(rules, values)
def test_nothing_fires_before_it_was_broken_for_the_whole_hold(rule: Rule, values: Sequence[float | None]):
    for now, _, _, step in live(rule, values):
        if step.news is News.FIRING:
            assert step.incident is not None
            begin = step.incident.started_at
            assert now - begin >= rule.hold
            during = values[begin // TURN : now // TURN + 1]
            assert all(value is not None and rule.breaks(value) for value in during)


@given(rules, values)
def test_nothing_resolves_before_it_was_clear_for_the_whole_wait(rule: Rule, values: Sequence[float | None]):
    for now, _, _, step in live(rule, values):
        if step.news is News.RESOLVED:
            during = values[(now - rule.clear_hold) // TURN : now // TURN + 1]
            assert all(value is None or rule.clears(value) for value in during)


@given(rules, values)
def test_inside_the_band_nothing_changes(rule: Rule, values: Sequence[float | None]):
    """Given a firing incident, when the value is neither broken nor clear, then it goes on firing: no flapping."""
    for _, value, before, step in live(rule, values):
        in_band = value is not None and not rule.breaks(value) and not rule.clears(value)
        if in_band and before is not None and before.state is State.FIRING:
            assert step.incident is not None
            assert step.incident.state is State.FIRING
            assert step.news in (None, News.REMINDER)


@given(rules, values)
def test_firing_and_resolved_take_turns(rule: Rule, values: Sequence[float | None]):
    news = [step.news for *_, step in live(rule, values) if step.news in (News.FIRING, News.RESOLVED)]

    assert news == [News.FIRING if place % 2 == 0 else News.RESOLVED for place in range(len(news))]


@given(rules, values)
def test_an_incident_escalates_once_and_never_sinks(rule: Rule, values: Sequence[float | None]):
    escalated = 0
    for *_, before, step in live(rule, values):
        if step.news is News.FIRING:
            escalated = 0
        escalated += step.news is News.ESCALATED
        assert escalated <= 1
        if before is not None and before.severity is Severity.CRITICAL and step.incident is not None:
            assert step.incident.severity is Severity.CRITICAL


@given(rules, values, st.booleans())
def test_reminders_keep_their_distance_and_end_with_the_acknowledgement(
    rule: Rule, values: Sequence[float | None], acknowledged: bool
):
    told = -HOUR
    for now, _, _, step in live(rule, values):
        if step.news is News.REMINDER:
            assert rule.remind
            assert now - told >= rule.remind
        if step.news is not None:
            told = now
    seen = replace(
        pending(), state=State.FIRING, fired_at=0, notified_at=0, acknowledged_by="ada" if acknowledged else ""
    )
    step = look(rule, seen, 50.0, HOUR)
    assert (step.news is News.REMINDER) == (bool(rule.remind) and not acknowledged)
