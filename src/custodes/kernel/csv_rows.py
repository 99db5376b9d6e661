"""Rows of CSV (RFC 4180) that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import json

#: First characters that make a spreadsheet take a cell for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_row(*cells: object) -> str:
    """Write one line."""
    text = io.StringIO()
    csv.writer(text).writerow([csv_cell(cell) for cell in cells])
    return text.getvalue()


def csv_cell(value: object) -> str:
    """Write one cell: None and what has no parts are empty, what has parts is JSON, and a number is itself."""
    match value:
        case None:
            return ""
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if value else ""
        case int() | float():
            return str(value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA) else text
