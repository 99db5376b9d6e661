"""Naming the endpoint of a refused request before any route is known, with few names."""

from __future__ import annotations

import re
from functools import lru_cache

from custodes.kernel.redact import visible

#: Longest name, characters, and most parts that are looked at.
MAX_LENGTH = 120
_MAX_PARTS = 8

# What stands for one thing among many: a number, a UUID, a long hexadecimal or mixed token.
_VARIABLE = re.compile(r"\d+|[0-9a-fA-F-]{16,}|(?=\S*\d)\S{20,}")


def endpoint_of(path: str) -> str:
    """Name a path with its variable parts as ``{}``: ``/orders/123`` is ``/orders/{}``.

    What cannot be printed, and no store may take, is written as Python writes it.
    """
    return _named(path[:MAX_LENGTH])  # what is remembered is no longer than that


@lru_cache(maxsize=4_096)
def _named(path: str) -> str:
    parts = visible(path).split("/")[: _MAX_PARTS + 1]
    return "/".join("{}" if _VARIABLE.fullmatch(part) else part for part in parts) or "/"
