"""Custodes: what a host app mounts and talks to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any

from custodes.composition import Composition
from custodes.errors import ConfigurationError, CustodesError

if TYPE_CHECKING:
    from custodes.forwarding import Forwarding
    from custodes.live.feed import LiveFeed
    from custodes.own_news import OwnNews
    from custodes.planes.inbound.origins import Origin
    from custodes.planes.inbound.sources.base import Source
    from custodes.planes.ratelimit.model import Rule
    from custodes.planes.ratelimit.rules import By
    from custodes.planes.retention.sweeper import Retention
    from custodes.runtime.transactions import Transaction

ASGIApp = Callable[..., Any]

#: Planes with background work, in order of start; stopped in reverse, so that what hears of others stops after them.
#: Those of one line are stopped side by side: they let the work that is under way end, and a host waits for the longest
#: of them, not for one after the other.
_SERVICES = (
    ("notices",),
    ("fanout",),
    ("summaries",),
    ("store_time",),
    ("leader",),
    ("audit",),
    ("metrics",),
    ("alerts",),
    ("traffic",),
    ("ratelimit",),
    ("own_news",),
    ("forwarding", "inbound", "completeness", "outbound"),
    ("retention",),
    ("scheduler",),
    ("live",),
)

#: Longest that the store may take to say that it is there, seconds: a probe is commonly given up after a few, and one
#: that takes longer hangs.
READY_SECONDS = 2.0


class Custodes(Composition):
    """One install of Custodes: its parts, its life, its doors.

    The arguments are those of :class:`custodes.composition.Composition`.
    """

    _started = False

    @cached_property
    def _life(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def retention(self) -> Retention:
        """What is deleted when; composed last, because it knows all the other planes."""
        from custodes.planes.retention.sweeper import Retention
        from custodes.policies import policies_of
        from custodes.storage.sql.retention import SqlRunStore

        return Retention(
            self.database,
            SqlRunStore(),
            policies_of(self),
            self.clock,
            self.random_bits,
            scheduler=self.scheduler,
            every_minutes=self.settings.rate_limit_cleanup_minutes,
            ahead=lambda: self.store_time.ahead,
        )

    @cached_property
    def forwarding(self) -> Forwarding:
        """Which incoming webhooks go on to where."""
        from custodes.forwarding import Forwarding

        settings = self.settings
        of_sources = (
            f"{name}={given.forward_to}" for name, given in settings.webhook_sources.items() if given.forward_to
        )
        return Forwarding(self, (*of_sources, *settings.forward_to))

    @cached_property
    def own_news(self) -> OwnNews:
        """Who hears of the endpoints of all tenants."""
        from custodes.own_news import OwnNews

        return OwnNews(self)

    @cached_property
    def live(self) -> LiveFeed:
        """What happens, as it happens, for whoever looks at the dashboard."""
        from custodes.live.feed import LiveFeed

        return LiveFeed(self)

    # ── Limits, the short way ────────────────────────────────────────────────

    def limit(self, limits: str, *, by: By = "ip", route: str = "*", **options: Any) -> Rule:
        """Limit requests: ``custodes.limit("5/minute", by="ip", route="/login")``.

        See :meth:`custodes.planes.ratelimit.limiter.RateLimiter.limit` for ``options`` and errors.
        """
        return self.ratelimit.limit(limits, by=by, route=route, **options)

    # ── Webhooks in, the short way ───────────────────────────────────────────

    def source(
        self,
        name: str,
        secrets: Sequence[str],
        *,
        kind: str = "",
        tenant: str = "",
        forward_to: str = "",
        **options: Any,
    ) -> Source:
        """Accept webhooks at ``POST /hooks/{name}``; the options are those of the source's class.

        Args:
            name: in URLs; also the kind when none is given.
            secrets: signing secrets that are accepted.
            kind: who sends.
            tenant: whose webhooks these are.
            forward_to: URL that verified events are delivered to, signed by us, with retries over days.
            options: as the class takes them.
        """
        from custodes.planes.inbound.sources.registry import make_source

        source = self.inbound.add_source(make_source(name, secrets, kind=kind, **options), tenant=tenant)
        if forward_to:
            self.forwarding.add(name, forward_to)
        return source

    def webhook(self, source: str, event_type: str = "*", **options: Any) -> Callable[[Any], Any]:
        """Make a decorator that registers a handler; the options are those of ``custodes.inbound.webhook``."""
        return self.inbound.webhook(source, event_type, **options)

    def reconcile(self, source: str, origin: Origin, *, look_back: int = 0) -> None:
        """Find events of a source that never arrived, at their origin, and fetch them.

        ::

            custodes.source("stripe", [secret])
            custodes.reconcile("stripe", StripeEvents("rk_live_…", event_types=["invoice.*"]))

        See :meth:`custodes.planes.inbound.completeness.Completeness.add_origin` for ``look_back`` and errors.
        """
        self.completeness.add_origin(source, origin, look_back=look_back)

    # ── Life ─────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Open the store and bring its schema up to date; nothing runs in the background yet. Idempotent."""
        await self.database.open()
        await self.migrate()

    async def open_existing(self) -> None:
        """Open the store of an install that is there, as it is, for who looks: nothing is made and nothing migrated.

        Raises:
            ConfigurationError: there is none at that place, or its schema is older or newer than this version.
        """
        from custodes.storage.databases import place_of
        from custodes.storage.sql.schema import known_revisions

        pending = await self.pending_migrations()
        if len(pending) == len(known_revisions()):
            msg = f"There is no install of Custodes at {place_of(self.database)}"
            remedy = "Name it with --database or CUSTODES_DATABASE_URL; custodes serve and custodes migrate make one"
            raise ConfigurationError(msg, remedy=remedy)
        if pending:
            msg = f"The database at {place_of(self.database)} is older than this version: it lacks {', '.join(pending)}"
            raise ConfigurationError(msg, remedy="Run custodes migrate, or the version of Custodes that serves it")
        await self.database.open()

    async def close(self) -> None:
        """Close the store, and connections to the outside; idempotent."""
        try:
            if "outgoing" in vars(self):  # whoever only opened may have asked for it all the same, to try a sink
                await self.outgoing.close()
            await self.notices.stop()
        finally:
            await self.database.close()

    def load(self) -> None:
        """Import what :meth:`start` needs, which takes about a second; for a thread, so that a loop goes on meanwhile.

        It makes the parts of another install with these settings, which is never started: those of this one belong to
        the loop, where a request may ask for one at the same time.
        """
        another = Custodes(self.settings.database_url, clock=self.clock)
        another.settings = self.settings
        for name in chain.from_iterable(_SERVICES):
            getattr(another, name)

    def unusable(self) -> list[ConfigurationError]:
        """Make every part, start none, and tell why some cannot be made: wrong settings, each of them once."""
        found: dict[str, ConfigurationError] = {}
        for name in chain.from_iterable(_SERVICES):
            try:
                getattr(self, name)
            except ConfigurationError as error:
                found.setdefault(error.message, error)
        return list(found.values())

    @property
    def started(self) -> bool:
        """Whether what runs in the background does."""
        return self._started

    async def start(self) -> None:
        """Open, then start what runs in the background; idempotent. When a part cannot start, none runs."""
        async with self._life:
            if self._started:
                return
            # All of them first: one that cannot be made must not leave others running that nobody stops.
            services = [[getattr(self, name) for name in line] for line in _SERVICES]
            self.health.check_systems()
            try:
                await self.open()
                await self._refuse_half_a_move()
                for service in chain.from_iterable(services):
                    await service.start()
            except BaseException:
                with contextlib.suppress(Exception):  # why it did not start is what one wants to know
                    await self._stop_services()
                raise
            self._started = True

    async def _refuse_half_a_move(self) -> None:
        """Refuse a database that is being moved into: what is written meanwhile would keep the move from its end."""
        if await self.is_moved_into():
            msg = "A move from SQLite into this database has not come to its end"
            remedy = "Run custodes migrate sqlite-to-postgres again: it goes on where it was"
            raise ConfigurationError(msg, remedy=remedy)

    async def is_moved_into(self) -> bool:
        """Tell whether a move from SQLite has begun to fill the database, and has not come to its end."""
        from custodes.storage.sql.database import connection_of
        from custodes.storage.sql.schema import move_is_under_way

        return await self.database.read(lambda tx: move_is_under_way(connection_of(tx)))

    async def stop(self) -> None:
        """Stop what runs in the background, write what is buffered, close, also what was only opened; idempotent."""
        async with self._life:
            if self._started:
                self._started = False
                await self._stop_services()
            else:
                await self.close()

    async def _stop_services(self) -> None:
        failures: list[Exception] = []

        async def stop(stops: Callable[[], Awaitable[None]]) -> None:
            try:
                await stops()
            except Exception as error:  # noqa: BLE001 - the others must still write what they have
                failures.append(error)

        try:
            for line in reversed(_SERVICES):
                await asyncio.gather(*(stop(getattr(self, name).stop) for name in line))
            await stop(self.outgoing.close)
        finally:
            await self.close()
        if failures:
            msg = "Not everything could be stopped"
            raise ExceptionGroup(msg, failures)

    async def migrate(self) -> list[str]:
        """Bring the schema to this version; returns the revisions that were applied.

        One transaction; on PostgreSQL one up to each migration that adds indexes to tables which are full already:
        those are built before it, while others go on writing.

        Raises:
            ConfigurationError: the tables are another program's, or newer than this version.
        """
        from custodes.storage.sql import schema
        from custodes.storage.sql.database import connection_of
        from custodes.storage.sql.outbound import SqlEndpointStore

        def last(tx: Transaction) -> list[str]:
            applied = schema.migrate(connection_of(tx))
            # A migration has no keys; and a process of an older version may have written some since.
            if found := SqlEndpointStore().headers_in_the_open(tx):
                self.outbound.seal_headers(tx, found)
            return applied

        applied: list[str] = []
        legs = [schema.Leg(())]
        if self.database.dialect == "postgresql":
            legs = await self.database.read(lambda tx: schema.legs(connection_of(tx)))
        *before, end = legs
        for leg in before:
            await self.database.add_indexes(leg.indexes)
            applied += await self.database.migrate(lambda tx, leg=leg: schema.migrate(connection_of(tx), leg.until))
        await self.database.add_indexes(end.indexes)
        applied += await self.database.migrate(last)
        await self.partitions.make()
        return applied

    async def pending_migrations(self) -> list[str]:
        """List what ``migrate`` would apply; changes nothing and makes nothing."""
        from custodes.storage.databases import is_missing
        from custodes.storage.sql import schema
        from custodes.storage.sql.database import connection_of

        if is_missing(self.database):
            return list(schema.known_revisions())
        return await self.database.read(lambda tx: schema.pending_revisions(connection_of(tx)))

    async def is_ready(self) -> bool:
        """Tell whether the store answers and what runs in the background runs, in :data:`READY_SECONDS` at most.

        A newer version may have migrated meanwhile: what it added does not disturb us, so we serve on until we are
        replaced (docs/howto/upgrade.md).
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                return self._started and not await self.pending_migrations()
        except ConfigurationError:
            return self._started
        except (CustodesError, TimeoutError):
            return False

    # ── Doors ────────────────────────────────────────────────────────────────

    @cached_property
    def admin_app(self) -> ASGIApp:
        """The admin API and its pages."""
        return _door("custodes.admin.app").create_admin_app(self)

    def install(self, app: Any) -> None:
        """Mount Custodes in a Starlette or FastAPI app: middleware, webhook routes, admin API and dashboard."""
        _door("custodes.asgi.mount").install(self, app)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Mount Custodes around any ASGI app and return the app to serve."""
        return _door("custodes.asgi.mount").wrap(self, app)


def _door(module: str) -> Any:
    """Load a door by name: the doors are layers above this one, so they are found, not imported (ADR 0002)."""
    return import_module(module)
