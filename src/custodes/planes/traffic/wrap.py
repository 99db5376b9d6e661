"""Wraps a callable so that each call is measured: functions, coroutines, generators of both kinds.

What the callable returns, yields, receives and raises passes through untouched; its signature stays, so that frameworks
that read it (FastAPI's dependencies) see what they saw before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol


class Meter(Protocol):
    """**Protocol:** measures one call from its making to :meth:`stop`."""

    def first(self) -> None:
        """Note that the first item was yielded; later ones change nothing."""
        ...

    def stop(self, error: BaseException | None) -> None:
        """Note the end; an ended one ignores it."""
        ...


#: Begins to measure a call.
StartMeter = Callable[[], Meter]


def is_measurable(target: object) -> bool:
    """Tell whether something can be wrapped: what can be called, and a class method that is not in its class yet."""
    return callable(target) or isinstance(target, classmethod)


def behind(target: Any) -> Any:
    """Return what a ``functools.partial`` calls in the end; anything else as it is."""
    while isinstance(target, functools.partial):
        target = target.func  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return target  # pyright: ignore[reportUnknownVariableType]


def wrap(target: Any, start: StartMeter) -> Any:
    """Wrap a callable according to what it is."""
    if isinstance(target, (staticmethod, classmethod)):  # decorated before: it stays what it is, around ours
        return type(target)(wrap(target.__func__, start))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType, reportUnknownMemberType]
    call = behind(target)
    call = call if inspect.isroutine(call) else getattr(type(call), "__call__", call)  # noqa: B004
    if inspect.isasyncgenfunction(call):
        return _async_generator(target, start)
    if inspect.isgeneratorfunction(call):
        return _generator(target, start)
    if inspect.iscoroutinefunction(call):
        return _coroutine(target, start)
    return _function(target, start)


def _function(target: Callable[..., Any], start: StartMeter) -> Callable[..., Any]:
    @functools.wraps(target)
    def measured(*args: Any, **kwargs: Any) -> Any:
        meter = start()
        try:
            result = target(*args, **kwargs)
        except BaseException as error:
            meter.stop(error)
            raise
        meter.stop(None)
        return result

    return measured


def _coroutine(target: Callable[..., Any], start: StartMeter) -> Callable[..., Any]:
    @functools.wraps(target)
    async def measured(*args: Any, **kwargs: Any) -> Any:
        meter = start()
        try:
            result = await target(*args, **kwargs)
        except BaseException as error:
            meter.stop(error)
            raise
        meter.stop(None)
        return result

    return measured


def _generator(target: Callable[..., Any], start: StartMeter) -> Callable[..., Any]:
    @functools.wraps(target)
    def measured(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        meter = start()
        inner = target(*args, **kwargs)
        try:
            step = functools.partial(next, inner)
            while True:
                try:
                    item = step()
                except StopIteration as stop:
                    result = stop.value
                    break
                meter.first()
                try:
                    sent = yield item
                except GeneratorExit:
                    inner.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the generator's to handle
                    step = functools.partial(inner.throw, error)
                else:
                    step = functools.partial(inner.send, sent)
        except GeneratorExit:
            meter.stop(None)  # the consumer has had enough, which is no failure
            raise
        except BaseException as error:
            meter.stop(error)
            raise
        meter.stop(None)
        return result

    return measured


def _async_generator(target: Callable[..., Any], start: StartMeter) -> Callable[..., Any]:
    @functools.wraps(target)
    async def measured(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        meter = start()
        inner = target(*args, **kwargs)
        try:
            step = functools.partial(inner.__anext__)
            while True:
                try:
                    item = await step()
                except StopAsyncIteration:
                    break
                meter.first()
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer: the generator's to handle
                    step = functools.partial(inner.athrow, error)
                else:
                    step = functools.partial(inner.asend, sent)
        except GeneratorExit:
            meter.stop(None)
            raise
        except BaseException as error:
            meter.stop(error)
            raise
        meter.stop(None)

    return measured
