"""What every algorithm offers."""

from __future__ import annotations

from array import array
from typing import Any, Protocol, TypeAlias

#: What :meth:`Meter.wait` answers when no amount of waiting helps: the cost is larger than the limit.
NEVER = -1

#: State of one subject under one limit: an int or a packed array, opaque to everybody but its meter.
State: TypeAlias = Any

#: Packed 64-bit integers.
Stamps: TypeAlias = "array[int]"


class Meter(Protocol):
    """**Protocol:** one limit, as an algorithm over the state of one subject.

    :meth:`attempt` charges if the limit admits, :meth:`undo` takes that charge back (when another limit of the same
    request refused), :meth:`wait` asks without charging. Times are microseconds and costs whole units, at least 1.
    """

    @property
    def limit(self) -> int:
        """Units per window (for concurrency: held at one moment)."""
        ...

    @property
    def window(self) -> int:
        """Length of the window, microseconds."""
        ...

    @property
    def worst_case_factor(self) -> float:
        """Most units admitted in any window of that length, wherever it begins, divided by the limit."""
        ...

    @property
    def lateness(self) -> int:
        """How much later than an exact log quota may come back, microseconds."""
        ...

    @property
    def refill(self) -> int:
        """From this long after the last charge on, the state says no more than a fresh one: forgetting it is free."""
        ...

    def fresh(self) -> State:
        """Return the state of a subject never seen."""
        ...

    def wait(self, state: State, now: int, cost: int) -> int:
        """Tell how long until this cost is admitted: 0 for now, :data:`NEVER`, or exactly so many microseconds."""
        ...

    def attempt(self, state: State, now: int, cost: int) -> tuple[State, int, int] | None:
        """Charge if this cost is admitted now, that is, if :meth:`wait` is 0.

        Returns:
            The new state (the same object when it can be changed in place) and its :meth:`view`; None when refused.
        """
        ...

    def undo(self, state: State, now: int, cost: int) -> State:
        """Take back what :meth:`attempt` just charged; return a state that says the same as the one before."""
        ...

    def view(self, state: State, now: int) -> tuple[int, int]:
        """Tell (units left, microseconds until there will be more; 0 when nothing is used)."""
        ...

    def pack(self, state: State) -> bytes:
        """Write a state as bytes."""
        ...

    def unpack(self, raw: bytes) -> State:
        """Read back what :meth:`pack` wrote.

        Raises:
            ValueError: not such bytes.
        """
        ...


def unpack_stamps(raw: bytes) -> Stamps:
    """Read 64-bit integers back.

    Raises:
        ValueError: the length is not a multiple of eight.
    """
    stamps: Stamps = array("q")
    stamps.frombytes(raw)
    return stamps
