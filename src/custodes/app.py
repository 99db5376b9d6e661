"""Custodes: the composition root, the only place where storage meets planes.

A table of wiring: each plane is built on first use from the parts it names in its constructor, and nothing else is
decided here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from custodes.errors import ConfigurationError
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.runtime.bus import Bus
from custodes.runtime.system_clock import SystemClock
from custodes.settings import Settings, load_settings

if TYPE_CHECKING:
    from custodes.storage.sql.database import Database

ASGIApp = Callable[..., Any]


class Custodes:
    """One install of Custodes.

    Args:
        database_url: where everything is kept; default from ``CUSTODES_DATABASE_URL``.
        clock: source of time.
        random_bits: source of randomness for ids and jitter.
        settings: any field of :class:`custodes.settings.Settings`.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        clock: Clock | None = None,
        random_bits: RandomBits | None = None,
        **settings: Any,
    ) -> None:
        if database_url is not None:
            settings["database_url"] = database_url
        self.settings: Settings = load_settings(**settings)
        self.clock: Clock = clock or SystemClock()
        self.random_bits: RandomBits = random_bits or random.SystemRandom().getrandbits
        self.bus = Bus()

    def new_id(self) -> str:
        """Make an id: UUIDv7 of now."""
        return uuid7(self.clock.now(), self.random_bits)

    # ── Storage ──────────────────────────────────────────────────────────────

    @cached_property
    def database(self) -> Database:
        """The engine that the URL names."""
        url = self.settings.database_url
        if url.startswith("sqlite"):
            from custodes.storage.sql.sqlite import SqliteDatabase

            return SqliteDatabase(url)
        msg = f"No engine for {url.split(':', 1)[0]!r}"
        raise ConfigurationError(msg, remedy="Use sqlite:///path/to/custodes.db")

    # ── Planes ───────────────────────────────────────────────────────────────
    # One cached_property a plane, in alphabetical order.

    # ── Doors ────────────────────────────────────────────────────────────────

    def install(self, app: Any) -> None:
        """Mount Custodes in a Starlette or FastAPI app: middleware, webhook routes, admin API and dashboard."""
        _door("custodes.asgi.mount").install(self, app)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Mount Custodes around any ASGI app and return the app to serve."""
        return _door("custodes.asgi.mount").wrap(self, app)


def _door(module: str) -> Any:
    """Load a door by name: the doors are layers above this one, so they are found, not imported (ADR 0002)."""
    return import_module(module)
