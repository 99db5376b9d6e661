"""Histograms of any values: merging is addition, bytes come back, rubbish never gives anything but our error."""

from __future__ import annotations

from math import ceil, inf

from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import MalformedPayload
from custodes.kernel.histogram import MAX_RELATIVE_ERROR, MAX_VALUE, Histogram

values = st.lists(st.integers(0, MAX_VALUE), max_size=60)


def merged(*histograms: Histogram) -> Histogram:
    result = Histogram()
    for histogram in histograms:
        result.merge(histogram)
    return result


@given(values, values)
def test_merging_is_commutative_and_the_same_as_recording_together(some: list[int], others: list[int]):
    assert merged(Histogram(some), Histogram(others)) == merged(Histogram(others), Histogram(some))
    assert merged(Histogram(some), Histogram(others)) == Histogram(some + others)


@given(values, values, values)
def test_merging_is_associative(a: list[int], b: list[int], c: list[int]):
    left = merged(merged(Histogram(a), Histogram(b)), Histogram(c))
    right = merged(Histogram(a), merged(Histogram(b), Histogram(c)))

    assert left == right


@given(st.lists(st.integers(0, MAX_VALUE), min_size=1, max_size=60), st.floats(0, 1))
def test_every_quantile_is_within_the_stated_error_of_the_exact_one(some: list[int], q: float):
    exact = sorted(some)[max(1, ceil(q * len(some))) - 1]

    assert abs(Histogram(some).quantile(q) - exact) <= MAX_RELATIVE_ERROR * exact * (1 + 1e-12)


@given(values)
def test_the_sum_of_squares_is_bounded_from_above_and_closely(some: list[int]):
    exact = sum(value**2 for value in some)

    assert exact <= Histogram(some).squares() * (1 + 1e-12)
    # A bucket of small values holds one integer; others are 4.4 % wide
    assert Histogram(some).squares() <= exact * 2 ** (2 / 16) + len(some)


def test_what_is_above_the_largest_value_has_no_bound():
    assert Histogram([MAX_VALUE + 1]).squares() == inf


@given(st.dictionaries(st.integers(0, MAX_VALUE), st.integers(1, 1 << 40), max_size=60))
def test_bytes_come_back_as_they_were(weighted: dict[int, int]):
    histogram = Histogram()
    for value, times in weighted.items():
        histogram.record(value, times)

    assert Histogram.decode(histogram.encode()).counts == histogram.counts
    assert Histogram.decode(histogram.encode()).encode() == histogram.encode()


#: Values that are close together, as times of one endpoint are: these are written densely.
close = st.lists(st.integers(900, 4_000), min_size=40, max_size=200)
scaled = st.tuples(close | values, st.sampled_from([1, 300, 70_000, 1 << 33]))


@given(st.lists(scaled, max_size=6))
def test_adding_up_many_at_once_is_adding_up_one_by_one(drawn: list[tuple[list[int], int]]):
    encodings: list[bytes] = []
    one_by_one = Histogram()
    for some, times in drawn:
        histogram = Histogram()
        for value in some:
            histogram.record(value, times)
        one_by_one.merge(histogram)
        encodings.append(histogram.encode())
    together = Histogram()

    together.merge_all(encodings)

    assert together == one_by_one
    for order in (encodings, encodings[::-1]):  # the second is remembered
        waiting = Histogram()
        waiting.wait_for(order)
        assert waiting.quantiles((0.5, 0.99)) == one_by_one.quantiles((0.5, 0.99))
        assert waiting == one_by_one
    assert all(Histogram.decode(encoded).encode() == encoded for encoded in encodings)


@given(
    st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda tail: b"\x04\x11" + tail)
    | st.binary(max_size=200).map(lambda tail: b"\x04\x02" + tail)
)
def test_rubbish_gives_a_histogram_or_the_typed_error(encoded: bytes):
    try:
        histogram = Histogram.decode(encoded)
    except MalformedPayload:
        return
    assert histogram.count >= 0
    assert all(times > 0 for times in histogram.counts.values())
