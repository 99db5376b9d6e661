"""Ids are UUIDv7: they sort by the time they were made."""

import random
import uuid

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.ids import uuid7, uuid7_time

MOMENTS = st.integers(0, 2**48 * 1_000 - 1)


def test_an_id_is_a_valid_uuid_of_version_7():
    identifier = uuid7(1_790_000_000_123_456, random.Random(1).getrandbits)

    parsed = uuid.UUID(identifier)

    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert str(parsed) == identifier


@given(MOMENTS, MOMENTS)
def test_ids_sort_as_their_moments(first: int, second: int):
    bits = random.Random(7).getrandbits

    one, other = uuid7(first, bits), uuid7(second, bits)

    if first != second:
        assert (one < other) == (first < second)


@given(MOMENTS)
def test_the_moment_can_be_read_back_to_the_millisecond(moment: int):
    assert uuid7_time(uuid7(moment, random.Random(3).getrandbits)) == moment // 1_000 * 1_000
