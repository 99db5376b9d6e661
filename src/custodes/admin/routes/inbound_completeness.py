"""Incoming webhooks: whether they are complete, and why one did not verify."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.fields import Body, Identifier, Moment
from custodes.planes.inbound.completeness_model import Proof
from custodes.planes.inbound.diagnosis import Finding

router = APIRouter()

#: Name of a source in a path.
SourcePath = Annotated[str, Path(max_length=64, description="Name of the source")]


class ProofModel(BaseModel):
    """What is proven of the completeness of a source."""

    tenant: str = Field(description="Whose source it is")
    source: str = Field(description="Name of the source")
    compared: bool = Field(description="Whether its events are compared with its sender's list")
    summary: str = Field(description="All of it in one sentence")
    since: Moment | None = Field(description="From when on they are compared; null: they were not yet")
    proven_until: Moment | None = Field(description="Up to when nothing is missing")
    proven_at: Moment | None = Field(description="When that was proven")
    asked_at: Moment | None = Field(description="When the sender was last asked")
    fetched: int = Field(description="Events that never arrived and were fetched, of all time")
    lost: int = Field(description="Events that never arrived and that the sender has no more, of all time")
    error: str = Field(description="Why the last comparison failed; empty when it did not")
    silent_since: Moment | None = Field(description="Last event before a silence that is not usual; null: none is")
    silent_expected: int = Field(description="Events that usually come in a time as long")

    @classmethod
    def of(cls, proof: Proof, now: int, *, compared: bool) -> ProofModel:
        """Tell a proof."""
        names = [name for name in cls.model_fields if name not in ("compared", "summary")]
        facts = {name: getattr(proof, name) for name in names}
        return cls.model_validate({**facts, "compared": compared, "summary": proof.summary(now, compared=compared)})


class ProofsModel(BaseModel):
    """Every source."""

    items: list[ProofModel] = Field(description="By name")


class FindingModel(BaseModel):
    """Why a delivery did not verify, or likely did not."""

    code: str = Field(description="Stable name: `body-changed`, `other-secret`, `other-scheme`, `clock`, …")
    text: str = Field(description="What was found")
    proven: bool = Field(description="Whether it is proven; else it is likely")
    remedy: str = Field(description="What to do")

    @classmethod
    def of(cls, finding: Finding) -> FindingModel:
        """Tell a finding."""
        return cls.model_validate(finding, from_attributes=True)


class DiagnosisModel(BaseModel):
    """Why a delivery did not verify."""

    items: list[FindingModel] = Field(description="What was found, the proven first")


class ReconcileBody(Body):
    """Why a source is compared now."""

    reason: str = Field(default="", max_length=500, description="For the audit trail")


@router.get("/webhook-completeness")
async def list_webhook_completeness(custodes: CustodesDep, tenant: TenantScope) -> ProofsModel:
    """List up to when the webhooks of each source are complete, and which sources are silent."""
    service, now = custodes.completeness, custodes.clock.now()
    proofs = await service.list_proofs(tenant=tenant)
    return ProofsModel(items=[ProofModel.of(proof, now, compared=service.has_origin(proof.source)) for proof in proofs])


@router.post("/webhook-completeness/{source}")
async def reconcile_webhook_source(
    source: SourcePath, body: ReconcileBody, custodes: CustodesDep, tenant: TenantScope, trail: Trail
) -> ProofModel:
    """Compare a source with its sender's list now, and fetch what never arrived."""
    registration = custodes.inbound.source(source)
    owner = None if registration is None else registration.tenant
    also = trail.entry("webhook.reconciled", target=f"webhook_source:{source}", reason=body.reason, tenant=owner)
    proof = await custodes.completeness.reconcile(source, tenant=tenant, also=also)
    return ProofModel.of(proof, custodes.clock.now(), compared=True)


@router.get("/webhook-refusals/{id}/diagnosis")
async def diagnose_webhook_refusal(id: Identifier, custodes: CustodesDep, tenant: TenantScope) -> DiagnosisModel:  # noqa: A002
    """Find out why a delivery was refused, by near misses tried offline; no secret is ever told."""
    found = await custodes.inbound.diagnose_refusal(id, tenant=tenant)
    return DiagnosisModel(items=[FindingModel.of(finding) for finding in found])
