"""Every setting, in one typed table.

Precedence: arguments of :class:`custodes.Custodes` > environment > the file named by ``CUSTODES_CONFIG`` (TOML, default
``custodes.toml`` when it exists) > the default below. Environment names are the upper-case alias of each field; what
the environment calls otherwise (``PORT``, ``DATABASE_URL``, ``SECRET_KEY``) belongs to the host.
``docs/reference/settings.md`` is generated from this table.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from custodes.errors import ConfigurationError
from custodes.kernel.tenant import DEFAULT_TENANT, TENANT, valid_tenant
from custodes.settings_sources import Environment, settings_file, told

#: A list written with commas in the environment and as a list in the file.
CommaList = Annotated[tuple[str, ...], NoDecode]


def _env(name: str, field: str) -> AliasChoices:
    """Accept the environment name and the field's own name (for arguments and the file)."""
    return AliasChoices(name, field)


class SourceSettings(BaseModel):
    """A source of webhooks that is set up without code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Who sends; empty: the source's name says it.
    kind: str = ""
    #: Signing secrets that are accepted.
    secrets: tuple[SecretStr, ...]
    #: URL that its verified events are forwarded to; empty: they are not.
    forward_to: str = ""
    #: Whose webhooks these are; empty: the default tenant's.
    tenant: str = ""
    #: What its kind takes besides: ``tolerance``, ``header``, ….
    options: dict[str, Any] = {}


class Settings(BaseSettings):
    """The settings of one install; frozen."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", case_sensitive=False, populate_by_name=True, use_attribute_docstrings=True
    )

    # ── Store ────────────────────────────────────────────────────────────────
    database_url: str = Field("sqlite:///custodes.db", validation_alias=_env("CUSTODES_DATABASE_URL", "database_url"))
    """Where everything is kept: ``sqlite:///path`` or ``postgresql+psycopg://…``."""
    database_schema: str = Field(
        "", max_length=63, validation_alias=_env("CUSTODES_DATABASE_SCHEMA", "database_schema")
    )
    """PostgreSQL: schema of our tables, made when it is missing; empty: the first of the role's ``search_path``."""
    database_listen_url: str = Field("", validation_alias=_env("CUSTODES_DATABASE_LISTEN_URL", "database_listen_url"))
    """PostgreSQL behind a pooler: URL of the server itself, where notices are heard, since ``LISTEN`` does not pass
    PgBouncer in transaction mode; empty: ``database_url``, unless a pooler answers there. Without notices, changes
    elsewhere are seen within a second."""
    database_readers: int = Field(
        4, ge=1, le=100, validation_alias=_env("CUSTODES_DATABASE_READERS", "database_readers")
    )
    """PostgreSQL: connections that each process opens for reads, at most."""
    database_writers: int = Field(
        4, ge=1, le=100, validation_alias=_env("CUSTODES_DATABASE_WRITERS", "database_writers")
    )
    """PostgreSQL: connections that each process opens for writes, at most; one more takes in what is hot."""
    redis_url: SecretStr = Field(SecretStr(""), validation_alias=_env("CUSTODES_REDIS_URL", "redis_url"))
    """Redis or Valkey, for limits that all instances share and for what they tell each other: ``redis://host:6379/0``,
    ``rediss://`` for TLS, ``redis+cluster://host,host`` or ``redis+sentinel://host,host/primary/0``. Empty: none."""

    # ── Switches (spec P1) ───────────────────────────────────────────────────
    enterprise_monitoring_enabled: bool = Field(
        True, validation_alias=_env("ENTERPRISE_MONITORING_ENABLED", "enterprise_monitoring_enabled")
    )
    """Monitor API calls at all."""
    rate_limiting_enabled: bool = Field(True, validation_alias=_env("RATE_LIMITING_ENABLED", "rate_limiting_enabled"))
    """Enforce rate limits and blocks."""
    audit_logging_enabled: bool = Field(True, validation_alias=_env("AUDIT_LOGGING_ENABLED", "audit_logging_enabled"))
    """Write the audit trail. Admin actions are written all the same."""
    webhook_monitoring_enabled: bool = Field(
        True, validation_alias=_env("WEBHOOK_MONITORING_ENABLED", "webhook_monitoring_enabled")
    )
    """Measure and watch webhooks. Accepted events are stored all the same."""

    # ── Retention (spec P1, P2) ──────────────────────────────────────────────
    webhook_log_retention_days: int = Field(
        30, ge=1, le=3650, validation_alias=_env("WEBHOOK_LOG_RETENTION_DAYS", "webhook_log_retention_days")
    )
    """Days that finished webhook events are kept."""
    api_log_retention_days: int = Field(
        7, ge=1, le=3650, validation_alias=_env("API_LOG_RETENTION_DAYS", "api_log_retention_days")
    )
    """Days that raw API rows, rate-limit windows and ended blocks are kept; rollups of API calls live longer."""
    audit_log_retention_days: int = Field(
        90, ge=1, le=36500, validation_alias=_env("AUDIT_LOG_RETENTION_DAYS", "audit_log_retention_days")
    )
    """Days that audit rows are kept once reviewed; unreviewed flagged rows stay."""
    rate_limit_cleanup_minutes: int = Field(
        60, ge=1, le=1440, validation_alias=_env("RATE_LIMIT_CLEANUP_MINUTES", "rate_limit_cleanup_minutes")
    )
    """Minutes between clean-ups of expired rate-limit windows."""

    # ── Client address ───────────────────────────────────────────────────────
    trusted_proxies: CommaList = Field((), validation_alias=_env("CUSTODES_TRUSTED_PROXIES", "trusted_proxies"))
    """CIDR blocks of the proxies in front; only they may say who the client is."""
    ipv6_prefix: int = Field(64, ge=32, le=128, validation_alias=_env("CUSTODES_IPV6_PREFIX", "ipv6_prefix"))
    """Bits of an IPv6 address that identify one client for limits and blocks."""
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for", validation_alias=_env("CUSTODES_FORWARDED_HEADER", "forwarded_header")
    )
    """The one header in which the trusted proxies say who the client is."""

    # ── Request path ─────────────────────────────────────────────────────────
    hook_limit_ms: int = Field(250, ge=1, le=60_000, validation_alias=_env("CUSTODES_HOOK_LIMIT_MS", "hook_limit_ms"))
    """Milliseconds that a request waits for one of our hooks or stores before it goes on without."""
    session_user_key: str = Field("user_id", validation_alias=_env("CUSTODES_SESSION_USER_KEY", "session_user_key"))
    """Key of the host's session (``scope["session"]``) that holds the user id; empty: sessions are not read."""
    trace_response: bool = Field(False, validation_alias=_env("CUSTODES_TRACE_RESPONSE", "trace_response"))
    """Answer with a ``traceresponse`` header that names the trace; off, since it is only a draft of the W3C."""

    # ── Admin ────────────────────────────────────────────────────────────────
    public_url: str = Field("", validation_alias=_env("CUSTODES_PUBLIC_URL", "public_url"))
    """Where browsers reach the dashboard, for example ``https://ops.example.com``; empty: taken from the request.
    ``custodes serve`` is below its path, if it has one (``https://ops.example.com/control``)."""
    oidc_issuers: CommaList = Field((), validation_alias=_env("CUSTODES_OIDC_ISSUERS", "oidc_issuers"))
    """Issuers whose tokens are accepted, as ``https://…`` URLs."""
    oidc_audience: str = Field("", validation_alias=_env("CUSTODES_OIDC_AUDIENCE", "oidc_audience"))
    """Audience that an OIDC token must carry."""
    oidc_authorized_parties: CommaList = Field(
        (), validation_alias=_env("CUSTODES_OIDC_AUTHORIZED_PARTIES", "oidc_authorized_parties")
    )
    """Client ids (``azp``) that an OIDC token may have been issued to; empty: only the audience itself."""
    oidc_client_id: str = Field("", validation_alias=_env("CUSTODES_OIDC_CLIENT_ID", "oidc_client_id"))
    """Client id of the dashboard at the first issuer: people then sign in there. Its callback is
    ``/dashboard/admin/enterprise/login/callback`` below ``CUSTODES_PUBLIC_URL``. It is the audience, too, unless
    one is set."""
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("CUSTODES_OIDC_CLIENT_SECRET", "oidc_client_secret")
    )
    """Secret of that client; empty for a public client, which PKCE alone protects."""
    clerk_issuer: str = Field("", validation_alias=_env("CUSTODES_CLERK_ISSUER", "clerk_issuer"))
    """Clerk frontend API URL, for example ``https://clerk.example.com``."""
    clerk_authorized_parties: CommaList = Field(
        (), validation_alias=_env("CUSTODES_CLERK_AUTHORIZED_PARTIES", "clerk_authorized_parties")
    )
    """Origins (``azp``) that a Clerk session token may come from; empty: that of ``CUSTODES_PUBLIC_URL``. One must be
    set."""
    clerk_sign_in_url: str = Field("", validation_alias=_env("CUSTODES_CLERK_SIGN_IN_URL", "clerk_sign_in_url"))
    """Where people sign in with Clerk, for example ``https://accounts.example.com/sign-in``: the dashboard sends them
    there, with ``redirect_url``. Empty: it does not."""
    session_hours: int = Field(12, ge=1, le=720, validation_alias=_env("CUSTODES_SESSION_HOURS", "session_hours"))
    """Hours that a local login lasts."""

    # ── Audit ────────────────────────────────────────────────────────────────
    audit_flag_threshold: int = Field(
        60, ge=1, le=100, validation_alias=_env("CUSTODES_AUDIT_FLAG_THRESHOLD", "audit_flag_threshold")
    )
    """Risk score from which an audit entry is flagged for review."""

    # ── Secrets at rest, webhooks out ────────────────────────────────────────
    secret_key: SecretStr = Field(SecretStr(""), validation_alias=_env("CUSTODES_SECRET_KEY", "secret_key"))
    """Keys that seal stored secrets, comma-separated, at least 32 characters each: the first seals, all open. Empty: a
    key file beside the SQLite database, made at first use; on PostgreSQL no secrets are kept without a key."""
    outbound_allow_http: bool = Field(
        False, validation_alias=_env("CUSTODES_OUTBOUND_ALLOW_HTTP", "outbound_allow_http")
    )
    """Allow endpoints of outgoing webhooks at ``http`` URLs; for tests."""

    outbound_concurrency: int = Field(
        64, ge=0, le=1_000, validation_alias=_env("CUSTODES_OUTBOUND_CONCURRENCY", "outbound_concurrency")
    )
    """Deliveries that one process has under way at the same time; 0: it emits and leaves delivering to others."""
    outbound_lease_seconds: int = Field(
        30, ge=1, le=3_600, validation_alias=_env("CUSTODES_OUTBOUND_LEASE_SECONDS", "outbound_lease_seconds")
    )
    """Seconds a process may be silent before its deliveries are taken over."""
    outbound_weights: CommaList = Field((), validation_alias=_env("CUSTODES_OUTBOUND_WEIGHTS", "outbound_weights"))
    """Places a round, 1 to 100, of tenants that get more than one while deliveries wait: ``acme=3,globex=2``."""
    outbound_retention_days: int = Field(
        30, ge=1, le=3_650, validation_alias=_env("CUSTODES_OUTBOUND_RETENTION_DAYS", "outbound_retention_days")
    )
    """Days that emitted events, their deliveries and attempts are kept; open ones stay."""

    # ── Customer portal ──────────────────────────────────────────────────────
    portal_url: str = Field("", validation_alias=_env("CUSTODES_PORTAL_URL", "portal_url"))
    """Where customers reach the install, for example ``https://app.example.com``, with the path that it is mounted at
    when there is one; empty: as ``CUSTODES_PUBLIC_URL``."""
    portal_name: str = Field("", max_length=60, validation_alias=_env("CUSTODES_PORTAL_NAME", "portal_name"))
    """Your name at the top of the portal; empty: it says ``Webhooks``."""
    portal_colour: str = Field(
        "", pattern=r"^(#[0-9a-fA-F]{6})?$", validation_alias=_env("CUSTODES_PORTAL_COLOUR", "portal_colour")
    )
    """Your colour in the portal, as ``#rrggbb``; empty: blue."""

    # ── Requests that go out ─────────────────────────────────────────────────
    outgoing_allow_networks: CommaList = Field(
        (), validation_alias=_env("CUSTODES_OUTGOING_ALLOW_NETWORKS", "outgoing_allow_networks")
    )
    """Private networks that webhooks, alerts and key fetches may go to, as CIDR: ``10.20.0.0/16``. None by default;
    metadata services, link-local and multicast addresses never."""
    outgoing_ports: CommaList = Field((), validation_alias=_env("CUSTODES_OUTGOING_PORTS", "outgoing_ports"))
    """Ports that they may go to: ``443,8000-8999``. Empty: 80, 443 and all from 1024 on."""

    # ── Rate limits ──────────────────────────────────────────────────────────
    rate_limit_store: Literal["auto", "memory", "sqlite", "postgresql", "redis"] = Field(
        "auto", validation_alias=_env("CUSTODES_RATE_LIMIT_STORE", "rate_limit_store")
    )
    """Where limits count: ``memory`` of each worker, ``sqlite`` for all workers of one host together (a file of its own
    beside the database), ``postgresql`` (the database) or ``redis`` for all instances. ``auto``: Redis when there is a
    URL of one, else PostgreSQL when that is the database, else memory."""
    rate_limit_deadline_ms: int = Field(
        0, ge=0, le=10_000, validation_alias=_env("CUSTODES_RATE_LIMIT_DEADLINE_MS", "rate_limit_deadline_ms")
    )
    """Milliseconds that a request waits for the decision of a shared store; 0: 20 on Redis, 100 elsewhere."""
    rate_limit_failure_mode: Literal["open", "closed", "degraded"] = Field(
        "degraded", validation_alias=_env("CUSTODES_RATE_LIMIT_FAILURE_MODE", "rate_limit_failure_mode")
    )
    """What becomes of a request when the shared store does not decide in time, unless its rule says otherwise:
    ``open`` lets it through, ``closed`` refuses it (503), ``degraded`` holds it against this instance's part of the
    limit. All are counted."""
    rate_limit_block_status: Literal[403, 429] = Field(
        403, validation_alias=_env("CUSTODES_RATE_LIMIT_BLOCK_STATUS", "rate_limit_block_status")
    )
    """Status for those who are blocked or on the deny list."""
    rate_limit_bans: bool = Field(False, validation_alias=_env("CUSTODES_RATE_LIMIT_BANS", "rate_limit_bans"))
    """Shut out who keeps on running into limits: a warning, then 1 minute, 15 minutes, 1 hour, 24 hours."""
    rate_limit_flood: int = Field(1_000, ge=0, validation_alias=_env("CUSTODES_RATE_LIMIT_FLOOD", "rate_limit_flood"))
    """Refusals of one address, user or key by one rule within 5 minutes, in a worker, that raise an alert; 0: none."""
    rate_limit_jitter: float = Field(
        0.0, ge=0, le=1, validation_alias=_env("CUSTODES_RATE_LIMIT_JITTER", "rate_limit_jitter")
    )
    """Part by which ``Retry-After`` is longer, different for each caller, against all coming back at once."""

    # ── Webhooks in ──────────────────────────────────────────────────────────
    stripe_webhook_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("STRIPE_WEBHOOK_SECRET", "stripe_webhook_secret")
    )
    """Signing secrets of Stripe, comma-separated; more can be given in code with ``custodes.source``."""
    github_webhook_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("GITHUB_WEBHOOK_SECRET", "github_webhook_secret")
    )
    """Signing secrets of GitHub, comma-separated."""
    clerk_webhook_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("CLERK_WEBHOOK_SECRET", "clerk_webhook_secret")
    )
    """Signing secrets of Clerk (Svix), comma-separated."""
    stripe_api_key: SecretStr = Field(SecretStr(""), validation_alias=_env("CUSTODES_STRIPE_API_KEY", "stripe_api_key"))
    """A restricted key of Stripe that may read events (``rk_live_…``): events of the source ``stripe`` that never
    arrived are then found and fetched. Empty: they are not looked for."""
    stripe_event_types: CommaList = Field(
        (), validation_alias=_env("CUSTODES_STRIPE_EVENT_TYPES", "stripe_event_types")
    )
    """Types that the endpoint at Stripe is subscribed to, with ``*``: ``invoice.*,charge.refunded``. Empty: all."""
    github_token: SecretStr = Field(SecretStr(""), validation_alias=_env("CUSTODES_GITHUB_TOKEN", "github_token"))
    """A token of GitHub that may read the webhook's deliveries: the same for the source ``github``."""
    github_hook: str = Field("", validation_alias=_env("CUSTODES_GITHUB_HOOK", "github_hook"))
    """Which webhook that is: ``owner/repository/hooks/123``, ``orgs/name/hooks/123`` or ``app/hook``."""

    webhook_sources: dict[str, SourceSettings] = Field(
        default_factory=dict, validation_alias=_env("CUSTODES_WEBHOOK_SOURCES", "webhook_sources")
    )
    """Other sources, by name: in the file a table each (``[webhook_sources.shop]`` with ``kind``, ``secrets``,
    ``forward_to``, ``tenant`` and ``options``), in the environment JSON."""
    forward_to: CommaList = Field((), validation_alias=_env("CUSTODES_FORWARD_TO", "forward_to"))
    """Where verified webhooks go on to, as ``source=url``: ``stripe=http://127.0.0.1:8000/hooks/stripe``. Addresses of
    private networks must be named in ``CUSTODES_OUTGOING_ALLOW_NETWORKS``."""

    webhook_concurrency: int = Field(
        16, ge=0, le=1_000, validation_alias=_env("CUSTODES_WEBHOOK_CONCURRENCY", "webhook_concurrency")
    )
    """Webhook events that one process handles at the same time; 0: it takes them in and leaves them to others."""
    webhook_lease_seconds: int = Field(
        10, ge=1, le=3_600, validation_alias=_env("CUSTODES_WEBHOOK_LEASE_SECONDS", "webhook_lease_seconds")
    )
    """Seconds a process may be silent before its events are taken over; a killed one's are handled again after that."""
    webhook_ip_limit: str = Field("6000/minute", validation_alias=_env("CUSTODES_WEBHOOK_IP_LIMIT", "webhook_ip_limit"))
    """Deliveries accepted from one address; empty: as many as come. Big senders share few addresses."""

    # ── Alerts ───────────────────────────────────────────────────────────────
    alert_urls: CommaList = Field((), validation_alias=_env("CUSTODES_ALERT_URLS", "alert_urls"))
    """Where alerts go: ``https://…`` for a webhook, any other scheme is an apprise URL (``slack://…``, ``mailto://…``)."""
    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("CUSTODES_ALERT_WEBHOOK_SECRET", "alert_webhook_secret")
    )
    """Signs alert webhooks (Standard Webhooks v1): ``whsec_`` and base64 of 24 to 64 bytes; empty: not signed."""

    # ── Health ───────────────────────────────────────────────────────────────
    health_thresholds: CommaList = Field((), validation_alias=_env("CUSTODES_HEALTH_THRESHOLDS", "health_thresholds"))
    """When a system is degraded or unhealthy, as ``system.figure=degraded:unhealthy``: ``api.error_rate=0.02:0.1``."""

    # ── Server ───────────────────────────────────────────────────────────────
    host: str = Field("127.0.0.1", validation_alias=_env("CUSTODES_HOST", "host"))
    """Address that ``custodes serve`` listens on."""
    port: int = Field(8321, ge=0, le=65535, validation_alias=_env("CUSTODES_PORT", "port"))
    """Port that ``custodes serve`` listens on."""
    drain_seconds: float = Field(2.0, ge=0, le=300, validation_alias=_env("CUSTODES_DRAIN_SECONDS", "drain_seconds"))
    """Seconds that ``custodes serve`` goes on serving after SIGTERM while ``/readyz`` answers 503, so that balancers
    send requests elsewhere; up to five more are for requests under way."""
    default_tenant: str = Field(
        DEFAULT_TENANT, pattern=TENANT, validation_alias=_env("CUSTODES_DEFAULT_TENANT", "default_tenant")
    )
    """Tenant of everything that names none: 1 to 64 of ``A-Z a-z 0-9 . _ : @ -``, starting with a letter or digit."""
    tenant_time_zones: CommaList = Field((), validation_alias=_env("CUSTODES_TENANT_TIME_ZONES", "tenant_time_zones"))
    """Time zones that the dashboard offers beside UTC and the reader's own: ``acme=Europe/Berlin`` for a tenant,
    ``*=America/New_York`` for all others. Who sees all tenants is offered that of the default tenant."""

    def time_zone_of(self, tenant: str | None) -> str:
        """Time zone of a tenant, None: the default one, by its name in the IANA database; empty: none is set."""
        zones = dict(_zone_entry(entry) for entry in self.tenant_time_zones)
        return zones.get(tenant or self.default_tenant, zones.get("*", ""))

    def webhook_secrets(self) -> dict[str, tuple[str, ...]]:
        """Signing secrets from the environment or the file, by source; sources without one are left out."""
        given = {
            "stripe": self.stripe_webhook_secret,
            "github": self.github_webhook_secret,
            "clerk": self.clerk_webhook_secret,
        }
        split = {
            name: tuple(part.strip() for part in secret.get_secret_value().split(",") if part.strip())
            for name, secret in given.items()
        }
        return {name: secrets for name, secrets in split.items() if secrets}

    @field_validator(
        "trusted_proxies",
        "oidc_issuers",
        "oidc_authorized_parties",
        "clerk_authorized_parties",
        "alert_urls",
        "health_thresholds",
        "tenant_time_zones",
        "outbound_weights",
        "outgoing_allow_networks",
        "outgoing_ports",
        "stripe_event_types",
        "forward_to",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("tenant_time_zones")
    @classmethod
    def _are_zones(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # An image without time zone data knows none: then the browser, which has its own, is the judge.
        known = available_timezones() if value else frozenset[str]()
        for tenant, zone in map(_zone_entry, value):
            if (tenant != "*" and not valid_tenant(tenant)) or (known and zone not in known):
                msg = f"{tenant[:64]}={zone[:64]} is no tenant with its time zone: write acme=Europe/Berlin"
                raise ValueError(msg)
        return value

    @field_validator("public_url", "portal_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        """Say at the start what would come out as a link that leads nowhere, or a request that is taken for forged."""
        try:
            parts = urlsplit(value)
            wrong = parts.scheme not in {"https", "http"} or not parts.hostname or parts.port == 0
        except ValueError:
            wrong = True
        else:
            wrong = wrong or "@" in parts.netloc or "?" in value or "#" in value
        if value and (wrong or not value.isascii() or not value.isprintable() or " " in value):
            msg = "it is no address that browsers reach: write https://app.example.com, without query and fragment"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _know_whose_tokens(self) -> Settings:
        """An issuer signs for many programs and pages: without a name for ours, the tokens of all would count here."""
        if self.oidc_issuers and not (self.oidc_audience or self.oidc_client_id):
            msg = "issuers are set without an audience: set CUSTODES_OIDC_AUDIENCE to the client id or API identifier"
            raise ValueError(msg)
        if self.oidc_client_id and not self.oidc_issuers:
            msg = "a client id is set without an issuer: set CUSTODES_OIDC_ISSUERS"
            raise ValueError(msg)
        if self.clerk_sign_in_url and not (self.clerk_issuer and self.clerk_sign_in_url.startswith("https://")):
            msg = "Clerk's sign-in page must be https, and CUSTODES_CLERK_ISSUER be set: set both, or neither"
            raise ValueError(msg)
        if self.clerk_issuer and not (self.clerk_authorized_parties or self.public_url):
            msg = (
                "Clerk is set, and nothing says which pages' tokens are accepted: "
                "set CUSTODES_CLERK_AUTHORIZED_PARTIES to their origins, or CUSTODES_PUBLIC_URL"
            )
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, environment, file."""
        del env_settings, dotenv_settings, file_secret_settings
        return (init_settings, Environment(settings_cls), settings_file(settings_cls))


def _zone_entry(entry: str) -> tuple[str, str]:
    tenant, _, zone = entry.partition("=")
    return tenant.strip(), zone.strip()


def load_settings(**arguments: Any) -> Settings:
    """Read the settings; arguments win.

    Raises:
        ConfigurationError: a value is wrong; names the setting, never shows a secret.
    """
    try:
        return Settings(**arguments)
    except SettingsError as error:
        msg = f"A setting cannot be read: {error}"
        raise ConfigurationError(msg, remedy="Lists and tables are written as JSON in the environment") from None
    except ValidationError as error:
        faults = (told(one["type"], one["loc"], one["msg"], (Settings, SourceSettings)) for one in error.errors())
        msg = f"Wrong setting: {'; '.join(faults)}"
        raise ConfigurationError(msg, remedy="See docs/reference/settings.md") from None
