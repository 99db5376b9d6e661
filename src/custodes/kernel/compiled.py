"""What nearly every request passes is there twice: in Python, and in Cython, which takes half as long (ADR 0013).

The Python file is what is meant. Its twin stands beside it with an underscore in front (``log.py``, ``_log.pyx``), does
the same for what is usual, and leaves what is not to the Python. Where no twin was compiled, or the environment says
``CUSTODES_PURE_PYTHON=1``, the Python does it all. ``scripts/twins.py`` compiles.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
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
    if os.environ.get(SWITCH) == "1" or not _has_a_lock():
        return None
    try:
        return import_module(name)
    except Exception:  # noqa: BLE001 - not compiled, for another Python, or from other sources: there is Python
        return None


def _has_a_lock() -> bool:
    """Tell whether one thread runs at a time: a free-threaded Python would give that up for a twin."""
    enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    return enabled()


def compiled_twins() -> list[ModuleType]:
    """List the twins that are in use."""
    return [found for found in map(twin, TWINS) if found is not None]
