"""Rows of messages, deliveries and attempts, and what they say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from custodes.planes.outbound.model import JOB_KIND, Attempt, Delivery, DeliveryStatus, Message
from custodes.planes.outbound.ports import Load
from custodes.runtime.outgoing.timing import Timing

#: What the names of an answer's headers begin with, beside those that were sent: no name has it in it (RFC 9110 §5.1),
#: and an older version shows them as they are.
_ANSWERED = "<"


def job_row(delivery: Delivery, due_at: int | None = None) -> dict[str, Any]:
    """Make the job of a delivery."""
    return {
        "tenant_id": delivery.tenant,
        "kind": JOB_KIND,
        "ref": delivery.id,
        "lane": f"{delivery.tenant}/{delivery.endpoint_id}",
        "due_at": delivery.created_at if due_at is None else due_at,
        "attempts": 0,
        "released": 0,
        "token": 0,
        "lease_owner": None,
    }


def key_of(message: Message) -> tuple[str, str]:
    """Return what an idempotency key is unique by."""
    return message.tenant, message.idempotency_key


def message_row(message: Message) -> dict[str, Any]:
    """Make the row of a message."""
    return {
        "tenant_id": message.tenant,
        "id": message.id,
        "created_at": message.created_at,
        "event_type": message.event_type,
        "idempotency_key": message.idempotency_key or None,
        "order_key": message.order_key,
        "channels": list(message.channels),
        "trace_id": message.trace_id,
        "trace_context": message.trace_context or None,
        "content_type": message.content_type,
        "headers": [list(header) for header in message.headers],
    }


def message_of(row: RowMapping) -> Message:
    """Read a message."""
    return Message(
        id=row["id"],
        tenant=row["tenant_id"],
        event_type=row["event_type"],
        created_at=row["created_at"],
        idempotency_key=row["idempotency_key"] or "",
        order_key=row["order_key"],
        channels=tuple(row["channels"]),
        trace_id=row["trace_id"],
        trace_context=row["trace_context"] or "",
        content_type=row["content_type"],
        headers=_headers(row["headers"]),
    )


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """Make the row of a delivery."""
    return {
        "tenant_id": delivery.tenant,
        "id": delivery.id,
        "message_id": delivery.message_id,
        "configuration_id": delivery.endpoint_id,
        "event_type": delivery.event_type,
        "version": delivery.version,
        "order_key": delivery.order_key,
        "position": delivery.position,
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
        "next_attempt_at": delivery.next_attempt_at,
        "last_status": delivery.last_status,
        "error": delivery.error,
    }


def delivery_of(row: RowMapping) -> Delivery:
    """Read a delivery."""
    return Delivery(
        id=row["id"],
        tenant=row["tenant_id"],
        message_id=row["message_id"],
        endpoint_id=row["configuration_id"],
        event_type=row["event_type"],
        version=row["version"],
        order_key=row["order_key"],
        position=row["position"],
        status=DeliveryStatus(row["status"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        next_attempt_at=row["next_attempt_at"],
        last_status=row["last_status"],
        error=row["error"],
    )


def load_of(row: RowMapping) -> Load:
    """Read what one attempt takes."""
    delivery = delivery_of(row)
    message = Message(
        id=delivery.message_id,
        tenant=delivery.tenant,
        event_type=delivery.event_type,
        created_at=row["emitted_at"],
        idempotency_key=row["idempotency_key"] or "",
        order_key=delivery.order_key,
        channels=tuple(row["channels"]),
        trace_id=row["trace_id"],
        trace_context=row["trace_context"] or "",
        content_type=row["content_type"],
        headers=_headers(row["headers"]),
    )
    return Load(delivery, message, bytes(row["body"]))


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Make the row of an attempt."""
    timing = attempt.timing
    return {
        "tenant_id": attempt.tenant,
        "delivery_id": attempt.delivery_id,
        "number": attempt.number,
        "configuration_id": attempt.endpoint_id,
        "started_at": attempt.started_at,
        "url": attempt.url,
        "succeeded": attempt.succeeded,
        "status": attempt.status,
        "error": attempt.error,
        "excerpt": attempt.excerpt,
        "dns_us": timing.dns,
        "connect_us": timing.connect,
        "tls_us": timing.tls,
        "first_byte_us": timing.first_byte,
        "total_us": timing.total,
        "headers": [
            *([name, value] for name, value in attempt.headers),
            *([f"{_ANSWERED}{name}", value] for name, value in attempt.answer_headers),
        ],
    }


def attempt_of(row: RowMapping) -> Attempt:
    """Read an attempt."""
    headers = _headers(row["headers"])
    return Attempt(
        tenant=row["tenant_id"],
        delivery_id=row["delivery_id"],
        number=row["number"],
        endpoint_id=row["configuration_id"],
        started_at=row["started_at"],
        url=row["url"],
        succeeded=row["succeeded"],
        status=row["status"],
        error=row["error"],
        excerpt=row["excerpt"],
        timing=Timing(row["dns_us"], row["connect_us"], row["tls_us"], row["first_byte_us"], row["total_us"]),
        headers=tuple(header for header in headers if not header[0].startswith(_ANSWERED)),
        answer_headers=tuple((name[1:], value) for name, value in headers if name.startswith(_ANSWERED)),
    )


def _headers(stored: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in stored)
