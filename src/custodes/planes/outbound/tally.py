"""Counters of endpoints, added up in memory and written now and then: figures, not state."""

from __future__ import annotations

from custodes.planes.outbound.ports import Counts, EndpointStore
from custodes.runtime.transactions import Store


class Tally:
    """Counts deliveries. What a killed process had not written is missing in the counters, never in the attempts."""

    def __init__(self, store: Store, endpoints: EndpointStore) -> None:
        self._store = store
        self._endpoints = endpoints
        self._counts: dict[str, Counts] = {}

    def succeeded(self, endpoint_id: str, at: int) -> None:
        """Count a delivery that was answered with 2xx."""
        old = self._counts.get(endpoint_id, Counts())
        self._counts[endpoint_id] = Counts(old.successes + 1, at, old.failures, old.last_failure_at)

    def failed(self, endpoint_id: str, at: int) -> None:
        """Count an attempt that was not."""
        old = self._counts.get(endpoint_id, Counts())
        self._counts[endpoint_id] = Counts(old.successes, old.last_success_at, old.failures + 1, at)

    async def flush(self) -> None:
        """Write what was counted.

        Raises:
            StorageUnavailable: nothing was written; it is kept for the next time.
        """
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._store.write(lambda tx: self._endpoints.add_counts(tx, counts), durable=False)
        except BaseException:
            for endpoint_id, newer in self._counts.items():
                old = counts.get(endpoint_id, Counts())
                counts[endpoint_id] = Counts(
                    old.successes + newer.successes,
                    newer.last_success_at or old.last_success_at,
                    old.failures + newer.failures,
                    newer.last_failure_at or old.last_failure_at,
                )
            self._counts = counts
            raise
