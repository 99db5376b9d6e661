"""Which events an endpoint gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import InvalidInput
from custodes.planes.outbound.filters import MAX_TYPES, checked, matches


@pytest.mark.parametrize(
    ("pattern", "takes", "leaves"),
    [
        ("order.shipped", ["order.shipped"], ["order", "order.shipped.late", "order.paid", "ORDER.shipped"]),
        ("order.*", ["order.shipped", "order.item.added"], ["order", "orders.shipped", "invoice.paid"]),
        ("*", ["order", "order.shipped", "a.b.c"], []),
        ("order.*.failed", ["order.payment.failed"], ["order.failed", "order.a.b.failed", "order.payment.ok"]),
        ("*.failed", ["order.failed"], ["order.payment.failed", "failed"]),
    ],
)
def test_wildcards_mean_what_the_page_says(pattern: str, takes: list[str], leaves: list[str]):
    assert all(matches((pattern,), event) for event in takes)
    assert not any(matches((pattern,), event) for event in leaves)


def test_one_matching_pattern_is_enough_and_none_takes_nothing():
    assert matches(("a.b", "c.*"), "c.d")
    assert not matches((), "a.b")


def test_a_filter_is_kept_in_order_without_repetitions():
    assert checked(["b.*", "a.b", "b.*"]) == ("b.*", "a.b")


@pytest.mark.parametrize(
    "patterns",
    [
        [],
        [""],
        ["a..b"],
        [".a"],
        ["a."],
        ["a.b*"],
        ["a b"],
        ["ä"],
        ["**"],
        ["a" * 101],
        [f"a{n}" for n in range(MAX_TYPES + 1)],
    ],
)
def test_what_is_no_filter_is_refused(patterns: list[str]):
    with pytest.raises(InvalidInput):
        checked(patterns)


@given(st.text(max_size=40), st.text(max_size=40))
def test_matching_never_raises(pattern: str, event: str):
    matches((pattern,), event)
