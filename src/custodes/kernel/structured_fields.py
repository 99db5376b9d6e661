"""Structured field values for HTTP (RFC 9651): a strict serialiser of items with parameters.

Only what our headers need; what the RFC does not allow is refused and never mended (RFC 9651 §4.1).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TypeAlias

#: A bare item: integer, string or byte sequence. (``bool`` is an ``int`` to Python and is refused.)
BareItem: TypeAlias = int | str | bytes

#: An item and its parameters, in order.
Item: TypeAlias = tuple[BareItem, Mapping[str, BareItem]]

#: Largest integer, by magnitude (RFC 9651 §3.3.1).
MAX_INTEGER = 999_999_999_999_999

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_STRING = re.compile(r"[\x20-\x7e]*")


def serialize_item(value: BareItem, parameters: Mapping[str, BareItem] | None = None) -> str:
    """Write an item with its parameters (§4.1.3).

    Raises:
        ValueError: a value or a key that no structured field can hold.
    """
    return _bare(value) + "".join(f";{_key(name)}={_bare(one)}" for name, one in (parameters or {}).items())


def _bare(value: BareItem) -> str:
    if isinstance(value, bool):
        msg = "A boolean is not written here"
        raise ValueError(msg)
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            msg = f"{value} has more than 15 digits"
            raise ValueError(msg)
        return str(value)
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode('ascii')}:"
    if _STRING.fullmatch(value) is None:
        msg = "A string holds printable ASCII only"
        raise ValueError(msg)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _key(name: str) -> str:
    if _KEY.fullmatch(name) is None:
        msg = f"{name!r} is no parameter name"
        raise ValueError(msg)
    return name
