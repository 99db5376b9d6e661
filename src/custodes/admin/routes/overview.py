"""The health of every system."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from custodes.admin.dependencies import Admin, CustodesDep
from custodes.admin.fields import Moment
from custodes.admin.routes.metrics import SystemModel, report_for
from custodes.kernel.health import Health

router = APIRouter()


class Overview(BaseModel):
    """How everything is."""

    state: Health = Field(description="The worst of all systems")
    at: Moment = Field(description="When it was asked")
    systems: list[SystemModel] = Field(description="Each system")


@router.get("/overview")
async def overview(custodes: CustodesDep, admin: Admin) -> Overview:
    """Tell how every system is: for an admin of one tenant as far as its own doing goes, and what all share."""
    found = await report_for(custodes, admin.tenant)
    return Overview(state=found.overall, at=found.at, systems=SystemModel.all_of(found))
