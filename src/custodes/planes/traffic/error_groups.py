"""Kinds of errors: listed with how often they occurred, told step by step, resolved and opened again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from custodes.errors import NotFound
from custodes.kernel.clock import Clock
from custodes.kernel.paging import Page
from custodes.planes.traffic.analytics import Analytics
from custodes.planes.traffic.model import ApiCall, ErrorCourse, ErrorGroup, GroupState
from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.ranges import KEPT
from custodes.planes.traffic.rollup import Level
from custodes.runtime.transactions import Work


class ErrorGroups:
    """The verbs behind those of :class:`custodes.planes.traffic.monitor.ApiMonitor`, which says what they do."""

    def __init__(self, store: TrafficStore, analytics: Analytics, clock: Clock) -> None:
        self._store = store
        self._analytics = analytics
        self._clock = clock

    async def page(
        self, *, tenant: str | None, state: GroupState | None, since: int | None, limit: int, cursor: str | None
    ) -> Page[ErrorGroup]:
        """List them with their occurrences since a moment."""
        page = await self._store.error_groups(tenant=tenant, state=state, since=since, limit=limit, cursor=cursor)
        return Page(await self._counted(page.items, since), page.next_cursor)

    async def get(self, identifier: str, *, tenant: str | None) -> ErrorGroup:
        """Find one by its id."""
        return await self._known(await self._store.error_group(identifier, tenant=tenant))

    async def of_call(self, call: ApiCall) -> ErrorGroup:
        """Find the one that a call belongs to."""
        if not call.error_group:
            msg = "No exception left the app in this call"
            raise NotFound(msg, remedy="Its answer was the app's own: look at its trace for what it did")
        return await self._known(await self._store.error_group_of(call.error_group, tenant=call.tenant))

    async def course(
        self, identifier: str, since: int, until: int, *, tenant: str | None, step_seconds: int | None
    ) -> ErrorCourse:
        """Tell how often one occurred, step by step, and where."""
        group = await self._store.error_group(identifier, tenant=tenant)
        if group is None:
            raise _unknown()
        cut, points = await self._analytics.course(group.digest, since, until, group.tenant, step_seconds)
        # Before its first occurrence and after its last there is nothing to look through.
        begin, end = max(cut.since, group.first_seen_at), min(cut.until, group.last_seen_at + 1)
        endpoints = (
            await self._store.failing_endpoints(group.digest, tenant=group.tenant, since=begin, until=end)
            if begin < end
            else ()
        )
        return ErrorCourse(cut.since, cut.until, cut.step, points, tuple(endpoints))

    async def set_state(
        self, identifier: str, state: GroupState, *, by: str, tenant: str | None, also: Work
    ) -> ErrorGroup:
        """Say that one is mended, or that it is not."""
        now = self._clock.now()
        return await self._known(
            await self._store.set_group_state(identifier, state, tenant=tenant, at=now, by=by, also=also)
        )

    async def _known(self, group: ErrorGroup | None) -> ErrorGroup:
        if group is None:
            raise _unknown()
        return (await self._counted([group], None))[0]

    async def _counted(self, groups: Sequence[ErrorGroup], since: int | None) -> Sequence[ErrorGroup]:
        begin = max(0, self._clock.now() - KEPT[Level.DAY]) if since is None else since
        counts: dict[tuple[str, str], int] = {}
        for tenant in {group.tenant for group in groups}:
            digests = [group.digest for group in groups if group.tenant == tenant]
            found = await self._analytics.occurrences(digests, begin, tenant=tenant)
            counts |= {(tenant, digest): count for digest, count in found.items()}
        return [replace(group, count=counts.get((group.tenant, group.digest), 0)) for group in groups]


def _unknown() -> NotFound:
    return NotFound("No such error group", remedy="It may be another tenant's, or it has not occurred for long")
