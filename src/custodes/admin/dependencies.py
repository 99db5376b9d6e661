"""What a route of the admin API asks for by annotation.

How to write ``admin/routes/<plane>.py`` (paths are below ``/api/admin/enterprise``; add the module to ``PLANES`` in
``admin/app.py``, which gives it its tag, the documented problems and the lock: admin or owner)::

    router = APIRouter()

    class BlockModel(BaseModel):
        id: str = Field(description="UUIDv7")
        reason: str = Field(description="Why")
        created_at: Moment = Field(description="When it began")          # hand it the microseconds

        @classmethod
        def of(cls, block: Block) -> BlockModel: ...

    @router.get("/rate-limits/blocks")
    async def list_blocks(
        custodes: CustodesDep, tenant: TenantScope, page: PageQuery, when: TimeRange
    ) -> PageModel[BlockModel]:
        '''List blocks, newest first.'''
        found = await custodes.ratelimit.list_blocks(tenant=tenant, limit=page.limit, cursor=page.cursor,
                                                     since=when.since, until=when.until)
        return PageModel[BlockModel].of(found, BlockModel.of)

    @router.post("/rate-limits/blocks", status_code=201)
    async def create_block(body: NewBlock, custodes: CustodesDep, tenant: TenantScope, trail: Trail) -> BlockModel:
        '''Block an identifier.'''
        block = await custodes.ratelimit.block_identifier(
            body.identifier, ..., also=trail.entry("rate_limit.blocked", target=f"block:{body.identifier}")
        )
        return BlockModel.of(block)

What changes nothing but is worth knowing is recorded before the answer is made: an export by
:class:`custodes.admin.exports.Export`, a look at what is private (a payload) by
``await trail.look("webhook.payload_read", target=...)``, which makes one entry of what is one look.

``tenant`` is None for somebody who may see all tenants: then nothing is filtered. Ids of other tenants answer 404: pass
``tenant`` to the plane and let it raise :class:`custodes.errors.NotFound`. The function's name becomes the operation id
(``<plane>_<name>``), its docstring the description. Errors: raise a :class:`custodes.errors.CustodesError`.

In a test, sign in for real with ``custodes.testing.admin.key_for(custodes, role, tenant)`` and send the headers that it
returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from custodes.admin.auth.gate import authenticate
from custodes.admin.problems import trace_of
from custodes.admin.reads import Reads
from custodes.app import Custodes
from custodes.errors import NotFound, PermissionDenied
from custodes.kernel.tenant import check_tenant
from custodes.planes.audit.drafting import Changeable, Referable
from custodes.planes.audit.model import ACTOR_ISSUER
from custodes.planes.identity.model import Principal, Role
from custodes.runtime.transactions import Work


def custodes_of(request: Request) -> Custodes:
    """Return the install that this app administers."""
    custodes: Custodes = request.app.state.custodes
    return custodes


#: The install.
CustodesDep = Annotated[Custodes, Depends(custodes_of)]

#: Anybody with a profile, whatever the role.
SignedIn = Annotated[Principal, Depends(authenticate)]


def requires(role: Role) -> Callable[[Principal], Principal]:
    """Make a dependency that lets a role and those above it pass.

    Raises (when called):
        PermissionDenied: the role is not enough, or the password must be changed first.
    """

    def check(principal: SignedIn) -> Principal:
        if principal.must_change_password:
            msg = "The one-time password is still in use"
            raise PermissionDenied(msg, remedy="Change the password first: POST password, or the page /password")
        if not principal.role.covers(role):
            msg = f"This needs the role {role}, and yours is {principal.role}"
            raise PermissionDenied(msg, remedy="Ask an owner: custodes user role")
        return principal

    check.__name__ = f"requires_{role}"
    return check


require_admin = requires(Role.ADMIN)
require_owner = requires(Role.OWNER)

#: An admin or an owner.
Admin = Annotated[Principal, Depends(require_admin)]

#: An owner.
Owner = Annotated[Principal, Depends(require_owner)]


def require_whole(principal: SignedIn) -> None:
    """Let only somebody pass who sees all tenants: for what belongs to none of them.

    Raises (when called):
        PermissionDenied: the principal sees one tenant.
    """
    if principal.tenant is not None:
        msg = "This belongs to the whole install, and you see one tenant"
        raise PermissionDenied(msg, remedy="Ask an owner of the install")


#: For a route whose object belongs to the whole install: ``dependencies=[WHOLE_INSTALL]``.
WHOLE_INSTALL = Depends(require_whole)


def seen_tenant(principal: Principal, wanted: str | None) -> str | None:
    """Tell which tenant somebody means who names this one, or none: their own, or any for somebody who sees all.

    Raises:
        InvalidInput: not a tenant id.
        NotFound: another tenant's, which does not exist for this principal.
    """
    if wanted is None:
        return principal.tenant
    check_tenant(wanted)
    if principal.tenant not in (None, wanted):
        msg = "No such tenant"
        raise NotFound(msg)
    return wanted


def tenant_scope(
    principal: Admin,
    tenant: Annotated[
        str | None, Query(max_length=64, description="Only this tenant; default: all that you may see")
    ] = None,
) -> str | None:
    """Tell which tenant a request may see; None for all.

    Raises:
        InvalidInput: not a tenant id.
        NotFound: another tenant's, which does not exist for this principal.
    """
    return seen_tenant(principal, tenant)


#: The tenant that every query of the route must be limited to; None for all.
TenantScope = Annotated[str | None, Depends(tenant_scope)]


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """Writes what a principal does in this request."""

    #: The install.
    custodes: Custodes
    #: Who.
    principal: Principal
    #: Client address.
    ip: str
    #: Trace of the request.
    trace_id: str
    #: Looks that were told lately.
    reads: Reads

    def entry(
        self,
        action: str,
        *,
        target: Referable | None = None,
        targets: Sequence[Referable] = (),
        changes: Sequence[Changeable] = (),
        context: Mapping[str, object] | None = None,
        reason: str = "",
        tenant: str | None = None,
    ) -> Work:
        """Prepare the audit entry of an admin action, to pass as ``also`` to the verb: both commit, or neither.

        Args:
            action: ``noun.verb`` in lower case: ``"webhook.replayed"``.
            target: ``kind:id`` of what it was done to, or a ``Reference`` with its name for people.
            targets: what it was done to beside that.
            changes: what changed.
            context: small facts beside it; no secrets.
            reason: why, as the admin says.
            tenant: whose thing it is; default the principal's tenant.
        """
        principal = self.principal
        return self.custodes.audit.admin_entry(
            action,
            actor=principal.actor,
            target=target,
            targets=targets,
            impersonator=f"user:{principal.impersonator}" if principal.impersonator else None,
            changes=changes,
            context={
                "role": principal.role.value,
                "method": principal.method.value,
                ACTOR_ISSUER: principal.issuer,
                **(context or {}),
            },
            reason=reason,
            trace_id=self.trace_id,
            tenant=tenant or principal.tenant,
            ip=self.ip,
        )

    async def look(self, action: str, *, target: str, tenant: str) -> None:
        """Record that the principal looks at what is private; looks at the same thing within minutes are one.

        Args:
            action: ``noun.verb``: ``"webhook.payload_read"``.
            target: ``kind:id`` of what is looked at.
            tenant: whose it is.

        Raises:
            StorageUnavailable: it was not recorded; nothing may be shown.
        """
        by = self.principal
        who = (by.profile_id, by.method, by.credential_id, by.impersonator)
        entry = self.entry(action, target=target, tenant=tenant)
        await self.reads.once(who, f"{action} {target}", self.custodes.audit.commit(entry))


def audit_trail(request: Request, custodes: CustodesDep, principal: SignedIn) -> AuditTrail:
    """Make the trail of this request."""
    reads: Reads = request.app.state.reads
    return AuditTrail(custodes, principal, str(getattr(request.state, "client_ip", "")), trace_of(request), reads)


#: Writes the audit entries of this request's actions.
Trail = Annotated[AuditTrail, Depends(audit_trail)]
