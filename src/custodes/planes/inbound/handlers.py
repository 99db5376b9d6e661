"""Handlers: what the host does with its webhooks, and which of them an event goes to."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from custodes.errors import ConfigurationError
from custodes.kernel.backoff import Backoff
from custodes.planes.inbound.model import WebhookEvent
from custodes.runtime.worker import HORIZON

#: A handler: async, or a plain function that is run in a thread.
HandlerFunction = Callable[[WebhookEvent], Awaitable[Any] | Any]

#: Longest that a handler may take unless told otherwise, seconds.
TIMEOUT_SECONDS = 60.0

#: Attempts at an event before it is given up, unless told otherwise: with the default backoff the last comes after
#: about 23 hours.
MAX_ATTEMPTS = 12

#: Longest name of a handler, characters (the column holds 255).
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Handler:
    """One handler."""

    #: Unique name: ``module.function`` unless given. Kept with every attempt, so a renamed handler is a new one.
    name: str
    #: What is called.
    function: HandlerFunction
    #: Source whose events it gets; ``"*"``: all.
    source: str
    #: Type of the events it gets; ``"invoice.*"``: all that begin so; ``"*"``: all.
    event_type: str
    #: Longest it may take, seconds.
    timeout_seconds: float
    #: Attempts before the event is given up.
    max_attempts: int
    #: Waits between the attempts.
    backoff: Backoff

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop."""
        call = getattr(self.function, "__call__", None)  # noqa: B004 - an instance may have an async __call__
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    def wants(self, source: str, event_type: str) -> bool:
        """Tell whether it gets such an event."""
        return wants(self.source, self.event_type, source, event_type)


class Handlers:
    """The handlers of one process, in order of registration."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._wanting = lru_cache(maxsize=1_024)(self._find)

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ConfigurationError: the name is taken or too long, or a limit or pattern cannot be.
        """
        _check(handler)
        if handler.name in self._handlers:
            msg = f"There are two webhook handlers called {handler.name!r}"
            raise ConfigurationError(msg, remedy="Give one of them another name: @custodes.webhook(…, name=…)")
        self._handlers[handler.name] = handler
        self._wanting.cache_clear()

    def wanting(self, source: str, event_type: str) -> Sequence[Handler]:
        """Return the handlers that get such an event."""
        return self._wanting(source, event_type)

    def without_source(self, sources: Collection[str]) -> Sequence[Handler]:
        """Return those whose source is not there; none in a process without sources, whose events others take in."""
        there = {"*", *sources}
        return [handler for handler in self if handler.source not in there] if sources else []

    def __len__(self) -> int:
        return len(self._handlers)

    def __iter__(self) -> Iterator[Handler]:
        return iter(tuple(self._handlers.values()))

    def _find(self, source: str, event_type: str) -> Sequence[Handler]:
        return tuple(handler for handler in self._handlers.values() if handler.wants(source, event_type))


def name_of(function: HandlerFunction) -> str:
    """Name a handler after its function."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '')}.{name}"[-_MAX_NAME:]


def wants(its_source: str, its_type: str, source: str, event_type: str) -> bool:
    """Tell whether a handler of a source and a type, or of patterns of them, gets such an event."""
    return its_source in ("*", source) and _covers(its_type, event_type)


def _covers(pattern: str, event_type: str) -> bool:
    if pattern == "*":
        return True
    return event_type.startswith(pattern[:-1]) if pattern.endswith(".*") else event_type == pattern


def check_names(source: object, event_type: object) -> None:
    """Make sure that a handler names what it is for.

    Raises:
        ConfigurationError: one of them is no text, as a function is, which a decorator without parentheses is given.
    """
    if not isinstance(source, str) or not isinstance(event_type, str):
        other = source if not isinstance(source, str) else event_type
        msg = f"A webhook handler names its source and one type of event, each a text, not a {type(other).__name__}"
        raise ConfigurationError(msg, remedy='Write @custodes.webhook("stripe", "invoice.*"), once for each type')


def _check(handler: Handler) -> None:
    faults = [
        (not 0 < len(handler.name) <= _MAX_NAME, f"its name must have 1 to {_MAX_NAME} characters"),
        (
            "*" in handler.event_type.removesuffix(".*") and handler.event_type != "*",
            "only '*' and 'prefix.*' are patterns",
        ),
        (
            inspect.isgeneratorfunction(handler.function) or inspect.isasyncgenfunction(handler.function),
            "it is a generator, of which nothing would run: it must not yield",
        ),
        (not 0 < handler.timeout_seconds <= 3_600, "timeout must be above 0 and at most 3600 seconds"),
        (not 1 <= handler.max_attempts <= 100, "max_attempts must be 1 to 100"),
        (handler.backoff.longest > HORIZON, "no wait of its backoff may be longer than a day, jitter included"),
    ]
    wrong = [why for is_wrong, why in faults if is_wrong]
    if wrong:
        msg = f"Webhook handler {handler.name[:80]!r} is not right: {'; '.join(wrong)}"
        raise ConfigurationError(msg, remedy="Correct the arguments of @custodes.webhook")
