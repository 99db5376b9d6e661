"""The health of every system in one picture, also when some of them cannot answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from custodes.kernel.health import Health, SystemHealth

if TYPE_CHECKING:
    from custodes.app import Custodes

#: The planes that are asked, in the order in which they are shown; names of :class:`custodes.Custodes`.
PLANES = ("inbound", "traffic", "ratelimit", "audit", "outbound", "metrics", "alerts", "retention", "identity")

#: How long one system may take to say how it is, seconds.
PATIENCE_SECONDS = 3.0

_log = structlog.get_logger("custodes.admin")


async def health_of_all(custodes: Custodes) -> list[SystemHealth]:
    """Ask every plane at once; one that fails or does not answer in time is unhealthy, the others are shown."""
    planes = [name for name in PLANES if hasattr(type(custodes), name)]
    return list(await asyncio.gather(*(_ask(custodes, name) for name in planes)))


async def _ask(custodes: Custodes, name: str) -> SystemHealth:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            health: SystemHealth = await getattr(custodes, name).get_health_status()
            return health
    except TimeoutError:
        return SystemHealth(name, Health.UNHEALTHY, (f"did not answer within {PATIENCE_SECONDS:g} s",))
    except Exception as error:  # noqa: BLE001 - a plane that cannot say how it is must not hide the others
        _log.warning("health_unknown", system=name, error=repr(error)[:200])
        return SystemHealth(name, Health.UNHEALTHY, (f"could not say how it is ({type(error).__name__})",))
