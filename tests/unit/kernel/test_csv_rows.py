"""Cells of tables that spreadsheets open."""

from __future__ import annotations

import csv
import io

import pytest

from custodes.kernel.csv_rows import csv_row


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("-1 euro", "'-1 euro"),
        (-1, "-1"),  # a number is no formula, and stays one
        (-0.5, "-0.5"),
        (None, ""),
        (True, "True"),
        ({"a": ["é", 1]}, '{"a":["é",1]}'),
        ({}, ""),
        ('a,"b"\nc', 'a,"b"\nc'),
    ],
)
def test_each_value_has_one_cell_that_is_no_formula(value: object, cell: str):
    assert list(csv.reader(io.StringIO(csv_row(value, "end"), newline=""))) == [[cell, "end"]]
