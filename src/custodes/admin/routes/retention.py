"""Retention: what is deleted when, what was deleted, and deleting it now."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from custodes.admin.dependencies import WHOLE_INSTALL, Admin, CustodesDep, Owner, Trail
from custodes.admin.fields import Body, Moment
from custodes.admin.paging import PageModel, PageQuery
from custodes.kernel.clock import DAY
from custodes.planes.retention.model import PolicyReport, Run

router = APIRouter()


class RunModel(BaseModel):
    """One run of one policy."""

    id: str = Field(description="UUIDv7")
    policy: str = Field(description="Name of the policy")
    started_at: Moment = Field(description="When it began")
    before: Moment = Field(description="Rows older than this were to go")
    removed: int | None = Field(
        description="Rows removed, of all tenants; in a dry run: that would be. Null when it failed, and for whoever "
        "sees one tenant"
    )
    duration_us: int = Field(description="How long it took, microseconds")
    dry_run: bool = Field(description="Whether nothing was deleted, only counted")
    finished: bool = Field(description="False when it failed or ran out of time: the rest goes next time")
    error: str = Field(description="Why it failed; empty when it did not")

    @classmethod
    def of(cls, run: Run) -> RunModel:
        """Tell a run."""
        return cls.model_validate(run, from_attributes=True)


class PolicyModel(BaseModel):
    """What is deleted when."""

    name: str = Field(description="Stable name, the plane first")
    description: str = Field(description="What goes and what stays")
    keep_days: float = Field(description="Days that rows are kept")
    last_run: RunModel | None = Field(description="Its newest run that was not a dry run; null when there was none")

    @classmethod
    def of(cls, report: PolicyReport, *, whole: bool) -> PolicyModel:
        """Tell a policy; how many rows went is told to those who may see all of them."""
        policy = report.policy
        last_run = RunModel.of(report.last_run) if report.last_run else None
        if last_run is not None and not whole:
            last_run.removed = None
        keep_days = round(policy.keep / DAY, 4)
        return cls(name=policy.name, description=policy.description, keep_days=keep_days, last_run=last_run)


class Policies(BaseModel):
    """All policies."""

    policies: list[PolicyModel] = Field(description="In the order in which they run")


class RunBody(Body):
    """What to do."""

    dry_run: bool = Field(default=True, description="Delete nothing, only count")


class Runs(BaseModel):
    """What was done."""

    runs: list[RunModel] = Field(description="One for each policy")


@router.get("/retention")
async def list_retention_policies(custodes: CustodesDep, admin: Admin) -> Policies:
    """List what is deleted when, each with its newest run."""
    whole = admin.tenant is None
    return Policies(
        policies=[PolicyModel.of(report, whole=whole) for report in await custodes.retention.get_policies()]
    )


@router.get("/retention/runs", dependencies=[WHOLE_INSTALL])
async def list_retention_runs(custodes: CustodesDep, _owner: Owner, page: PageQuery) -> PageModel[RunModel]:
    """List runs, newest first. They span all tenants: only for owners who may see all of them."""
    found = await custodes.retention.list_runs(limit=page.limit, cursor=page.cursor or "")
    return PageModel[RunModel].of(found, RunModel.of)


@router.post("/retention/run", dependencies=[WHOLE_INSTALL])
async def run_retention(body: RunBody, custodes: CustodesDep, _owner: Owner, trail: Trail) -> Runs:
    """Delete what is past its time now, or count what would be deleted. It spans all tenants: only for their owners."""
    entry = trail.entry("retention.run", target="retention:all", context={"dry_run": body.dry_run})
    done = await custodes.retention.run(dry_run=body.dry_run, also=entry)
    return Runs(runs=[RunModel.of(run) for run in done])
