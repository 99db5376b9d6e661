"""A request that is none: what ``check_rate_limit`` puts before the judge."""

from __future__ import annotations

from custodes.errors import InvalidInput
from custodes.planes.ratelimit.access import normal_identifier
from custodes.planes.ratelimit.answers import Decision
from custodes.planes.ratelimit.model import Kind


class Probe:
    """A :class:`~custodes.planes.ratelimit.model.Call` for one identifier at one endpoint."""

    __slots__ = ("api_key", "client_ip", "limited_by", "method", "path", "tenant", "trace_id", "user")

    def __init__(self, identifier: str, kind: Kind, endpoint: str, method: str, tenant: str, trace_id: str) -> None:
        if kind is Kind.CUSTOM:
            msg = "A custom identifier can only be named by the callable of its rule"
            raise InvalidInput(msg, remedy="Use ip, user, api_key or tenant")
        name = normal_identifier(kind, identifier)
        if kind is Kind.IP and "/" in name:
            msg = "A CIDR block cannot send a request"
            raise InvalidInput(msg, remedy="Pass a single address")
        self.client_ip = name if kind is Kind.IP else ""
        self.user = name if kind is Kind.USER else ""
        self.api_key = name if kind is Kind.API_KEY else ""
        self.tenant = name if kind is Kind.TENANT else tenant
        self.path = endpoint
        self.method = method.upper()[:16]
        self.trace_id = trace_id
        self.limited_by = ""


#: Why somebody is refused whom no limit refused, by what the decision names.
_REASONS = {
    "block": "It is blocked",
    "ban": "It is shut out for running into limits again and again",
    "deny-list": "It is on the deny list",
    "unavailable": "The limits cannot be decided now, and the install refuses then",
}


def reason_of(decision: Decision) -> str:
    """Say for people why a decision refuses; empty when it does not."""
    if decision.allowed:
        return ""
    over = f"It is over the limit {decision.rule!r}"
    return over if decision.figures else _REASONS.get(decision.rule, over)
