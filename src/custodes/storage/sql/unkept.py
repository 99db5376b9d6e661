"""Values that no engine keeps: who hands one in hears of it in our words, on either engine, and not in a driver's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from custodes.errors import InvalidInput
from custodes.runtime.transactions import Transaction
from custodes.storage.sql.postgresql_codes import code_of

T = TypeVar("T")

#: numeric_value_out_of_range: a column may hold less than 64 bits.
_OUT_OF_RANGE = "22003"


def refusing(work: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
    """Have a work raise :class:`InvalidInput` where a text or a number in it can be neither kept nor looked for."""

    def refuse(tx: Transaction) -> T:
        try:
            return work(tx)
        except (UnicodeEncodeError, OverflowError, DBAPIError) as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise refusal from error

    return refuse


def refusal_of(error: Exception) -> InvalidInput | None:
    """Say what is wrong with a value that a driver could not hand over; None when that was not it."""
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        return InvalidInput("A text holds half of a surrogate pair", remedy="Send text that UTF-8 can be made of")
    if (isinstance(error, OverflowError) and "SQLite" in str(error)) or code_of(error) == _OUT_OF_RANGE:
        return InvalidInput("A whole number is larger than can be kept", remedy="Send one that 64 bits hold, or less")
    return None
