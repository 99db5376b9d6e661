"""Which failures are the same failure.

Two exceptions belong to one group when their types and the places in the application's own code that they passed
through are the same, cause by cause. Line numbers, messages, file paths and frames of libraries are left out, so a
group survives an edit above the line, a deployment elsewhere and an upgrade of a library.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from hashlib import blake2b
from types import TracebackType
from typing import cast

#: Names this way of grouping; groups of another version are never mixed with ours.
VERSION = "1"

#: Most exceptions of one failure that are looked at, causes and members of groups together.
MAX_EXCEPTIONS = 16

#: Innermost frames of one exception that count; recursion is folded before.
MAX_FRAMES = 24

#: Most frames of one traceback that are walked: an infinite recursion is about a thousand deep.
MAX_WALKED = 2_000

_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {f"<frozen {name}" for name in ("importlib", "runpy")}
)


def fingerprint(error: BaseException) -> str:
    """Return the group of an exception: the version, a dot and 32 hex digits."""
    digest = blake2b(digest_size=16)
    for part in _parts(error, set()):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return f"{VERSION}.{digest.hexdigest()}"


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type: ``ValueError``, ``shop.errors.OutOfStock``."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def places(error: BaseException) -> list[str]:
    """Return where an exception passed, outermost first: ``module:function`` of the application's own frames.

    When none of the frames is the application's (a library called a library), all of them count.
    """
    walked = list(_frames(error.__traceback__))
    own = [place for place, is_own in walked if is_own]
    return _folded(own or [place for place, _ in walked])[-MAX_FRAMES:]


def _parts(error: BaseException, seen: set[int]) -> Iterator[str]:
    """Say what makes a failure what it is: itself, its members when it is a group, its cause."""
    if id(error) in seen or len(seen) >= MAX_EXCEPTIONS:
        return
    seen.add(id(error))
    yield type_name(error)
    yield from places(error)
    if isinstance(error, BaseExceptionGroup):
        # Tasks fail in any order and any number: the kinds of failure count, not the order or how often.
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions[:MAX_EXCEPTIONS]
        yield from sorted({"|".join(_parts(member, seen)) for member in members})
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield "caused by"
        yield from _parts(cause, seen)


def _frames(traceback: TracebackType | None) -> Iterator[tuple[str, bool]]:
    """Walk a traceback: each place, and whether it is the application's own."""
    for _ in range(MAX_WALKED):
        if traceback is None:
            return
        frame = traceback.tb_frame
        module = frame.f_globals.get("__name__")
        file = frame.f_code.co_filename
        is_own = not file.startswith(_LIBRARIES) and not str(module).startswith("custodes.")
        yield f"{module}:{frame.f_code.co_qualname}", is_own
        traceback = traceback.tb_next


def _folded(found: list[str]) -> list[str]:
    """Keep the first of each place: how deep a recursion went is not part of what failed."""
    return list(dict.fromkeys(found))
