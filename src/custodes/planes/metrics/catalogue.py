"""Which metrics there are, and each at a glance."""

from __future__ import annotations

from collections.abc import Mapping

from custodes.kernel.paging import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from custodes.planes.metrics.analytics import MetricReader, nice_step
from custodes.planes.metrics.model import Course, Kind, MetricInfo, Query
from custodes.planes.metrics.ports import MetricStore

#: Metrics of one page of courses, at most: each is a query of about ten milliseconds.
MAX_COURSES = 50

#: Points of a course, roughly: as many as a small picture shows.
POINTS = 40

#: What the names of metrics begin with that Custodes measures by itself.
BUILT_IN = ("custodes.", "process.", "system.")

#: How a metric of each kind is told in one number.
AT_A_GLANCE: Mapping[Kind, str] = {Kind.COUNTER: "sum", Kind.GAUGE: "last", Kind.HISTOGRAM: "p95"}


def is_wanted(name: str, own: bool | None) -> bool:
    """Tell whether a metric is one of the app (True), or one that Custodes measures by itself (False); None: either."""
    return own is None or own is not name.startswith(BUILT_IN)


class Catalogue:
    """Lists metrics."""

    def __init__(self, store: MetricStore, reader: MetricReader) -> None:
        self._store = store
        self._reader = reader

    async def list(
        self,
        *,
        tenant: str | None = None,
        own: bool | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[MetricInfo]:
        """List metrics by tenant and name.

        Args:
            tenant: whose; None for all.
            own: True for those of the app, False for those that Custodes measures by itself; None for both.
            limit: rows at most.
            cursor: ``next_cursor`` of the page before.

        Raises:
            InvalidInput: the cursor is not one of ours.
        """
        after = _after(cursor) if cursor else None
        found: list[MetricInfo] = []
        while len(found) <= limit:
            some = await self._store.list_metrics(tenant, after, limit + 1)
            found += [one for one in some if is_wanted(one.name, own)]
            if len(some) <= limit:
                break
            after = (some[-1].tenant, some[-1].name)
        if len(found) <= limit:
            return Page(found, None)
        last = found[limit - 1]
        return Page(found[:limit], encode_cursor(0, f"{last.tenant}/{last.name}"))

    async def courses(
        self,
        since: int,
        until: int,
        *,
        tenant: str | None = None,
        own: bool | None = None,
        limit: int = MAX_COURSES,
        cursor: str | None = None,
    ) -> Page[Course]:
        """List metrics as :meth:`list` does, each with one line over a range.

        Args:
            since: begin of the range, microseconds since the epoch.
            until: end of it, not included.
            tenant: as in :meth:`list`.
            own: as in :meth:`list`.
            limit: rows at most, :data:`MAX_COURSES` and no more.
            cursor: as in :meth:`list`.

        Raises:
            InvalidInput: the cursor is not one of ours, or the range is empty or too long to be read.
        """
        page = await self.list(tenant=tenant, own=own, limit=min(limit, MAX_COURSES), cursor=cursor)
        return Page([await self._course(one, since, until) for one in page.items], page.next_cursor)

    async def _course(self, metric: MetricInfo, since: int, until: int) -> Course:
        aggregation = AT_A_GLANCE[metric.kind]
        step = nice_step((until - since) / POINTS)
        answer = await self._reader.answer(
            Query(metric.name, aggregation, since, until, step, by=(), tenant=metric.tenant)
        )
        points = answer.lines[0].points if answer.lines else ()
        values = [point.value for point in points]
        value = None if not values else sum(values) if metric.kind is Kind.COUNTER else values[-1]
        return Course(metric, aggregation, answer.step, points, value)


def _after(cursor: str) -> tuple[str, str]:
    _, key = decode_cursor(cursor)
    tenant, _, name = key.partition("/")
    return tenant, name
