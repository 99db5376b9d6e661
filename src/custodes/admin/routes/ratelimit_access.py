"""Who is refused whatever the limits say, and who is not: blocks, bans, the allow list and the deny list."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from custodes.admin.dependencies import Admin, CustodesDep, TenantScope, Trail
from custodes.admin.exports import STREAMED, Export, ExportQuery
from custodes.admin.fields import Identifier, Reason
from custodes.admin.paging import PageModel, PageQuery
from custodes.admin.routes.ratelimit_models import AccessModel, NewBlock, NewEntry, RefusalsModel
from custodes.errors import InvalidInput
from custodes.kernel.clock import DAY, SECOND
from custodes.kernel.paging import MAX_LIMIT, walk
from custodes.kernel.tenant import EVERY_TENANT
from custodes.planes.ratelimit.access import as_typed, normal_identifier
from custodes.planes.ratelimit.model import Access, Effect, Kind
from custodes.runtime.transactions import Work

router = APIRouter()

#: Why somebody does it, for the audit trail.

KindFilter = Annotated[Kind | None, Query(description="Only identifiers of this kind")]
ActiveOnly = Annotated[bool, Query(description="False: also those that have ended")]
EffectFilter = Annotated[Effect | None, Query(description="`allow` or `deny`; both when left out")]

_BLOCKS = Export("rate-limit-blocks", AccessModel, AccessModel.of)
_LISTS = Export("rate-limit-lists", AccessModel, AccessModel.of)


# ── Blocks ───────────────────────────────────────────────────────────────────


@router.get("/rate-limits/blocks")
async def list_blocks(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    kind: KindFilter = None,
    active: ActiveOnly = True,
) -> PageModel[AccessModel]:
    """List blocks and bans, newest first."""
    found = await custodes.ratelimit.get_blocked_identifiers(
        tenant=tenant, kind=kind, active=active, limit=page.limit, cursor=page.cursor
    )
    return PageModel[AccessModel].of(found, AccessModel.of)


@router.post("/rate-limits/blocks", status_code=201)
async def create_block(
    body: NewBlock, custodes: CustodesDep, principal: Admin, tenant: TenantScope, trail: Trail
) -> AccessModel:
    """Refuse every request of an identifier, at once; replaces a block that stands against it."""
    named = normal_identifier(body.kind, body.identifier)
    entry_id = custodes.new_id()
    entry = await custodes.ratelimit.block_identifier(
        body.identifier,
        body.kind,
        reason=body.reason,
        actor=principal.actor,
        duration=None if body.duration_seconds is None else body.duration_seconds * SECOND,
        tenant=tenant,
        entry_id=entry_id,
        also=trail.entry(
            "rate_limit.blocked",
            target=f"{body.kind}:{named}",
            targets=[f"block:{entry_id}"],
            context=as_typed(body.identifier, named),
            reason=body.reason,
            tenant=tenant,
        ),
    )
    return AccessModel.of(entry)


@router.get("/rate-limits/blocks/export", **STREAMED)
async def export_blocks(
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    wanted: ExportQuery,
    kind: KindFilter = None,
    active: ActiveOnly = True,
) -> StreamingResponse:
    """Stream every block and ban found, newest first."""
    rows = walk(
        lambda cursor: custodes.ratelimit.get_blocked_identifiers(
            tenant=tenant, kind=kind, active=active, limit=MAX_LIMIT, cursor=cursor
        )
    )
    return await _BLOCKS.stream(trail, wanted, rows, asked={"kind": kind, "active": active}, tenant=tenant)


@router.get("/rate-limits/blocks/{block_id}")
async def get_block(block_id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> AccessModel:
    """Read one block, ban or entry of a list, whether it stands or has ended."""
    return AccessModel.of(await custodes.ratelimit.get_access(block_id, tenant=tenant))


@router.get("/rate-limits/blocks/{block_id}/refusals")
async def get_block_refusals(block_id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> RefusalsModel:
    """Follow what a block, a ban or an entry of the deny list has refused since it holds, as far as that is kept."""
    entry = await custodes.ratelimit.get_access(block_id, tenant=tenant)
    kept_since = custodes.clock.now() - custodes.settings.api_log_retention_days * DAY
    return RefusalsModel.of(await custodes.ratelimit.get_access_course(entry, since=kept_since))


@router.delete("/rate-limits/blocks/{block_id}")
async def lift_block(
    block_id: Identifier,
    custodes: CustodesDep,
    principal: Admin,
    tenant: TenantScope,
    trail: Trail,
    reason: Reason = "",
) -> AccessModel:
    """Lift a block or ban."""
    before = await custodes.ratelimit.get_access(block_id, tenant=tenant)
    also = _ending(trail, "rate_limit.unblocked", "block", before, reason)
    entry = await custodes.ratelimit.lift_block(block_id, actor=principal.actor, tenant=tenant, also=also)
    return AccessModel.of(entry)


# ── Lists ────────────────────────────────────────────────────────────────────


@router.get("/rate-limits/lists")
async def list_access_entries(
    custodes: CustodesDep,
    tenant: TenantScope,
    page: PageQuery,
    effect: EffectFilter = None,
    kind: KindFilter = None,
) -> PageModel[AccessModel]:
    """List what stands on the allow list and the deny list, newest first."""
    found = await custodes.ratelimit.list_access(effect, tenant=tenant, kind=kind, limit=page.limit, cursor=page.cursor)
    return PageModel[AccessModel].of(found, AccessModel.of)


@router.get("/rate-limits/lists/export", **STREAMED)
async def export_access_entries(
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
    wanted: ExportQuery,
    effect: EffectFilter = None,
    kind: KindFilter = None,
) -> StreamingResponse:
    """Stream what stands on the allow list and the deny list, newest first."""
    rows = walk(
        lambda cursor: custodes.ratelimit.list_access(effect, tenant=tenant, kind=kind, limit=MAX_LIMIT, cursor=cursor)
    )
    return await _LISTS.stream(trail, wanted, rows, asked={"effect": effect, "kind": kind}, tenant=tenant)


@router.post("/rate-limits/lists", status_code=201)
async def create_access_entry(
    body: NewEntry, custodes: CustodesDep, principal: Admin, tenant: TenantScope, trail: Trail
) -> AccessModel:
    """Put an identifier on the allow list or the deny list, at once."""
    if body.effect is Effect.BLOCK:
        msg = "A block is on no list"
        raise InvalidInput(msg, remedy="Use rate-limits/blocks")
    named = normal_identifier(body.kind, body.identifier)
    entry_id = custodes.new_id()
    entry = await custodes.ratelimit.add_to_list(
        body.effect,
        body.identifier,
        body.kind,
        reason=body.reason,
        actor=principal.actor,
        tenant=tenant,
        entry_id=entry_id,
        also=trail.entry(
            "rate_limit.listed",
            target=f"{body.kind}:{named}",
            targets=[f"access:{entry_id}"],
            context={"effect": body.effect.value, **as_typed(body.identifier, named)},
            reason=body.reason,
            tenant=tenant,
        ),
    )
    return AccessModel.of(entry)


@router.delete("/rate-limits/lists/{entry_id}")
async def delete_access_entry(
    entry_id: Identifier,
    custodes: CustodesDep,
    principal: Admin,
    tenant: TenantScope,
    trail: Trail,
    reason: Reason = "",
) -> AccessModel:
    """Take an entry off its list."""
    before = await custodes.ratelimit.get_access(entry_id, tenant=tenant)
    also = _ending(trail, "rate_limit.unlisted", "access", before, reason)
    entry = await custodes.ratelimit.remove_from_list(entry_id, actor=principal.actor, tenant=tenant, also=also)
    return AccessModel.of(entry)


def _ending(trail: Trail, action: str, kind: str, entry: Access, reason: str) -> Work:
    """Make the audit entry of what ends an entry: in the trail of whom it was about, found by id and by identifier."""
    return trail.entry(
        action,
        target=f"{kind}:{entry.id}",
        targets=[f"{entry.kind}:{entry.identifier}"],
        reason=reason,
        tenant=None if entry.tenant == EVERY_TENANT else entry.tenant,
    )
