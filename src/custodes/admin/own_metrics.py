"""What Custodes measures by itself is of the whole install: all tenants together, and the machine.

It is kept under the default tenant, as what the app measures without naming one. Who sees all tenants sees it; an admin
of the default tenant alone does not, as of no other figure of all.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from custodes.admin.dependencies import Admin, CustodesDep
from custodes.errors import NotFound
from custodes.planes.metrics.catalogue import BUILT_IN


def sees_built_in(custodes: CustodesDep, admin: Admin) -> bool:
    """Tell whether somebody sees what Custodes measures by itself."""
    return admin.tenant != custodes.settings.default_tenant


#: Whether the principal sees what Custodes measures by itself.
SeesBuiltIn = Annotated[bool, Depends(sees_built_in)]


def check_seen(metric: str, sees: bool) -> None:
    """Let nobody ask about a metric who does not see it.

    Raises:
        NotFound: it does not exist for this principal.
    """
    if not sees and metric.startswith(BUILT_IN):
        msg = f"There is no metric {metric!r} of your tenant"
        raise NotFound(
            msg, remedy="Look at the list of metrics; those of the whole install are seen by its admins only"
        )
