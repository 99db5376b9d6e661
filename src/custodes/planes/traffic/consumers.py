"""Who calls: requests per address, user and API key, bounded to the heaviest.

The hot path counts combinations (tenant, address, user, key) in one dictionary. When more have come than are worth
keeping, the combinations are taken apart into the three kinds and the lightest of each go into ``(other)``: counting
stays O(1) on average, memory stays bounded under any rotation of addresses, and no request is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from custodes.kernel.compiled import twin
from custodes.kernel.tenant import DEFAULT_TENANT
from custodes.planes.traffic.rollup import KEPT_CONSUMERS, OTHER, Figures, Keyspace, Rollups, Series

#: Combinations in one window before they are taken apart, which then takes some milliseconds.
MAX_COMBINATIONS = 4_096

#: Consumers of each tenant and kind that survive it; more than are kept in the end, so that late risers are not lost.
KEPT_MEANWHILE = 1_000

#: Tenant, address, user, API key.
Combination = tuple[str, str, str, str]


class Tally:
    """Requests of one consumer, or of one combination."""

    __slots__ = ("client_errors", "count", "limited", "response_bytes", "server_errors")

    def __init__(self) -> None:
        self.count = 0
        self.client_errors = 0
        self.server_errors = 0
        self.limited = 0
        self.response_bytes = 0

    def add(self, other: Tally) -> None:
        """Add the requests of another."""
        self.count += other.count
        self.client_errors += other.client_errors
        self.server_errors += other.server_errors
        self.limited += other.limited
        self.response_bytes += other.response_bytes


if not TYPE_CHECKING and (_twin := twin("custodes.planes.traffic._folding")) is not None:
    Tally = _twin.Tally

#: Consumer → its requests, of one tenant and kind.
Crowd = dict[str, Tally]


class Consumers:
    """Consumers of one window."""

    __slots__ = ("_crowds", "tallies")

    def __init__(self) -> None:
        #: Combinations that are not taken apart yet.
        self.tallies: dict[Combination, Tally] = {}
        self._crowds: dict[tuple[str, Keyspace], Crowd] = {}

    def meet(self, whos: Iterable[Combination], sizes: Iterable[int]) -> None:
        """Count requests: who made each, and the bytes of its answer."""
        tallies = self.tallies
        for who, size in zip(whos, sizes, strict=True):
            tally = tallies.get(who)
            if tally is None:
                tally = self.begin(who)
                tallies = self.tallies
            tally.count += 1
            tally.response_bytes += size

    def meet_errors(self, whos: Iterable[Combination], sizes: Iterable[int], *, limited: bool, server: bool) -> None:
        """Count requests that were refused or failed, all in the same way: by our limits, and by whose fault."""
        for who, size in zip(whos, sizes, strict=True):
            tally = self.tallies.get(who) or self.begin(who)
            tally.count += 1
            tally.response_bytes += size
            if limited:
                tally.limited += 1
            if server:
                tally.server_errors += 1
            else:
                tally.client_errors += 1

    def begin(self, who: Combination) -> Tally:
        """Begin to count a combination; when there are too many, take apart those that there are."""
        if len(self.tallies) >= MAX_COMBINATIONS:
            self._take_apart()
        tally = self.tallies[who] = Tally()
        return tally

    def figures(self, bucket: int) -> Rollups:
        """Return the figures of each consumer in a bucket, once nothing is counted any more.

        Of the default tenant those of the heaviest alone, since no more are kept; the others are added up under ``*``
        first, where many that are light in one tenant may be heavy together.
        """
        self._take_apart()
        for (tenant, _), crowd in self._crowds.items():
            if tenant == DEFAULT_TENANT and len(crowd) > KEPT_CONSUMERS:
                _disperse(crowd, KEPT_CONSUMERS)
        return {
            Series(tenant, keyspace, bucket, name, ""): _figures(tally)
            for (tenant, keyspace), crowd in self._crowds.items()
            for name, tally in crowd.items()
        }

    def _take_apart(self) -> None:
        tallies, self.tallies = self.tallies, {}
        for (tenant, ip, user, api_key), tally in tallies.items():
            for keyspace, name in ((Keyspace.IP, ip), (Keyspace.USER, user), (Keyspace.API_KEY, api_key)):
                if name:
                    crowd = self._crowds.setdefault((tenant, keyspace), {})
                    known = crowd.get(name)
                    if known is None:
                        known = crowd[name] = Tally()
                    known.add(tally)
        for crowd in self._crowds.values():
            if len(crowd) > KEPT_MEANWHILE:
                _disperse(crowd, KEPT_MEANWHILE)


def _disperse(crowd: Crowd, kept: int) -> None:
    """Put all but the heaviest together as ``(other)``."""
    rest = crowd.pop(OTHER, None) or Tally()
    # Names break ties, so that every run keeps the same ones.
    ranked = sorted(crowd, key=lambda name: (-crowd[name].count, name))
    for name in ranked[kept:]:
        rest.add(crowd.pop(name))
    crowd[OTHER] = rest


def _figures(tally: Tally) -> Figures:
    figures = Figures()
    figures.count = tally.count
    figures.client_errors = tally.client_errors
    figures.server_errors = tally.server_errors
    figures.limited = tally.limited
    figures.response_bytes = tally.response_bytes
    return figures
