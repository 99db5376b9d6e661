"""Lists that callers give: a text is one, too, to Python and to its type checkers, and is hardly ever meant as one."""

from __future__ import annotations

from collections.abc import Iterable

from custodes.errors import InvalidInput


def several(what: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return texts as they are given, without repetitions.

    Args:
        what: what they are, for the message: ``channels``.
        texts: a list, or anything else that can be gone through.

    Raises:
        InvalidInput: it is one text, which would be taken for a list of its letters.
    """
    if isinstance(texts, str):
        msg = f"The {what} are one text"
        raise InvalidInput(msg, remedy="Give a list, also of one")
    return tuple(dict.fromkeys(texts))
