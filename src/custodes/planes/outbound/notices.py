"""What we tell of endpoints and messages: as signals, and as webhooks of our own.

============================= ====================================================================
``custodes.endpoint.failing`` every attempt failed for 50, 70, 90 % of the time to being disabled
``custodes.endpoint.disabled`` it was disabled: it failed for too long, or answered 410
``custodes.message.exhausted`` the last attempt of a delivery failed
============================= ====================================================================

They go to endpoints that subscribe to them by name (``custodes.*``, ``custodes.endpoint.disabled``); ``*`` alone means
the host's events. Of a tenant's endpoint both its own tenant's subscribers hear and the operator's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from custodes.kernel.clock import to_iso
from custodes.kernel.signals import FailureSignal, Signal
from custodes.planes.outbound.catalogue import OWN_PREFIX
from custodes.planes.outbound.emitter import Emission, Emitter
from custodes.planes.outbound.model import Attempt, Delivery, Endpoint

FAILING = f"{OWN_PREFIX}endpoint.failing"
DISABLED = f"{OWN_PREFIX}endpoint.disabled"
EXHAUSTED = f"{OWN_PREFIX}message.exhausted"

#: What the signals are called where people read them.
_TITLES = {
    "endpoint.failing": "A webhook endpoint fails",
    "endpoint.disabled": "A webhook endpoint was disabled",
    "message.exhausted": "A webhook could not be delivered",
}


class Notices:
    """Makes them; what is to be emitted is written in the transaction of what it tells of."""

    def __init__(self, emitter: Emitter, emit: Callable[[Signal], None], operator: str) -> None:
        self._emitter = emitter
        self._emit = emit
        self._operator = operator

    def of_endpoint(self, endpoint: Endpoint, attempt: Attempt, percent: int) -> list[Emission]:
        """Write the news of a failing endpoint: disabled at 100 %."""
        data = {
            **_about(endpoint),
            "percent": percent,
            "error": attempt.error,
            "failed_at": to_iso(attempt.started_at),
        }
        return self._both(DISABLED if percent == 100 else FAILING, data, endpoint.tenant)

    def of_message(self, endpoint: Endpoint, delivery: Delivery, attempt: Attempt) -> list[Emission]:
        """Write the news of a message that could not be delivered."""
        if delivery.event_type.startswith(OWN_PREFIX):
            return []  # news of news would never end
        data = {
            **_about(endpoint),
            "message_id": delivery.message_id,
            "delivery_id": delivery.id,
            "event_type": delivery.event_type,
            "attempts": attempt.number,
            "error": attempt.error,
        }
        return self._both(EXHAUSTED, data, endpoint.tenant)

    def tell_endpoint(self, endpoint: Endpoint, attempt: Attempt, percent: int, at: int) -> None:
        """Emit the signal of a failing endpoint."""
        # The host alone: what is secret in the URL of a customer stays out of alerts.
        place = f"{urlsplit(endpoint.url).hostname or 'an endpoint'} of {endpoint.tenant}"
        if percent == 100:
            self._tell(endpoint, "endpoint.disabled", f"Webhooks to {place} were disabled: {attempt.error}", at, {})
        else:
            spent = f"{percent} % of the time after which it is disabled"
            summary = f"Webhooks to {place} have failed for {spent}: {attempt.error}"
            self._tell(endpoint, "endpoint.failing", summary, at, {})

    def tell_message(self, endpoint: Endpoint, delivery: Delivery, attempt: Attempt, at: int) -> None:
        """Emit the signal of a message that could not be delivered."""
        summary = f"A webhook of type {delivery.event_type} could not be delivered: {attempt.error}"
        self._tell(endpoint, "message.exhausted", summary, at, {"message_id": delivery.message_id})

    def _tell(self, endpoint: Endpoint, name: str, summary: str, at: int, context: Mapping[str, object]) -> None:
        about = {"endpoint_id": endpoint.id, **context}
        self._emit(
            FailureSignal(
                at=at,
                tenant=endpoint.tenant,
                system="outbound",
                name=name,
                about=(("endpoint", endpoint.id),),
                title=_TITLES[name],
                summary=summary,
                context=about,
            )
        )

    def _both(self, name: str, data: Mapping[str, object], tenant: str) -> list[Emission]:
        return [self._emitter.draft(name, data, tenant=each) for each in dict.fromkeys((tenant, self._operator))]


def _about(endpoint: Endpoint) -> dict[str, object]:
    return {"endpoint_id": endpoint.id, "tenant": endpoint.tenant, "url": endpoint.url}
