"""The bus: how a signal finds its listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from custodes.kernel.signals import Signal
from custodes.runtime.log import get_logger

S = TypeVar("S", bound=Signal)

_log = get_logger("custodes.bus")


class Bus:
    """Hands each signal to the listeners of its type, at once and in the emitter's thread.

    A listener must return quickly (it enqueues, it does not wait) and cannot harm the emitter: what it raises is
    logged and counted in :attr:`failures`.
    """

    def __init__(self) -> None:
        self._listeners: dict[type[Signal], list[Callable[[Signal], None]]] = {}
        #: Exceptions raised by listeners since the start.
        self.failures = 0

    def subscribe(self, kind: type[S], listener: Callable[[S], None]) -> None:
        """Have a listener called for each signal of exactly this type."""
        self._listeners.setdefault(kind, []).append(listener)  # pyright: ignore[reportArgumentType]

    def unsubscribe(self, kind: type[S], listener: Callable[[S], None]) -> None:
        """Have a listener called no more; nothing happens when it never was."""
        rest = [one for one in self._listeners.get(kind, ()) if one != listener]
        if rest:
            self._listeners[kind] = rest
        else:
            self._listeners.pop(kind, None)

    def heard(self, kind: type[Signal]) -> bool:
        """Tell whether anybody listens, before a signal is made that is needed for nothing else."""
        return kind in self._listeners

    def emit(self, signal: Signal) -> None:
        """Hand a signal to its listeners."""
        for listener in self._listeners.get(type(signal), ()):
            try:
                listener(signal)
            except Exception as error:  # noqa: BLE001 - a listener never harms the emitter
                self.failures += 1
                _log.warning("listener_failed", signal=type(signal).__name__, error=repr(error))
