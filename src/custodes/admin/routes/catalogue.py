"""The catalogue of event types of outgoing webhooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from custodes.admin.dependencies import WHOLE_INSTALL, CustodesDep, Trail
from custodes.admin.routes.outbound_models import EventTypeBody, EventTypeModel
from custodes.planes.outbound.catalogue import MAX_NAME

router = APIRouter()

_Name = Annotated[str, Path(max_length=MAX_NAME, pattern=r"^[A-Za-z0-9_.-]+$", description="`order.shipped`")]


@router.get("/webhook-event-types")
async def list_webhook_event_types(custodes: CustodesDep) -> list[EventTypeModel]:
    """List the event types of the install, by name."""
    return [EventTypeModel.of(one) for one in await custodes.outbound.catalogue.all()]


@router.put("/webhook-event-types/{name}", dependencies=[WHOLE_INSTALL])
async def put_webhook_event_type(
    name: _Name, body: EventTypeBody, custodes: CustodesDep, trail: Trail
) -> EventTypeModel:
    """Put an event type in, or change it; a change that can break receivers is refused unless it is forced.

    All tenants share the catalogue: only for those who may see all of them.
    """
    made = await custodes.outbound.catalogue.put(
        name,
        description=body.description,
        schema=body.payload_schema,
        example=body.example,
        archived=body.archived,
        force=body.force,
        also=trail.entry("webhook_event_type.put", target=f"webhook_event_type:{name}", context={"force": body.force}),
    )
    return EventTypeModel.of(made)
