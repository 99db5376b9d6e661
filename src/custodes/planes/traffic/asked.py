"""One question to the store and to what is in memory: what is asked of rollups holds all that this process knows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from operator import add
from typing import Any

from custodes.planes.traffic.ports import Answer, RollupQuery, Snapshot
from custodes.planes.traffic.rollup import Figures, Keyspace, Rollups, add_rollups


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about rollups."""

    #: What the store is asked; batches that are in memory as well are left out.
    query: RollupQuery
    #: What is in memory for it.
    live: Rollups

    def rollups(self, snapshot: Snapshot) -> Answer[Rollups]:
        """Add up rollups with their times and statuses."""
        return self._with_live(snapshot.rollups(self.query))

    def sums(self, snapshot: Snapshot) -> Answer[Rollups]:
        """Add up plain figures."""
        return self._with_live(snapshot.sums(self.query))

    def plain(self, snapshot: Snapshot) -> Answer[dict[tuple[Keyspace, str, str], Sequence[int]]]:
        """Add up plain figures that are counts or sums, by keyspace, name and method."""
        stored = snapshot.plain(self.query)

        def answer() -> dict[tuple[Keyspace, str, str], Sequence[int]]:
            found = stored()
            for series, figures in self.live.items():
                key = (series.keyspace, series.name, series.method)
                live = [getattr(figures, name) for name in self.query.figures]
                found[key] = [*map(add, live, found[key])] if key in found else live
            return found

        return answer

    def of(self, pairs: Collection[tuple[str, str]], **narrower: Any) -> Asked:
        """Ask about some pairs of name and method alone, and for less of them."""
        query = replace(self.query, pairs=tuple(pairs), **narrower)
        return Asked(query, {key: figures for key, figures in self.live.items() if (key.name, key.method) in pairs})

    def _with_live(self, stored: Answer[Rollups]) -> Answer[Rollups]:
        def answer() -> Rollups:
            found = stored()
            add_rollups(found, self.live)
            return found

        return answer


def by_name(rollups: Rollups) -> dict[tuple[str, str], Figures]:
    """Key rollups by name and method, where these tell them apart."""
    return {(series.name, series.method): figures for series, figures in rollups.items()}
