"""What the planes of an install stand on: its settings, its database, what keeps running, what goes out.

Each part is built when it is first asked for, as those of :mod:`custodes.composition`, which has them all.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from custodes.kernel.address import Addresses
from custodes.kernel.clock import Clock
from custodes.kernel.ids import RandomBits, uuid7
from custodes.runtime.bus import Bus
from custodes.runtime.leases import Leader
from custodes.runtime.process import ProcessName
from custodes.runtime.randomness import fast_bits
from custodes.runtime.scheduler import Scheduler
from custodes.runtime.shield import Shield
from custodes.runtime.store_time import StoreTime
from custodes.runtime.summaries import Summaries
from custodes.runtime.system_clock import SystemClock
from custodes.settings import Settings, load_settings

if TYPE_CHECKING:
    from custodes.kernel.sealing import Sealer
    from custodes.runtime.fanout import Fanout
    from custodes.runtime.notices import Notices
    from custodes.runtime.outgoing.client import OutgoingClient
    from custodes.runtime.outgoing.target import Policy
    from custodes.storage.sql.database import Database
    from custodes.storage.sql.partitions import Partitions

#: How the host app says who asks for an admin page.
AdminAuth = Callable[[Any], "str | Awaitable[str | None] | None"]


class Foundation:
    """The parts of one install that belong to no plane.

    Args:
        database_url: where everything is kept; default from ``CUSTODES_DATABASE_URL``.
        clock: source of time.
        random_bits: source of randomness for ids and jitter.
        identify: tells who calls: a function of the ASGI scope that returns a :class:`custodes.Identity` or
            None, plain or async. Asked before limits are decided.
        admin_auth: how the host app says who asks for an admin page: a function of the ASGI scope, plain or async, that
            returns the subject of a profile whose issuer is ``"host"``, or None.
        settings: any field of :class:`custodes.settings.Settings`.
    """

    def __init__(
        self,
        database_url: str | None = None,
        *,
        clock: Clock | None = None,
        random_bits: RandomBits | None = None,
        identify: Callable[[Any], Any] | None = None,
        admin_auth: AdminAuth | None = None,
        **settings: Any,
    ) -> None:
        if database_url is not None:
            settings["database_url"] = database_url
        self.settings: Settings = load_settings(**settings)
        self.clock: Clock = clock or SystemClock()
        self.random_bits: RandomBits = random_bits or random.SystemRandom().getrandbits
        #: Randomness for trace and span ids, which are no secrets and made for every request.
        self.trace_bits: RandomBits = random_bits or fast_bits
        #: What this process is called among those of the install.
        self.process_name = ProcessName()
        self.identify = identify
        self.admin_auth = admin_auth
        self.bus = Bus()

    def new_id(self) -> str:
        """Make an id: UUIDv7 of now."""
        return uuid7(self.clock.now(), self.random_bits)

    # ── Storage ──────────────────────────────────────────────────────────────

    @cached_property
    def database(self) -> Database:
        """The engine that the URL names."""
        from custodes.storage.databases import database_of

        return database_of(self.settings)

    @cached_property
    def notices(self) -> Notices:
        """How the processes of this install tell each other that something has changed."""
        from custodes.storage.databases import notices_of

        return notices_of(self.settings, self.database)

    @cached_property
    def partitions(self) -> Partitions:
        """The pieces that tables are cut into, on engines that do."""
        from custodes.storage.sql.partitions import Partitions

        return Partitions(self.database, self.clock)

    # ── Runtime ──────────────────────────────────────────────────────────────

    @cached_property
    def leader(self) -> Leader:
        """This process's part in the one lease of the install."""
        from custodes.storage.sql.leases import SqlLeaseStore

        return Leader(SqlLeaseStore(self.database), self.clock, self.process_name)

    @cached_property
    def store_time(self) -> StoreTime:
        """The clock that the processes of this install have in common."""
        if self.database.dialect != "postgresql":  # a file is on this host, whose clock it is
            return StoreTime(self.clock)
        from custodes.storage.sql.server_time import look

        return StoreTime(self.clock, lambda: look(self.database, self.clock))

    @cached_property
    def fanout(self) -> Fanout:
        """What instances tell each other: through Redis, else through PostgreSQL, else within this process."""
        from custodes.storage.databases import fanout_of

        return fanout_of(self.settings, self.notices, lambda: self.sealer)

    @cached_property
    def summaries(self) -> Summaries:
        """Answers that are dear to work out: shared for a moment through Redis where there is one."""
        url = self.settings.redis_url.get_secret_value()
        if not url:
            return Summaries(None)
        from custodes.storage.redis.installed import check_installed

        check_installed()
        from custodes.storage.redis.summaries import RedisAnswers

        return Summaries(RedisAnswers(url, self.sealer, self.clock.monotonic))

    @cached_property
    def scheduler(self) -> Scheduler:
        """What is done again and again; the planes add their tasks when they are built."""
        from custodes.storage.sql.partitions import EVERY_SECONDS

        scheduler = Scheduler(self.clock, self.leader)
        if self.database.dialect == "postgresql":
            scheduler.every(EVERY_SECONDS, "storage.partitions", self.partitions.make)
        return scheduler

    @cached_property
    def shield(self) -> Shield:
        """The guard of everything of ours that runs inside a host's request."""
        return Shield(self.clock, self.settings.hook_limit_ms / 1_000)

    @cached_property
    def addresses(self) -> Addresses:
        """Finds the client's address and what it is limited by."""
        settings = self.settings
        return Addresses(settings.trusted_proxies, ipv6_prefix=settings.ipv6_prefix, header=settings.forwarded_header)

    @cached_property
    def outgoing_policy(self) -> Policy:
        """Where requests of ours may go."""
        from custodes.kernel.destinations import Destinations
        from custodes.runtime.outgoing.target import DEFAULT_PORTS, Policy, ports_of

        settings = self.settings
        return Policy(
            Destinations(settings.outgoing_allow_networks),
            ports_of(settings.outgoing_ports) or DEFAULT_PORTS,
            frozenset({"https", "http"} if settings.outbound_allow_http else {"https"}),
        )

    @cached_property
    def outgoing(self) -> OutgoingClient:
        """The client of every request that goes out."""
        from custodes.runtime.outgoing.client import OutgoingClient

        return OutgoingClient(self.outgoing_policy)

    @cached_property
    def sealer(self) -> Sealer:
        """Seals secrets at rest, with the key of the setting or of the file beside the database."""
        from custodes.kernel.sealing import NoSealer, Sealer
        from custodes.runtime.keyring import keys_from

        random_bits = random.SystemRandom().getrandbits
        keys = self.settings.secret_key.get_secret_value().replace(",", " ").split()
        if (
            not keys and self.database.dialect != "sqlite"
        ):  # on a server there is no file, and there are other processes
            return NoSealer()
        path: Path | None = getattr(self.database, "path", None)  # engines with a file have one
        file = None if path is None else path.with_name(f"{path.name}.key")
        return Sealer(keys_from(keys, file, random_bits), random_bits)
