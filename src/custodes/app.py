"""Custodes: the composition root, the only place where storage meets planes.

A table of wiring: each plane is built on first use from the parts it names in its constructor, and nothing else is
decided here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from custodes.errors import ConfigurationError, CustodesError
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.runtime.bus import Bus
from custodes.runtime.leases import Leader
from custodes.runtime.scheduler import Scheduler
from custodes.runtime.system_clock import SystemClock
from custodes.settings import Settings, load_settings

if TYPE_CHECKING:
    from custodes.storage.sql.database import Database

ASGIApp = Callable[..., Any]

#: Planes with background work, in order of start; stopped in reverse, so that what hears of others stops after them.
_SERVICES = ("audit", "metrics", "alerts", "traffic", "ratelimit", "inbound", "retention")


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
        self._life = asyncio.Lock()
        self._started = False

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

    # ── Runtime ──────────────────────────────────────────────────────────────

    @cached_property
    def leader(self) -> Leader:
        """This process's part in the one lease of the install."""
        from custodes.storage.sql.leases import SqlLeaseStore

        return Leader(SqlLeaseStore(self.database), self.clock, self.new_id())

    @cached_property
    def scheduler(self) -> Scheduler:
        """What the planes do again and again; they add their tasks when they are built."""
        return Scheduler(self.clock, self.leader)

    # ── Planes ───────────────────────────────────────────────────────────────
    # One cached_property a plane, in alphabetical order.

    # ── Life ─────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Open the store and bring its schema up to date; nothing runs in the background yet. Idempotent."""
        await self.database.open()
        await self.migrate()

    async def close(self) -> None:
        """Close the store; idempotent."""
        await self.database.close()

    async def start(self) -> None:
        """Open, then start what runs in the background; idempotent."""
        async with self._life:
            if self._started:
                return
            await self.open()
            for name in _SERVICES:
                service = getattr(self, name, None)
                if service is not None:
                    await service.start()
            self._started = True

    async def stop(self) -> None:
        """Stop what runs in the background, write what is buffered, close; idempotent."""
        async with self._life:
            if not self._started:
                return
            self._started = False
            for name in reversed(_SERVICES):
                service = getattr(self, name, None)
                if service is not None:
                    await service.stop()
            await self.close()

    async def migrate(self) -> list[str]:
        """Bring the schema to this version; returns the revisions that were applied.

        Raises:
            ConfigurationError: the tables are another program's, or newer than this version.
        """
        from custodes.storage.sql import schema
        from custodes.storage.sql.database import connection_of

        return await self.database.write(lambda tx: schema.migrate(connection_of(tx)))

    async def pending_migrations(self) -> list[str]:
        """List what ``migrate`` would apply."""
        from custodes.storage.sql import schema
        from custodes.storage.sql.database import connection_of

        return await self.database.read(lambda tx: schema.pending_revisions(connection_of(tx)))

    async def is_ready(self) -> bool:
        """Tell whether the store answers and what runs in the background runs."""
        try:
            return self._started and not await self.pending_migrations()
        except CustodesError:
            return False

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
