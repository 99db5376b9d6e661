"""What the traffic plane keeps: since when, and until retention deletes it."""

from __future__ import annotations

from custodes.planes.traffic.ports import TrafficStore
from custodes.planes.traffic.ranges import first_moment
from custodes.planes.traffic.rollup import Level


class Kept:
    """The store of the traffic plane, as retention and a reader of history see it."""

    def __init__(self, store: TrafficStore) -> None:
        self._store = store
        #: When the first call was recorded, once that is known.
        self._since: int | None = None

    async def get_recording_since(self) -> int | None:
        """Tell since when calls are recorded, of whatever tenant, as finely as that is kept; None when none is.

        Raises:
            StorageUnavailable: the store cannot be read.
        """
        if self._since is None:
            self._since = first_moment(await self._store.first_buckets())
        return self._since

    async def purge_calls(self, before: int, limit: int) -> int:
        """Delete single calls that began before a moment, oldest first, at most ``limit``; returns how many."""
        return await self._store.purge_calls(before, limit)

    async def count_purgeable_calls(self, before: int) -> int:
        """Count what :meth:`purge_calls` would delete in the end."""
        return await self._store.count_purgeable_calls(before)

    async def purge_error_groups(self, before: int, limit: int) -> int:
        """Delete kinds of errors that last occurred before a moment, at most ``limit``; returns how many."""
        return await self._store.purge_error_groups(before, limit)

    async def count_purgeable_error_groups(self, before: int) -> int:
        """Count what :meth:`purge_error_groups` would delete in the end."""
        return await self._store.count_purgeable_error_groups(before)

    async def purge_rollups(self, level: Level, before: int, limit: int) -> int:
        """Delete rollup rows of a level from before a moment, at most ``limit``; returns how many.

        What no coarser level holds yet stays. How long each level is meant to be kept:
        :data:`custodes.planes.traffic.ranges.KEPT`.
        """
        return await self._store.purge_rollups(level, before, limit)

    async def count_purgeable_rollups(self, level: Level, before: int) -> int:
        """Count what :meth:`purge_rollups` would delete in the end."""
        return await self._store.count_purgeable_rollups(level, before)
