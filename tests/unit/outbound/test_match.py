"""The match language of payload filters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import InvalidInput
from custodes.planes.outbound.match import checked_pattern, matches_payload

ORDER = {
    "data": {"total": 150, "country": "DE", "vip": True, "tags": ["gold", 1], "note": None, "name": "Ada Lovelace"}
}


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({}, True),
        ({"data.country": "DE"}, True),
        ({"data.country": "AT"}, False),
        ({"data": {"country": "DE", "total": {"$gte": 150}}}, True),
        ({"data.total": {"$gt": 100, "$lt": 150}}, False),
        ({"data.total": {"$gt": 100, "$lte": 150.0}}, True),
        ({"data.total": 150.0}, True),
        ({"data.total": {"$gt": "100"}}, False),
        ({"data.country": {"$in": ["AT", "DE"]}}, True),
        ({"data.country": {"$nin": ["AT", "DE"]}}, False),
        ({"data.vip": True}, True),
        ({"data.vip": 1}, False),
        ({"data.tags": {"$has": "gold"}}, True),
        ({"data.tags": {"$has": True}}, False),
        ({"data.tags": ["gold", 1.0]}, True),
        ({"data.tags": {"$eq": ["gold", True]}}, False),
        ({"data.tags": {"$in": [["gold"], {"gold": 1}]}}, False),
        ({"data.name": {"$has": "Love"}}, True),
        ({"data.name": {"$starts": "Ada", "$ends": "lace"}}, True),
        ({"data.note": None}, True),
        ({"data.note": {"$exists": True}}, True),
        ({"data.gone": {"$exists": False}}, True),
        ({"data.gone": None}, False),
        ({"data.gone": {"$ne": 1}}, True),
        ({"data.gone.deeper": 1}, False),
        ({"data.total": {"$not": {"$gt": 200}}}, True),
        ({"$not": {"data.country": "DE"}}, False),
        ({"$or": [{"data.country": "AT"}, {"data.vip": True}]}, True),
        ({"$and": [{"data.country": "DE"}, {"data.vip": False}]}, False),
    ],
    ids=str,
)
def test_what_matches(pattern: dict[str, Any], matches: bool) -> None:
    assert matches_payload(checked_pattern(pattern), ORDER) is matches


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": {"$where": "1"}}, {"$eq": 1}, {"a": {"$in": "x"}}, {"a": {"$exists": 1}}, {"a": {"$gt": True}},
        {"$or": {"a": 1}}, {"$or": [1]}, {"$not": [1]}, {"a": {"$not": 1}}, {"a": {"$starts": 1}}, {"a": {1, 2}},
        {"a": float("nan")}, {"a": "\ud800"}, {"\udfff": 1}, {"a": "x" * 5_000}, {str(n): n for n in range(101)},
        {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}},
    ],
    ids=lambda pattern: str(pattern)[:40],
)  # fmt: skip
def test_what_is_no_pattern(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        checked_pattern(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
PATTERNS = st.dictionaries(st.sampled_from(["a", "a.b", "$and", "$or", "$not", "b"]), JSON, max_size=3)


@given(PATTERNS, JSON)
def test_whatever_is_accepted_never_raises(pattern: dict[str, Any], payload: Any) -> None:
    try:
        checked = checked_pattern(pattern)
    except InvalidInput:
        return
    assert matches_payload(checked, payload) in (True, False)
