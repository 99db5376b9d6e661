"""Which rules hold for a path: a trie over path templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Generic, TypeVar

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
    matches every path. What some framework overlooks makes no difference, or it would open a way around a limit:
    slashes at the end or side by side (Litestar serves ``/a//b`` as ``/a/b``), and a line feed at the end (``$`` of a
    regular expression matches before it, so Starlette serves ``/login%0A`` as ``/login``).
    """

    __slots__ = ("_literals", "_parameter", "here", "rest")

    def __init__(self) -> None:
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

    def find(self, path: str, *, exactly: bool = False) -> Iterator[T]:
        """Go through the values whose templates match a path.

        Args:
            path: as requested.
            exactly: overlook nothing but slashes at the ends: for what a rule does not hold for.
        """
        if exactly:
            return self.walk(path.strip("/").split("/") if path.strip("/") else [], 0)
        return self.walk([part for part in path.removesuffix("\n").split("/") if part], 0)

    def _child(self, part: str) -> PathTrie[T]:
        if part != "{}":
            return self._literals.setdefault(part, PathTrie())
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
