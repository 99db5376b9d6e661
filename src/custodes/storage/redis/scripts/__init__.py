"""The Lua that runs inside of Redis, and how it gets there."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

#: Algorithms, a file each, in the order of their numbers.
_ALGORITHMS = ("log", "subwindows", "gcra", "calendar", "concurrency")

#: ``local ONE, OTHER = 1, 2``, in capitals: constants.
_CONSTANTS = re.compile(r"^local ([A-Z][A-Z_]*(?:, [A-Z][A-Z_]*)*) = (\S+(?:, \S+)*)$", re.MULTILINE)
_COMMENTS = re.compile(r" *--.*$", re.MULTILINE)


class Commands(Protocol):
    """**Protocol:** a client that sends a command, which is told where by its keys."""

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return the answer."""
        ...


@cache
def read(name: str) -> str:
    """Return the text of a file of this folder."""
    return (files(__name__) / f"{name}.lua").read_text("utf-8")


class Script:
    """A script that is sent by its digest, and in full to a server that does not know it (yet, or any more)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode("utf-8"), usedforsecurity=False).hexdigest()

    def by_digest(self, keys: list[bytes], *arguments: bytes | str | int) -> tuple[bytes | str | int, ...]:
        """Write the command for a server that knows the script."""
        return ("EVALSHA", self._digest, len(keys), *keys, *arguments)

    async def run(self, commands: Commands, keys: list[bytes], *arguments: bytes | str | int) -> Any:
        """Run it where the keys are.

        Raises:
            redis.RedisError: it could not be run.
        """
        from redis.exceptions import NoScriptError

        try:
            return await commands.execute_command(*self.by_digest(keys, *arguments))
        except NoScriptError:
            return await commands.execute_command("EVAL", self._text, len(keys), *keys, *arguments)


def decision(time: str | None = None) -> Script:
    """Put the decision together.

    Args:
        time: what stands in for ``time.lua``, in tests.
    """
    made = [f"local function make_{name}()\n{read(name)}\nend" for name in _ALGORITHMS]
    makers = f"local makers = {{{', '.join(f'make_{name}' for name in _ALGORITHMS)}}}"
    return Script(_inlined("\n".join([time or read("time"), read("meters"), *made, makers, read("decide")])))


def _inlined(text: str) -> str:
    """Put constants where they are named.

    Lua 5.1 has none. As locals, each function that names one looks for it among all of them when it is made, and a
    script's functions are made by each call: that took half the time of a call that decides on nothing.
    """
    values: dict[str, str] = {}

    def take(found: re.Match[str]) -> str:
        values.update(zip(found[1].split(", "), found[2].split(", "), strict=True))
        return ""

    bare = _CONSTANTS.sub(take, _COMMENTS.sub("", text))
    return re.sub(rf"\b(?:{'|'.join(values)})\b", lambda found: values[found[0]], bare)
