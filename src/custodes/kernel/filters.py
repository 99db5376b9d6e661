"""Filters of a question, as the audit trail tells them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def given(filters: DataclassInstance, *apart: str) -> dict[str, str]:
    """Tell what is not left at its default, by name; but for some: how much was asked for at once is no filter."""
    values = {each.name: (getattr(filters, each.name), each.default) for each in fields(filters)}
    return {name: _told(value) for name, (value, default) in values.items() if value != default and name not in apart}


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
