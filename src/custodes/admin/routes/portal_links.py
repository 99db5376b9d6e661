"""Links to the customer portal: made, listed and revoked by the operator."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.fields import Body, Identifier, Moment
from custodes.admin.pages.places import root_of
from custodes.admin.paging import PageModel, PageQuery
from custodes.errors import InvalidInput
from custodes.kernel.clock import HOUR
from custodes.planes.outbound.portal import (
    ENDPOINTS,
    LIFETIME,
    MAX_ENDPOINTS,
    MAX_LIFETIME,
    MIN_LIFETIME,
    NewLink,
    PortalLink,
    Scope,
)
from custodes.planes.outbound.rules import MAX_CHANNEL, MAX_TEXT

router = APIRouter()


class PortalLinkModel(BaseModel):
    """A link to the portal, without its token."""

    id: str = Field(description="UUIDv7")
    tenant: str = Field(description="Whose endpoints it shows")
    scope: Scope = Field(description="What it lets do: `view` or `manage`")
    channel: str = Field(description="Only endpoints of this channel; empty: all of the tenant")
    note: str = Field(description="Who gets it")
    max_endpoints: int = Field(description="Endpoints that there may be before no more can be added through it")
    made_by: str = Field(description="Who made it")
    created_at: Moment = Field(description="When it was made")
    expires_at: Moment = Field(description="When it ends")
    opened: int = Field(description="How often it was opened")
    last_used_at: Moment | None = Field(description="When it was used last, to the minute; null when never")
    revoked_at: Moment | None = Field(description="When it was revoked; null while it is not")

    @classmethod
    def of(cls, link: PortalLink) -> PortalLinkModel:
        """Tell a link."""
        return cls.model_validate({name: getattr(link, name) for name in PortalLinkModel.model_fields})


class NewPortalLink(PortalLinkModel):
    """A link that was just made."""

    url: str = Field(
        description="Give this to the customer; it is shown this once. Without `CUSTODES_PORTAL_URL` or "
        "`CUSTODES_PUBLIC_URL` it begins with the path"
    )

    @classmethod
    def made(cls, made: NewLink, base: str) -> NewPortalLink:
        """Tell a link and its address."""
        told = {name: getattr(made.link, name) for name in PortalLinkModel.model_fields}
        return cls.model_validate({**told, "url": made.url(base)})


class PortalLinkBody(Body):
    """A link to make."""

    scope: Scope = Field(default=Scope.VIEW, description="`view`: look only; `manage`: change endpoints, too")
    channel: str = Field(default="", max_length=MAX_CHANNEL, description="Only endpoints of this channel")
    hours: float = Field(
        default=LIFETIME / HOUR, ge=MIN_LIFETIME / HOUR, le=MAX_LIFETIME / HOUR, description="How long it works"
    )
    max_endpoints: int = Field(
        default=ENDPOINTS, ge=0, le=MAX_ENDPOINTS, description="Endpoints that there may be before no more can be added"
    )
    note: str = Field(default="", max_length=MAX_TEXT, description="Who gets it, for people")


@router.get("/webhook-portal-links")
async def list_portal_links(custodes: CustodesDep, tenant: TenantScope, page: PageQuery) -> PageModel[PortalLinkModel]:
    """List links to the portal, ended ones too, newest first."""
    found = await custodes.portal.list_links(tenant=tenant, limit=page.limit, cursor=page.cursor or "")
    return PageModel[PortalLinkModel].of(found, PortalLinkModel.of)


@router.post("/webhook-portal-links", status_code=201)
async def create_portal_link(
    body: PortalLinkBody, request: Request, custodes: CustodesDep, tenant: TenantScope, trail: Trail
) -> NewPortalLink:
    """Make a link that shows a customer the endpoints of one tenant; the answer holds its address, this once."""
    if tenant is None:
        msg = "Nothing says whose endpoints the link shows"
        raise InvalidInput(msg, remedy="Name one tenant: ?tenant=acme")
    link_id = custodes.new_id()
    made = await custodes.portal.create_link(
        tenant,
        scope=body.scope,
        channel=body.channel,
        lifetime=int(body.hours * HOUR),
        max_endpoints=body.max_endpoints,
        note=body.note,
        made_by=trail.principal.actor,
        link_id=link_id,
        also=trail.entry(
            "portal_link.created",
            target=f"portal_link:{link_id}",
            tenant=tenant,
            context=body.model_dump(mode="json"),
        ),
    )
    return NewPortalLink.made(made, custodes.portal.base_at(root_of(request)))


@router.delete("/webhook-portal-links/{id}", status_code=204, response_model=None)
async def revoke_portal_link(
    id: Identifier,  # noqa: A002
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> None:
    """End a link, and whatever was opened with it, from the next request on."""
    link = await custodes.portal.get_link(id, tenant=tenant)
    entry = trail.entry("portal_link.revoked", target=f"portal_link:{id}", tenant=link.tenant)
    await custodes.portal.revoke_link(id, tenant=tenant, also=entry)
