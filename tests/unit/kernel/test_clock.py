"""Moments are integers and survive the way to text and back."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.clock import from_datetime, from_iso, to_iso


@given(st.integers(0, 4_102_444_800_000_000))
def test_a_moment_survives_being_written_and_read(moment: int):
    assert from_iso(to_iso(moment)) == moment


def test_an_offset_is_honoured():
    assert from_iso("2026-11-23T06:00:00+01:00") == from_iso("2026-11-23T05:00:00Z")


def test_a_moment_without_an_offset_is_refused_because_it_names_no_moment():
    with pytest.raises(ValueError, match="no time zone"):
        from_datetime(datetime(2026, 11, 23))
