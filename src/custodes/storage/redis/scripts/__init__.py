"""The Lua that runs inside of Redis, and how it gets there."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

#: The files that make up the decision, in order.
_MEASURES = ("meters", "log", "subwindows", "gcra", "calendar", "concurrency", "decide")


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

    async def run(self, commands: Commands, keys: list[bytes], *arguments: bytes | str | int) -> Any:
        """Run it where the keys are.

        Raises:
            redis.RedisError: it could not be run.
        """
        from redis.exceptions import NoScriptError

        try:
            return await commands.execute_command("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await commands.execute_command("EVAL", self._text, len(keys), *keys, *arguments)


def decision(time: str | None = None) -> Script:
    """Put the decision together.

    Args:
        time: what stands in for ``time.lua``, in tests.
    """
    return Script("\n".join([time or read("time"), *map(read, _MEASURES)]))
