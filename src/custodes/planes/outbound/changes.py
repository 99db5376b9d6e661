"""What a change of an endpoint changed, as the audit trail tells it: of secrets only that they are others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from custodes.kernel.clock import HOUR, SECOND
from custodes.planes.outbound.model import AuthKind, Endpoint
from custodes.runtime.transactions import Work

#: Path, what was, what is; the paths are those of the admin API.
FieldChange = tuple[str, Any, Any]

#: Makes what commits with a change, out of the changed endpoint and of what that changed.
Told = Callable[[Endpoint, Sequence[FieldChange]], Work]

#: What stands for a secret that there was, and for one that is new.
WAS, IS = "(sealed)", "(new)"


def changes_of(before: Endpoint, after: Endpoint) -> list[FieldChange]:
    """List the fields that differ, without secrets."""
    old, new = _told(before), _told(after)
    return [(path, old[path], new[path]) for path in old if old[path] != new[path]]


def changed_headers(before: Mapping[str, str], after: Mapping[str, str]) -> list[FieldChange]:
    """List the headers that were added, taken away or given another value."""
    return [
        (f"options.headers.{name}", WAS if name in before else None, IS if name in after else None)
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def changed_credentials(before: Endpoint, after: Endpoint) -> list[FieldChange]:
    """List that credentials were given anew, or are no longer there."""
    was = None if before.options.auth is AuthKind.NONE else WAS
    now = None if after.options.auth is AuthKind.NONE else IS
    return [("credentials", was, now)] if was or now else []


def _told(endpoint: Endpoint) -> dict[str, Any]:
    options = endpoint.options
    return {
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "description": endpoint.description,
        "retry.schedule_seconds": [wait / SECOND for wait in endpoint.retry.schedule],
        "retry.timeout_seconds": endpoint.retry.timeout / SECOND,
        "options.match": dict(options.match),
        "options.channels": list(options.channels),
        "options.auth": options.auth.value,
        "options.payload_version": options.payload_version,
        "options.signature": options.signature.value,
        "options.rate": options.rate,
        "options.concurrency": options.concurrency,
        "options.ordered": options.ordered,
        "options.disable_after_hours": options.disable_after / HOUR,
    }
