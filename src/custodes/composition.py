"""The parts of an install: the only place where storage meets planes.

A table of wiring; what the planes stand on is in :mod:`custodes.foundation`. Each part is built when it is first asked
for, from what it names in its constructor; nothing else is decided here.
"""

from __future__ import annotations

import random
from functools import cached_property
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from custodes.foundation import Foundation
from custodes.kernel.clock import HOUR, SECOND
from custodes.runtime.notices import EVENTS, LIMITS, WEBHOOKS

if TYPE_CHECKING:
    from custodes.planes.alerts.evaluator import Alerts
    from custodes.planes.audit.logger import AuditLogger
    from custodes.planes.identity.directory import Identity
    from custodes.planes.inbound.completeness import Completeness
    from custodes.planes.inbound.monitor import WebhookMonitor
    from custodes.planes.metrics.health import HealthMonitor
    from custodes.planes.metrics.recorder import SystemMetrics
    from custodes.planes.outbound.portal import PortalLinks
    from custodes.planes.outbound.webhooks import OutgoingWebhooks
    from custodes.planes.ratelimit.limiter import RateLimiter
    from custodes.planes.traffic.monitor import ApiMonitor

#: System → plane that speaks for it (``get_health_status``).
_SYSTEMS = {
    "webhooks": "inbound",
    "webhook_completeness": "completeness",
    "outgoing_webhooks": "outbound",
    "api": "traffic",
    "rate_limits": "ratelimit",
    "audit": "audit",
    "metrics": "metrics",
    "alerts": "alerts",
    "identity": "identity",
    "retention": "retention",
}


#: Those that can speak of one tenant alone.
_OF_TENANT = frozenset({"webhooks", "webhook_completeness", "outgoing_webhooks", "api"})


class Composition(Foundation):
    """The parts of one install; what one does with them is in :class:`custodes.app.Custodes`."""

    # ── Planes ───────────────────────────────────────────────────────────────
    # One cached_property a plane, in alphabetical order.

    @cached_property
    def alerts(self) -> Alerts:
        """Rules, incidents and who is told."""
        from custodes.kernel.signals import FailureSignal
        from custodes.planes.alerts.evaluator import Alerts
        from custodes.planes.alerts.sink_urls import sinks_of
        from custodes.storage.sql.alerts import SqlAlertStore

        secret = self.settings.alert_webhook_secret.get_secret_value()
        alerts = Alerts(
            SqlAlertStore(self.database),
            self.metrics,
            self.clock,
            self.new_id,
            self.random_bits,
            sinks=sinks_of(self.settings.alert_urls, secret, self.clock, self.outgoing),
            emit=self.bus.emit,
            scheduler=self.scheduler,
            confirm=self.leader.confirm,
            tenant=self.settings.default_tenant,
        )
        self.bus.subscribe(FailureSignal, alerts.on_failure)
        return alerts

    @cached_property
    def audit(self) -> AuditLogger:
        """The audit trail."""
        from custodes.planes.audit.logger import AuditLogger
        from custodes.planes.audit.reader import FOLD_SECONDS
        from custodes.storage.sql.audit import SqlAuditStore

        audit = AuditLogger(
            self.database,
            SqlAuditStore(self.database),
            self.clock,
            self.random_bits,
            self.bus,
            enabled=self.settings.audit_logging_enabled,
            flag_threshold=self.settings.audit_flag_threshold,
            default_tenant=self.settings.default_tenant,
        )
        self.scheduler.every(FOLD_SECONDS, "audit.fold", audit.fold)
        return audit

    @cached_property
    def completeness(self) -> Completeness:
        """Whether incoming webhooks are complete."""
        from custodes.planes.inbound.completeness import Completeness
        from custodes.planes.inbound.origins import origins_of
        from custodes.storage.sql.inbound import SqlEventStore
        from custodes.storage.sql.inbound_completeness import SqlProofStore
        from custodes.storage.sql.inbound_figures import SqlFigureStore

        completeness = Completeness(
            self.inbound,
            store=self.database,
            events=SqlEventStore(self.database),
            figures=SqlFigureStore(),
            proofs=SqlProofStore(),
            client=self.outgoing,
            clock=self.clock,
            random_bits=self.trace_bits,
            bus=self.bus,
            scheduler=self.scheduler,
        )
        settings = self.settings
        for name, origin in origins_of(
            settings.stripe_api_key.get_secret_value(),
            settings.stripe_event_types,
            settings.github_token.get_secret_value(),
            settings.github_hook,
        ).items():
            completeness.add_origin(name, origin)
        return completeness

    @cached_property
    def health(self) -> HealthMonitor:
        """The health of every system in one place."""
        from custodes.planes.metrics.health import HealthMonitor, parse_thresholds
        from custodes.planes.metrics.storage_health import StorageHealth
        from custodes.storage.sql.leases import SqlHeartbeat

        monitor = HealthMonitor(
            self.clock,
            self.bus.emit,
            thresholds=parse_thresholds(self.settings.health_thresholds),
            tenant=self.settings.default_tenant,
        )

        def figures() -> dict[str, float]:
            waiting = float(getattr(self.database, "waiting", 0))  # engines with one writer have it
            return {"waiting_writes": waiting, "clock_off_seconds": abs(self.store_time.ahead or 0) / SECOND}

        monitor.register("storage", StorageHealth(SqlHeartbeat(self.database), self.clock, figures).get_health_status)
        for system, plane in _SYSTEMS.items():
            monitor.register(
                system,
                lambda plane=plane: getattr(self, plane).get_health_status(),
                (lambda tenant, plane=plane: getattr(self, plane).get_health_status(tenant=tenant))
                if system in _OF_TENANT
                else None,
            )
        return monitor

    @cached_property
    def identity(self) -> Identity:
        """Profiles, sessions and API keys."""
        from custodes.planes.identity.directory import Identity
        from custodes.storage.sql.identity import SqlIdentityStore

        return Identity(
            SqlIdentityStore(self.database),
            clock=self.clock,
            # Never a seeded source: it makes passwords and tokens.
            random_bits=random.SystemRandom().getrandbits,
            bus=self.bus,
            session_lifetime=self.settings.session_hours * HOUR,
            client_of=self.addresses.limit_key,
            default_tenant=self.settings.default_tenant,
        )

    @cached_property
    def inbound(self) -> WebhookMonitor:
        """Incoming webhooks."""
        from custodes.planes.inbound.monitor import WebhookMonitor
        from custodes.planes.inbound.sources.registry import make_source
        from custodes.storage.sql.inbound import SqlEventStore
        from custodes.storage.sql.inbound_figures import SqlFigureStore
        from custodes.storage.sql.inbound_roster import SqlPresenceStore
        from custodes.storage.sql.inbound_rotation import SqlSecretStore
        from custodes.storage.sql.jobs import SqlJobs

        inbound = WebhookMonitor(
            store=self.database,
            events=SqlEventStore(self.database),
            figures=SqlFigureStore(),
            presences=SqlPresenceStore(),
            secrets=SqlSecretStore(),
            sealer=lambda: self.sealer,
            jobs=SqlJobs(),
            clock=self.clock,
            random_bits=self.trace_bits,
            bus=self.bus,
            tenant=self.settings.default_tenant,
            writer=self.process_name,
            concurrency=self.settings.webhook_concurrency,
            lease=self.settings.webhook_lease_seconds * SECOND,
            leases_by=self.store_time.now,
            measured=self.settings.webhook_monitoring_enabled,
            tell=lambda: self.notices.tell(WEBHOOKS),
            client_of=self.addresses.limit_key,
        )
        self.notices.on(WEBHOOKS, inbound.worker.wake)
        for name, secrets in self.settings.webhook_secrets().items():
            inbound.add_source(make_source(name, secrets), replaceable=True)
        for name, given in self.settings.webhook_sources.items():
            secrets = tuple(secret.get_secret_value() for secret in given.secrets)
            source = make_source(name, secrets, kind=given.kind, **given.options)
            inbound.add_source(source, tenant=given.tenant, replaceable=True)
        return inbound

    @cached_property
    def metrics(self) -> SystemMetrics:
        """Custom and system metrics."""
        from custodes.planes.metrics.probes import MachineProbe
        from custodes.planes.metrics.recorder import SystemMetrics
        from custodes.storage.sql.metrics import SqlMetricStore

        path: Path | None = getattr(self.database, "path", None)  # engines with a file have one
        return SystemMetrics(
            SqlMetricStore(self.database),
            self.clock,
            self.new_id,
            scheduler=self.scheduler,
            health=self.health,
            tenant=self.settings.default_tenant,
            probes=[MachineProbe(None if path is None else path.parent)],
            labels={"host": gethostname()},
        )

    @cached_property
    def outbound(self) -> OutgoingWebhooks:
        """Outgoing webhooks."""
        from custodes.planes.outbound.folder import FOLD_SECONDS, Folder
        from custodes.planes.outbound.mender import MEND_SECONDS
        from custodes.planes.outbound.webhooks import OutgoingWebhooks
        from custodes.planes.outbound.weights import parse_weights
        from custodes.storage.sql.deliveries import SqlDeliveryStore
        from custodes.storage.sql.delivery_figures import SqlDeliveryFigureStore
        from custodes.storage.sql.jobs import SqlJobs
        from custodes.storage.sql.outbound import SqlEndpointStore, SqlEventTypeStore

        figures = SqlDeliveryFigureStore()
        outbound = OutgoingWebhooks(
            store=self.database,
            endpoints=SqlEndpointStore(),
            deliveries=SqlDeliveryStore(),
            types=SqlEventTypeStore(),
            figures=figures,
            jobs=SqlJobs(),
            client=self.outgoing,
            sealer=self.sealer,
            clock=self.clock,
            random_bits=self.random_bits,
            bus=self.bus,
            owner=self.process_name,
            concurrency=self.settings.outbound_concurrency,
            lease=self.settings.outbound_lease_seconds * SECOND,
            leases_by=self.store_time.now,
            allow_http=self.settings.outbound_allow_http,
            weights=parse_weights(self.settings.outbound_weights),
            default_tenant=self.settings.default_tenant,
            tell=lambda: self.notices.tell(EVENTS),
        )
        self.notices.on(EVENTS, outbound.worker.wake)
        self.scheduler.every(MEND_SECONDS, "outbound.mend", outbound.mend)
        self.scheduler.every(FOLD_SECONDS, "outbound.fold", Folder(self.database, figures, self.clock).fold)
        return outbound

    @cached_property
    def portal(self) -> PortalLinks:
        """Links that show a customer the endpoints of one tenant."""
        from custodes.planes.outbound.portal import PortalLinks
        from custodes.storage.sql.portal_links import SqlPortalLinkStore

        return PortalLinks(
            self.database,
            SqlPortalLinkStore(),
            self.clock,
            # Never a seeded source: it makes tokens.
            random.SystemRandom().getrandbits,
            base=self.settings.portal_url or self.settings.public_url,
        )

    @cached_property
    def ratelimit(self) -> RateLimiter:
        """Limits, blocks and bans."""
        from custodes.planes.ratelimit.bans import immune_addresses
        from custodes.planes.ratelimit.limiter import RateLimiter
        from custodes.planes.ratelimit.model import BanPolicy, FailureMode, Options
        from custodes.storage.limits import engine_of, windows_of
        from custodes.storage.sql.ratelimit import SqlRateLimitStore
        from custodes.storage.sql.ratelimit_recorded import SqlRecordings

        settings = self.settings
        redis_url = settings.redis_url.get_secret_value()
        ratelimit = RateLimiter(
            windows_of(
                settings.rate_limit_store,
                self.database,
                deadline_ms=settings.rate_limit_deadline_ms,
                redis_url=redis_url,
                secret=lambda: self.sealer.derive(b"names of rate-limit subjects", 32),
                monotonic=self.clock.monotonic,
            ),
            SqlRateLimitStore(self.database),
            clock=self.clock,
            new_id=self.new_id,
            bus=self.bus,
            client_of=self.addresses.limit_key,
            immune=immune_addresses(settings.trusted_proxies),
            options=Options(
                block_status=settings.rate_limit_block_status,
                failure_mode=FailureMode(settings.rate_limit_failure_mode),
                jitter=settings.rate_limit_jitter,
                bans=BanPolicy() if settings.rate_limit_bans else None,
                flood=settings.rate_limit_flood,
                default_tenant=settings.default_tenant,
            ),
            enabled=settings.rate_limiting_enabled,
            fanout=self.fanout,
            recordings=SqlRecordings(self.database),
            engine=engine_of(settings.rate_limit_store, self.database, redis_url=redis_url),
        )
        self.notices.on(LIMITS, ratelimit.look)
        return ratelimit

    @cached_property
    def traffic(self) -> ApiMonitor:
        """API calls."""
        from custodes.planes.traffic.monitor import ApiMonitor
        from custodes.storage.sql.traffic import SqlTrafficStore

        return ApiMonitor(
            SqlTrafficStore(self.database),
            clock=self.clock,
            random_bits=self.random_bits,
            bus=self.bus,
            is_leader=lambda: self.leader.is_leader,
            default_tenant=self.settings.default_tenant,
            enabled=self.settings.enterprise_monitoring_enabled,
        )
