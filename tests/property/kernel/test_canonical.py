"""Canonical JSON holds for any value."""

import json

from hypothesis import given
from hypothesis import strategies as st

from custodes.kernel.canonical import MAX_EXACT, canonical

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_EXACT, MAX_EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_it_reads_back_as_the_same_value(value: object):
    # JSON has doubles only: whole ones are written like integers
    assert json.loads(canonical(value), parse_int=float) == value


@given(values)
def test_writing_what_was_read_gives_the_same_text(value: object):
    once = canonical(value)

    assert canonical(json.loads(once, parse_int=float)) == once


@given(st.dictionaries(texts, st.integers(0, 9), max_size=8), st.randoms())
def test_the_order_of_members_does_not_matter(value: dict[str, int], random):
    shuffled = list(value.items())
    random.shuffle(shuffled)

    assert canonical(dict(shuffled)) == canonical(value)
