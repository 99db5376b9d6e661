"""What nearly every request passes is there twice: in Python, and in Cython, which is two to three times as fast.

The Python file is what is meant. Its twin stands beside it with an underscore in front (``log.py``, ``_log.pyx``), does
the same for what is usual, and leaves what is not to the Python. Where no twin was compiled, or the environment says
``CUSTODES_PURE_PYTHON=1``, the Python does it all (ADR 0013). ``scripts/twins.py`` compiles.
"""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any

#: Set to ``1`` to leave compiled twins alone.
SWITCH = "CUSTODES_PURE_PYTHON"

#: All twins.
TWINS = (
    "custodes.kernel.window._log",
    "custodes.planes.ratelimit._fast_path",
    "custodes.planes.traffic._folding",
    "custodes.asgi._passage",
)


def twin(name: str) -> Any | None:
    """Import a compiled twin; None where Python is to do it.

    Args:
        name: of :data:`TWINS`.
    """
    if os.environ.get(SWITCH) == "1":
        return None
    try:
        return import_module(name)
    except ImportError:  # not compiled, or for another Python
        return None


def compiled_twins() -> list[ModuleType]:
    """List the twins that are in use."""
    return [found for found in map(twin, TWINS) if found is not None]
