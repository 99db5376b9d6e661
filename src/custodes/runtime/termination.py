"""When the process is asked to stop: tell those who would never end by themselves.

Servers close their ears at SIGTERM and then wait for the answers under way, some of them for ever. Whoever gives an
answer without an end must hear of the signal itself, before the server does.
"""

from __future__ import annotations

import asyncio
import signal
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

#: What asks a server to stop.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: By event loop: who is told.
_listeners: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[weakref.WeakMethod[Callable[[], Any]]]] = (
    weakref.WeakKeyDictionary()
)


def when_terminated(then: Callable[[], None]) -> None:
    """Have a method called, in the running event loop, when SIGTERM or SIGINT arrives; idempotent.

    It stands before the server's own handler, which is called right after. Nothing when the server has none, or runs in
    another thread than the main one: then it is stopped otherwise. The method's object is not kept alive.
    """
    loop = asyncio.get_running_loop()
    listeners = _listeners.get(loop)
    if listeners is None:
        listeners = _listeners[loop] = []
        for number in _SIGNALS:
            _stand_before(number, loop)
    method = weakref.WeakMethod(then)
    if method not in listeners:
        listeners.append(method)


def _stand_before(number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
    handler = signal.getsignal(number)
    if not callable(handler) or handler is signal.default_int_handler:
        return
    there = weakref.ref(loop)

    def tell(got: int, frame: FrameType | None) -> None:
        loop = there()
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_tell_all, loop)
        handler(got, frame)

    try:
        signal.signal(number, tell)
    except ValueError:  # not the main thread
        return


def _tell_all(loop: asyncio.AbstractEventLoop) -> None:
    for method in _listeners.get(loop, ()):
        then = method()
        if then is not None:
            then()
