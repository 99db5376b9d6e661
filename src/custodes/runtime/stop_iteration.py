"""A StopIteration that leaves a thread: no future takes it, and whoever waits for one would wait for ever (PEP 479)."""

from __future__ import annotations


def no_stop_iteration(error: BaseException) -> BaseException:
    """Return what a future takes: the error, or one of another class that says what it was."""
    if not isinstance(error, StopIteration):
        return error
    told = RuntimeError("What ran in a thread ended with StopIteration")
    told.__cause__ = error
    return told
