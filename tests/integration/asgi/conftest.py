"""A real install around a host, and a client that hides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from custodes.app import Custodes


@pytest.fixture
async def custodes_of(tmp_path: Path) -> AsyncIterator[Callable[..., Custodes]]:
    """Make installs on a database of their own; they are stopped at the end."""
    made: list[Custodes] = []

    def make(**settings: Any) -> Custodes:
        if not hasattr(Custodes, "ratelimit"):
            settings.setdefault("rate_limiting_enabled", False)
        settings.setdefault("database_url", f"sqlite:///{tmp_path}/custodes{len(made)}.db")
        made.append(Custodes(**settings))
        return made[-1]

    yield make
    for custodes in made:
        await custodes.stop()


@pytest.fixture
def custodes(custodes_of: Callable[..., Custodes]) -> Custodes:
    return custodes_of()
