"""How endpoints are: what is remembered and counted of them, looked up and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from custodes.kernel.stretches import Level, Steps
from custodes.planes.outbound.analytics import HEALTH_RANGE, Examined, examine
from custodes.planes.outbound.breaker import possible
from custodes.planes.outbound.figures import Figures, Only
from custodes.planes.outbound.model import HEALTHY, Endpoint
from custodes.planes.outbound.ports import EndpointStore, FigureStore
from custodes.runtime.transactions import Transaction


def examined(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    judged_by: tuple[EndpointStore, FigureStore, Callable[[], int]],
    now: int,
    missed: Callable[[Endpoint], int] = lambda _endpoint: 0,
) -> list[Examined]:
    """Judge some endpoints of one tenant.

    Args:
        tx: a read.
        endpoints: which.
        judged_by: what their breakers remember, their figures, and the time that breakers go by: that of the store,
            which no host's clock shifts.
        now: the time that figures are counted by, microseconds.
        missed: counts what one has missed; by default that is not told.
    """
    if not endpoints:
        return []
    remembered, figures, time = judged_by
    only = Only(endpoints[0].tenant, endpoints[0].id if len(endpoints) == 1 else None)
    sums = figures.sums(tx, Steps.of(Level.MINUTE, now - HEALTH_RANGE, now + 1), only).by_endpoint
    by_store = time()
    healths = remembered.health(tx, [endpoint.id for endpoint in endpoints])
    return [
        examine(
            endpoint,
            possible(healths.get(endpoint.id, HEALTHY), by_store),
            sums.get((endpoint.tenant, endpoint.id), Figures()),
            missed(endpoint),
            by_store,
        )
        for endpoint in endpoints
    ]
