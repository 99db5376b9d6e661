"""Outgoing webhooks: the endpoints they go to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from custodes.admin.dependencies import AuditTrail, CustodesDep, TenantScope, Trail
from custodes.admin.fields import Identifier, Moment
from custodes.admin.paging import PageModel, PageQuery
from custodes.kernel.clock import SECOND
from custodes.planes.outbound.addresses import MAX_URL
from custodes.planes.outbound.endpoints import MAX_TEXT, Created
from custodes.planes.outbound.filters import MAX_TYPES
from custodes.planes.outbound.model import Endpoint, EndpointState, RetryPolicy
from custodes.runtime.transactions import Work

router = APIRouter()


class RetryModel(BaseModel):
    """How often and how long a delivery is tried."""

    max_attempts: int = Field(default=8, ge=1, le=30, description="Attempts in all, the first included")
    timeout_seconds: float = Field(default=15, ge=1, le=60, description="Longest wait for an answer")
    first_delay_seconds: float = Field(default=5, ge=1, le=3600, description="Wait after the first failure")
    factor: float = Field(default=3, ge=1, le=10, description="What each further failure multiplies the wait with")
    max_delay_seconds: float = Field(
        default=21600, ge=1, le=259200, description="Longest wait; not shorter than the first"
    )

    @classmethod
    def of(cls, retry: RetryPolicy) -> RetryModel:
        """Tell a policy."""
        return cls(
            max_attempts=retry.max_attempts,
            timeout_seconds=retry.timeout / SECOND,
            first_delay_seconds=retry.first_delay / SECOND,
            factor=retry.factor,
            max_delay_seconds=retry.max_delay / SECOND,
        )

    def policy(self) -> RetryPolicy:
        """Make the policy."""
        return RetryPolicy(
            max_attempts=self.max_attempts,
            timeout=int(self.timeout_seconds * SECOND),
            first_delay=int(self.first_delay_seconds * SECOND),
            factor=self.factor,
            max_delay=int(self.max_delay_seconds * SECOND),
        )


_EventTypes = Annotated[
    list[str], Field(min_length=1, max_length=MAX_TYPES, description="`order.shipped`, `order.*` or `*`")
]
_Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="Absolute `https` URL, without credentials")]
_Description = Annotated[str, Field(max_length=MAX_TEXT, description="What it is for")]


class ConfigurationModel(BaseModel):
    """An endpoint, without its secrets."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose it is")
    url: str = Field(description="Where it is")
    description: str = Field(description="What it is for")
    event_types: list[str] = Field(description="Types of events it gets")
    retry: RetryModel = Field(description="How deliveries are retried")
    state: EndpointState = Field(description="Whether it gets webhooks")
    state_reason: str = Field(description="Why it is in this state; empty when enabled")
    success_count: int = Field(description="Deliveries that were answered with 2xx")
    failure_count: int = Field(description="Attempts that were not")
    last_success_at: Moment | None = Field(description="When the last success was; null when never")
    last_failure_at: Moment | None = Field(description="When the last failure was; null when never")
    created_at: Moment = Field(description="When it was made")
    updated_at: Moment = Field(description="When it was changed last")

    @classmethod
    def of(cls, endpoint: Endpoint) -> ConfigurationModel:
        """Tell an endpoint."""
        return cls.model_validate(_told(endpoint))


class CreatedModel(ConfigurationModel):
    """An endpoint with a new secret."""

    secret: str = Field(description="Signing secret `whsec_…` (Standard Webhooks); shown this once")

    @classmethod
    def made(cls, created: Created) -> CreatedModel:
        """Tell an endpoint and its secret."""
        return cls.model_validate({**_told(created.endpoint), "secret": created.secret})


def _told(endpoint: Endpoint) -> dict[str, Any]:
    return {
        **{name: getattr(endpoint, name) for name in ConfigurationModel.model_fields},
        "retry": RetryModel.of(endpoint.retry),
        "last_success_at": endpoint.last_success_at or None,
        "last_failure_at": endpoint.last_failure_at or None,
    }


class NewConfiguration(BaseModel):
    """An endpoint to add."""

    url: _Url
    event_types: _EventTypes = ["*"]
    description: _Description = ""
    retry: RetryModel = Field(default_factory=RetryModel, description="How deliveries are retried")


class ConfigurationChange(BaseModel):
    """What to change; what is left out stays."""

    url: _Url | None = None
    event_types: _EventTypes | None = None
    description: _Description | None = None
    retry: RetryModel | None = Field(default=None, description="How deliveries are retried")


class PauseBody(BaseModel):
    """Why."""

    reason: str = Field(default="", max_length=MAX_TEXT, description="Why it is paused")


@router.get("/webhook-configurations")
async def list_webhook_configurations(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    state: Annotated[EndpointState | None, Query(description="Only endpoints in this state")] = None,
) -> PageModel[ConfigurationModel]:
    """List endpoints, newest first."""
    found = await custodes.outbound.list_endpoints(
        tenant=tenant, state=state, limit=page.limit, cursor=page.cursor or ""
    )
    return PageModel[ConfigurationModel].of(found, ConfigurationModel.of)


@router.post("/webhook-configurations", status_code=201)
async def create_webhook_configuration(
    body: NewConfiguration, custodes: CustodesDep, tenant: TenantScope, trail: Trail
) -> CreatedModel:
    """Add an endpoint; the answer holds its secret, which is never shown again."""
    endpoint_id = custodes.new_id()
    made = await custodes.outbound.create_endpoint(
        body.url,
        endpoint_id=endpoint_id,
        event_types=body.event_types,
        description=body.description,
        retry=body.retry.policy(),
        tenant=tenant,
        also=trail.entry(
            "webhook_configuration.created",
            target=f"webhook_configuration:{endpoint_id}",
            tenant=tenant,
            context={"url": body.url, "event_types": body.event_types},
        ),
    )
    return CreatedModel.made(made)


@router.get("/webhook-configurations/{id}")
async def get_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
) -> ConfigurationModel:
    """Return one endpoint."""
    return ConfigurationModel.of(await custodes.outbound.get_endpoint(id, tenant=tenant))


@router.patch("/webhook-configurations/{id}")
async def update_webhook_configuration(
    id: Identifier,  # noqa: A002
    body: ConfigurationChange,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ConfigurationModel:
    """Change an endpoint."""
    before = await custodes.outbound.get_endpoint(id, tenant=tenant)
    asked = body.model_dump(exclude_none=True)
    shown = ConfigurationModel.of(before).model_dump()
    changed = await custodes.outbound.update_endpoint(
        id,
        url=body.url,
        event_types=body.event_types,
        description=body.description,
        retry=body.retry.policy() if body.retry else None,
        tenant=tenant,
        also=trail.entry(
            "webhook_configuration.updated",
            target=f"webhook_configuration:{id}",
            changes=[(name, shown[name], asked[name]) for name in asked],
            tenant=before.tenant,
        ),
    )
    return ConfigurationModel.of(changed)


@router.post("/webhook-configurations/{id}/pause")
async def pause_webhook_configuration(
    id: Identifier,  # noqa: A002
    body: PauseBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ConfigurationModel:
    """Send nothing to an endpoint for now."""
    entry = _entry(
        "webhook_configuration.paused", await custodes.outbound.get_endpoint(id, tenant=tenant), trail, body.reason
    )
    paused = await custodes.outbound.pause_endpoint(id, reason=body.reason, tenant=tenant, also=entry)
    return ConfigurationModel.of(paused)


@router.post("/webhook-configurations/{id}/resume")
async def resume_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> ConfigurationModel:
    """Send to an endpoint again."""
    entry = _entry("webhook_configuration.resumed", await custodes.outbound.get_endpoint(id, tenant=tenant), trail)
    return ConfigurationModel.of(await custodes.outbound.resume_endpoint(id, tenant=tenant, also=entry))


@router.post("/webhook-configurations/{id}/rotate-secret")
async def rotate_webhook_configuration_secret(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> CreatedModel:
    """Make a new secret, shown this once; the one before stays valid for a day."""
    entry = _entry(
        "webhook_configuration.secret_rotated", await custodes.outbound.get_endpoint(id, tenant=tenant), trail
    )
    return CreatedModel.made(await custodes.outbound.rotate_secret(id, tenant=tenant, also=entry))


@router.delete("/webhook-configurations/{id}", status_code=204)
async def delete_webhook_configuration(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> None:
    """Remove an endpoint, and its secrets for good."""
    entry = _entry("webhook_configuration.deleted", await custodes.outbound.get_endpoint(id, tenant=tenant), trail)
    await custodes.outbound.delete_endpoint(id, tenant=tenant, also=entry)


def _entry(action: str, endpoint: Endpoint, trail: AuditTrail, reason: str = "") -> Work:
    """Prepare the entry of an action in the trail of the endpoint's own tenant."""
    return trail.entry(action, target=f"webhook_configuration:{endpoint.id}", reason=reason, tenant=endpoint.tenant)
