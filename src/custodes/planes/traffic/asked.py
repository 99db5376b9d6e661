"""One question to the store and to what is in memory: what is asked of rollups holds all that this process knows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from custodes.planes.traffic.ports import RollupQuery, Snapshot
from custodes.planes.traffic.rollup import Keyspace, Rollups, add_rollups


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about rollups."""

    #: What the store is asked; batches that are in memory as well are left out.
    query: RollupQuery
    #: What is in memory for it.
    live: Rollups

    def rollups(self, snapshot: Snapshot) -> Rollups:
        """Add up rollups with their times and statuses."""
        return self._with_live(snapshot.rollups(self.query), self.live)

    def sums(self, snapshot: Snapshot) -> Rollups:
        """Add up plain figures."""
        return self._with_live(snapshot.sums(self.query), self.live)

    def counts(self, snapshot: Snapshot) -> dict[tuple[Keyspace, str, str], int]:
        """Count requests by keyspace, name and method."""
        found = snapshot.counts(self.query)
        for series, figures in self.live.items():
            key = (series.keyspace, series.name, series.method)
            found[key] = found.get(key, 0) + figures.count
        return found

    def of(self, pairs: Collection[tuple[str, str]], **narrower: Any) -> Asked:
        """Ask about some pairs of name and method alone, and for less of them."""
        query = replace(self.query, pairs=tuple(pairs), **narrower)
        return Asked(query, {key: figures for key, figures in self.live.items() if (key.name, key.method) in pairs})

    @staticmethod
    def _with_live(found: Rollups, live: Rollups) -> Rollups:
        add_rollups(found, live)
        return found
