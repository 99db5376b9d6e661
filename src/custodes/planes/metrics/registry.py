"""Which series exist in this process: names are checked once, and their number is bounded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

from custodes.errors import InvalidInput
from custodes.planes.metrics.model import Kind, Series
from custodes.planes.metrics.names import OVERFLOW, canonical, check_name, series_of

#: Series of one metric of one tenant, at most; more go into its series ``overflow="true"``. Half of OpenTelemetry's
#: default of 2 000, because each series here also costs rows for years.
MAX_SERIES_PER_NAME = 1_000

#: Series of one tenant, at most, and of all: more go into the series ``overflow="true"`` of their metric, so that no
#: tenant alone can take the room of the others.
MAX_SERIES_PER_TENANT = 10_000
MAX_SERIES = 20_000

#: Metrics of one tenant, at most: beyond it a new name is refused, since a name made of data is a mistake.
MAX_NAMES = 1_000

#: Metrics of all tenants, at most: what a process remembers of names and kinds stays within some megabytes.
MAX_NAMES_OF_ALL = 10_000

_Alias = tuple[str, str, Kind, tuple[tuple[str, object], ...]]


class Registry:
    """Finds the series of a measurement; the second time in one look-up.

    A series that was not used between two calls of :meth:`forget_unused` is forgotten, so the caps hold for what is
    active, not for what ever was.
    """

    def __init__(
        self,
        *,
        max_series_per_name: int = MAX_SERIES_PER_NAME,
        max_series_per_tenant: int = MAX_SERIES_PER_TENANT,
        max_series: int = MAX_SERIES,
        max_names: int = MAX_NAMES,
        max_names_of_all: int = MAX_NAMES_OF_ALL,
    ) -> None:
        self._max_series_per_name = max_series_per_name
        self._max_series_per_tenant = max_series_per_tenant
        self._max_series = max_series
        self._max_names = max_names
        self._max_names_of_all = max_names_of_all
        self._lock = threading.Lock()
        self._aliases: dict[_Alias, Series] = {}
        self._series: dict[str, Series] = {}
        self._kinds: dict[tuple[str, str], Kind] = {}
        #: Metrics of each tenant.
        self._names: Counter[str] = Counter()
        self._sizes: Counter[tuple[str, str]] = Counter()
        #: Series of each tenant.
        self._shares: Counter[str] = Counter()
        self._used: set[str] = set()
        #: Measurements that went into an overflow series.
        self.overflowed = 0

    def __len__(self) -> int:
        """Count the active series."""
        return len(self._series)

    def find(self, tenant: str, name: str, kind: Kind, labels: Mapping[str, object] | None) -> Series:
        """Return the series of a measurement.

        Raises:
            InvalidInput: the name or a label is not acceptable, the name is used with another kind, or there are too
                many names.
        """
        pairs = tuple(labels.items()) if labels else ()
        try:
            known = self._aliases.get((tenant, name, kind, pairs))
        except TypeError:  # a label value that cannot be hashed
            known = None
        if known is not None:
            if known.labels is OVERFLOW:
                self.overflowed += 1
            return known
        with self._lock:
            return self._open(tenant, name, kind, labels, pairs)

    def mark_used(self, series: Iterable[str]) -> None:
        """Note which series were flushed."""
        self._used.update(series)

    def forget_unused(self) -> None:
        """Forget what was not used since the last call."""
        with self._lock:
            used, self._used = self._used, set()
            self._series = {key: series for key, series in self._series.items() if key in used}
            self._aliases = {key: series for key, series in self._aliases.items() if series.id in self._series}
            self._sizes = Counter((series.tenant, series.name) for series in self._series.values())
            self._shares = Counter(series.tenant for series in self._series.values())
            self._kinds = {key: kind for key, kind in self._kinds.items() if key in self._sizes}
            self._names = Counter(tenant for tenant, _ in self._kinds)

    def _open(
        self,
        tenant: str,
        name: str,
        kind: Kind,
        labels: Mapping[str, object] | None,
        pairs: tuple[tuple[str, object], ...],
    ) -> Series:
        self._check(tenant, name, kind)
        wanted = series_of(tenant, name, kind, canonical(labels))
        series = self._series.get(wanted.id)
        if series is None:
            series = self._admit(wanted)
        if all(type(value) is str for _, value in pairs) and len(self._aliases) < 2 * self._max_series:
            self._aliases[tenant, name, kind, pairs] = series
        return series

    def _check(self, tenant: str, name: str, kind: Kind) -> None:
        used_as = self._kinds.get((tenant, name))
        if used_as is kind:
            return
        check_name(name)
        if used_as is not None:
            msg = f"{name!r} is a {used_as} already and cannot be a {kind} too"
            raise InvalidInput(msg, remedy="Give each metric one kind, and another name to the other")
        if self._names[tenant] >= self._max_names:
            msg = f"There are {self._max_names} metrics already"
            raise InvalidInput(msg, remedy="Put what varies into labels, not into the name")
        if len(self._kinds) >= self._max_names_of_all:
            msg = f"There are {self._max_names_of_all} metrics of all tenants already"
            raise InvalidInput(msg, remedy="Put what varies into labels; metrics without measurements make room hourly")
        self._kinds[tenant, name] = kind
        self._names[tenant] += 1

    def _admit(self, wanted: Series) -> Series:
        key = (wanted.tenant, wanted.name)
        if (
            self._sizes[key] >= self._max_series_per_name
            or self._shares[wanted.tenant] >= self._max_series_per_tenant
            or len(self._series) >= self._max_series
        ):
            self.overflowed += 1
            wanted = series_of(wanted.tenant, wanted.name, wanted.kind, OVERFLOW)
            if wanted.id in self._series:
                return self._series[wanted.id]
        self._series[wanted.id] = wanted
        self._sizes[key] += 1
        self._shares[wanted.tenant] += 1
        return wanted
