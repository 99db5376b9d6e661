"""Canonical JSON: one value, one text (RFC 8785, JSON Canonicalization Scheme).

What is signed, hashed or compared is written this way: members sorted by UTF-16 code units, numbers as ECMAScript
writes them, no white space, no escapes but the needed ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from json.encoder import encode_basestring  # the C routine: escapes exactly what RFC 8785 §3.2.2.2 asks for
from typing import cast

from custodes.errors import InvalidInput

#: Largest integer that every JSON reader keeps exact (RFC 7493 §2.2): 2^53 - 1.
MAX_EXACT = 2**53 - 1

#: Deepest nesting that is written: what is canonicalised was bounded before.
MAX_DEPTH = 64


def canonical(value: object) -> str:
    """Write a value of ``dict``, ``list``, ``tuple``, ``str``, ``int``, ``float``, ``bool`` and ``None``.

    Raises:
        InvalidInput: another type, a number that JSON readers do not keep exact, a lone surrogate, or too deep.
    """
    parts: list[str] = []
    _write(value, parts, MAX_DEPTH)
    return "".join(parts)


def _write(value: object, parts: list[str], depth: int) -> None:
    # Exact types first: they are nearly all there is, and the check is cheap.
    kind = type(value)
    if kind is str:
        parts.append(text(cast("str", value)))
    elif kind is dict:
        _write_object(cast("dict[object, object]", value), parts, _deeper(depth))
    elif value is None:
        parts.append("null")
    elif kind is bool:
        parts.append("true" if value else "false")
    elif isinstance(value, int):
        parts.append(_integer(value))
    elif isinstance(value, float):
        parts.append(_number(value))
    elif isinstance(value, (list, tuple)):
        _write_array(cast("list[object]", value), parts, _deeper(depth))
    elif isinstance(value, str):
        parts.append(text(value))
    elif isinstance(value, Mapping):
        _write_object(cast("Mapping[object, object]", value), parts, _deeper(depth))
    else:
        msg = f"A {kind.__name__} has no canonical JSON form"
        raise InvalidInput(msg, remedy="Turn it into text or a number first")


def _write_object(value: Mapping[object, object], parts: list[str], depth: int) -> None:
    opening = "{"
    for key in _in_order(value) if len(value) > 1 else value:
        parts.append(f"{opening}{text(_name(key))}:")
        _write(value[key], parts, depth)
        opening = ","
    parts.append("}" if value else "{}")


def _write_array(value: list[object], parts: list[str], depth: int) -> None:
    opening = "["
    for item in value:
        parts.append(opening)
        _write(item, parts, depth)
        opening = ","
    parts.append("]" if value else "[]")


def _deeper(depth: int) -> int:
    if depth == 0:
        msg = f"Nested deeper than {MAX_DEPTH} levels"
        raise InvalidInput(msg, remedy="Flatten the value")
    return depth - 1


def _in_order(value: Mapping[object, object]) -> list[object]:
    names = [_name(key) for key in value]
    # The order of ASCII is the same in both, and nearly all names are ASCII.
    return cast("list[object]", sorted(names) if "".join(names).isascii() else sorted(names, key=_utf16))


def _utf16(key: object) -> bytes:
    """Sort key of a member name; the order of UTF-16 code units is not that of code points beyond U+FFFF."""
    return _name(key).encode("utf-16-be", "surrogatepass")


def _name(key: object) -> str:
    if not isinstance(key, str):
        msg = f"A member name must be text, not {type(key).__name__}"
        raise InvalidInput(msg, remedy="Write it as text")
    return key


def text(value: str) -> str:
    """Write a text; of a structure that is known, the canonical form is put together from these.

    Raises:
        InvalidInput: a lone surrogate.
    """
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            msg = "Text holds half of a surrogate pair"
            raise InvalidInput(msg, remedy="Decode it properly, or replace what cannot be decoded") from None
    return encode_basestring(value)


def _integer(value: int) -> str:
    if not -MAX_EXACT <= value <= MAX_EXACT:
        msg = "An integer beyond ±(2^53 - 1) is not exact in JSON"
        raise InvalidInput(msg, remedy="Write it as text")
    return int.__repr__(value)


def _number(value: float) -> str:
    """Write a double as ECMAScript's ``Number::toString`` does (ECMA-262 §6.1.6.1.20)."""
    if not math.isfinite(value):
        msg = f"{value} has no JSON form"
        raise InvalidInput(msg, remedy="Use null or text")
    if value == 0:
        return "0"  # also for -0
    sign = "-" if value < 0 else ""
    # Python's repr is the shortest decimal that reads back as the same double: the digits ECMAScript wants.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    return sign + _layout(digits.strip("0"), point)


def _layout(digits: str, point: int) -> str:
    """Place the decimal point: ``point`` is its position relative to the first digit."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
