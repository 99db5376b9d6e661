"""Laws of waiting and counting."""

import random
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.backoff import Backoff
from custodes.kernel.clock import DAY, HOUR, MINUTE, SECOND
from custodes.kernel.stretches import MAX_TYPES, OTHER, Level
from custodes.planes.inbound.figures import Figures, RefusalTally, Series, Tally

backoffs = st.builds(
    Backoff,
    base=st.integers(1, HOUR),
    factor=st.floats(1.0, 10.0),
    cap=st.integers(SECOND, DAY),
    jitter=st.floats(0.0, 1.0),
)


@given(backoffs, st.integers(1, 10_000), st.integers(0, 2**32 - 1))
def test_a_wait_stays_within_its_jitter_and_below_the_longest(backoff: Backoff, attempt: int, bits: int):
    plain = min(float(backoff.cap), backoff.base * backoff.factor ** min(attempt - 1, 250))
    if backoff.factor > 1.1 and attempt > 250:
        plain = float(backoff.cap)
    elif attempt > 250:
        return

    wait = backoff.delay(attempt, lambda _: bits)

    assert int(plain * (1 - backoff.jitter)) - 1 <= wait <= plain * (1 + backoff.jitter) + 1
    assert 0 <= wait <= backoff.longest


def test_jitter_survives_the_cap():
    """A thousand jobs that reached the cap together do not come back together."""
    draw = random.Random(1).getrandbits

    waits = {Backoff().delay(40, draw) for _ in range(1_000)}

    assert len(waits) > 990
    assert max(waits) - min(waits) > Backoff().cap * 0.3


moments = st.integers(0, 3 * DAY)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["received", "duplicate", "succeeded", "failed", "dead"]), moments, st.integers(0, 10**7)
    ),
    max_size=200,
)


@given(happenings, st.lists(st.integers(0, 200), max_size=5))
def test_every_level_counts_everything_once_whatever_the_clock_does(happened, flushes):
    """Given counts at any moments, also backwards, and flushes in between: all levels agree with a plain count."""
    tally = Tally()
    written: dict[tuple[int, Series], Figures] = {}
    for number, (kind, at, took) in enumerate(happened):
        match kind:
            case "received":
                tally.received("t", "stripe", "x", at)
            case "duplicate":
                tally.duplicate("t", "stripe", "x", at)
            case "succeeded":
                tally.succeeded("t", "stripe", "x", at, took)
            case "failed":
                tally.failed("t", "stripe", "x", at, took, dead=False)
            case _:
                tally.failed("t", "stripe", "x", at, took, dead=True)
        if number in flushes:
            keep(written, tally)
    keep(written, tally)

    for level, of_type in product(Level, ("x", None)):
        total = Figures()
        for (_, series), figures in written.items():
            assert series.bucket % series.level.micros == 0
            if (series.level, series.event_type) == (level, of_type):
                total.merge(figures)
        kinds = [kind for kind, _, _ in happened]
        assert total.received == kinds.count("received")
        assert total.duplicates == kinds.count("duplicate")
        assert total.succeeded == kinds.count("succeeded")
        assert total.retried == kinds.count("failed")
        assert total.dead == kinds.count("dead")
        assert total.processing.count == sum(kind in ("succeeded", "failed", "dead") for kind in kinds)


def keep(written: dict[tuple[int, Series], Figures], tally: Tally) -> None:
    """Write as the store does: the row of a series and a writer is replaced. Never by one that has less."""
    for era in tally.changed():
        for series, figures in era.rows:
            copy = Figures()
            copy.merge(figures)
            before = written.get((era.number, series))
            assert before is None or before.received <= copy.received
            written[era.number, series] = copy


@given(st.integers(1, 1_000))
def test_types_without_end_share_one_series(count: int):
    tally = Tally()
    for number in range(count):
        tally.received("t", "stripe", f"type.{number}", MINUTE)

    minutes = {series: figures for series, figures in tally.changed()[0].rows if series.level is Level.MINUTE}
    rows = [series for series in minutes if series.event_type is not None]

    assert len(rows) == min(count, MAX_TYPES + 1)
    assert [figures.received for series, figures in minutes.items() if series.event_type is None] == [count]
    assert (OTHER in {series.event_type for series in rows}) == (count > MAX_TYPES)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60 * SECOND)), max_size=100), st.integers(1, 20))
def test_refusals_are_all_counted_through_flushes(refused, every: int):
    tally = RefusalTally()
    written: dict[tuple, int] = {}

    def keep_counts() -> None:
        written.update({(era.number, *row[:4]): row.refused for era in tally.changed() for row in era.rows})

    for number, (reason, at) in enumerate(refused):
        tally.refused("t", "stripe", reason, at)
        if number % every == 0:
            keep_counts()
    keep_counts()

    for reason in "ab":
        total = sum(count for key, count in written.items() if key[4] == reason)
        assert total == sum(each == reason for each, _ in refused)
