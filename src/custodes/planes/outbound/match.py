"""Which payloads an endpoint gets: a small match language over JSON.

A pattern is a JSON object. Each of its names must match what the payload has at that place; a nested object goes
deeper, and a name with dots is a path::

    {"data.country": {"$in": ["DE", "AT"]}, "data.total": {"$gte": 100}}
    {"$or": [{"data.vip": true}, {"data.tags": {"$has": "gold"}}]}

========== ============================================================================================
a value    the payload has exactly this value (``1`` and ``true`` are different values)
``$eq``    the same, written out; ``$ne``: it has another value, or none
``$gt``    greater; also ``$gte``, ``$lt``, ``$lte``: two numbers, or two texts in the order of code points
``$in``    one of these values; ``$nin``: none of them
``$exists`` ``true``: there is a value, ``null`` included; ``false``: there is none
``$starts`` the text starts with this; ``$ends``: ends with it
``$has``   the list has this value, or the text contains this text
``$not``   what stands in it does not match
``$and``   all of these match; ``$or``: at least one does
========== ============================================================================================

Nothing raises at matching: values of different kinds are not equal and have no order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from custodes.errors import InvalidInput, MalformedPayload
from custodes.kernel.json_bounds import plain_json

#: Largest pattern: bytes of JSON, levels, conditions. A pattern is run for every event of its tenant.
MAX_BYTES = 4_096
MAX_DEPTH = 8
MAX_CONDITIONS = 100

_MISSING = object()


def checked_pattern(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """Check a pattern; returns it as plain JSON values.

    Raises:
        InvalidInput: an operator is unknown or takes another kind of value, or the pattern is too large.
    """
    try:
        plain: dict[str, Any] = plain_json(dict(pattern))
    except MalformedPayload:
        raise _wrong("is not JSON") from None
    size = len(json.dumps(plain))
    if size > MAX_BYTES:
        raise _wrong(f"has {size} bytes, more than {MAX_BYTES}")
    _check(plain, 1, [0])
    return plain


def matches_payload(pattern: Mapping[str, Any], payload: Any) -> bool:
    """Tell whether a payload matches a checked pattern; an empty one matches everything."""
    return all(_matches(name, wanted, payload) for name, wanted in pattern.items())


def _matches(name: str, wanted: Any, payload: Any) -> bool:
    if name == "$and":
        return all(matches_payload(one, payload) for one in wanted)
    if name == "$or":
        return any(matches_payload(one, payload) for one in wanted)
    if name == "$not":
        return not matches_payload(wanted, payload)
    return _holds(wanted, _at(payload, name))


def _holds(wanted: Any, value: Any) -> bool:
    if not isinstance(wanted, dict):
        return _same(wanted, value)
    for name, operand in cast("dict[str, Any]", wanted).items():
        test = _OPERATORS.get(name)
        if name == "$not":
            if _holds(operand, value):
                return False
        elif not (test(operand, value) if test else _holds(operand, _at(value, name))):
            return False
    return True


def _at(payload: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(payload, dict) or name not in payload:
            return _MISSING
        payload = cast("dict[str, Any]", payload)[name]
    return payload


def _same(wanted: Any, value: Any) -> bool:
    """Compare as JSON does, at every level: ``1`` is ``1.0``, and neither is ``true``."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, list) and isinstance(value, list):
        ours, theirs = cast("list[Any]", wanted), cast("list[Any]", value)
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(wanted, dict) and isinstance(value, dict):
        fields, others = cast("dict[str, Any]", wanted), cast("dict[str, Any]", value)
        return fields.keys() == others.keys() and all(_same(fields[name], others[name]) for name in fields)
    return value is not _MISSING and bool(wanted == value)


def _ordered(wanted: Any, value: Any, test: Callable[[Any, Any], bool]) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (wanted, value))
    texts = isinstance(wanted, str) and isinstance(value, str)
    return (numbers or texts) and test(value, wanted)


def _has(wanted: Any, value: Any) -> bool:
    if isinstance(value, list):
        return any(_same(wanted, one) for one in cast("list[Any]", value))
    return isinstance(value, str) and isinstance(wanted, str) and wanted in value


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _same,
    "$ne": lambda wanted, value: not _same(wanted, value),
    "$gt": lambda wanted, value: _ordered(wanted, value, lambda a, b: a > b),
    "$gte": lambda wanted, value: _ordered(wanted, value, lambda a, b: a >= b),
    "$lt": lambda wanted, value: _ordered(wanted, value, lambda a, b: a < b),
    "$lte": lambda wanted, value: _ordered(wanted, value, lambda a, b: a <= b),
    "$in": lambda wanted, value: any(_same(one, value) for one in wanted),
    "$nin": lambda wanted, value: not any(_same(one, value) for one in wanted),
    "$exists": lambda wanted, value: (value is not _MISSING) is wanted,
    "$starts": lambda wanted, value: isinstance(value, str) and value.startswith(wanted),
    "$ends": lambda wanted, value: isinstance(value, str) and value.endswith(wanted),
    "$has": _has,
}

#: What kind of value an operator takes, where it is not any.
_OPERANDS: dict[str, tuple[type, ...]] = {
    "$gt": (int, float, str),
    "$gte": (int, float, str),
    "$lt": (int, float, str),
    "$lte": (int, float, str),
    "$in": (list,),
    "$nin": (list,),
    "$exists": (bool,),
    "$starts": (str,),
    "$ends": (str,),
    "$not": (dict,),
    "$and": (list,),
    "$or": (list,),
}


def _check(pattern: Any, depth: int, count: list[int]) -> None:
    if not isinstance(pattern, dict):
        raise _wrong("has a condition that is no object where one belongs")
    if depth > MAX_DEPTH:
        raise _wrong(f"is nested deeper than {MAX_DEPTH} levels")
    for name, wanted in cast("dict[str, Any]", pattern).items():
        count[0] += 1
        if count[0] > MAX_CONDITIONS:
            raise _wrong(f"has more than {MAX_CONDITIONS} conditions")
        if name.startswith("$") and name not in _OPERATORS and name not in ("$and", "$or", "$not"):
            raise _wrong(f"has an unknown operator {name[:20]!r}")
        if name.startswith("$") and name in _OPERATORS and depth == 1:
            raise _wrong(f"has {name} where a name of the payload belongs")
        if name in _OPERANDS and (
            not isinstance(wanted, _OPERANDS[name]) or (isinstance(wanted, bool) and bool not in _OPERANDS[name])
        ):
            raise _wrong(f"gives {name} another kind of value than it takes")
        if name in ("$and", "$or"):
            for one in cast("list[Any]", wanted):
                _check(one, depth, count)
        elif name == "$not":
            _check(wanted, depth if depth == 1 else depth + 1, count)
        elif isinstance(wanted, dict):
            _check(cast("Any", wanted), depth + 1, count)


def _wrong(why: str) -> InvalidInput:
    msg = f"The payload filter {why}"
    return InvalidInput(msg, remedy='See docs/planes/outbound.md: {"data.country": {"$in": ["DE"]}}')
