"""Which rules hold for a path: a trie over path templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Generic, TypeVar
from urllib.parse import urlparse

from custodes.errors import InvalidInput
from custodes.planes.ratelimit.model import EVERY_ENDPOINT

T = TypeVar("T")

#: Longest template, characters, and most parts between slashes.
MAX_TEMPLATE = 256
MAX_PARTS = 32

_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(:[a-z]+)?\}")
_LITERAL = re.compile(r"[^{}*\x00-\x20]*")


class PathTrie(Generic[T]):
    """Values by path template.

    ``/items/{id}`` matches one part, ``/files/{name:path}`` and ``/files/*`` match the rest (at least nothing), ``*``
    matches every path. What some framework overlooks makes no difference, or it would open a way around a limit; see
    :func:`_overlooking`.

    Args:
        exactly: overlook nothing but slashes at the ends: for what a rule does not hold for.
    """

    __slots__ = ("_exactly", "_literals", "_parameter", "here", "rest")

    def __init__(self, *, exactly: bool = False) -> None:
        self._exactly = exactly
        self._literals: dict[str, PathTrie[T]] = {}
        self._parameter: PathTrie[T] | None = None
        #: Values whose template ends here, and whose template matches everything from here on.
        self.here: list[T] = []
        self.rest: list[T] = []

    def add(self, template: str, value: T) -> None:
        """Put a value at a template.

        Raises:
            InvalidInput: not a template.
        """
        node = self
        for part in template_parts(template):
            if part in ("*", "{:path}"):
                node.rest.append(value)
                return
            node = node._child(part)
        node.here.append(value)

    def find(self, path: str) -> Iterator[T]:
        """Go through the values whose templates match a path, as requested."""
        if self._exactly:
            return self.walk(path.strip("/").split("/") if path.strip("/") else [], 0)
        return self.walk([part for part in _overlooking(path).split("/") if part], 0)

    def _child(self, part: str) -> PathTrie[T]:
        if part != "{}":
            return self._literals.setdefault(part if self._exactly else part.casefold(), PathTrie())
        if self._parameter is None:
            self._parameter = PathTrie()
        return self._parameter

    def walk(self, parts: list[str], at: int) -> Iterator[T]:
        """Go on from the part of this number."""
        yield from self.rest
        if at == len(parts):
            yield from self.here
            return
        literal = self._literals.get(parts[at])
        if literal is not None:
            yield from literal.walk(parts, at + 1)
        if self._parameter is not None:
            yield from self._parameter.walk(parts, at + 1)


def _overlooking(path: str) -> str:
    """Leave out of a path what some framework overlooks when it looks for the route.

    Slashes at the end or side by side are left to the caller (Litestar serves ``/a//b`` as ``/a/b``). Of a target in
    absolute form (RFC 9112 §3.2.2) Quart and Sanic take the path, of whatever else does not begin with a slash
    Quart takes what ``urlparse`` makes of it: ``http://host/login``, ``%20/login``. Sanic cuts off a fragment.
    BlackSheep does not tell capitals from small letters. ``$`` of a regular expression matches before a line feed at
    the end, so Starlette serves ``/login%0A`` as ``/login``.
    """
    if not path.startswith("/"):
        with suppress(ValueError):  # no URL: nobody finds a path in it
            path = urlparse(path).path
    return path.partition("#")[0].removesuffix("\n").casefold()


def template_parts(template: str) -> list[str]:
    """Cut a template into literals, ``{}`` for a parameter, and ``*`` or ``{:path}`` for the rest.

    Raises:
        InvalidInput: not a template; tells how to write one.
    """
    if template == EVERY_ENDPOINT:
        return ["*"]
    if not template.startswith("/") or len(template) > MAX_TEMPLATE:
        _refuse(template, f"it begins with a slash and has at most {MAX_TEMPLATE} characters")
    raw = template.strip("/").split("/") if template.strip("/") else []
    if len(raw) > MAX_PARTS:
        _refuse(template, f"it has at most {MAX_PARTS} parts")
    parts = [_part(template, part) for part in raw]
    if any(part in ("*", "{:path}") for part in parts[:-1]):
        _refuse(template, "what matches the rest stands at the end")
    return parts


def _part(template: str, part: str) -> str:
    match = _PARAMETER.fullmatch(part)
    if match is not None:
        return "{:path}" if match[1] == ":path" else "{}"
    if part != "*" and _LITERAL.fullmatch(part) is None:
        _refuse(template, "a part is text, a whole {name} or *")
    return part


def _refuse(template: str, why: str) -> None:
    msg = f"{template[:MAX_TEMPLATE]!r} is no path template: {why}"
    raise InvalidInput(msg, remedy="Write /items/{id}, /api/* or * for every path")
