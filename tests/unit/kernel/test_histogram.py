"""The histogram: what its buckets hold, what it says of ranks, what its bytes may be."""

from __future__ import annotations

import random
from math import ceil

import pytest

from custodes.errors import MalformedPayload
from custodes.kernel.histogram import (
    BOUNDS,
    MAX_ENCODED,
    MAX_RELATIVE_ERROR,
    MAX_VALUE,
    OVERFLOW,
    Histogram,
    bucket_of,
    midpoint,
)


def test_the_stated_error_is_that_of_scale_four():
    assert round(MAX_RELATIVE_ERROR, 4) == 0.0217


def test_buckets_end_at_powers_of_the_sixteenth_root_of_two():
    """Upper bounds are inclusive, as OpenTelemetry's: 2 ends bucket 17, 3 begins a later one, 2^20 ends its own."""
    assert bucket_of(0) == 0
    assert bucket_of(1) == 1
    assert bucket_of(2) == 17
    assert bucket_of(1 << 20) == 1 + 16 * 20
    assert bucket_of((1 << 20) + 1) == 2 + 16 * 20


def test_every_bound_is_the_exact_floor_of_its_power():
    for index, bound in enumerate(BOUNDS[1:]):
        assert bound**16 <= 1 << index < (bound + 1) ** 16


def test_values_outside_count_at_the_edges():
    histogram = Histogram([-5, MAX_VALUE + 1])

    assert dict(histogram.counts) == {0: 1, OVERFLOW: 1}
    assert histogram.quantiles((0.5, 1.0)) == [0.0, float(MAX_VALUE)]


def test_no_integer_is_further_from_its_midpoint_than_the_stated_error():
    generator = random.Random(5)
    for value in [*range(1, 5_000), *(generator.randint(1, MAX_VALUE) for _ in range(5_000)), *BOUNDS[1:]]:
        assert abs(midpoint(bucket_of(value)) - value) <= MAX_RELATIVE_ERROR * value


@pytest.mark.parametrize("shape", ["uniform", "lognormal", "two humps"])
def test_quantiles_agree_with_an_exact_sort(shape: str):
    generator = random.Random(shape)
    draw = {
        "uniform": lambda: generator.randint(0, 1_000_000),
        "lognormal": lambda: int(generator.lognormvariate(9, 1.5)),
        "two humps": lambda: int(generator.gauss(*generator.choice([(2_000, 200), (900_000, 90_000)]))),
    }[shape]
    values = sorted(max(0, draw()) for _ in range(20_000))
    histogram = Histogram(values)
    qs = (0.0, 0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)

    for q, estimate in zip(qs, histogram.quantiles(qs), strict=True):
        exact = values[max(1, ceil(q * len(values))) - 1]
        assert abs(estimate - exact) <= MAX_RELATIVE_ERROR * exact


def test_forty_workers_say_the_same_as_one():
    """Given the same values on one worker and spread over forty, when merged in any order, then nothing differs."""
    generator = random.Random(40)
    values = [int(generator.lognormvariate(8, 2)) for _ in range(8_000)]
    one = Histogram(values)
    forty = [Histogram(values[worker::40]) for worker in range(40)]
    generator.shuffle(forty)
    merged = Histogram()
    for worker in forty:
        merged.merge_encoded(worker.encode())

    assert merged.encode() == one.encode()
    assert merged.quantiles((0.5, 0.99, 0.999)) == one.quantiles((0.5, 0.99, 0.999))


def test_an_empty_histogram_has_no_bytes_and_says_zero():
    assert Histogram().encode() == b""
    assert Histogram.decode(b"") == Histogram()
    assert Histogram().quantiles((0.5, 0.9)) == [0.0, 0.0]


@pytest.mark.parametrize("qs", [(0.9, 0.5), (-0.1,), (1.1,)])
def test_quantiles_that_make_no_sense_are_refused(qs: tuple[float, ...]):
    with pytest.raises(ValueError, match="rise"):
        Histogram([1]).quantiles(qs)


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x05\x11\x01\x01",  # another scale
        b"\x04",  # nothing but the scale
        b"\x04\x11",  # no bucket
        b"\x04\x13\x01\x01\x01\x01",  # a width that there is not
        b"\x04\x11\x01",  # a bucket without a count
        b"\x04\x11\x01\x00",  # a count of zero
        b"\x04\x11\x01\x00\x01\x01",  # the same bucket twice
        b"\x04\x21\x83\x02\x01",  # one bucket too far (643)
        b"\x04\x01\x05\x00",  # dense, without a count
        b"\x04\x08\x05\x00" + b"\x01" * 8,  # dense, with counts wider than it may have
        b"\x04\x03\x05\x00" + b"\x01" * 3,  # dense, of a width that there is not
        b"\x04\x02\x05\x00\x01",  # dense, ends in the middle of a count
        b"\x04\x01\x82\x02\x01\x01",  # dense, one bucket too far (643)
        b"\x04\x18\x01" + b"\xff" * 8,  # a count of more than 63 bits
        b"\x04\x11" + b"\x01" * MAX_ENCODED,  # too long
    ],
)
def test_malformed_bytes_give_the_typed_error_and_change_nothing(encoded: bytes):
    histogram = Histogram([7])
    with pytest.raises(MalformedPayload):
        histogram.merge_encoded(encoded)
    with pytest.raises(MalformedPayload):
        histogram.merge_all([Histogram([8]).encode(), encoded])

    assert histogram == Histogram([7])


def test_what_waits_is_read_when_somebody_asks_and_what_is_malformed_is_said_then():
    """Given encodings of a store, one of them no encoding, Then the error comes with the question, each time."""
    histogram = Histogram()
    histogram.wait_for([Histogram([8]).encode(), b"", b"\x04\x11"])

    for _ in range(2):
        with pytest.raises(MalformedPayload):
            histogram.quantile(0.5)
    with pytest.raises(MalformedPayload):
        _ = histogram.count
