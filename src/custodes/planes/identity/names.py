"""Names that people give to what they keep."""

from __future__ import annotations

from custodes.errors import InvalidInput


def check_name(name: str, longest: int) -> None:
    """Make sure that a name can be shown.

    Args:
        name: the name.
        longest: characters that it may have.

    Raises:
        InvalidInput: it cannot.
    """
    if not name.strip() or len(name) > longest or not name.isprintable():
        msg = f"name is empty, longer than {longest} characters or holds characters that cannot be shown"
        raise InvalidInput(msg)
