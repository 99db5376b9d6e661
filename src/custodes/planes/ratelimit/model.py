"""What limits, rules, blocks and decisions are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from custodes.kernel.clock import HOUR, MINUTE, SECOND
from custodes.kernel.tenant import DEFAULT_TENANT, EVERY_TENANT

#: Endpoint of a rule that holds for all of them.
EVERY_ENDPOINT = "*"

#: End of what has no end: 9999-12-31T23:59:59Z.
FOREVER = 253_402_300_799 * SECOND


class Call(Protocol):
    """**Protocol:** the request to decide on, as the middleware describes it."""

    #: Upper-case method.
    method: str
    #: Path as requested, percent-decoded, without the query.
    path: str
    #: Client address as text; empty when unknown.
    client_ip: str
    #: User as the host says; empty when anonymous.
    user: str
    #: Id of the API key; empty when none.
    api_key: str
    #: Tenant.
    tenant: str
    #: W3C trace id.
    trace_id: str
    #: Set by the limiter: name of the rule that refused it.
    limited_by: str


class Kind(StrEnum):
    """What an identifier is."""

    #: An address or a CIDR block; IPv6 clients count by their prefix.
    IP = "ip"
    #: A user of a tenant.
    USER = "user"
    #: An API key of a tenant, by its id.
    API_KEY = "api_key"
    #: A whole tenant.
    TENANT = "tenant"
    #: What a callable of the host returned.
    CUSTOM = "custom"


class Algorithm(StrEnum):
    """How a limit counts."""

    #: Exact sliding window (a packed log), up to 4,096 units.
    LOG = "log"
    #: Conservative sliding window, any size.
    SUBWINDOWS = "subwindows"
    #: Token bucket with a burst of its own.
    GCRA = "gcra"
    #: Quota of a calendar period.
    CALENDAR = "calendar"
    #: Slots held at one moment.
    CONCURRENCY = "concurrency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit, as written."""

    #: Units per window, or slots.
    amount: int
    #: How it counts.
    algorithm: Algorithm
    #: Length of the window, or of a slot's lease, microseconds; 0 for a calendar period.
    window: int = 0
    #: Tokens of a full bucket (GCRA only).
    burst: int = 0
    #: ``minute``, ``hour``, ``day`` or ``month`` (calendar only).
    unit: str = ""
    #: IANA name of the time zone (calendar only).
    zone: str = "UTC"
    #: The limit in the rule language, in its shortest form.
    text: str = ""


#: Whom a rule counts: a kind, or a callable of the host that names somebody (empty text: the rule does not apply).
Subject: TypeAlias = "Kind | Callable[[Call], str]"

#: Units that a request costs.
Cost: TypeAlias = "int | Callable[[Call], int]"


class FailureMode(StrEnum):
    """What becomes of a request when its limits cannot be decided."""

    #: It goes on.
    OPEN = "open"
    #: It is refused with 503.
    CLOSED = "closed"
    #: It is held against this instance's part of the limit: the limit divided by the instances that live.
    DEGRADED = "degraded"


class Source(StrEnum):
    """Where a rule comes from."""

    #: Written in the host's code; read-only.
    CODE = "code"
    #: Made by an administrator at run time.
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may do how much of what."""

    #: Name, in headers, analytics and the audit trail: no other rule of the tenant has it, and none for all tenants.
    name: str
    #: What it allows; all of them must admit.
    limits: tuple[Limit, ...]
    #: Whom it counts: the combination of all of these is one subject.
    by: tuple[Subject, ...] = (Kind.IP,)
    #: Path template such as ``/items/{id}`` or ``/api/*``; ``*`` for every path.
    route: str = EVERY_ENDPOINT
    #: Methods it holds for; empty for all.
    methods: frozenset[str] = frozenset()
    #: Path templates that it does not hold for, although ``route`` matches.
    exempt: tuple[str, ...] = ()
    #: Units that a request costs.
    cost: Cost = 1
    #: True to refuse nobody, and only tell whom it would.
    shadow: bool = False
    #: False to switch it off.
    enabled: bool = True
    #: What becomes of its requests when the engine cannot decide; None for what the install has chosen.
    on_failure: FailureMode | None = None
    #: Units of each limit that an instance may take at once and hand out itself, where limits are kept in Redis. Up to
    #: one less for each instance may pass beyond a limit. 1 for none: each request is decided on by itself.
    lease: int = 1
    #: Tenant whose requests it holds for; ``*`` for all.
    tenant: str = EVERY_TENANT
    #: Where it comes from.
    source: Source = Source.CODE
    #: Row id of a rule made at run time; empty otherwise.
    id: str = ""
    #: Counts the changes of a rule made at run time, from 1.
    version: int = 1
    #: When it was last changed, microseconds; 0 for a rule in code.
    updated_at: int = 0
    #: Who changed it last; empty for a rule in code.
    actor: str = ""
    #: True for a rule made at run time whose name a rule in code has: that one holds, this one holds for nothing.
    overruled: bool = False


class Effect(StrEnum):
    """What an access entry does."""

    #: Refuses, until it ends or is lifted.
    BLOCK = "block"
    #: Refuses: the deny list.
    DENY = "deny"
    #: Lets through: the allow list. Wins over the others and over all limits; that of a tenant over what is the
    #: tenant's own alone.
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An identifier that is blocked, on the deny list or on the allow list."""

    #: UUIDv7.
    id: str
    #: Tenant whose requests it concerns; ``*`` for all.
    tenant: str
    #: What it does.
    effect: Effect
    #: What the identifier is.
    kind: Kind
    #: Address, CIDR block, user, key id or tenant.
    identifier: str
    #: Why, for people.
    reason: str
    #: Who put it there: ``user:<subject>``, or ``custodes`` for a ban.
    actor: str
    #: When, microseconds.
    created_at: int
    #: When it ends or was lifted, microseconds; :data:`FOREVER` when it has no end.
    ends_at: int = FOREVER
    #: Step of the escalation when it is a ban, from 1; 0 when a person did it.
    level: int = 0
    #: Who lifted it before its end; empty otherwise, and where another took its place.
    lifted_by: str = ""

    @property
    def refuses_as(self) -> str:
        """How requests that it refuses are told; counted windows have it in brackets for a rule. Empty: none are."""
        if self.effect is Effect.ALLOW:
            return ""
        return "deny-list" if self.effect is Effect.DENY else "ban" if self.level else "block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one identifier did under one rule at one endpoint in one stretch of time (a row of T3)."""

    #: UUIDv7.
    id: str
    #: Tenant.
    tenant: str
    #: Rule.
    rule: str
    #: What the identifier is; empty for the sum over all.
    kind: str
    #: Identifier; empty for the sum over all.
    identifier: str
    #: Path template, or the path with its variable parts as ``{}``; ``*`` for all.
    endpoint: str
    #: Begin, microseconds; included.
    window_start: int
    #: End, microseconds; not included.
    window_end: int
    #: Units admitted.
    allowed: int
    #: Requests refused.
    refused: int
    #: Requests that a rule in shadow would have refused.
    would_refuse: int
    #: Trace of the latest refused request; empty when none was.
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BanPolicy:
    """When those who keep on running into limits are shut out, and for how long."""

    #: Refused requests within ``within`` that make one offence.
    refusals: int = 30
    #: Stretch of time for that, microseconds.
    within: int = MINUTE
    #: What each further offence brings, microseconds; 0 is a warning; the last holds for all further ones.
    steps: tuple[int, ...] = (0, MINUTE, 15 * MINUTE, HOUR, 24 * HOUR)
    #: After this long without an offence one is forgiven, microseconds.
    decay: int = 6 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much of a limit an identifier has used."""

    #: Rule.
    rule: str
    #: Identifier.
    identifier: str
    #: Units that it may have at once: of a rule with a burst, the burst.
    limit: int
    #: Units left now.
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What keeps the states of limits, and how the limiter is set, as this worker sees it."""

    #: ``memory``, ``sqlite``, ``postgresql`` or ``redis``.
    name: str
    #: False when everything is admitted.
    enabled: bool
    #: False while the engine is known not to answer.
    available: bool
    #: Instances that share the states.
    instances: int
    #: Decisions that could not be made, since the start.
    failures: int
    #: What becomes of requests then, unless their rule says otherwise.
    failure_mode: FailureMode
    #: Status for those who are blocked.
    block_status: int
    #: Whether those who keep on running into limits are shut out by themselves.
    bans: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Answer to ``check_rate_limit``."""

    #: Whether it is admitted, and was charged.
    allowed: bool
    #: Rule that refused; empty when admitted.
    rule: str = ""
    #: Units left under the tightest limit; None when no rule applies.
    remaining: int | None = None
    #: Microseconds until it would be admitted; 0 when admitted; None when it never will be.
    retry_after: int | None = 0
    #: Why, for people; empty when admitted.
    reason: str = ""
    #: Rules in shadow that would have refused.
    would_refuse: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the limiter of an install behaves."""

    #: Status for those who are blocked: 403, or 429.
    block_status: int = 403
    #: What becomes of a request when its limits cannot be decided, unless its rule says otherwise.
    failure_mode: FailureMode = FailureMode.DEGRADED
    #: ``Retry-After`` is longer by up to this part of itself, the same for the same caller; 0 for exact.
    jitter: float = 0.0
    #: Escalating bans; None for none.
    bans: BanPolicy | None = None
    #: Refusals of one identifier by one rule within five minutes that are told of as a flood; 0 for none. That is
    #: three a second: whoever runs into a limit by mistake is refused some hundred times until he looks.
    flood: int = 1_000
    #: Tenant of what belongs to no other.
    default_tenant: str = DEFAULT_TENANT
