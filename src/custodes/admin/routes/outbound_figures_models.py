"""What the admin API tells of how deliveries went, and of how endpoints are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Self

from pydantic import BaseModel, Field

from custodes.admin.fields import Moment
from custodes.admin.routes.outbound_models import ConfigurationModel
from custodes.kernel.clock import MILLISECOND
from custodes.planes.outbound.analytics import Condition, DeliveryAnalytics, Examined, Summary, remembered
from custodes.planes.outbound.model import Endpoint, EndpointHealth, EndpointState


class DeliverySummaryModel(BaseModel):
    """Figures of some attempts."""

    attempts: int = Field(description="Attempts in all")
    succeeded: int = Field(description="Answered with 2xx")
    redirects: int = Field(description="Answered with 1xx or 3xx, which are no success")
    client_errors: int = Field(description="Answered with 4xx")
    server_errors: int = Field(description="Answered with 5xx")
    unanswered: int = Field(description="Not answered: no name, no connection, no time left, not allowed")
    exhausted: int = Field(description="Deliveries whose last attempt failed")
    success_rate: float | None = Field(description="Share of attempts that succeeded, 0 to 1; null when there was none")
    p50_ms: float | None = Field(description="Median of the time they took; null when there was none")
    p95_ms: float | None = Field(description="95th percentile of it")
    p99_ms: float | None = Field(description="99th percentile of it")


class DeliveryPointModel(DeliverySummaryModel):
    """Figures of a stretch of time."""

    at: Moment = Field(description="Its begin")


class DeliveryEndpointModel(DeliverySummaryModel):
    """Figures of an endpoint."""

    tenant: str = Field(description="Whose it is")
    endpoint_id: str = Field(description="Which; it may have been deleted since")


class DeliveryTypeModel(DeliverySummaryModel):
    """Figures of a type of events."""

    event_type: str = Field(description="Which; `(other)` holds those beyond the bound on types")


class DeliveryTenantModel(DeliverySummaryModel):
    """Figures of a tenant."""

    tenant: str = Field(description="Which")


class DeliveryAnalyticsModel(BaseModel):
    """How deliveries went in a range of time."""

    since: Moment = Field(description="Begin of the range, at the begin of a stretch")
    until: Moment = Field(description="End of the range")
    step_seconds: int = Field(description="Length of a stretch of time")
    total: DeliverySummaryModel = Field(description="Everything together")
    points: list[DeliveryPointModel] = Field(description="Over time, oldest first; empty stretches are left out")
    by_endpoint: list[DeliveryEndpointModel] = Field(description="By endpoint, busiest first, 200 at most")
    by_type: list[DeliveryTypeModel] = Field(description="By type, busiest first, 200 at most")
    by_tenant: list[DeliveryTenantModel] = Field(description="By tenant, busiest first, 200 at most")

    @classmethod
    def of(cls, found: DeliveryAnalytics) -> DeliveryAnalyticsModel:
        """Tell analytics."""
        return cls(
            since=found.since,
            until=found.until,
            step_seconds=found.step_seconds,
            total=DeliverySummaryModel(**_told(found.total)),
            points=[DeliveryPointModel(at=part.key, **_told(part.summary)) for part in found.points],
            by_endpoint=[
                DeliveryEndpointModel(tenant=part.key[0], endpoint_id=part.key[1], **_told(part.summary))
                for part in found.by_endpoint
            ],
            by_type=[DeliveryTypeModel(event_type=part.key, **_told(part.summary)) for part in found.by_type],
            by_tenant=[DeliveryTenantModel(tenant=part.key, **_told(part.summary)) for part in found.by_tenant],
        )


class HealthModel(BaseModel):
    """How an endpoint is."""

    condition: Condition = Field(description="The judgement")
    reasons: list[str] = Field(description="Why, in sentences for people; empty when all is well")
    failures: int = Field(description="Failures in a row")
    failing_since: Moment | None = Field(description="When the first of them was; null when there are none")
    open_until: Moment | None = Field(description="Nothing is sent before (circuit breaker); null when it is closed")
    noticed_percent: int = Field(description="Share of the time to being disabled that was told of")
    missed: int = Field(description="Deliveries that failed for good or are held: what a recovery would send")
    recent: DeliverySummaryModel = Field(description="Figures of the last hour")

    @classmethod
    def of(cls, found: Examined) -> HealthModel:
        """Tell a health."""
        return cls(
            condition=found.condition,
            reasons=list(found.reasons),
            failures=found.health.failures,
            failing_since=found.health.failing_since or None,
            open_until=found.health.open_until or None,
            noticed_percent=found.health.noticed,
            missed=found.missed,
            recent=DeliverySummaryModel(**_told(found.recent)),
        )


class ListedModel(ConfigurationModel):
    """An endpoint, and how it is by its circuit breaker; `…/health` judges its figures, too."""

    condition: Condition = Field(description="How it is")
    reasons: list[str] = Field(description="Why, in sentences for people; empty when all is well")
    failures: int = Field(description="Failures in a row")
    open_until: Moment | None = Field(
        description="Nothing is sent before, then one delivery tries; null when the circuit breaker is closed"
    )

    @classmethod
    def listed(cls, endpoint: Endpoint, health: EndpointHealth, now: int) -> Self:
        """Tell an endpoint and how it is."""
        condition, reasons = remembered(endpoint, health, now)
        if endpoint.state is not EndpointState.ENABLED:
            condition, reasons = Condition(endpoint.state.value), [endpoint.state_reason or f"It was {endpoint.state}"]
        return cls.of(
            endpoint,
            condition=condition,
            reasons=reasons,
            failures=health.failures,
            open_until=health.open_until if health.open_until > now else None,
        )


def _told(summary: Summary) -> dict[str, Any]:
    told = asdict(summary)
    for name in ("p50", "p95", "p99"):
        micros = told.pop(f"{name}_us")
        told[f"{name}_ms"] = None if micros is None else micros / MILLISECOND
    return told
