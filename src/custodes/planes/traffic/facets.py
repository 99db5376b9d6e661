"""What single calls there are, counted by class of status, method and route: what could be chosen next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from custodes.planes.traffic.model import CallFilter
from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.rollup import UNMATCHED

#: Calls that are looked at for a count at most: the newest. A large store answers in some tens of milliseconds.
MAX_COUNTED = 20_000

#: Values of one facet.
MAX_VALUES = 100

#: Greatest number that means a class of statuses, not one of them.
_CLASSES = 9

#: The class of statuses that has an index.
_FAILED = 5


@dataclass(frozen=True, slots=True)
class CallFacets:
    """Calls by the values of three filters; each count has all the others in force."""

    #: First digit of the status (0: the client left before there was one), the exact one that is asked for, and calls.
    status: Sequence[tuple[str, int]]
    #: Methods, most frequent first.
    method: Sequence[tuple[str, int]]
    #: Route templates; ``(unmatched)`` where no route matched.
    route: Sequence[tuple[str, int]]
    #: Calls that all filters together mean, at least.
    total: int
    #: Whether they are exactly so many.
    exact: bool
    #: Whether all were counted by value; when False, only the newest :data:`MAX_COUNTED` were looked at.
    complete: bool


async def count_facets(store: TrafficStore, where: CallFilter, *, tenant: str | None) -> CallFacets:
    """Count the calls that a filter means, and by value what it would mean with another status, method or route."""
    looked = await store.count_calls(
        replace(where, status=None, method=None, route=None), tenant=tenant, at_most=MAX_COUNTED
    )
    by_status, by_method, by_route = Counter[str](), Counter[str](), Counter[str]()
    total = 0
    for one in looked:
        route = UNMATCHED if one.route is None else one.route
        status, method = _has_status(where.status, one.status), where.method in (None, one.method)
        here = where.route in (None, route)
        if method and here:
            by_status[str(one.status // 100)] += one.fit
            if where.status is not None and where.status > _CLASSES and status:
                by_status[str(where.status)] += one.fit
        if status and here:
            by_method[one.method] += one.fit
        if status and method:
            by_route[route] += one.fit
        if status and method and here:
            total += one.fit
    complete = exact = sum(one.looked for one in looked) < MAX_COUNTED
    failed = where.status is not None and (where.status == _FAILED or where.status >= _FAILED * 100)
    if not complete and (failed or where.route is not None):  # these have indexes: further back
        own = await store.count_calls(
            replace(where, errors_only=failed or where.errors_only), tenant=tenant, at_most=MAX_COUNTED
        )
        total, exact = sum(one.fit for one in own), sum(one.looked for one in own) < MAX_COUNTED
    return CallFacets(
        status=_ranked(by_status),
        method=_ranked(by_method),
        route=_ranked(by_route),
        total=total,
        exact=exact,
        complete=complete,
    )


def _has_status(wanted: int | None, status: int) -> bool:
    return wanted is None or wanted == (status // 100 if 1 <= wanted <= _CLASSES else status)


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(((+counts).items()), key=lambda item: (-item[1], item[0]))[:MAX_VALUES]
