"""Which events an endpoint gets: types with wildcards.

``order.shipped`` is that type; ``order.*`` every type below ``order``, however deep; ``*`` every type. A ``*`` between
two dots stands for exactly one word: ``order.*.failed``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from custodes.errors import InvalidInput
from custodes.kernel.several import several

#: Most types in one filter, and characters of one.
MAX_TYPES = 100
MAX_TYPE_LENGTH = 100

#: Filters that are remembered taken apart.
_MAX_REMEMBERED = 5_000

_PATTERN = re.compile(r"(?:\*|[A-Za-z0-9_-]+)(?:\.(?:\*|[A-Za-z0-9_-]+))*")


def checked(patterns: Iterable[str]) -> tuple[str, ...]:
    """Check a filter; returns it without repetitions, in the order given.

    Raises:
        InvalidInput: empty, too many, one text, or not a type.
    """
    kept = several("event types", patterns)
    if not kept or len(kept) > MAX_TYPES:
        msg = f"An endpoint needs 1 to {MAX_TYPES} event types, not {len(kept)}"
        raise InvalidInput(msg, remedy='Use ["*"] for every event')
    for pattern in kept:
        if len(pattern) > MAX_TYPE_LENGTH or not _PATTERN.fullmatch(pattern):
            msg = f"{pattern[:MAX_TYPE_LENGTH]!r} is not an event type"
            raise InvalidInput(msg, remedy="Write order.shipped, order.* or *: words of A–Z a–z 0–9 _ - joined by dots")
    return kept


def matches(patterns: tuple[str, ...], event_type: str) -> bool:
    """Tell whether one of the patterns takes an event of this type."""
    exact, wild = _taken_apart(patterns)
    if event_type in exact or not wild:
        return event_type in exact
    words = event_type.split(".")
    return any(_matches(pattern, words) for pattern in wild)


@lru_cache(maxsize=_MAX_REMEMBERED)
def _taken_apart(patterns: tuple[str, ...]) -> tuple[frozenset[str], list[list[str]]]:
    """Part the patterns into those without and those with a ``*``: each emit looks at those of all endpoints."""
    return frozenset(one for one in patterns if "*" not in one), [one.split(".") for one in patterns if "*" in one]


def _matches(pattern: list[str], words: list[str]) -> bool:
    if pattern[-1] == "*":
        if len(words) < len(pattern):
            return False
        pattern, words = pattern[:-1], words[: len(pattern) - 1]
    return len(pattern) == len(words) and all(
        wanted in ("*", word) for wanted, word in zip(pattern, words, strict=True)
    )
