"""Structured fields are written as RFC 9651 says, or not at all."""

from __future__ import annotations

import pytest

from custodes.kernel.structured_fields import serialize_item


def test_writes_an_item_with_its_parameters_in_order():
    parameters = {"q": 1000, "qu": "content-bytes", "pk": b"sdfjLJUOUH"}

    assert serialize_item("daily", parameters) == '"daily";q=1000;qu="content-bytes";pk=:c2RmakxKVU9VSA==:'


def test_escapes_quotes_and_backslashes():
    assert serialize_item('a"b\\c') == '"a\\"b\\\\c"'


@pytest.mark.parametrize("value", [10**15, -(10**15), "naïve", "tab\t", "\x7f", True])
def test_refuses_what_no_field_can_hold(value: int | str):
    with pytest.raises(ValueError, match=r"digits|ASCII|boolean"):
        serialize_item(value)


@pytest.mark.parametrize("name", ["", "Q", "1q", "q w", "q="])
def test_refuses_what_is_no_parameter_name(name: str):
    with pytest.raises(ValueError, match="parameter"):
        serialize_item("x", {name: 1})
