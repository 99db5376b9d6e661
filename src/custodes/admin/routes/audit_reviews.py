"""Reviews of flagged entries: one, or all that a search finds."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from pydantic import BaseModel, Field

from custodes.admin.dependencies import CustodesDep, TenantScope, Trail
from custodes.admin.fields import Body, Identifier
from custodes.admin.routes.audit import Filters
from custodes.admin.routes.audit_models import EntryModel
from custodes.kernel.filters import given
from custodes.planes.audit.model import ReviewState
from custodes.planes.audit.reviews import MAX_NOTE, MAX_PERSON, MAX_REVIEWS, ReviewedMany, Verdict
from custodes.runtime.transactions import Work

router = APIRouter()

#: Ids of reviewed entries that the entry of a review of many names.
MAX_NAMED = 100


class ReviewBody(Body):
    """A step of a review."""

    state: ReviewState = Field(description="Where it goes: open, acknowledged, or a verdict")
    assignee: str | None = Field(default=None, max_length=MAX_PERSON, description="Who is to look; null: as before")
    note: str | None = Field(default=None, max_length=MAX_NOTE, description="What was found; null: as before")


class ReviewManyBody(ReviewBody):
    """A step of all reviews of a selection; which entries it has, the query says."""

    dry_run: bool = Field(default=True, description="Only count the reviews that it would move")
    limit: int = Field(default=MAX_REVIEWS, ge=1, le=MAX_REVIEWS, description="Reviews of one call, oldest first")


class ReviewedManyModel(BaseModel):
    """What was done, or would be."""

    matched: int = Field(description="Entries of the selection that have a review")
    moved: int = Field(description="Reviews moved, or that would be")
    skipped: int = Field(description="Reviews that cannot take this step: they are decided already")
    more: bool = Field(description="Whether the selection has more than one call moves")
    dry_run: bool = Field(description="Whether nothing was done")

    @classmethod
    def of(cls, done: ReviewedMany) -> ReviewedManyModel:
        """Tell what was done."""
        return cls.model_validate(done, from_attributes=True)


@router.post("/audit-logs/review")
async def review_audit_logs(
    body: ReviewManyBody, custodes: CustodesDep, filters: Filters, trail: Trail
) -> ReviewedManyModel:
    """Move the reviews of all entries that the query finds, in one transaction with its audit entry.

    Reviews that cannot take this step are left as they are. With `dry_run` they are only counted; give the `until` of
    that call to the next one, and what has come since is not touched.
    """
    asked = given(filters, "limit", "cursor")

    def entry(ids: Sequence[str]) -> Work:
        return trail.entry(
            "audit.reviewed",
            target="audit_log:selection",
            changes=[("review.state", None, body.state)],
            context={"filters": asked, "reviews": len(ids), "entries": list(ids[:MAX_NAMED])},
            reason=body.note or "",
            tenant=filters.tenant,
        )

    verdict = Verdict(body.state, by=trail.principal.actor, assignee=body.assignee, note=body.note)
    done = await custodes.audit.review_many(filters, verdict, limit=body.limit, dry_run=body.dry_run, also=entry)
    return ReviewedManyModel.of(done)


@router.post("/audit-logs/{id}/review")
async def review_audit_log(
    id: Identifier,  # noqa: A002
    body: ReviewBody,
    custodes: CustodesDep,
    tenant: TenantScope,
    trail: Trail,
) -> EntryModel:
    """Move the review of an entry; what was recorded stays as it is."""
    entry = await custodes.audit.get_entry(id, tenant=tenant)
    before = entry.review
    changes: list[tuple[str, object, object]] = [("review.state", before.state if before else None, body.state)]
    if body.assignee is not None:
        changes.append(("review.assignee", before.assignee if before else "", body.assignee))
    reviewed = await custodes.audit.review(
        id,
        Verdict(body.state, by=trail.principal.actor, assignee=body.assignee, note=body.note),
        tenant=tenant,
        also=trail.entry(
            "audit.reviewed",
            target=f"audit_log:{id}",
            changes=changes,
            reason=body.note or "",
            tenant=entry.tenant,
        ),
    )
    return EntryModel.of(reviewed)
