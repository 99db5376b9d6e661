"""Filters of a question, as the audit trail tells them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from custodes.kernel.clock import to_iso

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: Filters that hold a moment, microseconds.
_MOMENTS = frozenset({"since", "until"})


def given(filters: DataclassInstance, *apart: str) -> dict[str, str]:
    """Tell what is not left at its default, by name; but for some: how much was asked for at once is no filter."""
    values = {each.name: (getattr(filters, each.name), each.default) for each in fields(filters)}
    return {
        name: _told(name, value) for name, (value, default) in values.items() if value != default and name not in apart
    }


def _told(name: str, value: object) -> str:
    if name in _MOMENTS and isinstance(value, int):
        return to_iso(value)
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
