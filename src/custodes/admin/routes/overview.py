"""The health of every system."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from custodes.admin.dependencies import Admin, CustodesDep
from custodes.admin.fields import Moment
from custodes.kernel.health import Health, SystemHealth

router = APIRouter()


class SystemModel(BaseModel):
    """How one system is."""

    system: str = Field(description="`webhooks`, `api`, `audit`, …")
    state: Health = Field(description="healthy, degraded or unhealthy")
    reasons: list[str] = Field(description="One sentence for each thing that is not as it should be")
    figures: dict[str, float] = Field(description="The figures that were judged")

    @classmethod
    def of(cls, health: SystemHealth, *, whole: bool) -> SystemModel:
        """Tell a system's health; without its figures, which count all tenants, when not ``whole``."""
        return cls(
            system=health.system,
            state=health.state,
            reasons=list(health.reasons) if whole else [],
            figures=dict(health.figures) if whole else {},
        )


class Overview(BaseModel):
    """How everything is."""

    state: Health = Field(description="The worst of all systems")
    at: Moment = Field(description="When it was asked")
    systems: list[SystemModel] = Field(description="Each system")


@router.get("/overview")
async def overview(custodes: CustodesDep, admin: Admin) -> Overview:
    """Tell how every system is; the figures of the whole install are shown to those who may see all tenants."""
    found = await custodes.health.check()
    return Overview(
        state=found.overall,
        at=found.at,
        systems=[SystemModel.of(health, whole=admin.tenant is None) for health in found.systems],
    )
