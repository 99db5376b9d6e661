"""Rows as PostgreSQL's COPY reads them, written in one piece."""

from __future__ import annotations

from typing import Any

import pytest

from custodes.storage.sql.bulk import copy_text


def test_plain_rows_are_written_with_nulls_and_truth_values():
    assert copy_text([("a", 1, None, True), ("", -2, "ü", False)]) == "a\t1\t\\N\tTrue\n\t-2\tü\tFalse\n"


@pytest.mark.parametrize("value", ["a\tb", "a\nb", "a\\b", "\\N", "\\.", "a\rb", 1.5, b"bytes"])
def test_what_has_to_be_escaped_is_left_to_the_driver(value: Any):
    """Given one such value among plain ones and nulls, then none of these rows is written here."""
    assert copy_text([("a", None), (value, "b")]) is None
