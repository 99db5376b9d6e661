"""What a process is called among those of its install."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

#: Tells what this process is called.
Named = Callable[[], str]

#: Bytes of a name: of all processes that an install ever has, no two are called the same.
_BYTES = 12


class ProcessName:
    """A unique name of this process, drawn when it is first asked for, and anew in a child.

    A server may import the app, which mounts us, and then fork its workers (gunicorn's ``--preload``): what one of them
    leads, counts and holds is not its sisters'.
    """

    def __init__(self) -> None:
        self._process = 0
        self._name = ""

    def __call__(self) -> str:
        """Return the name."""
        process = os.getpid()
        if process != self._process:
            # Never a seeded source: children would go on with the same sequence.
            self._process, self._name = process, secrets.token_hex(_BYTES)
        return self._name
