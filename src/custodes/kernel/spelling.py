"""Names that are written by hand: which is meant, and which may have been meant by one that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from custodes.errors import InvalidInput

Choice = TypeVar("Choice", bound=StrEnum)


def nearest(name: str, known: Iterable[str]) -> str:
    """Ask for the known name that is nearest, to be put behind a sentence; empty when none is near."""
    by_folded = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), by_folded, n=1)
    return f" (did you mean {by_folded[found[0]]}?)" if found else ""


def one_of(choices: type[Choice], value: Choice | str, what: str) -> Choice:
    """Read a choice that may be written as text.

    Args:
        choices: what there is.
        value: one of them, or its text.
        what: what it is called, for the error.

    Raises:
        InvalidInput: it is none of them.
    """
    try:
        return choices(value)
    except ValueError:
        text = str(value)[:64]
        msg = f"{text!r} is no {what}{nearest(text, choices)}"
        raise InvalidInput(msg, remedy=f"Give one of {', '.join(choices)}") from None
