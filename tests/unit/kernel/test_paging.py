"""Cursors lead to the next page and to nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import InvalidInput
from custodes.kernel.paging import decode_cursor, encode_cursor, page_of


@given(st.integers(0, 10**17), st.text("0123456789abcdef-", min_size=1, max_size=36))
def test_a_cursor_survives_the_round_trip(at: int, identifier: str):
    assert decode_cursor(encode_cursor(at, identifier)) == (at, identifier)


@given(st.text(max_size=300))
def test_whatever_a_caller_sends_as_cursor_only_our_own_error_comes_back(text: str):
    try:
        at, identifier = decode_cursor(text)
    except InvalidInput:
        return
    assert at >= 0
    assert isinstance(identifier, str)


def test_a_page_that_is_full_says_where_to_go_on():
    # Given five rows were found where four were asked for
    rows = [(50, "e"), (40, "d"), (30, "c"), (20, "b"), (10, "a")]

    page = page_of(rows, 4, key=lambda row: row)

    # Then four are shown and the cursor names the fourth
    assert page.items == rows[:4]
    assert page.next_cursor is not None
    assert decode_cursor(page.next_cursor) == (20, "b")


def test_the_last_page_has_no_cursor():
    assert page_of([(1, "a")], 4, key=lambda row: row).next_cursor is None


@pytest.mark.parametrize("limit", [0, -1])
def test_a_page_of_no_rows_is_refused_also_where_there_are_none(limit: int):
    with pytest.raises(InvalidInput, match="cannot have"):
        page_of([], limit, key=lambda row: row)


@pytest.mark.parametrize("cursor", ["", "!", "MTIz", "LjEyMw", "YS5i", "A" * 1000, "é"])
def test_a_forged_cursor_is_refused_with_the_way_out(cursor: str):
    with pytest.raises(InvalidInput, match="next_cursor"):
        decode_cursor(cursor)
